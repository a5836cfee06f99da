"""Two runs on the same images: matched as a loop would, tested as counting by hand would, and right about runs really trained."""

from collections.abc import Callable
from fractions import Fraction
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest

from core.data.store.image_store import Block, ImageStore, Source, build_store
from core.errors import InputError
from core.figures.comparison import MOST_RUNS, overlaid, two_prediction_histories
from core.insight import comparison as module
from core.insight.comparison import (
    Matching,
    by_class,
    compared,
    evaluated,
    evidence,
    match,
    mcnemar,
    paired_difference,
    verdict,
)
from core.insight.prediction_history import PredictionHistory, prediction_history
from core.insight.run_results import EvaluatedImages
from core.insight.run_summary import run_summary
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.runs.records import evaluated_images, load_predictions
from core.settings import changed
from core.training.events import Predictions
from core.workspace import Workspace, open_workspace
from tests.core.figures.test_figures import history
from tests.core.serving.test_launcher import tiny

# --- the test of chance


@pytest.mark.parametrize(
    ("fixed", "broken"), [(0, 0), (1, 0), (0, 5), (6, 0), (3, 9), (9, 3), (8, 8), (31, 62), (120, 89), (600, 500)]
)
def test_p_value_is_that_of_coins_counted(fixed, broken):
    """The share of all outcomes of so many coins that are as unlikely as this one or less, in whole numbers."""
    n = fixed + broken
    as_extreme = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(fixed - broken))
    assert mcnemar(fixed, broken) == pytest.approx(float(Fraction(as_extreme, 2**n)), rel=1e-12)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((14, 5, 0, 22), 0.011, 0.226),
        ((1, 1, 7, 12), -0.507, -0.026),
    ],
)
def test_interval_is_the_published_one(table, low, high):
    """Newcombe (1998), table II; Altman and others (2000), table 6.2; Bentur and others (2009) in Fagerland and others (2014)."""
    both, first_only, second_only, neither = table
    found = paired_difference(both, first_only, second_only, sum(table))
    digits = 4 if table[0] == 36 else 3
    assert (round(found.low, digits), round(found.high, digits)) == (low, high)
    turned = paired_difference(both, second_only, first_only, sum((both, first_only, second_only, neither)))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_interval_holds_the_truth_in_about_95_of_100_samples():
    rng = np.random.default_rng(0)
    tables = rng.multinomial(400, [0.9, 0.05, 0.03, 0.02], 3000)
    found = [paired_difference(int(both), int(fixed), int(broken), 400) for both, fixed, broken, _ in tables]
    assert sum(share.low <= 0.02 <= share.high for share in found) / 3000 == pytest.approx(0.95, abs=0.02)


# --- images matched: stores of drawn images, runs that were evaluated on some of them


def image(number: int, size: int = 4) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (1, size, size), dtype=np.uint8)


def store_with(
    workspace: Workspace, name: str, originals: list[int], classes: list[str], *, size: int = 4, as_files: bool = True
) -> ImageStore:
    """Images by their numbers, the even ones of the first class. As files they have the digests of how they came."""
    images = np.stack([image(number, size) for number in originals])
    came = np.stack([np.frombuffer(number.to_bytes(16, "little"), np.uint8) for number in originals]) if as_files else None
    files = [f"{number}.png" for number in originals] if as_files else None
    block = Block(split="train", images=images, labels=np.array([number % 2 for number in originals]), files=files, digests=came)
    source = Source(
        title=name,
        class_names=classes,
        shape=(1, size, size),
        counts={"train": len(originals)},
        drawing="none",
        origin=name,
        blocks=lambda progress: iter([block]),
    )
    return build_store(workspace.stores / name, source)


@pytest.fixture
def evaluated_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run in all that matching looks at: what it started with, its evaluated images, and its store."""
    known: dict[str, tuple] = {}
    monkeypatch.setattr(module, "history_of", lambda run: SimpleNamespace(started=known[run.id][0]))
    monkeypatch.setattr(module, "evaluated_images", lambda run: known[run.id][1])
    monkeypatch.setattr(module, "store_of", lambda workspace, run: known[run.id][2])

    def make(store: ImageStore | None, indices, labels, classes: list[str], images: str = "") -> Run:
        run = Run(workspace.runs / f"20260101-0000{len(known):02d}-run-abcd")
        started = SimpleNamespace(
            class_names=classes, pictures=images, num_evaluated=len(indices), evaluated_split="test", dataset="drawn"
        )
        known[run.id] = started, (np.array(indices, int), np.array(labels, int)), store
        return run

    return make


@pytest.mark.parametrize("seed", range(20))
def test_same_pictures_are_matched_by_number_as_a_loop_would(workspace, evaluated_on, seed):
    rng = np.random.default_rng(seed)
    names_a = ["x", "y", "z"]
    names_b = [names_a[k] for k in rng.permutation(3)]
    sides = []
    for names in (names_a, names_b):
        indices = rng.permutation(60)[: rng.integers(20, 60)]
        true = np.where(rng.random(len(indices)) < 0.9, indices % 3, (indices + 1) % 3)  # some labels were edited
        sides.append((indices, [names.index(names_a[k]) for k in true]))
    a, b = (evaluated_on(None, *side, names, "same") for side, names in zip(sides, (names_a, names_b), strict=True))
    found = match(workspace, a, b)
    expected, relabelled = [], 0
    for index in range(60):
        if index in sides[0][0] and index in sides[1][0]:
            i, j = list(sides[0][0]).index(index), list(sides[1][0]).index(index)
            if names_a[sides[0][1][i]] == names_b[sides[1][1][j]]:
                expected.append((i, j, names_a[sides[0][1][i]]))
            else:
                relabelled += 1
    assert list(zip(found.in_a, found.in_b, (found.names[k] for k in found.labels), strict=True)) == expected
    assert (found.num_relabelled, found.num_a, found.num_b) == (relabelled, len(sides[0][0]), len(sides[1][0]))
    turned = match(workspace, b, a)
    assert sorted(zip(turned.in_b, turned.in_a, strict=True)) == sorted(zip(found.in_a, found.in_b, strict=True))


def test_other_sets_are_matched_by_the_pictures_that_occur_once_in_each(workspace, evaluated_on):
    a = store_with(workspace, "a", [1, 2, 3, 4, 4, 5, 6, 7], ["even", "odd"])
    b = store_with(workspace, "b", [9, 7, 4, 3, 3, 2, 10], ["even", "odd"])
    run_a = evaluated_on(a, [7, 6, 3, 4, 2, 1], a.labels[[7, 6, 3, 4, 2, 1]], ["even", "odd"], "one")
    run_b = evaluated_on(b, [6, 1, 2, 3, 4, 5], b.labels[[6, 1, 2, 3, 4, 5]], ["even", "odd"], "two")
    found = match(workspace, run_a, run_b)
    assert {(int(i), int(j)) for i, j in zip(found.in_a, found.in_b, strict=True)} == {(0, 1), (5, 5)}  # images 7 and 2


def test_same_files_at_another_size_are_matched_copies_too(workspace, evaluated_on):
    images = [1, 2, 2, 3]
    runs = [
        evaluated_on(store, [1, 2, 3], store.labels[[1, 2, 3]], ["even", "odd"], f"at {store.meta.shape}")
        for store in (store_with(workspace, f"s{size}", images, ["even", "odd"], size=size) for size in (4, 6))
    ]
    assert match(workspace, *runs).in_a.tolist() == match(workspace, *runs).in_b.tolist() == [0, 1, 2]


def test_classes_are_matched_by_name_whatever_their_order(workspace, evaluated_on):
    a = store_with(workspace, "a", [1, 2, 3], ["even", "odd"])
    b = store_with(workspace, "b", [1, 2, 3], ["odd", "even"])
    run_a = evaluated_on(a, [0, 1, 2], [1, 0, 1], ["even", "odd"], "one")
    run_b = evaluated_on(b, [0, 1, 2], [0, 1, 0], ["odd", "even"], "two")
    found = match(workspace, run_a, run_b)
    said = [
        EvaluatedImages(
            epoch=1,
            split="test",
            indices=np.arange(3),
            labels=np.array(labels),
            predictions=said_of(np.array(predicted), np.ones(3), np.ones(3)),
        )
        for labels, predicted in (([1, 0, 1], [1, 0, 0]), ([0, 1, 0], [0, 0, 0]))
    ]
    comparison = compared(found, *said)
    assert comparison.is_right_a.tolist() == [True, True, False]
    assert comparison.is_right_b.tolist() == [True, False, True]


def test_built_in_set_at_another_size_is_matched_by_number(workspace):
    """Its images come as arrays, so their digests are of the size they are stored at."""
    runs = [create_run(workspace, tiny(epochs=0, preprocessing={"size_px": size})) for size in (None, 12)]
    for run in runs:
        assert run_session(workspace, run).reason == "finished"
    found = match(workspace, *runs)
    assert found.in_a.tolist() == found.in_b.tolist() == list(range(359))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("apart", "No image was evaluated by both"),
        ("gone", "not on this machine"),
        ("relabelled", "not one has the same true class"),
        ("classes", "classes that it does not have"),
        ("early", "has not begun"),
    ],
)
def test_why_runs_can_t_be_matched_is_said(workspace, evaluated_on, monkeypatch, case, words):
    a = evaluated_on(None, [0, 1], [0, 1], ["x", "y"], "same")
    b = {
        "apart": lambda: evaluated_on(None, [2, 3], [0, 1], ["x", "y"], "same"),
        "gone": lambda: evaluated_on(None, [0, 1], [0, 1], ["x", "y"], "other"),
        "relabelled": lambda: evaluated_on(None, [0, 1], [1, 0], ["x", "y"], "same"),
        "classes": lambda: evaluated_on(None, [0, 1], [0, 7], ["x", "y"], "same"),
        "early": lambda: evaluated_on(None, [0, 1], [0, 1], ["x", "y"], "same"),
    }[case]()
    if case == "early":
        monkeypatch.setattr(module, "history_of", lambda run: SimpleNamespace(started=None))
    with pytest.raises(InputError, match=words):
        match(workspace, a, b)


# --- fixed and broken


def said_of(predicted: np.ndarray, confidence: np.ndarray, true_probability: np.ndarray) -> Predictions:
    return Predictions(
        predicted=predicted.astype(np.uint8),
        confidence=confidence.astype(np.float16),
        true_probability=true_probability.astype(np.float16),
    )


def drawn(seed: int, count: int = 300, classes: int = 4) -> tuple[Matching, EvaluatedImages, EvaluatedImages]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)

    def evaluate_checkpoint(order: np.ndarray, share: float) -> EvaluatedImages:
        predicted = np.where(rng.random(count) < share, labels, rng.integers(0, classes, count))[order]
        said = said_of(predicted, rng.random(count), rng.random(count))
        return EvaluatedImages(epoch=1, split="test", indices=order, labels=labels[order], predictions=said)

    orders = rng.permutation(count), rng.permutation(count)
    a, b = evaluate_checkpoint(orders[0], 0.6), evaluate_checkpoint(orders[1], 0.7)
    numbers = np.arange(classes)
    names = [f"class {k}" for k in numbers]
    return (
        Matching(
            in_a=np.argsort(orders[0]),
            in_b=np.argsort(orders[1]),
            labels=labels,
            names=names,
            of_a=numbers,
            of_b=numbers,
            num_a=count,
            num_b=count,
            num_relabelled=0,
        ),
        a,
        b,
    )


@pytest.mark.parametrize("seed", range(10))
def test_fixed_and_broken_are_those_that_a_loop_finds(seed):
    matching, a, b = drawn(seed)
    comparison = compared(matching, a, b)
    fixed, broken, right = [], [], np.zeros((4, 2), int)
    for place in range(300):
        i, j, true = matching.in_a[place], matching.in_b[place], matching.labels[place]
        right_a, right_b = a.predictions.predicted[i] == true, b.predictions.predicted[j] == true
        right[true] += right_a, right_b
        gained = float(b.predictions.true_probability[j]) - float(a.predictions.true_probability[i])
        if right_b and not right_a:
            fixed.append((-gained, place))
        if right_a and not right_b:
            broken.append((gained, place))
    assert comparison.fixed.tolist() == [place for _, place in sorted(fixed)]
    assert comparison.broken.tolist() == [place for _, place in sorted(broken)]
    for k, row in enumerate(by_class(comparison)):
        support = int((matching.labels == k).sum())
        assert (row.support, row.accuracy_a, row.accuracy_b) == (support, right[k, 0] / support, right[k, 1] / support)
        assert row.fixed - row.broken == right[k, 1] - right[k, 0]
    assert comparison.difference.value == (right[:, 1].sum() - right[:, 0].sum()) / 300


def test_record_that_does_not_fit_is_refused():
    matching, a, b = drawn(0)
    confidence = np.ones(300)
    short = EvaluatedImages(
        epoch=1,
        split="test",
        indices=b.indices,
        labels=b.labels,
        predictions=said_of(b.predictions.predicted[:5], confidence[:5], confidence[:5]),
    )
    strange = EvaluatedImages(
        epoch=1, split="test", indices=b.indices, labels=b.labels, predictions=said_of(np.full(300, 9), confidence, confidence)
    )
    for wrong in (short, strange):
        with pytest.raises(InputError, match="does not fit"):
            compared(matching, a, wrong)


def outcome(fixed: int, broken: int, both: int = 50, neither: int = 10) -> module.Comparison:
    """So many images of one class of each kind."""
    right_a = np.repeat([True, True, False, False], [both, broken, fixed, neither])
    right_b = np.repeat([True, False, True, False], [both, broken, fixed, neither])
    count = len(right_a)
    everything, numbers = np.arange(count), np.arange(2)
    matching = Matching(
        in_a=everything,
        in_b=everything,
        labels=np.zeros(count, int),
        names=["x", "y"],
        of_a=numbers,
        of_b=numbers,
        num_a=count,
        num_b=count,
        num_relabelled=0,
    )
    said = [module.Answers(np.where(right, 0, 1), np.ones(count), np.ones(count)) for right in (right_a, right_b)]
    return module.Comparison(matching, *said)


@pytest.mark.parametrize(
    ("fixed", "broken", "is_told", "words"),
    [
        (
            0,
            0,
            "A and B can't be told apart by these images.",
            "Both are right in the same 50 of 60 images (83.3 %), and wrong in the same others.",
        ),
        (
            4,
            4,
            "A and B can't be told apart by these images.",
            "equally many of 68 images (79.4 %): 4 were fixed, 4 broken. "
            "Were both equally good, chance alone would bring a difference this large nearly every time (McNemar's exact test, p = 1).",
        ),
        (
            1,
            0,
            "A and B can't be told apart by these images.",
            "1 more image of 61 than A (83.6 % against 82.0 %): 1 was fixed, 0 broken.",
        ),
        (9, 1, "B is better than A, beyond chance.", "in 2.1 of 100 such comparisons (McNemar's exact test, p = 0.0215)"),
        (
            1,
            9,
            "A is better than B, beyond chance.",
            "B is right in 8 fewer images of 70 than A (72.9 % against 84.3 %): 1 was fixed, 9 broken.",
        ),
        (
            60,
            10,
            "B is better than A, beyond chance.",
            "in less than 1 of 10,000 such comparisons (McNemar's exact test, p < 0.0001)",
        ),
    ],
)
def test_outcome_is_said_in_plain_words(fixed, broken, is_told, words):
    comparison = outcome(fixed, broken)
    assert verdict(comparison, "A", "B") == is_told
    assert words in evidence(comparison, "A", "B")


def test_configurations_that_differ_by_the_seed_alone_are_never_told_apart():
    assert verdict(outcome(9, 1), "A", "B", is_seed_alone=True) == (
        "The configurations of A and B can't be told apart: they are the same but for the seed. "
        "The network that came of B is better than that of A, beyond the chance of images."
    )
    assert verdict(outcome(4, 4), "A", "B", is_seed_alone=True) == "A and B can't be told apart by these images."


# --- runs really trained


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Run]]:
    """The digits recipe for ten epochs with two seeds, and for one epoch."""
    workspace = open_workspace(tmp_path_factory.mktemp("home"))
    runs = {}
    for name, changes in {"one": {"seed": 1}, "other": {"seed": 2}, "short": {"seed": 1, "epochs": 1}}.items():
        config = changed(recipe_named("digits-quickstart").config, {"epochs": 11, "threads": 1, "tensorboard": False, **changes})
        runs[name] = create_run(workspace, config)
        assert run_session(workspace, runs[name]).reason == "finished"
    return workspace, runs


def of(trained: tuple[Workspace, dict[str, Run]], a: str, b: str) -> module.Comparison:
    workspace, runs = trained
    last = [evaluated(runs[name], history_of(runs[name]).last_evaluation.epoch) for name in (a, b)]
    return compared(match(workspace, runs[a], runs[b]), *last)


def test_two_seeds_of_the_same_configuration_can_t_be_told_apart(trained):
    comparison = of(trained, "one", "other")
    assert comparison.p_value >= 0.05
    assert "can't be told apart" in verdict(comparison, "A", "B")


def test_ten_more_epochs_are_better_with_the_p_value_of_a_count_by_hand(trained):
    comparison = of(trained, "short", "one")
    _, runs = trained
    said = [load_predictions(runs[name], epoch).predicted for name, epoch in (("short", 1), ("one", 11))]
    labels = evaluated_images(runs["one"])[1]
    fixed = sum(x != y == z for x, z, y in zip(said[0], said[1], labels, strict=True))
    broken = sum(x == y != z for x, z, y in zip(said[0], said[1], labels, strict=True))
    assert (len(comparison.fixed), len(comparison.broken)) == (fixed, broken)
    n, fixed, broken = int(fixed + broken), int(fixed), int(broken)
    tail = Fraction(2 * sum(comb(n, k) for k in range(min(fixed, broken) + 1)), 2**n)
    assert comparison.p_value == pytest.approx(float(tail), rel=1e-10)
    assert verdict(comparison, "A", "B") == "B is better than A, beyond chance."
    accuracies = [history_of(runs[name]).last_evaluation.accuracy for name in ("short", "one")]
    assert comparison.difference.value == pytest.approx(accuracies[1] - accuracies[0], abs=1e-12)


def test_course_of_a_picture_and_the_standing_of_its_run_are_those_of_its_records(trained):
    _, runs = trained
    found = prediction_history(runs["one"], 17)
    records = [load_predictions(runs["one"], epoch) for epoch in range(12)]
    label = evaluated_images(runs["one"])[1][17]
    assert found == PredictionHistory(
        list(range(12)), [float(r.true_probability[17]) for r in records], [bool(r.predicted[17] == label) for r in records]
    )
    figures, rows = run_summary(runs["one"]), history_of(runs["one"]).evaluations
    assert (figures.accuracy.value, figures.loss, figures.epoch) == (rows[-1].accuracy, rows[-1].loss, 11)
    assert figures.best == max(row.accuracy for row in rows[1:])


def test_missing_record_is_said(trained):
    with pytest.raises(InputError, match="missing or damaged"):
        evaluated(trained[1]["one"], 99)


# --- figures


@pytest.mark.parametrize("x", ["step", "epoch", "examples", "seconds"])
def test_curves_of_eight_runs_lie_over_one_another_each_with_a_look_of_its_own(x):
    figure = overlaid([("ABCDEFGH"[k], f"run {k}", history()) for k in range(MOST_RUNS)], "accuracy", x)
    strong = [trace for trace in figure.data if trace.name in "ABCDEFGH"]
    assert len(strong) == 8 and len(figure.data) == 16
    assert len({(trace.line.color, trace.line.dash, trace.marker.symbol) for trace in strong}) == 8
    per_step = {"step": 1, "epoch": 0.1, "examples": 64, "seconds": 0.25}[x]
    measured = np.isfinite(strong[0].y)  # the evaluation before training stands apart
    assert list(strong[0].x[measured]) == pytest.approx([0, 10 * per_step, 20 * per_step])
    assert not measured[1]


def test_names_from_outside_stay_text_in_the_curves():
    figure = overlaid([("A", "<a href='x'>%{x}</a>", history())], "loss")
    assert all("<a" not in trace.hovertemplate and "%{x}</a" not in trace.hovertemplate for trace in figure.data)


def test_courses_of_a_picture_are_drawn_with_the_looks_of_their_runs():
    figure = two_prediction_histories(
        [("A", 0, PredictionHistory([0, 1], [0.1, 0.9], [False, True])), ("B", 1, PredictionHistory([], [], []))]
    )
    assert list(figure.data[0].marker.symbol) == ["circle-open", "circle"]
    assert figure.data[0].line.color != figure.data[1].line.color
