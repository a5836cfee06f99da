"""Prediction records of a run from outside: plain arrays of the one form that core/runs/records.py writes, and nothing else."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from core.data.splits import SPLITS
from core.errors import InputError
from core.models.first_layer import MOST, MOST_PX
from core.zips import shown

MAX_IMAGES = 2_000_000
RECORDS = [
    np.dtype([("predicted", kind), ("confidence", "<f2"), ("true_probability", "<f2"), *rank])
    for kind in ("u1", "<u2")
    for rank in ([], [("rank", "u1")])
]
DIVISIONS = [np.dtype([("split", "u1"), ("label", kind)]) for kind in ("u1", "<u2")]


def check_records(folder: Path, num_classes: int) -> None:
    """Raises InputError that names the record which is not as training writes it."""
    num_pictures = None
    images = folder / "pictures.npy"
    if images.is_file():
        content = _array(images, [np.dtype("<u4")], dimensions=2)
        if len(content) != 2 or (content[1] >= num_classes).any():
            raise _refusal("pictures.npy", "names classes that the network does not have")
        num_pictures = content.shape[1]
    division = folder / "division.npy"
    if division.is_file():
        content = _array(division, DIVISIONS, dimensions=1)
        if (content["split"] > len(SPLITS)).any() or (content["label"] >= num_classes).any():
            raise _refusal("division.npy", "names splits or classes that there are not")
    for path in sorted(folder.glob("epoch-*.npy")):
        record = _array(path, RECORDS, dimensions=1)
        if len(record) != num_pictures:
            raise _refusal(path.name, f"speaks of {len(record):,} images, expected {num_pictures or 0:,}")
        if (record["predicted"] >= num_classes).any():
            raise _refusal(path.name, "names classes that the network does not have")
        if not all(((record[name] >= 0) & (record[name] <= 1)).all() for name in ("confidence", "true_probability")):
            raise _refusal(path.name, "holds probabilities that are none")
    for path in sorted(folder.glob("filters-*.npy")):
        count, channels, height, width = _array(path, [np.dtype("<f2")], dimensions=4).shape
        if not (1 <= count <= MOST and channels in (1, 3) and 1 <= height <= MOST_PX and 1 <= width <= MOST_PX):
            raise _refusal(path.name, "holds other filters than are kept")


def _array(path: Path, dtypes: list[np.dtype], dimensions: int) -> np.ndarray:
    """The array, after its header was compared with the file. Nothing in it is ever unpickled."""
    with path.open("rb") as file:
        shape, is_fortran, dtype = _header(file, path)
        if dtype not in dtypes or is_fortran or len(shape) != dimensions:
            raise _refusal(path.name, "is an array of another kind")
        count = int(np.prod(shape, dtype=object))
        if shape[-1] > MAX_IMAGES or count * dtype.itemsize != path.stat().st_size - file.tell():
            raise _refusal(path.name, "has another size than its header says")
        return np.frombuffer(file.read(), dtype).reshape(shape)


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        return np.lib.format.read_array_header_1_0(file, max_header_size=2000)
    except Exception:  # ValueError, SyntaxError, TypeError and more
        raise _refusal(path.name, "is not a plain array") from None


def _refusal(name: str, reason: str) -> InputError:
    return InputError(
        f"The run can't be taken: its record {shown(name)} {reason}.", code="file", hint="Export it again where it was trained."
    )
