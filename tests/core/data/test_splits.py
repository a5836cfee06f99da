"""Splits: as delivered, or held out class by class, seeded, and never one image in two."""

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
    """A fifth of one image a class is none."""
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


# --- duplicates and edits


def grouped(seed: int, size: int = 600) -> np.ndarray:
    """(size,) groups of one to nine images, anywhere in the set."""
    random = np.random.default_rng(seed)
    groups = np.arange(size)
    for _ in range(60):
        members = np.sort(random.choice(size, random.integers(2, 10), replace=False))
        groups[members] = groups[members].min()
    for _ in range(10):  # until each points at the first of its own
        groups = groups[groups]
    return groups


def splits_with(groups, labels=LABELS[:600], delivered=None, kept=None, **settings):
    delivered = delivered or {"train": (0, len(labels))}
    return split_indices(np.asarray(labels), delivered, DataConfig(**settings), kept, groups)


@pytest.mark.parametrize("seed", range(8))
def test_duplicates_are_never_drawn_apart(seed):
    groups = grouped(seed)
    splits = splits_with(groups, validation_fraction=0.2, test_fraction=0.2, split_seed=seed)
    sides = [set(groups[indices]) for indices in splits.values()]
    assert len(splits) == 3
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(np.unique(groups))
    assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(600))


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_share_held_out_is_near_what_was_asked_for_though_duplicates_stay_together(fraction):
    held = splits_with(grouped(1), validation_fraction=fraction)["validation"]
    assert abs(len(held) - 600 * fraction) < 60


def test_set_of_one_picture_many_times_keeps_both_sides():
    labels = np.repeat([0, 1], 20)
    groups = np.where(labels == 0, 0, np.arange(40))
    splits = splits_with(groups, labels, validation_fraction=0.5)
    assert set(labels[splits["train"]]) == {0, 1}, "a class that can't be divided stays in training"
    assert set(labels[splits["validation"]]) == {1}


def test_shares_divide_all_pictures_anew_whatever_was_delivered():
    delivered = {"train": (0, 300), "validation": (300, 400), "test": (400, 600)}
    splits = splits_with(np.arange(600), delivered=delivered, split_by="shares", test_fraction=0.2, validation_fraction=0.1)
    assert {name: len(indices) for name, indices in splits.items()} == pytest.approx(
        {"train": 420, "test": 120, "validation": 60}, abs=6
    )
    assert splits["test"].min() < 300
    again = splits_with(np.arange(600), delivered=delivered, split_by="shares", test_fraction=0.2, validation_fraction=0.1)
    assert all(np.array_equal(indices, again[name]) for name, indices in splits.items())


def test_shares_of_nothing_make_all_of_it_training():
    splits = splits_with(np.arange(600), delivered={"train": (0, 300), "test": (300, 600)}, split_by="shares")
    assert list(splits) == ["train"]
    assert len(splits["train"]) == 600


def test_pictures_left_out_are_in_no_split_and_the_shares_are_of_the_rest():
    kept = np.ones(600, bool)
    kept[::3] = False
    for delivered in ({"train": (0, 600)}, {"train": (0, 400), "test": (400, 600)}):
        splits = splits_with(grouped(2), delivered=delivered, kept=kept, validation_fraction=0.25)
        assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), np.flatnonzero(kept))
    assert len(splits_with(np.arange(600), kept=kept, validation_fraction=0.25)["validation"]) == pytest.approx(100, abs=5)


def test_split_whose_pictures_are_all_left_out_is_drawn_if_a_share_is_given():
    kept = np.arange(600) < 400
    delivered = {"train": (0, 400), "test": (400, 600)}
    assert list(splits_with(np.arange(600), delivered=delivered, kept=kept)) == ["train"]
    assert len(splits_with(np.arange(600), delivered=delivered, kept=kept, test_fraction=0.5)["test"]) == pytest.approx(
        200, abs=5
    )


def test_everything_left_out_is_no_split_at_all():
    assert splits_with(np.arange(600), kept=np.zeros(600, bool), validation_fraction=0.2) == {}


def test_corrected_labels_decide_what_is_held_out_of_each_class():
    labels = np.zeros(100, int)
    labels[:10] = 1
    held = split(labels, {"train": (0, 100)}, validation_fraction=0.2)["validation"]
    assert np.bincount(labels[held]).tolist() == [18, 2]
    labels[:50] = 1
    held = split(labels, {"train": (0, 100)}, validation_fraction=0.2)["validation"]
    assert np.bincount(labels[held]).tolist() == [10, 10]
