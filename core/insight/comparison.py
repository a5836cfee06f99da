"""Two runs on the same images: which were fixed, which broken, and whether chance alone would do that.

Which images two runs have in common is told by the stores they learned from; what they said of them by their records.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import binomtest

from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.insight.class_report import Share, wilson
from core.insight.run_results import EvaluatedImages, evaluated_after, store_of
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.records import evaluated_images
from core.training.events import Started
from core.wording import counted, percent
from core.workspace import Workspace

TOLD_APART = 0.05  # below this probability a difference is not put down to chance
LEAST_SAID = 0.0001


@dataclass(frozen=True, kw_only=True)
class Matching:
    """The N images that both runs were evaluated on, with the same true class. in_a, in_b: (N,) their positions among each run's
    evaluated images. labels: (N,) true classes, numbers in names. of_a, of_b: what each run's class numbers are there.

    num_a, num_b: images that each was evaluated on. num_relabelled: in common, but with another true class, and so left out.
    """

    in_a: np.ndarray
    in_b: np.ndarray
    labels: np.ndarray
    names: list[str]
    of_a: np.ndarray
    of_b: np.ndarray
    num_a: int
    num_b: int
    num_relabelled: int


def match(workspace: Workspace, a: Run, b: Run) -> Matching:
    """The images that both were evaluated on. Raises InputError where that can't be told, or where there are none."""
    started_a, started_b = (_started(run) for run in (a, b))
    (indices_a, labels_a), (indices_b, labels_b) = (_evaluated(run) for run in (a, b))
    names = list(dict.fromkeys([*started_a.class_names, *started_b.class_names]))
    number = {name: k for k, name in enumerate(names)}
    of_a, of_b = (np.array([number[name] for name in started.class_names]) for started in (started_a, started_b))
    _check_classes(a, labels_a, of_a)
    _check_classes(b, labels_b, of_b)
    if started_a.pictures and started_a.pictures == started_b.pictures:
        in_a, in_b = _common(indices_a, indices_b)
    else:
        in_a, in_b = _common_of_stores(_store(workspace, a), indices_a, _store(workspace, b), indices_b)
    if not len(in_a):
        raise InputError(
            f"No image was evaluated by both: {_evaluated_on(started_a)} here, {_evaluated_on(started_b)} there.",
            code="comparison",
        )
    same = of_a[labels_a[in_a]] == of_b[labels_b[in_b]]
    if not same.any():
        raise InputError("Their images are the same, but not one has the same true class in both runs.", code="comparison")
    in_a, in_b = in_a[same], in_b[same]
    return Matching(
        in_a=in_a,
        in_b=in_b,
        labels=of_a[labels_a[in_a]],
        names=names,
        of_a=of_a,
        of_b=of_b,
        num_a=len(labels_a),
        num_b=len(labels_b),
        num_relabelled=int((~same).sum()),
    )


@dataclass(frozen=True)
class Answers:
    """What one run said of N images. predicted: (N,) class numbers. confidence, true_probability: (N,) float64."""

    predicted: np.ndarray
    confidence: np.ndarray
    true_probability: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Two runs, each after one epoch, on the images of their matching. b is held against a: fixed means right in b only."""

    matching: Matching
    a: Answers
    b: Answers

    @cached_property
    def is_right_a(self) -> np.ndarray:
        return self.a.predicted == self.matching.labels

    @cached_property
    def is_right_b(self) -> np.ndarray:
        return self.b.predicted == self.matching.labels

    @property
    def count(self) -> int:
        return len(self.matching.labels)

    @cached_property
    def fixed(self) -> np.ndarray:
        """Places of images that a gets wrong and b right; where the true class has won most probability in front."""
        return self._ordered(~self.is_right_a & self.is_right_b, 1)

    @cached_property
    def broken(self) -> np.ndarray:
        """Places of images that a gets right and b wrong; where the true class has lost most probability in front."""
        return self._ordered(self.is_right_a & ~self.is_right_b, -1)

    def _ordered(self, fits: np.ndarray, sign: int) -> np.ndarray:
        found = np.flatnonzero(fits)
        gained = sign * (self.b.true_probability[found] - self.a.true_probability[found])
        return found[np.argsort(-gained, kind="stable")]

    @cached_property
    def p_value(self) -> float:
        """McNemar's test, exact: were both equally good, how likely fixed and broken are to differ this much or more."""
        return mcnemar(len(self.fixed), len(self.broken))

    @cached_property
    def difference(self) -> Share:
        """Accuracy of b less that of a, -1..1, with its interval."""
        both = int((self.is_right_a & self.is_right_b).sum())
        return paired_difference(both, len(self.fixed), len(self.broken), self.count)


def compared(matching: Matching, a: EvaluatedImages, b: EvaluatedImages) -> Comparison:
    """a, b: what each run said of all images it was evaluated on. Raises InputError if a record speaks of unknown classes."""
    return Comparison(matching, _answers(a, matching.in_a, matching.of_a), _answers(b, matching.in_b, matching.of_b))


def evaluated(run: Run, epoch: int) -> EvaluatedImages:
    """As evaluated_after; raises InputError where the record is missing or damaged."""
    found = evaluated_after(run, epoch)
    if found is None:
        raise InputError(f"The record of what {run.id} said after epoch {epoch} is missing or damaged.", code="comparison")
    return found


def mcnemar(fixed: int, broken: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947): a fair coin thrown once for each image that only one gets right."""
    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def paired_difference(both: int, fixed: int, broken: int, count: int) -> Share:
    """Accuracy gained on the same images with its 95 % interval: Newcombe's method 10 (1998), of Wilson's intervals."""
    neither = count - both - fixed - broken
    a, b = wilson(both + broken, count), wilson(both + fixed, count)
    sides = (both + broken) * (fixed + neither) * (both + fixed) * (broken + neither)
    covered = both * neither - fixed * broken
    if covered > 0:
        covered = max(covered - count / 2, 0)
    phi = covered / sides**0.5 if sides else 0.0
    down, up = b.value - b.low, b.high - b.value
    down_a, up_a = a.value - a.low, a.high - a.value
    low = (down**2 - 2 * phi * down * up_a + up_a**2) ** 0.5
    high = (up**2 - 2 * phi * up * down_a + down_a**2) ** 0.5
    value = (fixed - broken) / count
    return Share(value, max(-1.0, value - low), min(1.0, value + high))


@dataclass(frozen=True, kw_only=True)
class ClassChange:
    """One class: its images among those compared, the share that each run gets right, and how many were fixed and broken."""

    name: str
    support: int
    accuracy_a: float
    accuracy_b: float
    fixed: int
    broken: int


def by_class(comparison: Comparison) -> list[ClassChange]:
    """Of the classes that occur, in their order."""
    labels, names = comparison.matching.labels, comparison.matching.names

    def count(places: np.ndarray) -> list[int]:
        return np.bincount(labels[places], minlength=len(names)).tolist()

    everything = np.arange(len(labels))
    columns = (
        everything,
        np.flatnonzero(comparison.is_right_a),
        np.flatnonzero(comparison.is_right_b),
        comparison.fixed,
        comparison.broken,
    )
    return [
        ClassChange(
            name=name, support=support, accuracy_a=right_a / support, accuracy_b=right_b / support, fixed=fixed, broken=broken
        )
        for name, support, right_a, right_b, fixed, broken in zip(names, *map(count, columns), strict=True)
        if support
    ]


def verdict(comparison: Comparison, a: str, b: str, is_seed_alone: bool = False) -> str:
    """Whether the two can be told apart, and which is better, in words. a, b: what the runs are called.

    is_seed_alone: nothing but the seed was set otherwise. Networks of two seeds may well differ on the same images by more than
    the choice of images would bring (two in five pairs of `mnist-first-cnn` do); their configurations never do.
    """
    if comparison.p_value >= TOLD_APART:
        return f"{a} and {b} can't be told apart by these images."
    better, worse = (b, a) if len(comparison.fixed) > len(comparison.broken) else (a, b)
    if is_seed_alone:
        return (
            f"The configurations of {a} and {b} can't be told apart: they are the same but for the seed. "
            f"The network that came of {better} is better than that of {worse}, beyond the chance of images."
        )
    return f"{better} is better than {worse}, beyond chance."


def evidence(comparison: Comparison, a: str, b: str) -> str:
    """By how much they differ, and how often chance would bring that, as two sentences."""
    fixed, broken, count, p = len(comparison.fixed), len(comparison.broken), comparison.count, comparison.p_value
    right_a, right_b = int(comparison.is_right_a.sum()), int(comparison.is_right_b.sum())
    digits = 2 if count >= 2000 else 1
    share_a, share_b = percent(right_a / count, digits), percent(right_b / count, digits)
    if not fixed + broken:
        return f"Both are right in the same {right_a:,} of {counted(count, 'image')} ({share_a}), and wrong in the same others."
    changed = f"{fixed:,} {'was' if fixed == 1 else 'were'} fixed, {broken:,} broken"
    if right_a == right_b:
        first = f"Both are right in equally many of {counted(count, 'image')} ({share_a}): {changed}."
    else:
        word, by = ("more", right_b - right_a) if right_b > right_a else ("fewer", right_a - right_b)
        noun = "image" if by == 1 else "images"
        first = f"{b} is right in {by:,} {word} {noun} of {count:,} than {a} ({share_b} against {share_a}): {changed}."
    return f"{first} Were both equally good, chance alone would bring a difference this large {_how_often(p)} ({_p_in_words(p)})."


def _how_often(p: float) -> str:
    if p < LEAST_SAID:
        return "in less than 1 of 10,000 such comparisons"
    if p < 0.01:
        return f"in 1 of {round(1 / p):,} such comparisons"
    return f"in {100 * p:.2g} of 100 such comparisons" if p < 0.995 else "nearly every time"


def _p_in_words(p: float) -> str:
    if p < LEAST_SAID:
        return f"McNemar's exact test, p < {LEAST_SAID:.4f}"
    return f"McNemar's exact test, p = {p:.{6 if abs(p - TOLD_APART) < 0.001 else 3}g}"


def _started(run: Run) -> Started:
    started = history_of(run).started
    if started is None:
        raise InputError(f"{run.id} has not begun yet, so there is nothing to compare.", code="comparison")
    return started


def _evaluated(run: Run) -> tuple[np.ndarray, np.ndarray]:
    try:
        return evaluated_images(run)
    except (OSError, ValueError, IndexError, EOFError) as error:
        raise InputError(f"The records of {run.id} are damaged, so its images can't be compared.", code="comparison") from error


def _check_classes(run: Run, labels: np.ndarray, of: np.ndarray) -> None:
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(of):
        raise InputError(f"The records of {run.id} name classes that it does not have.", code="comparison")


def _store(workspace: Workspace, run: Run) -> ImageStore:
    store = store_of(workspace, run)
    if store is None:
        raise InputError(
            f"The two were not evaluated on images known to be the same, and those of {run.id} are not on this machine to be compared.",
            code="comparison",
        )
    return store


def _common(keys_a: np.ndarray, keys_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in each at which the same keys stand, in the order of the keys."""
    _, in_a, in_b = np.intersect1d(keys_a, keys_b, return_indices=True)
    return in_a, in_b


def _common_of_stores(
    store_a: ImageStore, indices_a: np.ndarray, store_b: ImageStore, indices_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same set, at whatever size, by number; other sets by the images that occur once in each, as they came."""
    if store_a is store_b or _is_same_set(store_a, store_b):
        return _common(indices_a, indices_b)
    (keys_a, once_a), (keys_b, once_b) = _unique_digests(store_a, indices_a), _unique_digests(store_b, indices_b)
    in_a, in_b = _common(keys_a, keys_b)
    return once_a[in_a], once_b[in_b]


def _is_same_set(a: ImageStore, b: ImageStore) -> bool:
    """Of files: the same images as they came. Of arrays, whose digests are of the size they are stored at: the same built-in set."""
    if np.array_equal(a.digests, b.digests):
        return True
    is_built_in = a.files is None and b.files is None
    return is_built_in and (a.meta.title, a.meta.origin) == (b.meta.title, b.meta.origin) and np.array_equal(a.labels, b.labels)


def _unique_digests(store: ImageStore, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(digests, positions) of the images that are there once."""
    digests = np.ascontiguousarray(store.digests[indices]).view([("high", "<u8"), ("low", "<u8")])[:, 0]
    found, first, times = np.unique(digests, return_index=True, return_counts=True)
    return found[times == 1], first[times == 1]


def _answers(evaluated: EvaluatedImages, positions: np.ndarray, of: np.ndarray) -> Answers:
    said = evaluated.predictions
    if len(said.predicted) <= positions.max(initial=-1) or int(said.predicted.max(initial=0)) >= len(of):
        raise InputError("A record does not fit the images that its run was evaluated on.", code="comparison")
    return Answers(
        of[said.predicted[positions].astype(np.int64)],
        said.confidence[positions].astype(np.float64),
        said.true_probability[positions].astype(np.float64),
    )


def _evaluated_on(started: Started) -> str:
    return f"the {started.num_evaluated:,} of the {started.evaluated_split} split of {started.dataset}"
