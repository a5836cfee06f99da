"""Per-class and overall figures of an evaluation with their uncertainty."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.wording import escaped_cell

Z_95 = 1.959963984540054  # the standard normal's 97.5 % point


@dataclass(frozen=True)
class Share:
    """value: right / total, NaN of nothing. low, high: the 95 % confidence interval of Wilson (1927)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """f1: NaN where the class neither occurs nor was predicted."""

    name: str
    recall: Share
    precision: Share
    f1: float
    support: int


@dataclass(frozen=True)
class Means:
    """Of recall, precision and F1 over the classes that occur or were predicted; 0 where a figure has nothing to divide by, as in scikit-learn."""

    recall: float
    precision: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """macro: every class counts the same. weighted: by its number of images."""

    accuracy: Share
    rows: list[ClassRow]
    macro: Means
    weighted: Means


def wilson(right: int, total: int) -> Share:
    """A share with its 95 % interval: of 100 such intervals, each from a sample of its own, 95 hold the true value."""
    if total == 0:
        return Share(float("nan"), float("nan"), float("nan"))
    share = right / total
    denominator = 1 + Z_95**2 / total
    middle = (share + Z_95**2 / (2 * total)) / denominator
    half = Z_95 * np.sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2)) / denominator
    return Share(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def class_report(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> ClassReport:
    """labels, predicted: (N,) class numbers. Nothing grows with the square of the classes."""
    count = len(names)
    right = np.bincount(labels[labels == predicted], minlength=count)
    support, answered = np.bincount(labels, minlength=count), np.bincount(predicted, minlength=count)
    with np.errstate(invalid="ignore"):
        columns = right / support, right / answered, 2 * right / (support + answered)
    f1 = columns[2].tolist()
    rows = [
        ClassRow(name=name, recall=wilson(r, s), precision=wilson(r, a), f1=f, support=s)
        for name, r, s, a, f in zip(names, right.tolist(), support.tolist(), answered.tolist(), f1, strict=True)
    ]
    occurs = support + answered > 0
    means = [np.nan_to_num(column)[occurs] for column in columns]
    weights = support[occurs]
    return ClassReport(
        accuracy=wilson(int(right.sum()), len(labels)),
        rows=rows,
        macro=Means(*(float(column.mean()) if len(column) else 0.0 for column in means)),
        weighted=Means(*(float(np.average(column, weights=weights)) if len(column) else 0.0 for column in means)),
    )


TOP = 3


def top_accuracy(rank: np.ndarray | None, num_classes: int) -> Share | None:
    """The share of images whose true class is among the three likeliest. rank: (N,) classes held likelier than the true one.

    None where ranks were not recorded, or three are all classes.
    """
    if rank is None or num_classes <= TOP:
        return None
    return wilson(int((rank < TOP).sum()), len(rank))


def as_csv(report: ClassReport) -> str:
    """One row a class, shares from 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["class", "recall", "recall_low", "recall_high", "precision", "precision_low", "precision_high", "f1", "support"]
    )
    for row in report.rows:
        figures = (
            row.recall.value,
            row.recall.low,
            row.recall.high,
            row.precision.value,
            row.precision.low,
            row.precision.high,
            row.f1,
        )
        writer.writerow([escaped_cell(row.name), *(f"{value:.6f}" for value in figures), row.support])
    return text.getvalue()
