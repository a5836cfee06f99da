"""Prediction records on disk: one small file per evaluation, and once per run which images they speak of."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from core.data.splits import SPLITS, Division
from core.files import write_bytes_atomically
from core.runs.directory import Run
from core.training.events import Predictions

NUM_SAMPLES = 6  # evaluated images shown with each result


def save_evaluated_images(run: Run, indices: np.ndarray, labels: np.ndarray) -> None:
    """Which images of the store the records are about, in their order, and their true classes."""
    content = np.stack([indices, labels]).astype(np.uint32)
    save_array(run.records / "pictures.npy", content)


def evaluated_images(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(indices, labels), each (N,) int64. Empty before the first evaluation."""
    content = _array(run.records / "pictures.npy")
    if content is None or content.ndim != 2 or len(content) != 2:
        content = np.zeros((2, 0))
    return content[0].astype(np.int64), content[1].astype(np.int64)


def save_division(run: Run, division: Division) -> None:
    """Which image of the store is used for what (0: not at all), and with which label: two or three bytes an image."""
    narrow = division.labels.max(initial=0) < 256
    content = np.zeros(len(division.labels), [("split", "u1"), ("label", "u1" if narrow else "<u2")])
    for code, name in enumerate(SPLITS, start=1):
        content["split"][division.splits.get(name, [])] = code
    content["label"] = division.labels
    save_array(run.records / "division.npy", content)


def load_division(run: Run) -> Division | None:
    """What the run was trained and evaluated on; None before its start, and for runs of before this was written down."""
    content = _array(run.records / "division.npy")
    if content is None:
        return None
    splits = {name: np.flatnonzero(content["split"] == code) for code, name in enumerate(SPLITS, start=1)}
    return Division(content["label"].astype(np.int64), {name: indices for name, indices in splits.items() if len(indices)})


def save_predictions(run: Run, epoch: int, predictions: Predictions) -> None:
    save_record(_record_path(run, epoch), predictions)


def load_predictions(run: Run, epoch: int) -> Predictions | None:
    """What the network said after this epoch (0: before training), or None if there is no record of it."""
    return load_record(_record_path(run, epoch))


def save_record(path: Path, predictions: Predictions) -> None:
    save_array(path, as_record(predictions))


def as_record(predictions: Predictions) -> np.ndarray:
    """(N,) with a field for each of what is known of an image."""
    rank: list[tuple[str, Any]] = [] if predictions.rank is None else [("rank", "u1")]
    fields = [("predicted", predictions.predicted.dtype), ("confidence", "<f2"), ("true_probability", "<f2"), *rank]
    record = np.empty(len(predictions.predicted), fields)
    for name, _ in fields:
        record[name] = getattr(predictions, name)
    return record


def load_record(path: Path) -> Predictions | None:
    record = _array(path)
    return None if record is None or record.dtype.names is None else predictions_in(record)


def predictions_in(record: np.ndarray) -> Predictions:
    return Predictions(**{name: record[name] for name in record.dtype.names or ()})


def save_filters(run: Run, epoch: int, filters: np.ndarray) -> None:
    """(F, C, h, w) float16: what the first layer looks for after this epoch."""
    save_array(run.records / f"filters-{epoch:04d}.npy", filters)


def load_filters(run: Run, epoch: int) -> np.ndarray | None:
    return _array(run.records / f"filters-{epoch:04d}.npy")


def spread(total: int, count: int) -> list[int]:
    """Up to count positions spread evenly over total: a set sorted by class shows several of its classes."""
    return sorted({int(i) for i in np.linspace(0, total - 1, min(count, total)).round()}) if total else []


def _record_path(run: Run, epoch: int) -> Path:
    return run.records / f"epoch-{epoch:04d}.npy"


def _array(path: Path) -> np.ndarray | None:
    """None where there is no such file, or it is damaged."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def save_array(path: Path, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    write_bytes_atomically(path, content.getvalue())
