"""Evaluations made by hand and kept with the run: a checkpoint on a split of some set, with what was said of each picture."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.files import remove_folder, unsealed
from core.runs.checkpoints import Checkpoint, find_checkpoint, weights_sum
from core.runs.directory import Run
from core.runs.records import load_record
from core.training.events import Predictions


@dataclass(frozen=True)
class About:
    """What was judged on what. weights: checksum of the checkpoint's; store, pictures: the folder and the checksum of the judged pictures.

    left_out: pictures of classes that the network does not know. made_s: when, in seconds since 1970. sums: checksums of the files.
    """

    checkpoint: str
    epoch: int
    weights: str
    dataset: str
    title: str
    split: str
    store: str
    pictures: str
    num_pictures: int
    left_out: int
    accuracy: float
    loss: float
    made_s: float
    sums: dict[str, str]


@dataclass(frozen=True)
class Evaluation:
    """What is read of it raises InputError where a file is not as it was written."""

    path: Path
    about: About

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def predictions(self) -> Predictions:
        found = load_record(self._sound("record.npy"))
        if found is None:  # removed this very moment
            raise self._refusal("record.npy")
        return found

    @cached_property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """(indices into the store, labels as the network numbers its classes), each (N,) int64."""
        indices, labels = self._array("pictures.npy").astype(np.int64)
        return indices, labels

    @cached_property
    def logits(self) -> np.ndarray | None:
        """(N, K) float32, None where they would have been too large to keep."""
        return self._array("logits.npy") if "logits.npy" in self.about.sums else None

    def _array(self, file: str) -> np.ndarray:
        try:
            return np.load(self._sound(file))
        except OSError:
            raise self._refusal(file) from None

    def _sound(self, file: str) -> Path:
        path = self.path / file
        try:
            if _sum_of(path, path.stat().st_mtime_ns) == self.about.sums[file]:
                return path
        except OSError:
            pass
        raise self._refusal(file)

    def _refusal(self, file: str) -> InputError:
        return InputError(
            f"The kept evaluation's {file} is not as it was written.", code="file", hint="Remove it and evaluate again."
        )


@lru_cache(maxsize=64)
def _sum_of(path: Path, changed_ns: int) -> str:
    return sum_of_file(path)


def sum_of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def list_evaluations(run: Run) -> list[Evaluation]:
    """Those that are whole, the newest first."""
    found = filter(None, map(read_evaluation, (run.path / "evaluations").glob("[0-9a-f]*")))
    return sorted(found, key=lambda evaluation: -evaluation.about.made_s)


def read_evaluation(path: Path) -> Evaluation | None:
    """None where it is half removed, or damaged: it can be made again."""
    try:
        return Evaluation(path, About(**unsealed((path / "about.json").read_bytes())))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def checkpoint_of(run: Run, evaluation: Evaluation) -> Checkpoint | None:
    """The checkpoint that was judged; None where it is gone, or another one has its name by now."""
    try:
        checkpoint = find_checkpoint(run, evaluation.about.checkpoint)
        return checkpoint if weights_sum(checkpoint) == evaluation.about.weights else None
    except InputError:
        return None


def remove_evaluation(evaluation: Evaluation) -> None:
    """Nothing where somebody else has removed it already."""
    with suppress(FileNotFoundError):
        remove_folder(evaluation.path)
