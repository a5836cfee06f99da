"""Drawn splits: a class that one of them lacks is told; what the set delivers is told by its report."""

import numpy as np
import pytest

from core.config import DataConfig
from core.data.drawn_splits import lacking
from core.data.splits import Division, split_indices

NAMES = ("forest", "sea", "street")


def drawn(labels: list[int], delivered: dict[str, tuple[int, int]] | None = None, groups=None, **settings) -> list[str]:
    config = DataConfig(**settings)
    delivered = delivered or {"train": (0, len(labels))}
    array = np.array(labels)
    division = Division(array, split_indices(array, delivered, config, groups=groups), NAMES)
    return lacking(division, delivered if config.split_by == "delivered" else ())


def test_class_of_one_image_is_told_to_be_missing_in_validation_and_how_many_it_has():
    assert drawn([0] * 10 + [1] + [2] * 10, validation_fraction=0.2) == [
        "'sea' has no images in the drawn validation split. It has one image in all. How well it is recognised is not known."
    ]


def test_class_whose_images_are_all_copies_is_told_without_a_count():
    groups = np.array([*range(10), 10, 10, 10, *range(13, 23)])
    assert drawn([0] * 10 + [1] * 3 + [2] * 10, groups=groups, validation_fraction=0.2) == [
        "'sea' has no images in the drawn validation split. How well it is recognised is not known."
    ]


def test_several_classes_are_told_at_once_and_each_split_by_itself():
    found = drawn([0] * 10 + [1] + [2], split_by="shares", validation_fraction=0.2, test_fraction=0.2)
    assert [sentence.split(". ")[0] for sentence in found] == [
        "'sea', 'street' have no images in the drawn test split",
        "'sea', 'street' have no images in the drawn validation split",
    ]


def test_class_that_only_a_delivered_split_has_is_told_to_be_missing_in_what_is_learned():
    found = drawn([0] * 10 + [2] * 10 + [1], {"train": (0, 20), "test": (20, 21)}, validation_fraction=0.2)
    assert found[0] == "'sea' has no images in the drawn train split. It has one image in all. Nothing of it is learned."


@pytest.mark.parametrize("settings", [{}, {"validation_fraction": 0.2}])
def test_nothing_is_told_where_every_class_is_everywhere_or_nothing_is_drawn(settings):
    assert drawn([0, 1, 2] * 10, **settings) == []
    assert drawn([0, 2] * 5 + [1], {"train": (0, 10), "test": (10, 11)}) == []
