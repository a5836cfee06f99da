"""How a network's accuracy falls as its images get worse: every corruption at every strength, on a sample, kept with the run."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.data.store.image_store import ImageStore, Progress, no_progress, open_store
from core.data.transforms.corruptions import CORRUPTIONS, corrupted
from core.data.transforms.preprocessing import array_to_image, normalise
from core.errors import InputError
from core.files import unsealed
from core.insight.run_results import EvaluatedImages, evaluated_named, images_of
from core.jobs.job import Request
from core.runs.artifacts import Artifact, ArtifactKind, Inputs, find_kept, kept, list_kept
from core.runs.checkpoints import Checkpoint, find_checkpoint, load_network, weights_sum
from core.runs.directory import Run, find_run
from core.runs.records import spread
from core.workspace import Workspace

LEVELS = 6  # the first is the image as it is
ROBUSTNESS = ArtifactKind("artifacts/robustness", 24)
BEFORE = "insight"  # the folder in which version 0.1 kept it
BATCH = 128  # a multiple of four: corruptions go from image to image in four directions


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """right: by corruption, (LEVELS, K) counts of right answers. support: (K,) images of each class in the sample."""

    checkpoint: str
    num_pictures: int
    support: list[int]
    right: dict[str, list[list[int]]]

    def accuracy(self, name: str) -> np.ndarray:
        """(LEVELS,) over all images."""
        return np.array(self.right[name]).sum(axis=1) / max(1, self.num_pictures)

    def by_class(self, name: str) -> np.ndarray:
        """(LEVELS, K), NaN for a class without images in the sample."""
        with np.errstate(invalid="ignore"):
            return np.array(self.right[name]) / np.array(self.support, float)

    @property
    def weakest(self) -> str:
        """The corruption that costs most on the mean of its strengths."""
        return min(self.right, key=lambda name: self.accuracy(name)[1:].mean())


def measure(
    run: Run, checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int, progress: Progress = no_progress
) -> Robustness:
    """Evaluates the checkpoint on up to count of the evaluated images, spread evenly over them, and keeps the result."""

    def make(folder: Path) -> dict[str, Any]:
        return asdict(_measured(checkpoint, store, evaluated, count, progress))

    found = _in(kept(run, ROBUSTNESS, _inputs(checkpoint, store, evaluated, count), make))
    assert found, "of the form that is written here"
    return found


def _measured(
    checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int, progress: Progress
) -> Robustness:
    model, spec = load_network(checkpoint)
    model = model.to(memory_format=torch.channels_last)
    places = spread(len(evaluated.labels), count)
    indices, labels = evaluated.indices[places], evaluated.labels[places]
    mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
    num_classes, done, total = len(spec.class_names), 0, (len(CORRUPTIONS) * (LEVELS - 1) + 1) * len(places)

    def right_answers(name: str, level: int) -> list[int]:
        nonlocal done
        answers = []
        for first in range(0, len(indices), BATCH):
            pixels = torch.from_numpy(store.images[indices[first : first + BATCH]])
            with torch.inference_mode():
                answers.append(model(normalise(corrupted(pixels, name, level), mean, std)).argmax(dim=1))
            done += len(pixels)
            progress(f"{CORRUPTIONS[name].title}, strength {level}", done, total)
        is_right = torch.cat(answers).numpy() == labels
        return np.bincount(labels[is_right], minlength=num_classes).tolist()

    as_it_is = right_answers(next(iter(CORRUPTIONS)), 0)
    right = {name: [as_it_is, *(right_answers(name, level) for level in range(1, LEVELS))] for name in CORRUPTIONS}
    return Robustness(
        checkpoint=checkpoint.name,
        num_pictures=len(places),
        support=np.bincount(labels, minlength=num_classes).tolist(),
        right=right,
    )


def robustness_request(run: Run, checkpoint: Checkpoint, evaluated: EvaluatedImages, count: int) -> Request:
    inputs = {"run": run.id, "checkpoint": checkpoint.name, "evaluated": evaluated.reference, "count": count}
    return Request("robustness", f"{checkpoint.name} of {run.id} on worse images", inputs)


def work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> None:
    """The job."""
    run = find_run(workspace, inputs["run"])
    evaluated = evaluated_named(run, inputs["evaluated"])
    store = images_of(workspace, run, evaluated)
    if store is None:
        raise InputError("The images that this run was evaluated on are no longer on this machine.", code="dataset")
    measure(run, find_checkpoint(run, inputs["checkpoint"]), store, evaluated, inputs["count"], progress)


def kept_robustness(
    run: Run, checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int
) -> Robustness | None:
    """What was measured before with these weights on these images."""
    inputs = _inputs(checkpoint, store, evaluated, count)
    return _in(find_kept(run, ROBUSTNESS, inputs)) or _of_before(run.path / BEFORE / f"robustness-{inputs.key}.json")


def last_robustness(run: Run) -> Robustness | None:
    """The last that was measured of the run."""
    before = sorted((run.path / BEFORE).glob("robustness-*.json"), key=lambda path: -path.stat().st_mtime)
    return next(filter(None, [*map(_in, list_kept(run, ROBUSTNESS)), *map(_of_before, before)]), None)


def _inputs(checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int) -> Inputs:
    return Inputs([weights_sum(checkpoint), store.path.name, count], [evaluated.indices, evaluated.labels])


def _in(artifact: Artifact | None) -> Robustness | None:
    """None for one that is damaged: it can be measured again."""
    try:
        return artifact and Robustness(**artifact.facts)
    except TypeError:
        return None


def _of_before(path: Path) -> Robustness | None:
    """As version 0.1 kept it: one sealed file."""
    try:
        return Robustness(**unsealed(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def worse_and_worse(store: ImageStore, index: int, name: str) -> list[Image.Image]:
    """An image at every level of a corruption."""
    return _levels(store.path, index, name)


@lru_cache(maxsize=64)
def _levels(path: Path, index: int, name: str) -> list[Image.Image]:
    store = open_store(path)
    assert store, "it was open a moment ago"
    pixels = torch.from_numpy(store.images[index : index + 1])
    return [array_to_image(corrupted(pixels, name, level)[0].numpy()) for level in range(LEVELS)]
