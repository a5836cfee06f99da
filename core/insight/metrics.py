"""Figures drawn from prediction records: confusion matrix, per-class figures. Takes arrays, returns arrays; reads no files."""

from dataclasses import dataclass

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(K, K) counts, row = true class, column = predicted. Rows sum to the class sizes."""
    flat = labels.astype(np.int64) * num_classes + predicted.astype(np.int64)
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class ClassFigures:
    """Each (K,): recall, the share of a class that was predicted right (its accuracy), precision and F1 in 0..1, NaN where
    there is nothing to divide by; support, the pictures of the class."""

    recall: np.ndarray
    precision: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_figures(confusion: np.ndarray) -> ClassFigures:
    right = np.diag(confusion).astype(np.float64)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):
        recall, precision = right / support, right / predicted
        f1 = 2 * right / (support + predicted)
    return ClassFigures(recall, precision, f1, support)


def most_confused(confusion: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """(true class, predicted class, times) of the most frequent confusions, the most frequent first."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = ((*divmod(int(i), len(wrong)), int(wrong.flat[i])) for i in order)
    return [pair for pair in pairs if pair[2] > 0]


def similarity_order(confusion: np.ndarray) -> np.ndarray:
    """The classes in an order that puts those side by side that are taken for one another: leaves of a tree of average linkage."""
    count = len(confusion)
    if count < 3:
        return np.arange(count)
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    distance = 1 - (share + share.T) / 2
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    return leaves_list(
        optimal_leaf_ordering(linkage(condensed, "average"), condensed) if count <= 200 else linkage(condensed, "average")
    )
