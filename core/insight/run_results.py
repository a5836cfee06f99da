"""What a run's records say of its evaluated pictures: ready for tables and galleries, without another forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.data.containers import readable
from core.data.originals import original_picture, stored_picture
from core.data.preprocessing import array_to_picture
from core.data.sets import LISTING_S, find_store
from core.data.store import PictureStore, store_named
from core.errors import InputError
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.records import NUM_SAMPLES, evaluated_pictures, load_division, load_predictions, spread
from core.training.events import Predictions
from core.workspace import Workspace


@dataclass(frozen=True)
class Sample:
    """One evaluated picture with its true and its predicted class, and how sure the network was, 0..1."""

    picture: Image.Image
    true: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Judged:
    """All that is known of a run's evaluated pictures after an epoch. indices: into the store; labels: true classes."""

    epoch: int
    indices: np.ndarray
    labels: np.ndarray
    predictions: Predictions


def judged_after(run: Run, epoch: int) -> Judged | None:
    """What the network said after an epoch; None where there is no record of it."""
    predictions = load_predictions(run, epoch)
    indices, labels = evaluated_pictures(run)
    if predictions is None or len(predictions.predicted) != len(labels):
        return None
    return Judged(epoch, indices, labels, predictions)


def records_of(run: Run, epochs: Sequence[int]) -> dict[int, Predictions]:
    """The records of these epochs, those that are missing left out."""
    found = {epoch: load_predictions(run, epoch) for epoch in epochs}
    return {epoch: record for epoch, record in found.items() if record is not None}


@dataclass(frozen=True)
class JudgedPicture:
    """A picture as it came, with its file or number and its true class."""

    picture: Image.Image
    file: str
    true: str


def judged_picture(workspace: Workspace, run: Run, position: int) -> JudgedPicture:
    """One of those the run was judged on, by its place among them; as it is stored where its file is gone.

    Raises InputError where the run's pictures are not here.
    """
    store, (indices, labels) = store_of(workspace, run), evaluated_pictures(run)
    if store is None or not 0 <= position < len(indices):
        raise InputError("The pictures that this run was judged on are not here.", code="dataset")
    index = int(indices[position])
    try:
        picture = original_picture(store, index)
    except InputError:
        picture = stored_picture(store, index)
    return JudgedPicture(picture, readable(store.key(index)), store.meta.class_names[labels[position]])


def store_of(workspace: Workspace, run: Run) -> PictureStore | None:
    """The pictures that the run learned from; None where they are no longer there, or never were."""
    started = history_of(run).started
    store = store_named(workspace, started["store"]) if started and started.get("store") else None
    try:
        store = store or find_store(workspace, run.config.data.dataset, run.config.preprocessing, LISTING_S)
    except InputError:
        return None
    indices, labels = evaluated_pictures(run)
    division = load_division(run)
    if store is None or (division and len(division.labels) != len(store.labels)) or (indices >= len(store.labels)).any():
        return None
    if division is None and not np.array_equal(store.labels[indices], labels):  # a run of before edits
        return None
    return store


def samples(workspace: Workspace, run: Run, epoch: int, count: int = NUM_SAMPLES) -> list[Sample]:
    """The same few pictures of the evaluated split, spread over it, with what the network said after the epoch.

    Empty where the pictures are no longer there, or no longer the same.
    """
    predictions, store = load_predictions(run, epoch), store_of(workspace, run)
    indices, labels = evaluated_pictures(run)
    if predictions is None or store is None:
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
