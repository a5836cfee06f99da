"""Splits: as delivered, or held out class by class, seeded, and never one image in two."""

import hashlib
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from core.config import DataConfig
from core.data.splits import SPLITS, Division, hold_out, in_order_of_keys, split_indices
from core.errors import InputError
from tests.fixtures.real_data import real_data

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
        kept, held = hold_out(np.arange(55), labels, fraction, in_order_of_keys(0, "test", [str(n) for n in range(55)]))
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


# --- an image keeps its side

LARGE = np.random.default_rng(0).choice(8, 4000, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
FACES = np.repeat(np.arange(40), 10)
KEYS = [f"train/{n // 7}/image {n}.png" for n in range(4000)]


def same(before: dict[str, np.ndarray], after: dict[str, np.ndarray], split: str) -> float:
    """Which share of those held out before is still."""
    return len(np.intersect1d(before[split], after[split])) / len(before[split])


@pytest.mark.parametrize("labels", [LABELS, LARGE, FACES], ids=["digits", "eight classes", "forty classes of ten"])
@pytest.mark.parametrize(
    "settings", [{"validation_fraction": 0.2}, {"split_by": "shares", "validation_fraction": 0.2, "test_fraction": 0.1}]
)
def test_edits_move_hardly_an_image_that_was_not_edited(labels, settings):
    """Found by hand: after 1 relabelled and 2 left out, 84 of 120 were the same."""
    config, bounds, random = DataConfig(**settings), {"train": (0, len(labels))}, np.random.default_rng(1)
    before = split_indices(labels, bounds, config, keys=KEYS[: len(labels)])
    for _ in range(20):
        edited, kept = labels.copy(), np.ones(len(labels), bool)
        relabelled, *out = random.choice(len(labels), 3, replace=False)
        edited[relabelled] = (edited[relabelled] + 1) % (labels.max() + 1)
        kept[out] = False
        after = split_indices(edited, bounds, config, kept, keys=KEYS[: len(labels)])
        for split in set(before) - {"train"}:
            assert same(before, after, split) >= (0.97 if len(before[split]) > 100 else 0.9)
            newly = set(after[split]) - set(before[split])
            assert len(newly) <= 4, "one for each that went, and one for a share that is rounded otherwise"


@pytest.mark.real_data
def test_ants_and_bees_keep_their_sides_by_their_files():
    root = real_data("hymenoptera")
    files = sorted(str(path.relative_to(root)) for path in (root / "train").rglob("*.jpg"))
    labels = np.array(["/bees/" in file for file in files], int)
    config = DataConfig(validation_fraction=0.25)
    before = split_indices(labels, {"train": (0, len(files))}, config, keys=files)
    edited, kept = labels.copy(), np.arange(len(files)) >= 2
    edited[before["validation"][5]] = 1
    after = split_indices(edited, {"train": (0, len(files))}, config, kept, keys=files)
    assert same(before, after, "validation") >= 0.97
    removed = [file for n, file in enumerate(files) if n % 40]  # files taken away do not shift the others either
    third = split_indices(labels[[n for n in range(len(files)) if n % 40]], {"train": (0, len(removed))}, config, keys=removed)
    here = {removed[n] for n in third["validation"]}
    still = [file for file in (files[n] for n in before["validation"]) if file in removed]
    assert len(here.intersection(still)) / len(still) >= 0.95


def test_copies_stay_with_the_first_of_them_also_where_that_is_left_out():
    groups = np.arange(600)
    groups[[17, 230, 431]] = 17
    without = np.arange(600) != 17
    for seed in range(20):
        before, after = (splits_with(groups, kept=kept, validation_fraction=0.5, split_seed=seed) for kept in (None, without))
        assert np.isin([230, 431], before["validation"]).tolist() == np.isin([230, 431], after["validation"]).tolist()


def test_sides_of_the_splits_and_of_seeds_have_nothing_to_do_with_each_other():
    """Half of each half, were it tossed."""
    test = split(validation_fraction=0, test_fraction=0.5)["test"]
    validation = split(validation_fraction=0.5)["validation"]
    assert len(np.intersect1d(test, validation)) == pytest.approx(len(LABELS) / 4, rel=0.15)


OLD = [  # of the rule before, by the code before
    ({"validation_fraction": 0.2}, "de7d0732e4eaddaf", "fa5b431377b0bcda"),
    ({"validation_fraction": 0.1, "test_fraction": 0.2, "split_seed": 7}, "c9453caca0f7e2b5", "4d77aa59dfad9dac"),
    (
        {"split_by": "shares", "validation_fraction": 0.1, "test_fraction": 0.2, "split_seed": 3},
        "077f81bc7aac00dd",
        "e085b36debc8435b",
    ),
]


@pytest.mark.parametrize(("settings", "plain", "with_copies"), OLD)
def test_run_of_before_is_divided_as_it_was(settings, plain, with_copies):
    def digest(splits: dict[str, np.ndarray]) -> str:
        return hashlib.sha256(b"".join(n.encode() + splits[n].astype("<i8").tobytes() for n in sorted(splits))).hexdigest()[:16]

    assert digest(split(**settings, split_rule="drawn")) == plain
    assert digest(splits_with(grouped(1), **settings, split_rule="drawn")) == with_copies


def test_sixty_thousand_images_are_divided_in_a_moment():
    labels = np.arange(60_000) % 10
    keys = [f"train/{n % 10}/{n}.png" for n in range(60_000)]
    config = DataConfig(validation_fraction=0.2, test_fraction=0.1)
    began = time.process_time()
    split_indices(labels, {"train": (0, 60_000)}, config, keys=keys)
    assert time.process_time() - began < 1  # 0.2 s, of which half are checksums
