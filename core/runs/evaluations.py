"""Evaluations made by hand and kept with the run: a checkpoint on a split of some set, with what was said of each image."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.runs.artifacts import Artifact, ArtifactKind, list_kept, read_artifact, remove_kept
from core.runs.checkpoints import Checkpoint, find_checkpoint, weights_sum
from core.runs.directory import Run
from core.runs.records import predictions_in
from core.training.events import Predictions

EVALUATIONS = ArtifactKind("evaluations", None)


@dataclass(frozen=True, kw_only=True)
class About:
    """What was evaluated on what. weights: checksum of the checkpoint's; store, images: the folder and the checksum of the evaluated images.

    left_out: images of classes that the network does not know. made_s: when, in seconds since 1970. sums: checksums of the files.
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

    kept: Artifact
    about: About

    @property
    def path(self) -> Path:
        return self.kept.path

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def predictions(self) -> Predictions:
        return predictions_in(self.kept.array("record"))

    @cached_property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """(indices into the store, labels as the network numbers its classes), each (N,) int64."""
        indices, labels = self.kept.array("pictures").astype(np.int64)
        return indices, labels

    @cached_property
    def logits(self) -> np.ndarray | None:
        """(N, K) float32, None where they would have been too large to keep."""
        return self.kept.array("logits") if "logits.npy" in self.about.sums else None


def list_evaluations(run: Run) -> list[Evaluation]:
    """Those that are whole, the newest first."""
    return list(filter(None, map(evaluation_in, list_kept(run, EVALUATIONS))))


def evaluation_in(artifact: Artifact | None) -> Evaluation | None:
    """None where it is half removed, or damaged: it can be made again."""
    try:
        return artifact and Evaluation(artifact, About(**artifact.facts, made_s=artifact.made_s, sums=artifact.sums))
    except TypeError:
        return None


def read_evaluation(path: Path) -> Evaluation | None:
    return evaluation_in(read_artifact(path))


def checkpoint_of(run: Run, evaluation: Evaluation) -> Checkpoint | None:
    """The checkpoint that was evaluated; None where it is gone, or another one has its name by now."""
    try:
        checkpoint = find_checkpoint(run, evaluation.about.checkpoint)
        return checkpoint if weights_sum(checkpoint) == evaluation.about.weights else None
    except InputError:
        return None


def remove_evaluation(evaluation: Evaluation) -> None:
    """Nothing where somebody else has removed it already."""
    remove_kept(evaluation.kept)
