"""A picture store: one set at one size as memory-mapped uint8 arrays, built once, opened in a moment by any process.

Where the pictures come from is in the sources (builtin.py, folder.py); which set a name means is in catalogue.py.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from core.data.splits import SPLITS
from core.errors import InputError
from core.files import write_json_atomically

FORMAT = 1
Progress = Callable[[str, int, int], None]  # what is being done, how much of it, of how much


def no_progress(what: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Block:
    """Some pictures of one split: images (n, C, H, W) uint8, labels (n,), and their file names if they have any."""

    split: str
    images: np.ndarray
    labels: np.ndarray
    files: list[str] | None = None


@dataclass(frozen=True)
class Source:
    """What a store is built from. counts: pictures of each split, at most; blocks come split by split in their order."""

    title: str
    class_names: list[str]
    shape: tuple[int, int, int]
    counts: dict[str, int]
    drawing: str
    origin: str
    blocks: Callable[[Progress], Iterator[Block]]
    skipped: list[dict[str, str]] = field(default_factory=list)  # {"file", "reason"}; grows while blocks are read


@dataclass(frozen=True)
class StoreMeta:
    """What a store says of itself. splits: first and past-the-last index; mean, std: of the training pictures, 0..1."""

    title: str
    class_names: list[str]
    shape: tuple[int, int, int]
    splits: dict[str, tuple[int, int]]
    mean: list[float]
    std: list[float]
    drawing: str
    origin: str
    skipped: list[dict[str, str]]
    checksums: dict[str, str]
    format: int = FORMAT


@dataclass(frozen=True)
class PictureStore:
    path: Path
    meta: StoreMeta

    @cached_property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8, memory-mapped; writes would stay in this process."""
        return np.load(self.path / "images.npy", mmap_mode="c")

    @cached_property
    def labels(self) -> np.ndarray:
        """(N,) int64."""
        return np.load(self.path / "labels.npy")

    @cached_property
    def files(self) -> list[str] | None:
        """The file each picture came from, or None for sets that come as arrays."""
        path = self.path / "files.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def num_classes(self) -> int:
        return len(self.meta.class_names)


def open_store(path: Path) -> PictureStore | None:
    """The store in this folder, or None if there is none or it is of another format."""
    try:
        meta = json.loads((path / "meta.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if meta.get("format") != FORMAT:
        return None
    meta["shape"] = tuple(meta["shape"])
    meta["splits"] = {name: tuple(bounds) for name, bounds in meta["splits"].items()}
    return PictureStore(path, StoreMeta(**meta))


def build_store(path: Path, source: Source, progress: Progress = no_progress) -> PictureStore:
    """Writes the store beside its place and renames it into it; a store that another process put there first is used."""
    if sum(source.counts.values()) == 0:
        raise InputError(f"No pictures were found in {source.origin}.", code="dataset")
    aside = Path(tempfile.mkdtemp(prefix=".building-", dir=path.parent))
    try:
        meta = _write(aside, source, progress)
        write_json_atomically(aside / "meta.json", asdict(meta))
        if open_store(path) is None:
            shutil.rmtree(path, ignore_errors=True)
        try:
            os.rename(aside, path)
        except OSError:
            if open_store(path) is None:
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return open_store(path)


def _write(folder: Path, source: Source, progress: Progress) -> StoreMeta:
    room = sum(source.counts.values())
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (room, *source.shape))
    labels = np.empty(room, np.int64)
    files: list[str] = []
    splits: dict[str, tuple[int, int]] = {}
    total = np.zeros((2, source.shape[0]))  # sum and sum of squares per channel, of the training pictures
    n = 0
    for block in source.blocks(progress):
        end = n + len(block.images)
        images[n:end], labels[n:end] = block.images, block.labels
        files.extend(block.files or [])
        first, _ = splits.get(block.split, (n, n))
        splits[block.split] = (first, end)
        if block.split == "train":
            for part in np.array_split(block.images, max(1, block.images.nbytes // 8_000_000)):
                values = part.astype(np.float32) / 255
                total += (
                    values.sum(axis=(0, 2, 3), dtype=np.float64),
                    np.square(values).sum(axis=(0, 2, 3), dtype=np.float64),
                )
        n = end
        progress("Storing pictures", n, room)
    if "train" not in splits:
        raise InputError(f"No readable training pictures were found in {source.origin}.", code="dataset")
    images.flush()
    if n < room:  # some could not be read: the file is cut to what there is
        images = _cut(folder / "images.npy", images, n)
        labels = labels[:n]
    np.save(folder / "labels.npy", labels)
    if files:
        write_json_atomically(folder / "files.json", files)
    pixels = (splits["train"][1] - splits["train"][0]) * source.shape[1] * source.shape[2]
    mean = total[0] / pixels
    std = np.sqrt(np.maximum(total[1] / pixels - mean**2, 0))
    checksums = {name: _sha256(folder / name) for name in ("images.npy", "labels.npy")}
    return StoreMeta(
        source.title, source.class_names, source.shape, {name: splits[name] for name in SPLITS if name in splits},
        [round(float(v), 6) for v in mean], [round(max(float(v), 1e-3), 6) for v in std],
        source.drawing, source.origin, source.skipped, checksums,
    )  # fmt: skip


def _cut(path: Path, images: np.memmap, n: int) -> np.memmap:
    shorter = path.with_name("cut.npy")
    kept = np.lib.format.open_memmap(shorter, "w+", np.uint8, (n, *images.shape[1:]))
    for start in range(0, n, 4096):
        kept[start : start + 4096] = images[start : min(start + 4096, n)]
    kept.flush()
    os.replace(shorter, path)
    return kept


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
