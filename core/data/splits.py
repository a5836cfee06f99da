"""Which images train, validate and test: as the set delivers them, or held out class by class with a seed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.config import DataConfig
from core.errors import InputError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Division:
    """labels: (N,) int64, the class of each image of the store, by its place in class_names. splits: indices into it; none stands
    in two. class_names: empty where it is read back from a run, which knows them itself."""

    labels: np.ndarray
    splits: dict[str, np.ndarray]
    class_names: tuple[str, ...] = ()

    def indices(self, name: str, dataset: str) -> np.ndarray:
        """The indices of one split. Raises InputError if the set has none of that name."""
        if name not in self.splits or not len(self.splits[name]):
            ways = [f"set data.{name}_fraction above 0, for example to 0.2"] if name != "train" else []
            ways += [f"use {other}" for other in self.splits]
            raise InputError(f"'{dataset}' has no {name} split.", code="split", hint=f"Either {', or '.join(ways)}.")
        return self.splits[name]


def is_same(one: Division, other: Division) -> bool:
    """Whether both use the same images with the same labels for the same things."""
    return one.splits.keys() == other.splits.keys() and all(
        np.array_equal(indices, other.splits[name]) and np.array_equal(one.labels[indices], other.labels[indices])
        for name, indices in one.splits.items()
    )


def split_indices(
    labels: np.ndarray,
    delivered: dict[str, tuple[int, int]],
    config: DataConfig,
    kept: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    keys: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Indices into the store, by split; none stands in two. A split without images is left out.

    labels: (N,) class of each image. delivered: first and past-the-last index of each split that the set brings.
    kept: (N,) bool, images to use at all. groups: (N,) the smallest index among the duplicates of each, never drawn apart.
    keys: of the images, by default their numbers as a set without files has them.
    Test is drawn before validation, so that another validation share leaves the test split as it was.
    """
    if config.split_by == "shares":
        delivered = {"train": (0, len(labels))}
    splits = {name: np.arange(*bounds) for name, bounds in delivered.items()}
    if kept is not None:
        splits = {name: indices[kept[indices]] for name, indices in splits.items()}
    splits = {name: indices for name, indices in splits.items() if len(indices)}
    validation = config.validation_fraction
    if config.split_by == "shares":
        validation /= 1 - config.test_fraction  # of what the test share leaves
    for name, fraction in (("test", config.test_fraction), ("validation", validation)):
        if name not in splits and fraction > 0 and "train" in splits:
            if config.split_rule == "drawn":
                order = in_drawn_order(config.split_seed, name)
            else:
                order = in_order_of_keys(config.split_seed, name, keys or [f"#{n}" for n in range(len(labels))])
            rest, held = hold_out(splits["train"], labels, fraction, order, groups)
            if len(held):
                splits["train"], splits[name] = rest, held
    return splits


Order = Callable[
    [np.ndarray], np.ndarray
]  # (M,) smallest indices of groups of one class to (M,) places, the first held out first


def in_order_of_keys(seed: int, split: str, keys: Sequence[str]) -> Order:
    """By a number that each image has of its own, so that what is changed about others leaves it on its side."""
    salt = f"{seed} {split}".encode()
    digests = b"".join(hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=8, key=salt).digest() for key in keys)
    numbers = np.frombuffer(digests, ">u8")
    return lambda units: np.argsort(numbers[units], kind="stable")


def in_drawn_order(seed: int, split: str) -> Order:
    """As runs were divided before images kept their side by their keys: drawn class by class, so that one image moves others."""
    random = np.random.default_rng([seed, SPLITS.index(split)])
    return lambda units: random.permutation(len(units))


def hold_out(
    indices: np.ndarray, labels: np.ndarray, fraction: float, order: Order, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held): of each class the fraction, rounded; a class of two or more keeps one image at least on each side, one of a
    single image stays.

    Duplicates go to one side together, as part of the class of the first of them that is in use.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    units, first, unit_of = np.unique(groups[indices], return_index=True, return_inverse=True)
    sizes = np.bincount(unit_of)
    unit_labels = labels[indices[first]]
    is_held = np.zeros(len(units), bool)
    for label in np.unique(unit_labels):
        members = np.flatnonzero(unit_labels == label)
        num_kept, room = len(members), max(round(int(sizes[members].sum()) * fraction), int(sizes[members].min()))
        for unit in members[order(units[members])].tolist():
            if num_kept > 1 and sizes[unit] <= room:
                is_held[unit] = True
                num_kept, room = num_kept - 1, room - sizes[unit]
    held = is_held[unit_of]
    return indices[~held], indices[held]
