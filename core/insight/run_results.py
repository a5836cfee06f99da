"""What a run's records say of its evaluated images: ready for tables and galleries, without another forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.data.catalogue import DATASETS
from core.data.edits import AS_DELIVERED
from core.data.imports import imported_sets
from core.data.sets import find_store, own_store
from core.data.sources.containers import readable
from core.data.store.image_store import ImageStore, store_named
from core.data.store.originals import original_image, stored_image
from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError
from core.insight.calibration import Scaling, scale
from core.models.network_spec import NetworkSpec
from core.runs.checkpoints import Checkpoint, find_checkpoint, list_checkpoints, read_file
from core.runs.directory import Run
from core.runs.evaluations import Evaluation, checkpoint_of, list_evaluations, read_evaluation
from core.runs.history import history_of
from core.runs.records import NUM_SAMPLES, evaluated_images, load_predictions, spread
from core.training.events import Predictions, Started
from core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One evaluated image with its true and its predicted class, and how sure the network was, 0..1."""

    image: Image.Image
    true: int
    predicted: int
    confidence: float


@dataclass(frozen=True, kw_only=True)
class EvaluatedImages:
    """All that is known of evaluated images after an epoch. indices: into the store; labels: true classes.

    evaluation: the one made by hand, None for those that the training made of itself after each epoch.
    """

    epoch: int
    split: str
    indices: np.ndarray
    labels: np.ndarray
    predictions: Predictions
    evaluation: Evaluation | None = None

    @property
    def reference(self) -> dict[str, Any]:
        """What `evaluated_named` finds it again by."""
        return {"epoch": self.epoch, "evaluation": self.evaluation.name if self.evaluation else ""}


def evaluated_named(run: Run, reference: Mapping[str, Any]) -> EvaluatedImages:
    """Raises InputError where it is gone."""
    if name := reference["evaluation"]:
        found = next((evaluated_by(kept) for kept in list_evaluations(run) if kept.name == name), None)
    else:
        found = evaluated_after(run, reference["epoch"])
    if found is None:
        raise InputError("The evaluation that this is about is gone.", code="file", hint="Choose another one.")
    return found


def evaluated_after(run: Run, epoch: int) -> EvaluatedImages | None:
    """What the network said after an epoch; None where there is no record of it."""
    predictions = load_predictions(run, epoch)
    indices, labels = evaluated_images(run)
    if predictions is None or len(predictions.predicted) != len(labels):
        return None
    return EvaluatedImages(
        epoch=epoch, split=run.config.data.evaluate_on, indices=indices, labels=labels, predictions=predictions
    )


def class_names_of(run: Run) -> list[str]:
    """The classes that the network tells apart; of a run that never trained here, those of its checkpoint."""
    if started := history_of(run).started:
        return started.class_names
    return list(NetworkSpec.model_validate_json(read_file(find_checkpoint(run, "last"), "network.json")).class_names)


def evaluated_by(evaluation: Evaluation) -> EvaluatedImages:
    """The same of an evaluation that was made by hand."""
    indices, labels = evaluation.images
    return EvaluatedImages(
        epoch=evaluation.about.epoch,
        split=evaluation.about.split,
        indices=indices,
        labels=labels,
        predictions=evaluation.predictions,
        evaluation=evaluation,
    )


def checkpoint_for(run: Run, evaluated: EvaluatedImages) -> Checkpoint:
    """That of the evaluated epoch, or the last one where it is not kept. Raises InputError where there is none, or an evaluated one is gone."""
    if evaluated.evaluation:
        if found := checkpoint_of(run, evaluated.evaluation):
            return found
        raise InputError(
            f"The weights that were evaluated here ({evaluated.evaluation.about.checkpoint}) are not kept any more.",
            code="checkpoint",
        )
    kept = {checkpoint.name: checkpoint for checkpoint in list_checkpoints(run)}
    return kept.get(f"epoch-{evaluated.epoch:04d}") or find_checkpoint(run, "last")


def are_of_the_same_images(run: Run, evaluated: EvaluatedImages, other_run: Run, other: EvaluatedImages) -> bool:
    """Whether both speak of the same images, in the same order."""
    return _sum_of_images(run, evaluated) == _sum_of_images(other_run, other) and np.array_equal(evaluated.indices, other.indices)


def _sum_of_images(run: Run, evaluated: EvaluatedImages) -> str:
    """The checksum of the store they lie in; of a run of before this was noted, its id."""
    if evaluated.evaluation:
        return evaluated.evaluation.about.pictures
    return (started.pictures if (started := history_of(run).started) else "") or run.id


def scaling_of(evaluation: Evaluation) -> Scaling | None:
    """What a temperature does for a kept evaluation; fitted once. None where its outputs are not kept, or are too few."""
    sums = evaluation.about.sums
    return _scaling(evaluation.path, sums["logits.npy"], sums["pictures.npy"]) if "logits.npy" in sums else None


@lru_cache(maxsize=16)
def _scaling(path: Path, logits_sum: str, images_sum: str) -> Scaling | None:
    kept = read_evaluation(path)
    return scale(kept.logits, kept.images[1]) if kept and kept.logits is not None else None


def images_of(workspace: Workspace, run: Run, evaluated: EvaluatedImages) -> ImageStore | None:
    """The store that holds the evaluated images; None where it is no longer there."""
    if evaluated.evaluation is None:
        return store_of(workspace, run)
    about = evaluated.evaluation.about
    store = store_named(workspace, about.store)
    return store if store and store.meta.checksums["images.npy"] == about.pictures else None


def records_of(run: Run, epochs: Sequence[int]) -> dict[int, Predictions]:
    """The records of these epochs, those that are missing or damaged left out."""
    total = len(evaluated_images(run)[0])
    found = {epoch: load_predictions(run, epoch) for epoch in epochs}
    return {epoch: record for epoch, record in found.items() if record is not None and len(record.predicted) == total}


@dataclass(frozen=True)
class EvaluatedImage:
    """An image as it came, with its file or number and its true class."""

    image: Image.Image
    file: str
    true: str


def evaluated_image(workspace: Workspace, run: Run, position: int) -> EvaluatedImage:
    """One of those the run was evaluated on, by its place among them; as it is stored where its file is gone.

    Raises InputError where the run's images are not here.
    """
    store, (indices, labels) = store_of(workspace, run), evaluated_images(run)
    if store is None or not 0 <= position < len(indices):
        raise InputError("The images that this run was evaluated on are not here.", code="dataset")
    return image_at(store, int(indices[position]), class_names_of(run)[labels[position]])


def image_at(store: ImageStore, index: int, true: str) -> EvaluatedImage:
    try:
        image = original_image(store, index)
    except InputError:
        image = stored_image(store, index)
    return EvaluatedImage(image, readable(store.key(index)), true)


def store_of(workspace: Workspace, run: Run) -> ImageStore | None:
    """The images that the run learned from; None where they are no longer there, or never were.

    The store that the run names, else its set's as it is now, if that is here; no folder is searched for them: a run from outside may name any.
    """
    started = history_of(run).started
    if started is None:
        return None
    dataset = run.config.data.dataset
    store = store_named(workspace, started.store)
    if store is None and (dataset in DATASETS or dataset in imported_sets(workspace)):
        store = find_store(workspace, dataset, run.config.preprocessing)
    return store if store and _holds_the_images_of(store, run, started) else None


def _holds_the_images_of(store: ImageStore, run: Run, started: Started) -> bool:
    indices, labels = evaluated_images(run)
    is_as_delivered = run.config.data.edits in ("", AS_DELIVERED)  # edits may rename and drop classes
    if (is_as_delivered and store.meta.class_names != started.class_names) or (indices >= len(store.labels)).any():
        return False
    if checksum := started.pictures:
        return store.meta.checksums["images.npy"] == checksum
    return np.array_equal(store.labels[indices], labels)  # a run of before this was noted


def dataset_of(run: Run, evaluated: EvaluatedImages) -> str:
    """The set that the evaluated images are of."""
    return evaluated.evaluation.about.dataset if evaluated.evaluation else run.config.data.dataset


def is_still_its_set(workspace: Workspace, dataset: str, store: ImageStore) -> bool:
    """Whether the set of this name holds these images today, at whatever size."""
    if dataset not in DATASETS and dataset not in imported_sets(workspace):
        return False
    own = own_store(workspace, dataset)
    return own is not None and own.meta.origin == store.meta.origin and np.array_equal(own.digests, store.digests)


def samples(workspace: Workspace, run: Run, epoch: int, count: int = NUM_SAMPLES) -> list[Sample]:
    """The same few images of the evaluated split, spread over it, with what the network said after the epoch.

    Empty where the images are no longer there, or no longer the same.
    """
    predictions, store = load_predictions(run, epoch), store_of(workspace, run)
    indices, labels = evaluated_images(run)
    if predictions is None or store is None:
        return []
    return [
        Sample(
            image=array_to_image(store.images[indices[i]]),
            true=int(labels[i]),
            predicted=int(predictions.predicted[i]),
            confidence=float(predictions.confidence[i]),
        )
        for i in spread(len(indices), count)
    ]
