"""How each image was learned, from the records of all epochs: when, how lastingly, or never.

After Toneva and others, "An empirical study of example forgetting during deep neural network learning" (2019): an image is
forgotten where it was right after one epoch and wrong after the next.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.training.events import Predictions

Kind = Literal["early", "late", "forgotten", "never"]


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Of N images over E epochs after the first. learned_at: (N,) the epoch after which the image was right first, 0 for never.
    forgotten: (N,) times. suspicion: (N,) 0..1, the mean probability that its label was denied; high where the label may be wrong.
    """

    epochs: list[int]
    learned_at: np.ndarray
    forgotten: np.ndarray
    is_right: np.ndarray
    suspicion: np.ndarray

    def of_kind(self, kind: Kind) -> np.ndarray:
        """(N,) bool. Early and late: right at last and never forgotten, first in the earlier or the later half of the epochs."""
        lasting = self.is_right & (self.forgotten == 0)
        half = self.epochs[(len(self.epochs) - 1) // 2] if self.epochs else 0
        match kind:
            case "early":
                return lasting & (self.learned_at <= half)
            case "late":
                return lasting & (self.learned_at > half)
            case "forgotten":
                return self.forgotten > 0
            case "never":
                return self.learned_at == 0


def learning_of(records: dict[int, Predictions], labels: np.ndarray) -> Learning:
    """records: by epoch; that of the untrained network, 0, does not count. labels: (N,) true classes."""
    epochs = sorted(epoch for epoch in records if epoch > 0)
    learned_at, forgotten = np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64)
    was_right, denied = np.zeros(len(labels), bool), np.zeros(len(labels))
    for epoch in epochs:
        record = records[epoch]
        is_right = record.predicted == labels
        learned_at[is_right & (learned_at == 0)] = epoch
        forgotten += was_right & ~is_right
        was_right = is_right
        denied += 1 - record.true_probability.astype(np.float64)
    return Learning(
        epochs=epochs, learned_at=learned_at, forgotten=forgotten, is_right=was_right, suspicion=denied / max(1, len(epochs))
    )
