"""What a run's records say of its evaluated pictures: ready for tables and galleries, without another forward pass."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.data.catalogue import LISTING_S, find_store
from core.data.preprocessing import array_to_picture
from core.errors import InputError
from core.insight.metrics import confusion_matrix
from core.runs.directory import Run
from core.runs.records import NUM_SAMPLES, evaluated_pictures, load_predictions, spread
from core.workspace import Workspace


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
    if predictions is None or store is None or not np.array_equal(store.labels[indices[indices < len(store.labels)]], labels):
        return []
    return [
        Sample(
            array_to_picture(store.images[indices[i]]),
            int(labels[i]),
            int(predictions.predicted[i]),
            float(predictions.confidence[i]),
        )
        for i in spread(len(indices), count)
    ]
