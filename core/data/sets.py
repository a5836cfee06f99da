"""What the name of a set stands for: its images as a store, its size before it is read, what suits it."""

import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from core.config import DataConfig, Fit, Preprocessing, TrainConfig
from core.data.catalogue import DATASETS
from core.data.drawn_splits import lacking
from core.data.edits import Edits, applied, edits_at
from core.data.imports import drop_uploads, imported_sets, new_import, put_entry
from core.data.sources.containers import typed_path
from core.data.sources.own_images import Listing, list_images, shape_of, source_of
from core.data.splits import SPLITS, Division, split_indices
from core.data.store.image_store import Block, ImageStore, Progress, Source, build_store, no_progress, open_store
from core.data.transforms.preprocessing import STORED_FIELDS, array_to_image, image_to_array
from core.errors import InputError
from core.workspace import Workspace

HELD_OUT = 0.2  # of a set without a split to evaluate on


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What a model and a configuration must fit: shape (C, H, W), number of classes, images by split.

    edits: what was changed about the set, in words. is_ready: whether the store is built; otherwise the figures are those
    of the store at the set's own size, of the catalogue or of the files' names.
    """

    title: str
    shape: tuple[int, int, int]
    num_classes: int
    splits: dict[str, int]
    is_ready: bool
    edits: str = ""


def place_of(workspace: Workspace, dataset: str) -> Path | None:
    """The folder or zip that a data set's name stands for, None for a built-in set. Raises InputError if it is neither."""
    if dataset in DATASETS:
        return None
    imported = imported_sets(workspace)
    if dataset in imported:
        return Path(imported[dataset].path)
    if "/" in dataset or os.sep in dataset or dataset.startswith("~"):
        return typed_path(dataset)
    raise InputError(
        f"There is no data set '{dataset}'.",
        code="dataset",
        hint=f"Known are {', '.join([*DATASETS, *imported])}, or the path of a folder of images. Own images are imported on the "
        "Data page, or with 'python -m core import PATH'.",
    )


def _own_listing(workspace: Workspace, dataset: str) -> Listing:
    """What a set of one's own holds, seen some seconds ago at most."""
    place = place_of(workspace, dataset)
    assert place, "a set of one's own"
    return _listing(place, _names_in(workspace, dataset), LISTING_S)


def _names_in(workspace: Workspace, dataset: str) -> str:
    """How its names are read where a person has chosen it."""
    entry = imported_sets(workspace).get(dataset)
    return entry.names if entry else ""


def title_of(workspace: Workspace, dataset: str) -> str:
    """What people call a set."""
    if record := DATASETS.get(dataset):
        return record.title
    if dataset in imported_sets(workspace):
        return dataset
    place = place_of(workspace, dataset)
    assert place, "a set of one's own"
    return place.name


def find_store(workspace: Workspace, dataset: str, preprocessing: Preprocessing, max_age_s: float = 0) -> ImageStore | None:
    """The store if it has been built already. max_age_s: the listing of a folder that was not imported may be this old."""
    place = place_of(workspace, dataset)
    return open_store(_store_path(workspace, dataset, place, _fingerprint(workspace, dataset, place, max_age_s), preprocessing))


def own_preprocessing(workspace: Workspace, dataset: str) -> Preprocessing:
    """The size at which a set is looked at: the one it was imported at, its own if it is built in."""
    entry = imported_sets(workspace).get(dataset)
    return Preprocessing(size_px=entry.size_px, fit=entry.fit) if entry else Preprocessing()


def own_store(workspace: Workspace, dataset: str) -> ImageStore | None:
    """The store that the Data page shows, if it is there."""
    return find_store(workspace, dataset, own_preprocessing(workspace, dataset))


def prepare_store(
    workspace: Workspace, dataset: str, preprocessing: Preprocessing, progress: Progress = no_progress
) -> ImageStore:
    """The store of a set at the size and colour that the description asks for, built first if need be."""
    place = place_of(workspace, dataset)
    fingerprint = _fingerprint(workspace, dataset, place, 0)
    if place is not None:
        names = _names_in(workspace, dataset)
        return _store_of(workspace, place, names, fingerprint, title_of(workspace, dataset), preprocessing, progress)
    path = _store_path(workspace, dataset, None, fingerprint, preprocessing)
    if store := open_store(path):
        return store
    return build_store(path, _brought_to(DATASETS[dataset].source(workspace.datasets, progress), preprocessing), progress)


def _store_of(
    workspace: Workspace, place: Path, names: str, fingerprint: str, title: str, preprocessing: Preprocessing, progress: Progress
) -> ImageStore:
    """That of a person's own images, as they were when they had this fingerprint."""
    path = _store_path(workspace, title, place, fingerprint, preprocessing)
    if store := open_store(path):
        return store
    listing = _listing(place, names)  # what is read now must be what the store is named after
    if listing.fingerprint != fingerprint:
        raise InputError(
            f"The images in {place} are not those that '{title}' was read from: files were added, removed or changed.",
            code="dataset",
            hint="Import it again.",
        )
    return build_store(path, source_of(listing, title, preprocessing, progress), progress)


def import_set(
    workspace: Workspace,
    path: Path | str,
    name: str = "",
    size_px: int | None = None,
    fit: Fit = "crop",
    progress: Progress = no_progress,
    is_upload: bool = False,
    names: str = "",
) -> tuple[str, ImageStore]:
    """A folder or zip as a set: its name and its store. The set is there once all of it is read; what can't be read leaves
    everything as it was before. One import at a time.
    """
    with _alone(workspace, progress):
        progress("Looking at what it holds", 0, 0)
        try:
            entry = new_import(workspace, path, name, size_px, fit, is_upload, names)
            fitted = Preprocessing(size_px=entry.size_px, fit=entry.fit)
            store = _store_of(workspace, Path(entry.path), entry.names, entry.fingerprint, entry.name, fitted, progress)
            put_entry(workspace, entry)
            return entry.name, store
        except BaseException:
            drop_uploads(workspace)
            raise


@contextmanager
def _alone(workspace: Workspace, progress: Progress) -> Iterator[None]:
    lock = FileLock(workspace.locks / "import.lock")
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            progress("Waiting for another import to end", 0, 0)
    try:
        yield
    finally:
        lock.release()


def divide(workspace: Workspace, store: ImageStore, config: DataConfig) -> Division:
    """The set's labels and splits as this configuration has them: edited, duplicates kept together where splits are drawn.

    Raises InputError if the edits it names are not here, or leave fewer than two classes.
    """
    edits = edits_at(workspace, config.dataset, config.edits)
    edited = store.edited(edits)
    if len(edited.class_names) < 2:
        raise InputError(
            f"The edits of '{store.meta.title}' leave fewer than two classes.",
            code="dataset",
            hint="Keep another one again: Data page, Classes.",
        )
    splits = split_indices(edited.labels, store.meta.splits, config, edited.kept, store.duplicates.groups, store.files or None)
    labels = np.where(
        edited.labels < len(edited.class_names), edited.labels, 0
    )  # dropped classes have no number; no split has them
    return Division(labels, splits, tuple(edited.class_names))


def lacking_in(store: ImageStore, division: Division, config: DataConfig) -> list[str]:
    """What a person should know of the splits of a division that are drawn, as sentences."""
    return lacking(division, store.meta.splits if config.split_by == "delivered" else ())


def suiting(workspace: Workspace, dataset: str) -> dict[str, Any]:
    """What to change in a configuration that is to use this set instead of its own: size, normalisation, what it is evaluated on."""
    record, own, delivered = DATASETS.get(dataset), own_preprocessing(workspace, dataset), splits_of(workspace, dataset)
    evaluation_splits = [split for split in ("test", "validation") if split in delivered]
    return {
        "data.dataset": dataset,
        "data.edits": "",
        "data.split_by": "delivered",
        "data.evaluate_on": evaluation_splits[0] if evaluation_splits else "validation",
        "data.validation_fraction": 0.0 if evaluation_splits else HELD_OUT,
        "data.test_fraction": 0.0,
        "preprocessing.size_px": own.size_px,
        "preprocessing.short_side_px": None,
        "preprocessing.fit": own.fit,
        "preprocessing.mean": None,
        "preprocessing.std": None,
        "preprocessing.drawing": "auto",
        **({"augmentation.flip": False} if record and not (record.may_be_mirrored and record.drawing == "none") else {}),
    }


def splits_of(workspace: Workspace, dataset: str) -> list[str]:
    """The splits that a set brings."""
    if record := DATASETS.get(dataset):
        return ["train", "test"] if record.num_test else ["train"]
    if store := own_store(workspace, dataset):
        return list(store.meta.splits)
    brought = {image.split for image in _own_listing(workspace, dataset).layout.images}
    return [split for split in SPLITS if split in brought]


def dataset_info(workspace: Workspace, config: TrainConfig) -> DatasetInfo:
    """Shape, classes and split sizes of what this configuration would train on, without building anything."""
    if store := find_store(workspace, config.data.dataset, config.preprocessing, LISTING_S):
        return describe_dataset(workspace, config.data, store, divide(workspace, store, config.data))
    own = own_preprocessing(workspace, config.data.dataset)
    at_own_size = find_store(workspace, config.data.dataset, own, LISTING_S)
    if at_own_size and (
        config.preprocessing.size_px or not own.size_px
    ):  # it knows what can't be read, and which classes that leaves
        found = describe_dataset(workspace, config.data, at_own_size, divide(workspace, at_own_size, config.data))
        return replace(found, shape=_fitted_shape(at_own_size.meta.shape, config.preprocessing), is_ready=False)
    edits = edits_at(workspace, config.data.dataset, config.data.edits)
    record = DATASETS.get(config.data.dataset)
    if record is None:
        listing = _own_listing(workspace, config.data.dataset)
        return _unread_info(title_of(workspace, config.data.dataset), listing, config, edits)
    counts = {"train": record.num_train, "test": record.num_test}
    for name, fraction in (("test", config.data.test_fraction), ("validation", config.data.validation_fraction)):
        if not counts.get(name) and fraction:
            counts[name] = round(counts["train"] * fraction)
            counts["train"] -= counts[name]
    counts = {name: count for name, count in counts.items() if count}
    shape = _fitted_shape(record.shape, config.preprocessing)
    return DatasetInfo(
        title=record.title, shape=shape, num_classes=record.num_classes, splits=counts, is_ready=False, edits=edits.summary
    )


def describe_dataset(workspace: Workspace, config: DataConfig, store: ImageStore, division: Division) -> DatasetInfo:
    """The same of a set that is here and divided."""
    counts = {name: len(indices) for name, indices in division.splits.items()}
    summary = edits_at(workspace, config.dataset, config.edits).summary
    return DatasetInfo(
        title=title_of(workspace, config.dataset),
        shape=store.meta.shape,
        num_classes=len(division.class_names),
        splits=counts,
        is_ready=True,
        edits=summary,
    )


def _unread_info(title: str, listing: Listing, config: TrainConfig, edits: Edits) -> DatasetInfo:
    """What a folder or zip holds by its files' names, before the images are read at this size."""
    images, class_names = listing.layout.images, listing.layout.class_names
    number = {name: index for index, name in enumerate(class_names)}
    labels = np.array([number[image.class_name] for image in images])
    edited = applied(edits, {image.name: n for n, image in enumerate(images)}, labels, class_names)
    counts = Counter(image.split for image in images)
    delivered, first = {}, 0
    for split in SPLITS:  # the order of the listing
        delivered[split] = (first, first + counts[split])
        first += counts[split]
    splits = split_indices(edited.labels, delivered, config.data, edited.kept, keys=[image.name for image in images])
    shape = shape_of(listing, config.preprocessing)
    return DatasetInfo(
        title=title,
        shape=shape,
        num_classes=len(edited.class_names),
        splits={name: len(indices) for name, indices in splits.items()},
        is_ready=False,
        edits=edits.summary,
    )


def _store_path(workspace: Workspace, dataset: str, place: Path | None, fingerprint: str, preprocessing: Preprocessing) -> Path:
    """Where the store of these images at this size lies; the name is ours, whatever the set is called."""
    if place is None and not preprocessing.size_px:  # at their own size nothing is fitted
        preprocessing = preprocessing.model_copy(update={"fit": Preprocessing().fit})
    wanted = preprocessing.model_dump_json(include=set(STORED_FIELDS))
    key = hashlib.sha256(f"{place or dataset}\0{fingerprint}\0{wanted}".encode(errors="surrogateescape")).hexdigest()[:16]
    slug = re.sub(r"[^a-z0-9]+", "-", (place.stem if place else dataset).lower()).strip("-")[:30] or "set"
    return workspace.stores / f"{slug}-{key}"


def _fingerprint(workspace: Workspace, dataset: str, place: Path | None, max_age_s: float) -> str:
    """Of the images as they were imported; of a folder that was not, as they are."""
    if place is None:
        return "built-in"
    entry = imported_sets(workspace).get(dataset)
    return entry.fingerprint if entry and entry.fingerprint else _listing(place, "", max_age_s).fingerprint


LISTING_S = 5.0


def _listing(place: Path, names: str, max_age_s: float = 0) -> Listing:
    """What lies in a folder or zip. A page asks at every click, and 100,000 files take half a second: then it may be some seconds old."""
    return _listed_in(place, names, int(time.monotonic() / max_age_s)) if max_age_s else list_images(place, names)


@lru_cache(maxsize=1)  # one folder at a time is looked at
def _listed_in(place: Path, names: str, period: int) -> Listing:
    return list_images(place, names)


def _brought_to(source: Source, preprocessing: Preprocessing) -> Source:
    """A built-in source at the size and colour asked for, by the same function that fits images from outside."""
    shape = _fitted_shape(source.shape, preprocessing)
    if shape == source.shape and not preprocessing.invert and not preprocessing.short_side_px:
        return source

    def fitted(array: np.ndarray) -> np.ndarray:
        return image_to_array(array_to_image(array), shape, preprocessing)

    def blocks(progress: Progress):
        for block in source.blocks(progress):
            for start in range(0, len(block.images), 4096):
                part = slice(start, start + 4096)
                yield Block(
                    split=block.split, images=np.stack([fitted(a) for a in block.images[part]]), labels=block.labels[part]
                )

    return replace(source, shape=shape, blocks=blocks)


def _fitted_shape(shape: tuple[int, int, int], preprocessing: Preprocessing) -> tuple[int, int, int]:
    channels = {"grey": 1, "rgb": 3}.get(preprocessing.colour, shape[0])
    side = preprocessing.size_px
    return (channels, side, side) if side else (channels, *shape[1:])
