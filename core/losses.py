"""The losses there are: how wrong a network's outputs are of each image. A new one is a record below; the form, help and tests follow from it.

Whatever the loss, the softmax of a network's outputs are its probabilities: a loss that wants others compares those. How losses of
several images become one, with class weights and label smoothing, is in core/training/losses.py. torch is imported only once one is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossEntry:
    """of_each(outputs (N, K), targets (N, K)) returns (N,) losses; a target's shares of the classes sum to 1.

    num_classes: that it is for, None for any number.
    """

    name: str
    summary: str
    of_each: Callable[["Tensor", "Tensor"], "Tensor"]
    num_classes: int | None = None


def _cross_entropy(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return -(targets * outputs.log_softmax(dim=1)).sum(dim=1)


def _binary_cross_entropy(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    from torch.nn import functional as F

    return F.binary_cross_entropy_with_logits(outputs[:, 1] - outputs[:, 0], targets[:, 1], reduction="none")


def _mean_squared_error(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return (outputs.softmax(dim=1) - targets).square().mean(dim=1)


def _mean_absolute_error(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return (outputs.softmax(dim=1) - targets).abs().mean(dim=1)


LOSSES = {
    record.name: record
    for record in (
        LossEntry(
            name="cross-entropy",
            summary="The logarithm of what the true class is given: what classifiers are trained with.",
            of_each=_cross_entropy,
        ),
        LossEntry(
            name="binary cross-entropy",
            summary="For two classes: the sigmoid of the difference of the two outputs against 0 or 1, which comes to cross-entropy.",
            of_each=_binary_cross_entropy,
            num_classes=2,
        ),
        LossEntry(
            name="mse",
            summary="The mean squared error of the probabilities against one-hot targets (the Brier score over the number of classes).",
            of_each=_mean_squared_error,
        ),
        LossEntry(
            name="l1",
            summary="The mean absolute error of the probabilities against one-hot targets: bears wrong labels, learns slowly.",
            of_each=_mean_absolute_error,
        ),
    )
}
