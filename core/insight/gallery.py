"""Which of the evaluated images to look at: mistakes, doubts, luck, and how they were learned; by class or by pair of classes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.insight.learning import Kind, Learning
from core.training.events import Predictions

Choice = (
    Literal["all", "mistakes", "highest loss", "least certain", "certain and wrong", "right by luck", "suspicious labels"] | Kind
)
BY_LUCK = 0.5  # right with less probability than this


@dataclass(frozen=True)
class Wanted:
    """true, predicted: class numbers, None for any."""

    choice: Choice = "mistakes"
    true: int | None = None
    predicted: int | None = None


def select(wanted: Wanted, predictions: Predictions, labels: np.ndarray, learning: Learning | None = None) -> np.ndarray:
    """Positions among the evaluated images, those to look at first in front. learning: for choices about several epochs."""
    is_right = predictions.predicted == labels
    confidence = predictions.confidence.astype(np.float64)
    loss = -np.log(np.maximum(predictions.true_probability.astype(np.float64), 1e-12))
    fits, order = np.ones(len(labels), bool), np.arange(len(labels), dtype=np.float64)
    match wanted.choice:
        case "mistakes":
            fits, order = ~is_right, -loss
        case "highest loss":
            order = -loss
        case "least certain":
            order = confidence
        case "certain and wrong":
            fits, order = ~is_right, -confidence
        case "right by luck":
            fits, order = is_right & (confidence < BY_LUCK), confidence
        case "suspicious labels":
            order = -(learning.suspicion if learning else loss)
        case "early" | "late" | "forgotten" | "never":
            assert learning is not None, "needs the records of several epochs"
            fits = learning.of_kind(wanted.choice)
            order = -learning.forgotten if wanted.choice == "forgotten" else -learning.suspicion
    if wanted.true is not None:
        fits &= labels == wanted.true
    if wanted.predicted is not None:
        fits &= predictions.predicted == wanted.predicted
    found = np.flatnonzero(fits)
    return found[np.argsort(order[found], kind="stable")]
