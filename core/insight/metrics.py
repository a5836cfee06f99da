"""Confusions drawn from prediction records. Takes arrays, returns arrays; reads no files."""

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """(K, K) counts, row = true class, column = predicted. Rows sum to the class sizes."""
    flat = labels.astype(np.int64) * num_classes + predicted.astype(np.int64)
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_among(labels: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(k, k) counts among some classes, in their order; images of or taken for others are left out."""
    place = np.full(max(int(labels.max(initial=0)), int(predicted.max(initial=0)), int(classes.max(initial=0))) + 1, -1)
    place[classes] = np.arange(len(classes))
    true, answer = place[labels], place[predicted]
    inside = (true >= 0) & (answer >= 0)
    return confusion_matrix(true[inside], answer[inside], len(classes))


def most_confused_pairs(labels: np.ndarray, predicted: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """(true class, predicted class, times) of the most frequent confusions, the most frequent first. Linear in the images."""
    wrong = labels != predicted
    pairs, times = np.unique(np.stack([labels[wrong], predicted[wrong]]).astype(np.int64), axis=1, return_counts=True)
    order = np.argsort(-times, kind="stable")[:count]
    return [(int(pairs[0, i]), int(pairs[1, i]), int(times[i])) for i in order]


def most_mistaken(labels: np.ndarray, predicted: np.ndarray, num_classes: int, count: int) -> np.ndarray:
    """The classes with the most mistakes, of them or for them, in their order."""
    wrong = labels != predicted
    mistakes = np.bincount(labels[wrong], minlength=num_classes) + np.bincount(predicted[wrong], minlength=num_classes)
    return np.sort(np.argsort(-mistakes, kind="stable")[:count])


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
