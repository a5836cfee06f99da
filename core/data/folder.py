"""A source from a folder of pictures: train/ with test/ or val/ and a folder per class in each, or undivided class folders."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from core.config import Preprocessing
from core.data.decoding import ENDINGS, decode_picture
from core.data.preprocessing import picture_to_array
from core.data.splits import SPLITS
from core.data.store import Block, Progress, Source
from core.errors import InputError

SPLIT_FOLDERS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
DEFAULT_SIZE_PX = 64  # for photographs of varying size
SAMPLED = 64
BLOCK_SIZE = 512


@dataclass(frozen=True)
class FolderListing:
    """What lies in a folder. pictures: (split, class name, path relative to root), sorted; fingerprint: changes when a file does."""

    root: Path
    pictures: list[tuple[str, str, str]]
    skipped: list[dict[str, str]]
    fingerprint: str

    @property
    def class_names(self) -> list[str]:
        return sorted({name for _, name, _ in self.pictures})


def list_folder(root: Path) -> FolderListing:
    """Every picture below root with its split and class; everything else in `skipped` with the reason."""
    if not root.is_dir():
        raise InputError(
            f"There is no folder {_shown(str(root))}.", code="dataset", hint="Give the full path of a folder on this machine."
        )
    try:
        root = _unwrapped(root)
    except OSError as error:
        raise InputError(f"The folder {_shown(str(root))} can't be read ({error.strerror}).", code="dataset") from None
    has_splits = any(entry.name.lower() in SPLIT_FOLDERS for entry in root.iterdir() if entry.is_dir())
    pictures, skipped, digest = [], [], hashlib.sha256()
    for file in _files_below(root, skipped):
        relative = file.path[len(str(root)) + 1 :]
        parts = relative.split(os.sep)
        if reason := _stray(parts):
            skipped.append({"file": _shown(relative), "reason": reason})
            continue
        split = SPLIT_FOLDERS.get(parts[0].lower())
        folders = parts[1:-1] if split else parts[:-1]
        if not folders:
            skipped.append({"file": _shown(relative), "reason": "lies in no class folder"})
            continue
        if has_splits and not split:
            skipped.append({"file": _shown(relative), "reason": "lies outside of the split folders"})
            continue
        pictures.append((split or "train", _shown(folders[0]), relative))
        status = file.stat()
        digest.update(f"{relative}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    if not pictures:
        raise InputError(
            f"No pictures in class folders were found in {root} ({len(skipped)} other files).", code="dataset",
            hint="Expected one folder per class, for example ants/ and bees/, by themselves or inside train/ and test/ or val/.",
        )  # fmt: skip
    if not any(split == "train" for split, _, _ in pictures):
        raise InputError(
            f"{root} has no training pictures.", code="dataset", hint="Expected a folder train/ beside test/ or val/."
        )
    pictures.sort(key=lambda item: (SPLITS.index(item[0]), item[2]))
    return FolderListing(root, pictures, skipped, digest.hexdigest())


def folder_source(listing: FolderListing, title: str, preprocessing: Preprocessing) -> Source:
    """Decodes the listed pictures to one size; those that can't be read are added to `skipped`."""
    channels, height, width = folder_shape(listing, preprocessing)
    class_names = listing.class_names
    if len(class_names) < 2:
        raise InputError(
            f"Only one class was found in {listing.root}: {class_names[0]!r}.",
            code="dataset",
            hint="Two are needed at least.",
        )
    number = {name: index for index, name in enumerate(class_names)}
    skipped = list(listing.skipped)

    def read(relative: str) -> np.ndarray | str:
        try:
            picture = decode_picture(listing.root / relative)
        except InputError as error:
            return error.message
        except OSError as error:
            return f"can't be opened ({error.strerror})"
        return picture_to_array(picture, (channels, height, width), preprocessing)

    def blocks(progress: Progress) -> Iterator[Block]:
        with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1))) as pool:
            for split in SPLITS:
                members = iter([item for item in listing.pictures if item[0] == split])
                while part := list(islice(members, BLOCK_SIZE)):
                    arrays = list(pool.map(read, [relative for _, _, relative in part]))
                    good = [i for i, array in enumerate(arrays) if not isinstance(array, str)]
                    skipped.extend(
                        {"file": _shown(part[i][2]), "reason": array} for i, array in enumerate(arrays) if isinstance(array, str)
                    )
                    if good:
                        yield Block(
                            split, np.stack([arrays[i] for i in good]), np.array([number[part[i][1]] for i in good]),
                            [_shown(part[i][2]) for i in good],
                        )  # fmt: skip

    counts = Counter(split for split, _, _ in listing.pictures)
    return Source(title, class_names, (channels, height, width), dict(counts), "none", str(listing.root), blocks, skipped)


def folder_shape(listing: FolderListing, preprocessing: Preprocessing) -> tuple[int, int, int]:
    """(C, H, W) of the store: as chosen, else as a sample of the pictures has it."""
    step = max(1, len(listing.pictures) // SAMPLED)
    sizes, modes = set(), set()
    for _, _, relative in listing.pictures[::step]:
        try:
            picture = decode_picture(listing.root / relative)
        except (InputError, OSError):
            continue  # reported when its turn comes
        sizes.add((picture.height, picture.width))
        modes.add(picture.mode)
    if not sizes:
        raise InputError(f"None of the pictures looked at in {listing.root} can be read.", code="dataset")
    channels = {"grey": 1, "rgb": 3}.get(preprocessing.colour) or (1 if modes == {"L"} else 3)
    if preprocessing.size_px:
        return channels, preprocessing.size_px, preprocessing.size_px
    return channels, *(sizes.pop() if len(sizes) == 1 else (DEFAULT_SIZE_PX, DEFAULT_SIZE_PX))


def _unwrapped(root: Path) -> Path:
    """The folder itself, or the only folder in it where an archiver has put one around everything."""
    inside = [entry for entry in root.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    is_wrapper = len(inside) == 1 and inside[0].is_dir() and inside[0].name.lower() not in SPLIT_FOLDERS
    return inside[0] if is_wrapper and any(entry.is_dir() for entry in inside[0].iterdir()) else root


def _files_below(root: Path, skipped: list[dict[str, str]]) -> Iterator[os.DirEntry]:
    """Every file; links and folders that can't be read are added to `skipped`."""
    waiting = [str(root)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            skipped.append(
                {"file": _shown(folder[len(str(root)) + 1 :] or folder), "reason": f"can't be read ({error.strerror})"}
            )
            continue
        for entry in found:
            if entry.is_symlink():
                skipped.append({"file": _shown(entry.path[len(str(root)) + 1 :]), "reason": "a link, which is not followed"})
            elif entry.is_dir():
                waiting.append(entry.path)
            elif entry.is_file():
                yield entry


def _shown(name: str) -> str:
    """A file's name as text; bytes that are no UTF-8 become question marks."""
    return name.encode(errors="replace").decode()


def _stray(parts: list[str]) -> str:
    """Why a file is no picture to import, or an empty string."""
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return "hidden, or left by an archiver"
    if os.path.splitext(parts[-1])[1].lower() not in ENDINGS:
        return "not a picture by its ending"
    return ""
