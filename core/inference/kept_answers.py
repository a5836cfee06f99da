"""What a checkpoint said of many images from outside, kept with the run: a table, with small images beside it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.data.store.image_store import Progress, no_progress
from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError
from core.files import remove_quietly
from core.inference.many import Answer, answer_of, images_at, predictions_of
from core.jobs.job import Job, Request
from core.runs.artifacts import Artifact, ArtifactKind, Inputs, kept, list_kept, save_array, sweep_aside
from core.runs.checkpoints import find_checkpoint, weights_sum
from core.runs.directory import Run, find_run
from core.workspace import Workspace

ANSWERS = ArtifactKind("artifacts/answers", 5)
THUMBNAIL_PX = 40
UPLOAD = "upload-"  # how the folder of one begins, in the workspace's home


@dataclass(frozen=True, kw_only=True)
class KeptAnswers:
    """title: what was asked about. checkpoint: which one answered. answers: in the order of the files, with an image each."""

    artifact: Artifact
    title: str
    checkpoint: str
    class_names: tuple[str, ...]

    @property
    def answers(self) -> list[Answer]:
        """To be read, not changed. Raises InputError where the file is not as it was written."""
        return _answers(self.artifact.file("answers.json"), self.artifact.sums["answers.json"])

    def thumbnails(self, places: Sequence[int]) -> list[Image.Image]:
        """Of answers by their places; a black one for an image that can't be read."""
        return [array_to_image(small) for small in self.artifact.array("thumbnails")[list(places)]]


@lru_cache(maxsize=4)
def _answers(path: Path, sum_of_file: str) -> list[Answer]:
    return [Answer(**row) for row in json.loads(path.read_bytes())]


def kept_answers(run: Run) -> list[KeptAnswers]:
    """The newest first."""
    return [
        KeptAnswers(
            artifact=artifact,
            title=str(artifact.facts["title"]),
            checkpoint=str(artifact.facts["checkpoint"]),
            class_names=tuple(artifact.facts["class_names"]),
        )
        for artifact in list_kept(run, ANSWERS)
    ]


def ask(
    workspace: Workspace, run: Run, checkpoint: str, paths: Sequence[Path], title: str, progress: Progress = no_progress
) -> Artifact:
    """Asked anew each time: the files may be others. Raises InputError as `images_at` does."""
    progress("Listing the images", 0, 0)
    sources, found = images_at(paths), find_checkpoint(run, checkpoint)

    def make(folder: Path) -> dict[str, Any]:
        answers, thumbnails, names = [], [], ()
        for source, said in predictions_of(found, sources, progress):
            answers.append(answer_of(source, said).as_dict())
            thumbnails.append(None if isinstance(said, InputError) else _small(said.seen))
            names = names if isinstance(said, InputError) else said.class_names
        shape = next((small.shape for small in thumbnails if small is not None), (1, 1, 1))
        blank = np.zeros(shape, np.uint8)
        save_array(folder, "thumbnails", np.stack([blank if small is None else small for small in thumbnails]))
        (folder / "answers.json").write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")
        return {"title": title, "checkpoint": found.name, "class_names": list(names)}

    return kept(run, ANSWERS, Inputs([weights_sum(found), [str(path) for path in paths], time.time_ns()]), make)


def _small(seen: np.ndarray) -> np.ndarray:
    """(C, h, w) uint8 of at most so many pixels a side."""
    image = array_to_image(seen)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def answers_request(run: Run, checkpoint: str, path: str, title: str, is_upload: bool = False) -> Request:
    """path: a folder, a zip or an image. is_upload: whether it lies in a folder of its own that goes when this is done."""
    inputs = {"run": run.id, "checkpoint": checkpoint, "path": path, "title": title, "is_upload": is_upload}
    return Request("predict", f"{title}, by {checkpoint} of {run.id}", inputs)


def work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The job."""
    try:
        made = ask(
            workspace, find_run(workspace, inputs["run"]), inputs["checkpoint"], [Path(inputs["path"])], inputs["title"], progress
        )
        return {"name": made.name}
    finally:
        drop_upload(workspace, inputs)


def tidy(workspace: Workspace, job: Job) -> None:
    """After a process that was killed."""
    drop_upload(workspace, job.inputs)
    try:
        sweep_aside(find_run(workspace, job.inputs["run"]), ANSWERS)
    except InputError:  # deleted meanwhile
        return


def drop_upload(workspace: Workspace, inputs: dict[str, Any]) -> None:
    path = Path(inputs["path"])
    folder = path if path.parent == workspace.home else path.parent
    if inputs["is_upload"] and folder.parent == workspace.home and folder.name.startswith(UPLOAD):
        remove_quietly(folder)
