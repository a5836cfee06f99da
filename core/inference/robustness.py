"""How a network's accuracy falls as its pictures get worse: every corruption at every strength, on a sample, kept with the run."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.data.store.image_store import ImageStore, Progress, no_progress, open_store
from core.data.transforms.corruptions import CORRUPTIONS, corrupted
from core.data.transforms.preprocessing import array_to_image, normalise
from core.files import sealed, unsealed, write_bytes_atomically
from core.insight.run_results import EvaluatedImages
from core.runs.checkpoints import Checkpoint, load_network, weights_sum
from core.runs.directory import Run
from core.runs.records import spread

LEVELS = 6  # the first is the picture as it is
BATCH = 128  # a multiple of four: corruptions go from picture to picture in four directions


@dataclass(frozen=True)
class Robustness:
    """right: by corruption, (LEVELS, K) counts of right answers. support: (K,) pictures of each class in the sample."""

    checkpoint: str
    num_pictures: int
    support: list[int]
    right: dict[str, list[list[int]]]

    def accuracy(self, name: str) -> np.ndarray:
        """(LEVELS,) over all pictures."""
        return np.array(self.right[name]).sum(axis=1) / max(1, self.num_pictures)

    def by_class(self, name: str) -> np.ndarray:
        """(LEVELS, K), NaN for a class without pictures in the sample."""
        with np.errstate(invalid="ignore"):
            return np.array(self.right[name]) / np.array(self.support, float)

    @property
    def weakest(self) -> str:
        """The corruption that costs most on the mean of its strengths."""
        return min(self.right, key=lambda name: self.accuracy(name)[1:].mean())


def measure(
    run: Run, checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int, progress: Progress = no_progress
) -> Robustness:
    """Judges the checkpoint on up to count of the judged pictures, spread evenly over them, and keeps the result."""
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
    measured = Robustness(checkpoint.name, len(places), np.bincount(labels, minlength=num_classes).tolist(), right)
    path = _path(run, checkpoint, store, evaluated, count)
    path.parent.mkdir(exist_ok=True)
    write_bytes_atomically(path, sealed(asdict(measured)))
    return measured


def kept_robustness(
    run: Run, checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int
) -> Robustness | None:
    """What was measured before with these weights on these pictures."""
    try:
        return Robustness(**unsealed(_path(run, checkpoint, store, evaluated, count).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def last_robustness(run: Run) -> Robustness | None:
    """The last that was measured of the run."""
    for path in sorted((run.path / "insight").glob("robustness-*.json"), key=lambda path: -path.stat().st_mtime):
        with suppress(OSError, ValueError, TypeError):  # damaged: it can be measured again
            return Robustness(**unsealed(path.read_bytes()))
    return None


def worse_and_worse(store: ImageStore, index: int, name: str) -> list[Image.Image]:
    """A picture at every level of a corruption."""
    return _levels(store.path, index, name)


@lru_cache(maxsize=64)
def _levels(path: Path, index: int, name: str) -> list[Image.Image]:
    pixels = torch.from_numpy(open_store(path).images[index : index + 1])
    return [array_to_image(corrupted(pixels, name, level)[0].numpy()) for level in range(LEVELS)]


def _path(run: Run, checkpoint: Checkpoint, store: ImageStore, evaluated: EvaluatedImages, count: int) -> Path:
    of = (
        json.dumps([weights_sum(checkpoint), store.path.name, count]).encode()
        + evaluated.indices.tobytes()
        + evaluated.labels.tobytes()
    )
    return run.path / "insight" / f"robustness-{hashlib.sha256(of).hexdigest()[:16]}.json"
