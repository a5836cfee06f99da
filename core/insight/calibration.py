"""Whether a network is as sure as it is right, how to make it so, and what it costs to answer only where it is sure."""

from dataclasses import dataclass

import numpy as np

from core.insight.class_report import Share, wilson

BINS = 15  # as in Guo and others
HOTTEST = 20.0


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """By bins of confidence from 0 to 1, each (B,): the mean confidence, the share that is right (both NaN for none), and the images.

    ece: the expected calibration error, 0..1: the gap between the two, over the images (Guo and others, "On calibration of
    modern neural networks", 2017).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    ece: float


def reliability(confidence: np.ndarray, is_right: np.ndarray, bins: int = BINS) -> Reliability:
    """confidence: (N,) of the predicted class. Bins hold their upper edge."""
    confidence = confidence.astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(place, confidence, bins) / counts
        right = np.bincount(place, is_right, bins) / counts
    gaps = np.where(counts > 0, np.abs(means - right), 0.0)
    return Reliability(
        confidence=means, accuracy=right, counts=counts, ece=float((counts * gaps).sum() / max(1, len(confidence)))
    )


def at_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(N, K) probabilities, float64: softmax of the logits over the temperature."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    return powers / powers.sum(axis=1, keepdims=True)


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """The mean cross-entropy."""
    from scipy.special import logsumexp

    scaled = np.asarray(logits, np.float64) / temperature
    totals = np.asarray(logsumexp(scaled, axis=1))
    return float((totals - scaled[np.arange(len(labels)), labels]).mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 1/20 to 20, at which the labels are likeliest."""
    from scipy.optimize import minimize_scalar

    bound = np.log(HOTTEST)
    found = minimize_scalar(
        lambda logarithm: negative_log_likelihood(logits, labels, float(np.exp(logarithm))),
        bounds=(-bound, bound),
        method="bounded",
    )
    return float(np.exp(found.x))


def halves(labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions to fit on and positions to measure on, each class divided evenly."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return np.sort(order[::2]), np.sort(order[1::2])


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """A temperature fitted on one half of the images, and what it does to the other. before, after: on that half.

    held: (M,) positions of the other half; confidence: (M,) probability of the predicted class after scaling.
    """

    temperature: float
    before: Reliability
    after: Reliability
    nll_before: float
    nll_after: float
    num_fitted: int
    held: np.ndarray
    confidence: np.ndarray


def scale(logits: np.ndarray, labels: np.ndarray) -> Scaling | None:
    """None for fewer than two images."""
    if len(labels) < 2:
        return None
    fitted, held = halves(labels)
    temperature = fit_temperature(logits[fitted], labels[fitted])
    is_right = logits[held].argmax(axis=1) == labels[held]
    plain, scaled = (at_temperature(logits[held], t).max(axis=1) for t in (1.0, temperature))
    return Scaling(
        temperature=temperature,
        before=reliability(plain, is_right),
        after=reliability(scaled, is_right),
        nll_before=negative_log_likelihood(logits[held], labels[held]),
        nll_after=negative_log_likelihood(logits[held], labels[held], temperature),
        num_fitted=len(fitted),
        held=held,
        confidence=scaled,
    )


@dataclass(frozen=True)
class Answered:
    """coverage: the share of images that are answered; accuracy: of the answered ones, the share that is right."""

    coverage: Share
    accuracy: Share


def answered(confidence: np.ndarray, is_right: np.ndarray, threshold: float) -> Answered:
    """If only those are answered whose predicted class has at least this probability."""
    is_sure = confidence >= threshold
    count = int(is_sure.sum())
    return Answered(wilson(count, len(confidence)), wilson(int(is_right[is_sure].sum()), count))


def coverage_curve(confidence: np.ndarray, is_right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(thresholds, coverage, accuracy) for each distinct confidence, from the surest to all."""
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order].astype(np.float64)
    right = np.cumsum(is_right[order])
    last_of_equals = np.append(np.flatnonzero(np.diff(sorted_confidence)), len(order) - 1)[: len(order)]
    counts = last_of_equals + 1
    return sorted_confidence[last_of_equals], counts / max(1, len(order)), right[last_of_equals] / counts
