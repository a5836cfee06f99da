"""Any checkpoint of a run evaluated on any split of the set it was trained on, or of another one whose classes it knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from core.config import Preprocessing
from core.data.edits import current_edits
from core.data.sets import divide, prepare_store
from core.data.store.image_store import ImageStore, Progress, no_progress
from core.errors import InputError
from core.models.network_spec import NetworkSpec
from core.runs.checkpoints import Checkpoint, load_network
from core.runs.directory import Run
from core.training.batches import TrainingData
from core.training.evaluation import evaluate
from core.training.events import Evaluated
from core.workspace import Workspace

ALL = "all"  # every image of a set, whatever its split
MAX_LOGIT_BYTES = 256_000_000


@dataclass(frozen=True, kw_only=True)
class ToEvaluate:
    """A checkpoint's network and the images to evaluate it on. indices: (N,) in the store; labels: (M,) of the whole store, as the
    network numbers its classes. left_out: images of classes that it does not know. loss: of core/losses.py, the run's."""

    model: nn.Module
    spec: NetworkSpec
    store: ImageStore
    split: str
    indices: np.ndarray
    labels: np.ndarray
    left_out: int
    batch_size: int
    loss: str = "cross-entropy"


@dataclass(frozen=True, kw_only=True)
class CheckpointEvaluation:
    """of: what was evaluated. logits: (N, K) float32, None where they would take more than 256 MB."""

    result: Evaluated
    of: ToEvaluate
    logits: np.ndarray | None


def to_evaluate(
    workspace: Workspace, run: Run, checkpoint: Checkpoint, split: str, progress: Progress = no_progress, dataset: str = ""
) -> ToEvaluate:
    """split: "train", "validation", "test" or "all". dataset: another than the run's own.

    Raises InputError if the set has no such split, its classes are others, or its images can't be brought to the network's shape.
    """
    model, spec = load_network(checkpoint)
    is_own = dataset in ("", run.config.data.dataset)
    name, preprocessing = (run.config.data.dataset, spec.preprocessing) if is_own else (dataset, fitted_to(spec))
    store = prepare_store(workspace, name, preprocessing, progress)
    if store.meta.shape != spec.shape:
        raise InputError(
            f"The network takes images of {_size(spec.shape)}, those of '{store.meta.title}' are {_size(store.meta.shape)}.",
            code="dataset",
        )
    labels, names, chosen = _images_of(workspace, run, store, split, dataset, is_own)
    labels, known = _as_numbered(labels, names, store, spec)
    return ToEvaluate(
        model=model.to(memory_format=torch.channels_last),
        spec=spec,
        store=store,
        split=split,
        indices=chosen[known[chosen]],
        labels=labels,
        left_out=int((~known[chosen]).sum()),
        batch_size=run.config.eval_batch_size,
        loss=run.config.loss.name,
    )


def evaluate_checkpoint(of: ToEvaluate, progress: Progress = no_progress) -> CheckpointEvaluation:
    """The forward pass over all of them."""
    mean, std = torch.tensor(of.spec.preprocessing.mean), torch.tensor(of.spec.preprocessing.std)
    indices = torch.from_numpy(of.indices)
    data = TrainingData(
        images=torch.from_numpy(of.store.images),
        labels=torch.from_numpy(of.labels),
        train=indices,
        evaluated=indices,
        mean=mean,
        std=std,
    )
    num_classes, total = len(of.spec.class_names), len(of.indices)
    logits: list[Tensor] | None = [] if total * num_classes * 4 <= MAX_LOGIT_BYTES else None
    position = {"epoch": 0, "step": 0, "examples": 0, "seconds": 0.0, "split": of.split}
    events = evaluate(of.model, data, of.batch_size, num_classes, logits, of.loss, **position)
    for done, event in zip(count(1), events, strict=False):
        if isinstance(event, Evaluated):
            answers = None if logits is None else torch.cat(logits).numpy()
            return CheckpointEvaluation(result=event, of=of, logits=answers)
        progress(f"Evaluating on {of.split}", min(done * of.batch_size, total), total)
    raise AssertionError("evaluate ends with its result")


def fitted_to(spec: NetworkSpec) -> Preprocessing:
    """The network's preprocessing, with size and colour said for a set that has others."""
    changes = {"colour": "grey" if spec.shape[0] == 1 else "rgb", "size_px": spec.preprocessing.size_px or spec.shape[1]}
    return spec.preprocessing.model_copy(update=changes)


def _images_of(
    workspace: Workspace, run: Run, store: ImageStore, split: str, dataset: str, is_own: bool
) -> tuple[np.ndarray, Sequence[str], np.ndarray]:
    """(labels (N,) as the set has them now, what they are called, indices of the split's images)."""
    if is_own:
        division = divide(workspace, store, run.config.data)
        if split != ALL:
            return division.labels, division.class_names, division.indices(split, run.config.data.dataset)
        return division.labels, division.class_names, np.sort(np.concatenate(list(division.splits.values())))
    edited = store.edited(current_edits(workspace, dataset))
    labels, kept = edited.labels, edited.kept
    if split not in (ALL, *store.meta.splits):
        raise InputError(
            f"'{store.meta.title}' has no {split} split.", code="split", hint=f"Use {', '.join([ALL, *store.meta.splits])}."
        )
    first, end = (0, len(labels)) if split == ALL else store.meta.splits[split]
    return labels, edited.all_names, first + np.flatnonzero(kept[first:end])


def _as_numbered(labels: np.ndarray, names: Sequence[str], store: ImageStore, spec: NetworkSpec) -> tuple[np.ndarray, np.ndarray]:
    """(labels as the network numbers its classes, (N,) bool whether it knows them). Raises InputError if it knows none."""
    number = {name: index for index, name in enumerate(spec.class_names)}
    places = np.array([number.get(name, -1) for name in names])
    if (places < 0).all():
        raise InputError(
            f"The network knows none of the classes of '{store.meta.title}'.",
            code="dataset",
            hint=f"It knows {', '.join(spec.class_names[:10])}{' and more' if len(spec.class_names) > 10 else ''}.",
        )
    mapped = places[labels]
    return np.maximum(mapped, 0), mapped >= 0


def _size(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{width} × {height} pixels in {'grey' if channels == 1 else 'colour'}"
