"""What a run's records say of its evaluated pictures: ready for tables and galleries, without another forward pass."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.data.catalogue import LISTING_S, find_store
from core.errors import InputError
from core.insight.metrics import confusion_matrix
from core.runs.directory import Run
from core.runs.records import evaluated_pictures, load_predictions
from core.workspace import Workspace

NUM_SAMPLES = 6


@dataclass(frozen=True)
class Sample:
    """One evaluated picture with its true and its predicted class, and how sure the network was, 0..1."""

    picture: Image.Image
    true: int
    predicted: int
    confidence: float


def run_confusion(run: Run, epoch: int, num_classes: int) -> np.ndarray | None:
    """(K, K) counts after an epoch, or None where there is no record of it."""
    predictions = load_predictions(run, epoch)
    _, labels = evaluated_pictures(run)
    return None if predictions is None else confusion_matrix(labels, predictions.predicted, num_classes)


def samples(workspace: Workspace, run: Run, epoch: int, count: int = NUM_SAMPLES) -> list[Sample]:
    """The same few pictures of the evaluated split, spread over it, with what the network said after the epoch.

    Empty where the pictures are no longer there, or no longer the same.
    """
    predictions = load_predictions(run, epoch)
    indices, labels = evaluated_pictures(run)
    try:
        store = find_store(workspace, run.config.data.dataset, run.config.preprocessing, LISTING_S)
    except InputError:
        store = None
    if predictions is None or store is None or not np.array_equal(store.labels[indices % len(store.labels)], labels):
        return []
    return [
        Sample(
            _as_picture(store.images[indices[i]]),
            int(labels[i]),
            int(predictions.predicted[i]),
            float(predictions.confidence[i]),
        )
        for i in spread(len(indices), count)
    ]


def spread(total: int, count: int) -> list[int]:
    """Up to count positions spread evenly over total: a set sorted by class shows several of its classes."""
    return sorted({int(i) for i in np.linspace(0, total - 1, min(count, total)).round()}) if total else []


def _as_picture(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
