"""A person's own images: what lies in their folder or zip, and the source that decodes it to one size."""

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
from core.data.sources.containers import Container, StoredFile, open_container, readable
from core.data.sources.decoding import Decoded, decode
from core.data.sources.headers import Seen, seen_in
from core.data.sources.layout import Layout, arrange
from core.data.splits import SPLITS
from core.data.store.duplicates import perceptual_hash, pixel_digest
from core.data.store.image_store import Block, Progress, Source, no_progress
from core.data.transforms.preprocessing import image_to_array
from core.errors import InputError

DEFAULT_SIZE_PX = 64  # for photographs of varying size
BLOCK_SIZE = 512
MAX_THREADS = 4  # each may hold an image of 25 megapixels


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a folder or a zip holds by its names, read as `names` says.

    fingerprint: another one as soon as an image, its class or its split changes.
    """

    container: Container
    layout: Layout
    fingerprint: str
    empty_classes: list[str]
    names: str = ""

    @property
    def path(self) -> Path:
        return self.container.path


def list_images(path: Path, names: str = "") -> Listing:
    """Every image below the path with its split and class, the rest with the reason why not. Raises InputError.

    names: how names in a zip, and tables, are written, one of core/name_encoding.py; found out where it is empty.
    """
    container = open_container(path, names)
    unseen: list[dict[str, str]] = []
    files = {file.name: file for file in container.files(unseen)}
    layout = arrange(sorted(files), container.read, names)
    layout.skipped.extend(unseen)
    layout.summary = " ".join(filter(None, [layout.summary, container.about_names]))
    taken = {image.name for image in layout.images}
    others = [name for name in files if name not in taken] + [f"{folder}/" for folder in container.empty_folders]
    return Listing(
        container=container,
        layout=layout,
        fingerprint=_fingerprint(layout, files, names),
        empty_classes=layout.without_images(others),
        names=names,
    )


def _fingerprint(layout: Layout, files: dict[str, StoredFile], names: str) -> str:
    digest = hashlib.sha256(names.encode())
    for image in layout.images:
        file = files[image.name]
        parts = (image.split, image.class_name, file.name, str(file.num_bytes), file.stamp)
        digest.update("\0".join((*parts, "")).encode(errors="surrogateescape"))
    return digest.hexdigest()


def read_image(container: Container, name: str) -> Decoded:
    """One image of a folder or zip, decoded. Raises InputError with the reason if it can't be."""
    try:
        return decode(container.read(name))
    except OSError as error:
        raise InputError(f"The file can't be opened ({error.strerror or error}).", code="picture") from None


def shape_of(listing: Listing, preprocessing: Preprocessing, progress: Progress = no_progress) -> tuple[int, int, int]:
    """(C, H, W) of the store: as chosen, else by the headers of all images: in colour if any has it, of their size if all have one.

    Raises InputError if none has a header.
    """
    channels, side = {"grey": 1, "rgb": 3}.get(preprocessing.colour), preprocessing.size_px
    if channels and side:
        return channels, side, side
    seen = _seen(listing, by_size=not side, by_colour=not channels, progress=progress)
    channels = channels or (1 if seen.is_grey else 3)
    width, height = (side, side) if side else seen.size or (DEFAULT_SIZE_PX, DEFAULT_SIZE_PX)
    return channels, height, width


_KEPT = 8
_seen_before: dict[tuple[str, bool, bool], Seen] = {}


def _seen(listing: Listing, by_size: bool, by_colour: bool, progress: Progress) -> Seen:
    """A page asks at every click, and 60,000 headers take two seconds."""
    key = (listing.fingerprint, by_size, by_colour)
    if key not in _seen_before:
        names = [image.name for image in listing.layout.images]
        found = seen_in(listing.container, names, by_size, by_colour, progress)
        if found is None:
            raise InputError("None of the images can be read.", code="dataset")
        if len(_seen_before) >= _KEPT:
            _seen_before.clear()
        _seen_before[key] = found
    return _seen_before[key]


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A decoded image at the store's size, with what is kept of the file's own pixels."""

    array: np.ndarray
    size: tuple[int, int]
    digest: np.ndarray
    hash: np.ndarray


def source_of(listing: Listing, title: str, preprocessing: Preprocessing, progress: Progress = no_progress) -> Source:
    """Decodes the listed images to one size; those that can't be read are added to `skipped`."""
    shape = shape_of(listing, preprocessing, progress)
    images, class_names = listing.layout.images, listing.layout.class_names
    if len(class_names) < 2:
        raise InputError(f"Only one class was found: {class_names[0]!r}.", code="dataset", hint="Two are needed at least.")
    number = {name: index for index, name in enumerate(class_names)}
    skipped = list(listing.layout.skipped)

    def read(name: str) -> _Read | str:
        try:
            decoded = read_image(listing.container, name)
            image = decoded.image
            digest = np.frombuffer(pixel_digest(image), np.uint8)
            return _Read(
                array=image_to_array(image, shape, preprocessing), size=decoded.size, digest=digest, hash=perceptual_hash(image)
            )
        except InputError as error:
            return error.message

    def blocks(progress: Progress) -> Iterator[Block]:
        with ThreadPoolExecutor(max_workers=min(MAX_THREADS, os.cpu_count() or 1)) as pool:
            for split in SPLITS:
                members = iter([image for image in images if image.split == split])
                while part := list(islice(members, BLOCK_SIZE)):
                    done = list(pool.map(read, [image.name for image in part]))
                    for image, result in zip(part, done, strict=True):
                        if isinstance(result, str):
                            skipped.append({"file": readable(image.name), "reason": result, "kind": "unreadable"})
                    good = [(p, result) for p, result in zip(part, done, strict=True) if isinstance(result, _Read)]
                    if good:
                        yield Block(
                            split=split,
                            images=np.stack([r.array for _, r in good]),
                            labels=np.array([number[p.class_name] for p, _ in good]),
                            files=[p.name for p, _ in good],
                            sizes=np.array([r.size for _, r in good]),
                            digests=np.stack([r.digest for _, r in good]),
                            hashes=np.stack([r.hash for _, r in good]),
                        )

    counts = Counter(image.split for image in images)
    return Source(
        title=title,
        class_names=class_names,
        shape=shape,
        counts=dict(counts),
        drawing="none",
        origin=str(listing.path),
        blocks=blocks,
        skipped=skipped,
        layout=listing.layout.summary,
        empty_classes=listing.empty_classes,
        names=listing.names,
    )
