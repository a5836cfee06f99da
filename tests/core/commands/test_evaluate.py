"""`evaluate` gives what the Results page gives; the figures are worked out here by other means."""

import contextlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

from core.commands import parser
from core.inference.evaluation import evaluate_checkpoint, to_evaluate
from core.running.session import run_session
from core.runs.calibration import PLAIN, Calibration, save_calibration
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run
from core.workspace import Workspace, open_workspace
from tests.core.intake.test_load import digits_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Run]:
    """Digits for one epoch: with mistakes."""
    workspace = open_workspace(tmp_path_factory.mktemp("home"))
    run = create_run(workspace, digits_config(epochs=1))
    assert run_session(workspace, run).reason == "finished"
    return workspace, run


@pytest.fixture(scope="module")
def said(trained: tuple[Workspace, Run]) -> tuple[np.ndarray, np.ndarray]:
    """(labels, logits) of the evaluated images."""
    workspace, run = trained
    of = to_evaluate(workspace, run, find_checkpoint(run, "last"), run.config.data.evaluate_on)
    logits = evaluate_checkpoint(of).logits
    assert logits is not None
    return of.labels[of.indices], logits


def evaluated(home: Path) -> dict:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert parser.main(["--json", "--home", str(home), "evaluate", "last"]) == 0
    return json.loads(output.getvalue())


def column(answer: dict, name: str) -> list[float]:
    return [np.nan if row[name] is None else row[name] for row in answer["per_class"]]


def test_figures_of_the_classes_are_scikit_learn_s(trained, said) -> None:
    labels, logits = said
    answer = evaluated(trained[0].home)
    predicted = logits.argmax(axis=1)
    assert answer["confusion"] == confusion_matrix(labels, predicted, labels=range(10)).tolist()
    assert sum(map(sum, answer["confusion"])) == len(labels)
    theirs = precision_recall_fscore_support(labels, predicted, labels=range(10), zero_division=np.nan)
    for name, values in zip(("precision", "recall", "f1"), theirs[:3], strict=True):
        np.testing.assert_allclose(column(answer, name), values, equal_nan=True)
    for how in ("macro", "weighted"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class may never have been predicted
            theirs = precision_recall_fscore_support(labels, predicted, average=how, zero_division=0)
        np.testing.assert_allclose([answer[how][name] for name in ("precision", "recall", "f1")], theirs[:3])
    assert answer["top_3"]["accuracy"] == pytest.approx(top_k_accuracy_score(labels, logits, k=3))


def test_intervals_are_scipy_s(trained) -> None:
    answer = evaluated(trained[0].home)
    counts = np.array(answer["confusion"])
    assert ends(answer, "accuracy") == pytest.approx(wilson(counts.trace(), counts.sum()))
    for k, row in enumerate(answer["per_class"]):
        assert row["recall"] == row["accuracy"]
        assert ends(row, "recall") == pytest.approx(wilson(counts[k, k], counts[k].sum()))
        predicted = counts[:, k].sum()
        assert ends(row, "precision") == (pytest.approx(wilson(counts[k, k], predicted)) if predicted else (None, None))


def ends(row: dict, name: str) -> tuple[float, float]:
    return row[f"{name}_low"], row[f"{name}_high"]


def wilson(right: int, total: int) -> tuple[float, float]:
    interval = binomtest(int(right), int(total)).proportion_ci(method="wilson")
    return interval.low, interval.high


def error_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error, bin by bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            error += inside.sum() / len(labels) * abs(confidence[inside].mean() - right[inside].mean())
    return error


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_temperature_and_threshold_are_those_kept_with_the_checkpoint(trained, said, capsys) -> None:
    workspace, run = trained
    labels, logits = said
    found = evaluated(workspace.home)["calibration"]
    assert (found["temperature"], found["threshold"], found["fitted_on"]) == (1.0, 0.0, "")
    assert found["ece"] == found["ece_in_use"] == pytest.approx(error_of(softmax(logits), labels), abs=2e-3)  # kept in two bytes
    assert found["sure"]["share"] == 1.0
    checkpoint = find_checkpoint(run, "last")
    scaled = softmax(logits / 2.5)
    threshold = round(float(np.median(scaled.max(axis=1))), 6)
    save_calibration(checkpoint, Calibration(2.5, threshold, "half of the validation images"))
    try:
        kept = evaluated(workspace.home)["calibration"]
        assert parser.main(["--home", str(workspace.home), "evaluate", "last"]) == 0
    finally:
        save_calibration(checkpoint, PLAIN)
    assert (kept["temperature"], kept["threshold"]) == (2.5, threshold)
    assert kept["ece"] == found["ece"]
    assert kept["ece_in_use"] == pytest.approx(error_of(scaled, labels))
    sure = scaled.max(axis=1) >= threshold
    assert 0.4 < sure.mean() < 0.6
    assert kept["sure"]["share"] == pytest.approx(sure.mean())
    assert kept["sure"]["accuracy"] == pytest.approx((scaled.argmax(axis=1) == labels)[sure].mean())
    assert kept["fit"]["ece_after"] < kept["fit"]["ece_before"] or kept["fit"]["temperature"] == pytest.approx(1, abs=0.3)
    assert (
        f"temperature 2.500, threshold {100 * threshold:.1f} %, fitted on half of the validation images"
        in capsys.readouterr().out
    )


def test_terminal_shows_the_same(trained, said, capsys) -> None:
    assert parser.main(["--home", str(trained[0].home), "evaluate", "last"]) == 0
    shown = capsys.readouterr().out
    for words in ("three likeliest", "Mean (macro)", "Expected calibration error", "precision", "rows are true classes"):
        assert words in shown
    labels, logits = said
    numbers = [line.split() for line in shown.splitlines()[-10:]]
    assert [list(map(int, line[1:])) for line in numbers] == confusion_matrix(labels, logits.argmax(axis=1)).tolist()
