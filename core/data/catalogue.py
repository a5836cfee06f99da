"""The sets there are: the built-in ones as records, imported folders by name, and any folder by its path."""

import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.config import Preprocessing, TrainConfig
from core.data.builtin import cifar_source, digits_source, mnist_source
from core.data.folder import FolderListing, folder_shape, folder_source, list_folder
from core.data.splits import SPLITS, split_indices
from core.data.store import Block, PictureStore, Progress, Source, build_store, no_progress, open_store
from core.errors import InputError
from core.files import write_json_atomically
from core.settings import changed
from core.workspace import Workspace


@dataclass(frozen=True)
class DatasetRecord:
    """A built-in set. folder: where its files lie below the workspace's datasets/; download_mb: 0 where nothing is fetched."""

    name: str
    title: str
    summary: str
    shape: tuple[int, int, int]
    num_classes: int
    num_train: int
    num_test: int
    download_mb: int
    folder: str
    drawing: str
    source: Callable[[Path, Progress], Source]
    class_names: tuple[str, ...] = ()  # where they are known before the pictures are here


HELD_OUT = 0.2  # of a set without a split to judge on
DIGIT_NAMES = [str(n) for n in range(10)]
FASHION_NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
KMNIST_NAMES = ["o お", "ki き", "su す", "tsu つ", "na な", "ha は", "ma ま", "ya や", "re れ", "wo を"]

DATASETS = {
    record.name: record
    for record in (
        DatasetRecord(
            "digits", "Digits", "1,797 small handwritten digits. Always here, no network needed.",
            (1, 8, 8), 10, 1797, 0, 0, "", "digits", digits_source, tuple(DIGIT_NAMES),
        ),
        DatasetRecord(
            "mnist", "MNIST", "70,000 handwritten digits, the classic first set.",
            (1, 28, 28), 10, 60_000, 10_000, 12, "MNIST/raw", "mnist",
            partial(mnist_source, "MNIST", "MNIST", DIGIT_NAMES, "mnist"), tuple(DIGIT_NAMES),
        ),
        DatasetRecord(
            "fashion-mnist", "Fashion-MNIST", "70,000 articles of clothing, in MNIST's format but harder.",
            (1, 28, 28), 10, 60_000, 10_000, 31, "FashionMNIST/raw", "none",
            partial(mnist_source, "FashionMNIST", "Fashion-MNIST", FASHION_NAMES, "none"), tuple(FASHION_NAMES),
        ),
        DatasetRecord(
            "kmnist", "KMNIST", "70,000 cursive Japanese characters, in MNIST's format.",
            (1, 28, 28), 10, 60_000, 10_000, 21, "KMNIST/raw", "mnist",
            partial(mnist_source, "KMNIST", "KMNIST", KMNIST_NAMES, "mnist"), tuple(KMNIST_NAMES),
        ),
        DatasetRecord(
            "cifar10", "CIFAR-10", "60,000 small colour photographs of ten kinds of things.",
            (3, 32, 32), 10, 50_000, 10_000, 163, "cifar-10-batches-py", "none", partial(cifar_source, "CIFAR10", "CIFAR-10"),
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        ),
        DatasetRecord(
            "cifar100", "CIFAR-100", "60,000 small colour photographs of a hundred kinds of things.",
            (3, 32, 32), 100, 50_000, 10_000, 161, "cifar-100-python", "none", partial(cifar_source, "CIFAR100", "CIFAR-100"),
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class DataSpec:
    """What a model and a configuration must fit: shape (C, H, W), number of classes, pictures by split."""

    title: str
    shape: tuple[int, int, int]
    num_classes: int
    splits: dict[str, int]
    is_ready: bool  # whether the store is built; otherwise the figures are the catalogue's


def imported_sets(workspace: Workspace) -> dict[str, str]:
    """Folders that a person has imported: name to path."""
    found = {}
    for file in sorted((workspace.datasets / "imported").glob("*.json")):
        try:
            entry = json.loads(file.read_text())
            found[str(entry["name"])] = str(entry["path"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a damaged entry hides one name; the folder itself can be imported again
    return found


def import_folder(workspace: Workspace, path: str | Path, name: str = "") -> str:
    """Remembers a folder under a name (its own by default) and returns it. The pictures stay where they are."""
    root = typed_path(str(path))
    name = name.strip() or root.name
    if name in DATASETS:
        raise InputError(f"'{name}' is the name of a built-in set.", code="dataset", hint="Choose another with --name.")
    if not name or len(name) > 100 or any(not c.isprintable() or c in "/\\" for c in name):
        raise InputError(
            f"{name!r} can't be the name of a set.",
            code="dataset",
            hint="Use up to 100 printable characters without slashes.",
        )
    list_folder(root)
    folder = workspace.datasets / "imported"
    folder.mkdir(exist_ok=True)
    file = hashlib.sha256(name.encode()).hexdigest()[:16]
    write_json_atomically(folder / f"{file}.json", {"name": name, "path": str(root)})
    return name


def typed_path(text: str) -> Path:
    """The absolute path that a person typed. Raises InputError if no path can be made of it."""
    try:
        path = Path(text).expanduser().resolve()
        path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{text[:200]!r} is not a path that can be used here ({error}).", code="dataset") from None
    return path


def folder_of(workspace: Workspace, dataset: str) -> Path | None:
    """The folder that a data set's name stands for, None for a built-in set. Raises InputError if it is neither."""
    if dataset in DATASETS:
        return None
    if path := imported_sets(workspace).get(dataset):
        return Path(path)
    if "/" in dataset or os.sep in dataset or dataset.startswith("~"):
        return typed_path(dataset)
    names = [*DATASETS, *imported_sets(workspace)]
    raise InputError(
        f"There is no data set '{dataset}'.",
        code="dataset",
        hint=f"Known are {', '.join(names)}, or the path of a folder of pictures.",
    )


def settled(workspace: Workspace, config: TrainConfig) -> TrainConfig:
    """The configuration with a folder's path made absolute, so that it means the same from anywhere."""
    folder = folder_of(workspace, config.data.dataset)
    if folder is None or config.data.dataset in imported_sets(workspace):
        return config
    return changed(config, {"data.dataset": str(folder)})


def _store_path(workspace: Workspace, dataset: str, fingerprint: str, preprocessing: Preprocessing) -> Path:
    """Where the store of these pictures at this size lies; the name is ours, whatever the set is called."""
    wanted = preprocessing.model_dump_json(include={"size_px", "fit", "colour"})
    key = hashlib.sha256(f"{dataset}\0{fingerprint}\0{wanted}".encode(errors="surrogateescape")).hexdigest()[:16]
    slug = re.sub(r"[^a-z0-9]+", "-", Path(dataset).name.lower()).strip("-")[:30] or "set"
    return workspace.stores / f"{slug}-{key}"


def find_store(workspace: Workspace, dataset: str, preprocessing: Preprocessing, max_age_s: float = 0) -> PictureStore | None:
    """The store if it has been built already. max_age_s: a folder's listing may be this old."""
    folder = folder_of(workspace, dataset)
    fingerprint = _listing(folder, max_age_s).fingerprint if folder else "built-in"
    return open_store(_store_path(workspace, str(folder or dataset), fingerprint, preprocessing))


LISTING_S = 5.0
_listings: dict[Path, tuple[float, FolderListing]] = {}


def _listing(folder: Path, max_age_s: float = 0) -> FolderListing:
    """What lies in a folder. A page asks at every click, and 100,000 files take half a second: then it may be some seconds old."""
    made, listing = _listings.get(folder, (0.0, None))
    if listing is None or time.monotonic() - made > max_age_s:
        listing = list_folder(folder)
        _listings.clear()  # one folder at a time is looked at
        _listings[folder] = (time.monotonic(), listing)
    return listing


def prepare_store(
    workspace: Workspace, dataset: str, preprocessing: Preprocessing, progress: Progress = no_progress
) -> PictureStore:
    """The store of a set at the size and colour that the description asks for, built first if need be."""
    folder = folder_of(workspace, dataset)
    listing = _listing(folder) if folder else None
    path = _store_path(workspace, str(folder or dataset), listing.fingerprint if listing else "built-in", preprocessing)
    if store := open_store(path):
        return store
    if listing:
        source = folder_source(listing, folder.name, preprocessing)
    else:
        source = _brought_to(DATASETS[dataset].source(workspace.datasets, progress), preprocessing)
    return build_store(path, source, progress)


def _brought_to(source: Source, preprocessing: Preprocessing) -> Source:
    """A built-in source at the size and colour asked for, by the same function that fits pictures from outside."""
    from dataclasses import replace

    from core.data.preprocessing import array_to_picture, picture_to_array

    shape = _fitted_shape(source.shape, preprocessing)
    if shape == source.shape:
        return source

    def fitted(array: np.ndarray) -> np.ndarray:
        return picture_to_array(array_to_picture(array), shape, preprocessing)

    def blocks(progress: Progress):
        for block in source.blocks(progress):
            for start in range(0, len(block.images), 4096):
                part = slice(start, start + 4096)
                yield Block(block.split, np.stack([fitted(a) for a in block.images[part]]), block.labels[part])

    return replace(source, shape=shape, blocks=blocks)


def _fitted_shape(shape: tuple[int, int, int], preprocessing: Preprocessing) -> tuple[int, int, int]:
    channels = {"grey": 1, "rgb": 3}.get(preprocessing.colour, shape[0])
    side = preprocessing.size_px
    return (channels, side, side) if side else (channels, *shape[1:])


def suiting(workspace: Workspace, dataset: str) -> dict[str, Any]:
    """What to change in a configuration that is to use this set instead of its own: normalisation, and what it is judged on."""
    record = DATASETS.get(dataset)
    store = None if record else find_store(workspace, dataset, Preprocessing())
    has_test = record.num_test > 0 if record else store is not None and "test" in store.meta.splits
    has_validation = store is not None and "validation" in store.meta.splits
    return {
        "data.dataset": dataset,
        "data.evaluate_on": "test" if has_test else "validation",
        "data.validation_fraction": 0.0 if has_test or has_validation else HELD_OUT,
        "data.test_fraction": 0.0,
        "preprocessing.mean": None,
        "preprocessing.std": None,
        "preprocessing.drawing": "auto",
        **({"augmentation.flip": False} if record and record.drawing != "none" else {}),  # a mirrored digit is none
    }


def data_spec(workspace: Workspace, config: TrainConfig) -> DataSpec:
    """Shape, classes and split sizes of what this configuration would train on, without building anything."""
    store = find_store(workspace, config.data.dataset, config.preprocessing, LISTING_S)
    if store:
        splits = split_indices(store.labels, store.meta.splits, config.data)
        return DataSpec(
            store.meta.title, store.meta.shape, store.num_classes, {name: len(ix) for name, ix in splits.items()}, True
        )
    record = DATASETS.get(config.data.dataset)
    if record is None:
        return _unread_spec(_listing(folder_of(workspace, config.data.dataset), LISTING_S), config)
    counts = {"train": record.num_train, "test": record.num_test}
    for name, fraction in (("test", config.data.test_fraction), ("validation", config.data.validation_fraction)):
        if not counts.get(name) and fraction:
            counts[name] = round(counts["train"] * fraction)
            counts["train"] -= counts[name]
    counts = {name: count for name, count in counts.items() if count}
    return DataSpec(record.title, _fitted_shape(record.shape, config.preprocessing), record.num_classes, counts, False)


def _unread_spec(listing: FolderListing, config: TrainConfig) -> DataSpec:
    """What a folder holds by its files' names, before the pictures are read at this size."""
    number = {name: index for index, name in enumerate(listing.class_names)}
    labels = np.array([number[name] for _, name, _ in listing.pictures])
    counts = Counter(split for split, _, _ in listing.pictures)
    delivered, first = {}, 0
    for split in SPLITS:  # the order of the listing
        delivered[split] = (first, first + counts[split])
        first += counts[split]
    splits = split_indices(labels, delivered, config.data)
    shape = folder_shape(listing, config.preprocessing)
    return DataSpec(listing.root.name, shape, len(number), {name: len(ix) for name, ix in splits.items()}, False)
