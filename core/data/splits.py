"""Which pictures train, validate and test: as the set delivers them, or held out class by class with a seed."""

import numpy as np

from core.config import DataConfig
from core.errors import InputError

SPLITS = ("train", "validation", "test")


def split_indices(labels: np.ndarray, delivered: dict[str, tuple[int, int]], config: DataConfig) -> dict[str, np.ndarray]:
    """Indices into the store, by split; none stands in two. A split without pictures is left out.

    labels: (N,) class of each picture. delivered: first and past-the-last index of each split that the set brings.
    Test is drawn before validation, so that another validation share leaves the test split as it was.
    """
    splits = {name: np.arange(*bounds) for name, bounds in delivered.items() if bounds[1] > bounds[0]}
    for name, fraction in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if name not in splits and fraction > 0:
            random = np.random.default_rng([config.split_seed, SPLITS.index(name)])
            kept, held = hold_out(splits["train"], labels, fraction, random)
            if len(held):
                splits["train"], splits[name] = kept, held
    return splits


def hold_out(
    indices: np.ndarray, labels: np.ndarray, fraction: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held): of each class the fraction, rounded; a class of two or more keeps one picture at least on each side."""
    held = []
    for label in np.unique(labels[indices]):
        members = indices[labels[indices] == label]
        count = round(len(members) * fraction)
        if len(members) > 1:
            count = min(max(count, 1), len(members) - 1)
        held.append(random.permutation(members)[:count])
    chosen = np.sort(np.concatenate(held))
    return np.setdiff1d(indices, chosen, assume_unique=True), chosen


def indices_of(splits: dict[str, np.ndarray], name: str, dataset: str) -> np.ndarray:
    """The indices of one split. Raises InputError if the set has none of that name."""
    if name not in splits or not len(splits[name]):
        ways = [f"set data.{name}_fraction above 0, for example to 0.2"] if name != "train" else []
        ways += [f"use {other}" for other in splits]
        raise InputError(f"'{dataset}' has no {name} split.", code="split", hint=f"Either {', or '.join(ways)}.")
    return splits[name]
