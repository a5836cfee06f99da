"""Confusion matrix and per-class figures against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from core.insight.metrics import (
    confusion_among,
    confusion_matrix,
    most_confused_pairs,
    most_mistaken,
    similarity_order,
)


def random_answers(seed: int, num_classes: int, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions that are right about half the time."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, count)
    guesses = random.integers(0, num_classes, count)
    return labels, np.where(random.random(count) < 0.5, labels, guesses)


CASES = [(0, 2), (1, 3), (2, 10), (3, 100)]


@pytest.mark.parametrize(("seed", "num_classes"), CASES)
def test_confusion_matrix_is_scikit_learn_s(seed, num_classes):
    labels, predicted = random_answers(seed, num_classes)
    expected = metrics.confusion_matrix(labels, predicted, labels=range(num_classes))
    assert np.array_equal(confusion_matrix(labels, predicted.astype(np.uint8), num_classes), expected)


@pytest.mark.parametrize(("seed", "num_classes"), CASES)
def test_rows_sum_to_the_class_sizes_and_the_diagonal_to_the_right_answers(seed, num_classes):
    labels, predicted = random_answers(seed, num_classes)
    confusion = confusion_matrix(labels, predicted, num_classes)
    assert np.array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=num_classes))
    assert np.array_equal(confusion.sum(axis=0), np.bincount(predicted, minlength=num_classes))
    assert np.trace(confusion) == (labels == predicted).sum()


def answers_of(confusion: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions that come to this matrix."""
    places = np.array([(t, p) for t, row in enumerate(confusion) for p, count in enumerate(row) for _ in range(count)])
    return places[:, 0], places[:, 1]


def test_most_frequent_confusions_come_first_and_right_answers_never():
    labels, predicted = answers_of([[90, 3, 0], [7, 50, 0], [1, 0, 99]])
    assert most_confused_pairs(labels, predicted, 2) == [(1, 0, 7), (0, 1, 3)]
    assert most_confused_pairs(labels, predicted, 10) == [(1, 0, 7), (0, 1, 3), (2, 0, 1)]
    assert most_confused_pairs(*answers_of([[5, 0], [0, 5]]), 3) == []


def test_matrix_among_some_classes_leaves_the_others_out():
    labels, predicted = answers_of([[9, 3, 0], [7, 5, 2], [1, 0, 4]])
    assert confusion_among(labels, predicted, np.array([1, 0])).tolist() == [[5, 7], [3, 9]]
    assert np.array_equal(confusion_among(labels, predicted, np.arange(3)), confusion_matrix(labels, predicted, 3))
    assert most_mistaken(labels, predicted, 3, 2).tolist() == [0, 1]


def test_classes_taken_for_one_another_stand_side_by_side():
    confusion = np.eye(6, dtype=int) * 50
    for one, other in ((0, 5), (1, 3), (2, 4)):
        confusion[one, other] = confusion[other, one] = 20
    order = similarity_order(confusion).tolist()
    assert all(abs(order.index(one) - order.index(other)) == 1 for one, other in ((0, 5), (1, 3), (2, 4)))


def test_classes_beyond_256_are_counted():
    labels = np.arange(300)
    confusion = confusion_matrix(labels, labels.astype(np.uint16), 300)
    assert np.array_equal(confusion, np.eye(300, dtype=int))
