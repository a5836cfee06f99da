"""An image store: one set at one size as memory-mapped uint8 arrays, built once, opened in a moment by any process.

Where the images come from is in the sources (builtin.py, own_pictures.py); which set a name means is in sets.py.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock

from core.data.edits import Edited, Edits, applied
from core.data.splits import SPLITS
from core.data.store.duplicates import Duplicates, find_duplicates, perceptual_hashes, pixel_digests
from core.errors import InputError
from core.files import move_folder, remove_quietly, write_bytes_atomically, write_json_atomically
from core.locks import is_locked
from core.workspace import Workspace

FORMAT = 3
BUILDING = ".building-"
Progress = Callable[[str, int, int], None]  # what is being done, how much of it, of how much


def no_progress(what: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some images of one split: images (n, C, H, W) uint8, labels (n,), and what is known of the files they came from:
    names, sizes (n, 2) width and height, digests and hashes (core/data/store/duplicates.py). Sets that come as arrays have no files."""

    split: str
    images: np.ndarray
    labels: np.ndarray
    files: list[str] | None = None
    sizes: np.ndarray | None = None
    digests: np.ndarray | None = None
    hashes: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a store is built from. counts: images of each split, at most; blocks come split by split in their order.

    layout: how the files were understood, as a sentence. names: how names in a zip are read where a person has chosen it.
    """

    title: str
    class_names: list[str]
    shape: tuple[int, int, int]
    counts: dict[str, int]
    drawing: str
    origin: str
    blocks: Callable[[Progress], Iterator[Block]]
    skipped: list[dict[str, str]] = field(default_factory=list)  # {"file", "reason"}; grows while blocks are read
    layout: str = ""
    empty_classes: list[str] = field(default_factory=list)  # named by a folder in which no image lies
    names: str = ""


@dataclass(frozen=True, kw_only=True)
class StoreMeta:
    """What a store says of itself. splits: first and past-the-last index; mean, std: of the training images, 0..1.

    empty_classes: those named by a folder or a table of which no image could be read; they are no classes of the set.
    """

    title: str
    class_names: list[str]
    shape: tuple[int, int, int]
    splits: dict[str, tuple[int, int]]
    mean: list[float]
    std: list[float]
    drawing: str
    origin: str
    checksums: dict[str, str]
    layout: str = ""
    empty_classes: list[str] = field(default_factory=list)
    names: str = ""
    format: int = FORMAT


@dataclass(frozen=True)
class ImageStore:
    path: Path
    meta: StoreMeta

    @cached_property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8, memory-mapped; writes would stay in this process, so nobody writes."""
        return np.load(self.path / "images.npy", mmap_mode="c")

    @cached_property
    def labels(self) -> np.ndarray:
        """(N,) int64, as delivered."""
        return np.load(self.path / "labels.npy")

    @cached_property
    def files(self) -> list[str] | None:
        """The file each image came from, or None for sets that come as arrays."""
        path = self.path / "files.json"
        return json.loads(path.read_bytes()) if path.exists() else None

    @cached_property
    def skipped(self) -> list[dict[str, str]]:
        """{"file", "reason"} of every file that is no image of the set, and "kind": "unreadable" for broken images."""
        return json.loads((self.path / "skipped.json").read_bytes())

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N, 2) width and height of each image as it came, in pixels."""
        return np.load(self.path / "sizes.npy")

    @cached_property
    def digests(self) -> np.ndarray:
        """(N, 16) uint8, of each image as it came."""
        return np.load(self.path / "digests.npy", mmap_mode="r")

    @cached_property
    def duplicates(self) -> Duplicates:
        with np.load(self.path / "duplicates.npz") as arrays:
            return Duplicates(**arrays)

    @property
    def num_classes(self) -> int:
        return len(self.meta.class_names)

    @cached_property
    def keys(self) -> list[str]:
        return self.files or [self.key(index) for index in range(len(self.labels))]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Index of each image by its key."""
        return {key: index for index, key in enumerate(self.keys)}

    def edited(self, edits: Edits) -> Edited:
        """Labels as corrected, what is in use, and the classes as they are now."""
        if edits.is_empty:
            kept = np.ones(len(self.labels), bool)
            return Edited(labels=self.labels, kept=kept, class_names=self.meta.class_names, dropped=[])
        return applied(edits, self.positions, self.labels, self.meta.class_names)

    def key(self, index: int) -> str:
        """What an image is called whatever size the set is stored at: its file, or its number in a set without files."""
        return self.files[index] if self.files else f"#{index}"


def store_named(workspace: Workspace, name: str) -> ImageStore | None:
    """The store whose folder is called so; None if there is none, whatever the name from outside may be."""
    return open_store(workspace.stores / name) if re.fullmatch(r"[a-z0-9-]{1,60}", name) else None


def open_store(path: Path) -> ImageStore | None:
    """The store in this folder, or None if there is none, or none of this format that is whole.

    The same object each time, so that what it has read is read once.
    """
    file = path / "meta.json"
    try:
        return _opened(path, file.stat().st_mtime_ns, file.stat().st_ino)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, AttributeError):
        return None


@lru_cache(maxsize=64)
def _opened(path: Path, mtime_ns: int, inode: int) -> ImageStore:
    meta = json.loads((path / "meta.json").read_bytes())
    if meta["format"] != FORMAT:
        raise ValueError("of another format")
    meta["shape"] = tuple(meta["shape"])
    meta["splits"] = {name: tuple(bounds) for name, bounds in meta["splits"].items()}
    return ImageStore(path, StoreMeta(**meta))


def build_store(path: Path, source: Source, progress: Progress = no_progress) -> ImageStore:
    """Writes the store beside its place and renames it into it; a store that another process put there first is used."""
    if sum(source.counts.values()) == 0:
        raise InputError(f"No images were found for '{source.title}'.", code="dataset")
    aside = Path(tempfile.mkdtemp(prefix=BUILDING, dir=path.parent))
    lock = FileLock(aside / "lock")
    try:
        with lock:
            meta = _write(aside, source, progress)
        (aside / "lock").unlink(missing_ok=True)
        write_json_atomically(aside / "meta.json", asdict(meta))
        if open_store(path) is None:
            shutil.rmtree(path, ignore_errors=True)
        try:
            move_folder(aside, path)
        except OSError:
            if open_store(path) is None:
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    store = open_store(path)
    if store is None:
        raise InputError(
            f"The images of '{source.title}' were removed while they were prepared.", code="dataset", hint="Try again."
        )
    return store


def sweep_unfinished(workspace: Workspace) -> None:
    """Removes what was being built when its process was killed."""
    for folder in workspace.stores.glob(f"{BUILDING}*"):
        if not is_locked(folder / "lock"):
            remove_quietly(folder)


def _write(folder: Path, source: Source, progress: Progress) -> StoreMeta:
    room = sum(source.counts.values())
    about: dict[str, list[np.ndarray]] = {"labels": [], "sizes": [], "digests": [], "hashes": []}
    files: list[str] = []
    splits: dict[str, tuple[int, int]] = {}
    total = np.zeros((2, source.shape[0]))  # sum and sum of squares per channel, of the training images
    n = 0
    # written in order and not through a memory map, whose pages would count as this process's memory
    with (folder / "images.npy").open("wb") as file:
        _write_header(file, (room, *source.shape))
        for block in source.blocks(progress):
            file.write(np.ascontiguousarray(block.images).data)
            for name, array in _about(block).items():
                about[name].append(array)
            files.extend(block.files or [])
            end = n + len(block.images)
            first, _ = splits.get(block.split, (n, n))
            splits[block.split] = (first, end)
            if block.split == "train":
                total += _sums(block.images)
            n = end
            progress("Reading images", n, room)
        if "train" not in splits:
            raise InputError("None of its training images could be read.", code="dataset")
        file.seek(0)
        _write_header(file, (n, *source.shape))  # some could perhaps not be read
        file.flush()
        os.fsync(file.fileno())
    labels, sizes, digests, hashes = (np.concatenate(arrays) for arrays in about.values())
    names = source.class_names
    if files:  # a built-in set's classes are what they are; of one's own, those remain of which an image could be read
        present, labels = np.unique(labels, return_inverse=True)
        names = [names[k] for k in present.tolist()]
        if len(names) < 2:
            raise InputError(
                f"Images of one class only could be read: {names[0]!r}.",
                code="dataset",
                hint="Two classes are needed.",
            )
    np.save(folder / "labels.npy", labels.astype(np.int64))
    np.save(folder / "sizes.npy", sizes.astype(np.uint32))
    np.save(folder / "digests.npy", digests)
    if files:
        write_bytes_atomically(folder / "files.json", json.dumps(files).encode())  # ASCII: names may be no UTF-8
    write_json_atomically(folder / "skipped.json", source.skipped)
    progress("Looking for duplicates", 0, 0)
    duplicates = find_duplicates(digests, hashes, np.load(folder / "images.npy", mmap_mode="r"))
    np.savez(folder / "duplicates.npz", **vars(duplicates))
    pixels = (splits["train"][1] - splits["train"][0]) * source.shape[1] * source.shape[2]
    mean = total[0] / pixels
    std = np.sqrt(np.maximum(total[1] / pixels - mean**2, 0))
    checksums = {name: _sha256(folder / name) for name in ("images.npy", "labels.npy")}
    return StoreMeta(
        title=source.title,
        class_names=names,
        shape=source.shape,
        splits={name: splits[name] for name in SPLITS if name in splits},
        mean=[round(float(v), 6) for v in mean],
        std=[round(max(float(v), 1e-3), 6) for v in std],
        drawing=source.drawing,
        origin=source.origin,
        checksums=checksums,
        layout=source.layout,
        empty_classes=[*source.empty_classes, *(name for name in source.class_names if name not in names)],
        names=source.names,
    )


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """NumPy's header; it leaves room for any number of images, so that another one can be put in its place."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _about(block: Block) -> dict[str, np.ndarray]:
    """What is kept of each image beside its pixels, worked out from them where the block does not bring it."""
    images = block.images
    height, width = images.shape[2:]
    sizes = np.tile([width, height], (len(images), 1)) if block.sizes is None else block.sizes
    digests = pixel_digests(images) if block.digests is None else block.digests
    hashes = perceptual_hashes(images) if block.hashes is None else block.hashes
    return {"labels": block.labels, "sizes": sizes, "digests": digests, "hashes": hashes}


def _sums(images: np.ndarray) -> np.ndarray:
    """(2, C): sum and sum of squares of the pixels, 0..1, of each channel."""
    sums = np.zeros((2, images.shape[1]))
    for part in np.array_split(images, max(1, images.nbytes // 8_000_000)):
        values = part.astype(np.float32) / 255
        sums += values.sum(axis=(0, 2, 3), dtype=np.float64), np.square(values).sum(axis=(0, 2, 3), dtype=np.float64)
    return sums


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
