"""Maps of pictures, kept in the run's folder so that opening one again costs nothing.

Files are named by what they were made from, so that none is ever out of date; one that is damaged is worked out anew.
"""

import hashlib
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from core.data.store.image_store import ImageStore, Progress, no_progress
from core.files import remove_quietly, write_bytes_atomically
from core.inference.embedding import ITERATIONS, MOST_POINTS, Points, points_of, tsne
from core.inference.predictor import network_of
from core.runs.checkpoints import Checkpoint, weights_sum
from core.runs.directory import Run

FORMAT = 1
MOST_FILES = 24  # of a run, about a megabyte each; the oldest go first


def map_key(checkpoint: Checkpoint, store: ImageStore, indices: np.ndarray, most: int = MOST_POINTS) -> str:
    """The name of a map: it changes with the weights, the pictures, and how many of them are taken."""
    facts = (FORMAT, weights_sum(checkpoint), store.meta.checksums["images.npy"], most)
    return hashlib.sha256(repr(facts).encode() + np.ascontiguousarray(indices).tobytes()).hexdigest()[:24]


def kept_points(run: Run, key: str) -> Points | None:
    arrays = _load(run, f"points-{key}")
    try:
        found = Points(
            arrays["positions"], arrays["predicted"], arrays["scores"], arrays["explained"], *arrays["counts"].tolist()
        )
    except (KeyError, TypeError, ValueError):
        return None
    n = len(found.positions)
    return (
        found
        if found.scores.ndim == 2 and len(found.scores) == n == len(found.predicted) and found.scores.shape[1] >= 2
        else None
    )


def points_for(
    run: Run, checkpoint: Checkpoint, store: ImageStore, indices: np.ndarray, most: int, progress: Progress = no_progress
) -> Points:
    """The points of these evaluated pictures, from the folder or worked out now. Raises InputError as points_of does."""
    key = map_key(checkpoint, store, indices, most)
    if (found := kept_points(run, key)) is not None:
        return found
    model, spec = network_of(checkpoint)
    points = points_of(model, spec, store.images, indices, most, progress)
    _keep(
        run,
        f"points-{key}",
        positions=points.positions,
        predicted=points.predicted,
        scores=points.scores,
        explained=points.explained,
        counts=np.array([points.num_features, points.num_used]),
    )
    return points


def kept_tsne(run: Run, key: str, num_points: int) -> np.ndarray | None:
    places = _load(run, _tsne_name(key)).get("places")
    return places if places is not None and places.shape == (num_points, 2) and np.isfinite(places).all() else None


def tsne_for(run: Run, key: str, points: Points, progress: Progress = no_progress) -> np.ndarray:
    """The places (n, 2) of these points by t-SNE, from the folder or worked out now."""
    if (found := kept_tsne(run, key, len(points.positions))) is not None:
        return found
    places = tsne(points.scores, progress=progress)
    _keep(run, _tsne_name(key), places=places)
    return places


def _tsne_name(key: str) -> str:
    return f"tsne-{sum(ITERATIONS)}-{key}"


def _folder(run: Run) -> Path:
    return run.path / "insight"


def _load(run: Run, name: str) -> dict[str, np.ndarray]:
    """The arrays of a file whose checksums hold; empty where there is none, or a damaged one."""
    try:
        with np.load(_folder(run) / f"{name}.npz", allow_pickle=False) as arrays:
            return {array: arrays[array] for array in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return {}


def _keep(run: Run, name: str, **arrays: np.ndarray) -> None:
    """A file that can't be written is no loss: it is worked out again. A run that was deleted meanwhile stays deleted."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    with suppress(OSError):
        _folder(run).mkdir(exist_ok=True)
        write_bytes_atomically(_folder(run) / f"{name}.npz", content.getvalue())
        there = sorted(_folder(run).glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
        for path in there[:-MOST_FILES]:
            remove_quietly(path)
