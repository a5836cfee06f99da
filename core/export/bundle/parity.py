"""The proof that a bundle answers as the app does: it is run in a process of its own, without our code, on images as they came."""

import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.data.sources.decoding import decode_image
from core.data.store.image_store import Progress, no_progress
from core.data.store.originals import original_file, stored_image
from core.errors import InputError
from core.inference.predictor import predict
from core.insight.run_results import store_of
from core.processes import apart
from core.runs.checkpoints import Checkpoint
from core.runs.directory import Run
from core.runs.records import evaluated_images, spread
from core.workspace import Workspace

NUM_IMAGES = 200
MOST_DIFFERENT = 1e-6  # of a probability
LIMIT_S = 600
SIZES = ((64, 48), (31, 77), (200, 200), (8, 8), (640, 360))  # of made-up images


@dataclass(frozen=True, kw_only=True)
class Parity:
    """largest_difference: of a probability, over all images and classes. images: of what they are, in words."""

    num_images: int
    largest_difference: float
    images: str
    where: str

    def __str__(self) -> str:
        differ = f"differ by {self.largest_difference:.1e} at most" if self.largest_difference else "are the same to the last bit"
        return f"{self.num_images} images ({self.images}) got the same class in a process without Trainscope; their probabilities {differ}."

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def prove(
    folder: Path, images: Path, workspace: Workspace, run: Run, checkpoint: Checkpoint, progress: Progress = no_progress
) -> Parity:
    """folder: with the bundle's files. images: an empty one, for those that both are asked.

    Raises InputError that names the first image that is answered otherwise, and how.
    """
    files, what = _lay_out(images, workspace, run)
    progress("Asking the bundle", 0, 0)
    answers = _ask(folder, files)
    largest = 0.0
    for number, (file, answer) in enumerate(zip(files, answers, strict=True)):
        progress("Comparing answers", number, len(files))
        largest = max(largest, _difference(file, answer, checkpoint))
    return Parity(
        num_images=len(files),
        largest_difference=largest,
        images=what,
        where=f"Python {sys.version.split()[0]}, {sys.platform}",
    )


def _lay_out(folder: Path, workspace: Workspace, run: Run) -> tuple[list[Path], str]:
    """Images from all over those that the run was evaluated on: the files as they came where there are any."""
    store = store_of(workspace, run)
    if store is None:
        return _made_up(folder), "made up, since those that it was evaluated on are not here"
    indices = evaluated_images(run)[0]
    files, num_originals = [], 0
    for index in indices[spread(len(indices), NUM_IMAGES)].tolist():
        if original := original_file(store, index):
            num_originals += 1
            suffix, content = original
        else:
            suffix, content = ".png", _as_png(stored_image(store, index))
        files.append(folder / f"{index:07d}{suffix}")
        files[-1].write_bytes(content)
    return files, f"of those that it was evaluated on{', files as they came' if num_originals == len(files) else ''}"


def _made_up(folder: Path) -> list[Path]:
    draw, files = np.random.default_rng(0), []
    for number in range(NUM_IMAGES):
        width, height = SIZES[number % len(SIZES)]
        coarse = draw.integers(0, 256, (6, 6, 3), np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        files.append(folder / f"{number:07d}.png")
        files[-1].write_bytes(_as_png(image.convert("L") if number % 3 == 0 else image))
    return files


def _as_png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _ask(folder: Path, files: list[Path]) -> list[dict[str, Any]]:
    """What the bundle's own program says of them."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    asked = [os.path.relpath(file, folder) for file in files]
    try:
        ended = subprocess.run(
            [sys.executable, "predict.py", "--json", *asked],
            cwd=folder,
            env={**environment, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
            **apart(),
        )
        answers: list[dict[str, Any]] = json.loads(ended.stdout)["pictures"]
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _differs(f"its program ended with an error ({last[:300]})") from None
    except subprocess.TimeoutExpired:
        raise _differs(f"its program took more than {LIMIT_S} s") from None
    return answers


def _difference(file: Path, answer: dict[str, Any], checkpoint: Checkpoint) -> float:
    ours = predict(checkpoint, decode_image(file))
    if "error" in answer:
        raise _differs(f"it can't read {file.name} ({answer['error'][:200]})")
    theirs = {row["class"]: row["probability"] for row in answer["classes"]}
    probabilities = np.array([theirs[name] for name in ours.class_names])
    difference = float(np.abs(probabilities - ours.probabilities).max())
    said, expected = answer["classes"][0]["class"], ours.top(1)[0][0]
    if said != expected or not difference <= MOST_DIFFERENT or answer["is_sure"] != ours.is_sure:
        raise _differs(
            f"of {file.name} it says {said} with {max(theirs.values()):.6f}, the app {expected} with {ours.probabilities.max():.6f}; "
            f"the largest difference is {difference:.1e}, expected {MOST_DIFFERENT:.0e} at most"
        )
    return difference


def _differs(how: str) -> InputError:
    return InputError(f"The bundle does not answer as the app does: {how}.", code="parity", hint="It is not handed out.")
