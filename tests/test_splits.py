"""Splits: as delivered, or held out class by class, seeded, and never one picture in two."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from core.config import DataConfig
from core.data.splits import SPLITS, Division, hold_out, split_indices
from core.errors import InputError

LABELS = load_digits().target
UNDIVIDED = {"train": (0, len(LABELS))}


def split(labels=LABELS, delivered=UNDIVIDED, **settings) -> dict[str, np.ndarray]:
    return split_indices(np.asarray(labels), delivered, DataConfig(**settings))


@pytest.mark.parametrize("validation", [0.0, 0.1, 0.37, 0.9])
@pytest.mark.parametrize("test", [0.0, 0.2, 0.9])
def test_every_picture_stands_in_exactly_one_split(validation, test):
    splits = split(validation_fraction=validation, test_fraction=test)
    everything = np.sort(np.concatenate(list(splits.values())))
    assert np.array_equal(everything, np.arange(len(LABELS)))
    assert set(splits) == {"train"} | ({"validation"} if validation else set()) | ({"test"} if test else set())


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_every_class_keeps_its_share(fraction):
    held = np.bincount(LABELS[split(validation_fraction=fraction)["validation"]])
    assert held.tolist() == [round(fraction * n) for n in np.bincount(LABELS)]


def test_same_seed_holds_out_the_same_pictures_and_another_others():
    first, again, other = (split(validation_fraction=0.2, split_seed=seed)["validation"] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_another_validation_share_leaves_the_test_split_as_it_was():
    tests = [split(validation_fraction=share, test_fraction=0.2)["test"] for share in (0, 0.1, 0.5)]
    assert np.array_equal(tests[0], tests[1])
    assert np.array_equal(tests[0], tests[2])


def test_delivered_splits_are_left_as_they_are():
    delivered = {"train": (0, 1000), "validation": (1000, 1200), "test": (1200, 1797)}
    splits = split(delivered=delivered, validation_fraction=0.3, test_fraction=0.3)
    assert {name: (part[0], part[-1] + 1) for name, part in splits.items()} == delivered


def test_validation_is_held_out_of_training_alone():
    splits = split(delivered={"train": (0, 1000), "test": (1000, 1797)}, validation_fraction=0.2)
    assert np.array_equal(splits["test"], np.arange(1000, 1797))
    assert splits["validation"].max() < 1000
    assert len(splits["train"]) + len(splits["validation"]) == 1000


def test_class_of_two_or_more_stands_on_both_sides():
    labels = np.array([0] * 50 + [1] * 2 + [2] * 3)
    for fraction in (0.01, 0.9):
        kept, held = hold_out(np.arange(55), labels, fraction, np.random.default_rng(0))
        assert set(labels[kept]) == {0, 1, 2}
        assert set(labels[held]) == {0, 1, 2}


def test_split_of_pictures_sorted_by_class_is_drawn_all_over_each_class():
    """Not the first ones of each: neighbours are often alike."""
    labels = np.repeat([0, 1], 500)
    held = split(labels, {"train": (0, 1000)}, validation_fraction=0.2)["validation"]
    first_class = held[held < 500]
    assert first_class.mean() == pytest.approx(250, abs=50)
    assert len(np.unique(np.diff(first_class))) > 3


def test_split_that_would_have_no_pictures_is_left_out():
    """A fifth of one picture a class is none."""
    assert set(split([0, 1, 2], {"train": (0, 3)}, validation_fraction=0.2)) == {"train"}
    assert set(split([0, 1, 2], {"train": (0, 3), "test": (3, 3)})) == {"train"}


def test_missing_split_is_refused_with_the_ways_out():
    splits = split()
    with pytest.raises(
        InputError, match=r"'digits' has no validation split\. Either set data\.validation_fraction .* or use train"
    ):
        Division(LABELS, splits).indices("validation", "digits")
    assert np.array_equal(Division(LABELS, splits).indices("train", "digits"), splits["train"])


def test_names_of_the_splits_are_the_three_words():
    assert SPLITS == ("train", "validation", "test")
