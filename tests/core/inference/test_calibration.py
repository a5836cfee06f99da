"""Calibration against a second method; kept with the run and used by every prediction with these weights, and only these."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from core.inference.predictor import predict
from core.insight.calibration import (
    answered,
    at_temperature,
    coverage_curve,
    fit_temperature,
    halves,
    negative_log_likelihood,
    reliability,
    scale,
)
from core.running.session import run_session
from core.runs.calibration import PLAIN, Calibration, calibration_of, save_calibration
from core.runs.checkpoints import find_checkpoint, list_checkpoints
from core.runs.directory import create_run
from tests.core.serving.test_launcher import tiny


def drawn(seed: int = 0, count: int = 4000, classes: int = 5, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax at temperature `sharpness` is the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(count, classes)) * 2
    powers = np.exp(truth)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    labels = (rng.random(count)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    return (truth * sharpness).astype(np.float32), labels


def naive_ece(confidence, is_right, bins=15):
    total = 0.0
    for k in range(bins):
        inside = [i for i, c in enumerate(confidence) if k / bins < c <= (k + 1) / bins]
        if inside:
            total += abs(math.fsum(confidence[i] for i in inside) - sum(bool(is_right[i]) for i in inside))
    return total / len(confidence)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_is_that_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.2, 1, 500)
    is_right = rng.random(500) < confidence**2
    found = reliability(confidence, is_right)
    assert found.ece == pytest.approx(naive_ece(confidence.tolist(), is_right.tolist()), abs=1e-12)
    assert found.counts.sum() == 500
    assert reliability(np.array([1.0, 1.0]), np.array([True, True])).ece == 0
    assert reliability(np.zeros(0), np.zeros(0, bool)).ece == 0


def test_probabilities_and_likelihood_are_torch_s():
    logits, labels = drawn()
    expected = torch.softmax(torch.tensor(logits, dtype=torch.float64) / 1.7, 1).numpy()
    np.testing.assert_allclose(at_temperature(logits, 1.7), expected, atol=1e-14)
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits, dtype=torch.float64) / 1.7, torch.tensor(labels))
    assert negative_log_likelihood(logits, labels, 1.7) == pytest.approx(float(loss), abs=1e-12)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_fitted_temperature_undoes_the_sharpening_and_lowers_the_error_on_the_other_half(sharpness):
    logits, labels = drawn(sharpness=sharpness)
    assert fit_temperature(logits, labels) == pytest.approx(sharpness, rel=0.08)
    by_grid = min(np.linspace(0.2, 6, 581), key=lambda t: negative_log_likelihood(logits, labels, t))
    assert fit_temperature(logits, labels) == pytest.approx(by_grid, abs=0.011)
    scaling = scale(logits, labels)
    assert len(scaling.held) + scaling.num_fitted == len(labels)
    if sharpness != 1:
        assert scaling.after.ece < scaling.before.ece
        assert scaling.nll_after < scaling.nll_before


def test_halves_share_no_picture_and_divide_each_class_evenly():
    labels = np.random.default_rng(0).integers(0, 4, 101)
    one, other = halves(labels)
    assert sorted([*one, *other]) == list(range(101))
    for k in range(4):
        assert abs(int((labels[one] == k).sum()) - int((labels[other] == k).sum())) <= 1
    assert scale(np.zeros((1, 3)), np.array([0])) is None


def test_threshold_trades_coverage_for_accuracy():
    confidence, is_right = np.array([0.9, 0.8, 0.8, 0.6]), np.array([True, True, False, False])
    said = answered(confidence, is_right, 0.8)
    assert (said.coverage.value, said.accuracy.value) == (0.75, 2 / 3)
    assert math.isnan(answered(confidence, is_right, 0.95).accuracy.value)
    thresholds, coverage, accuracy = coverage_curve(confidence, is_right)
    assert thresholds.tolist() == [0.9, 0.8, 0.6]
    assert coverage.tolist() == [0.25, 0.75, 1.0]
    assert accuracy.tolist() == pytest.approx([1, 2 / 3, 0.5])
    assert all(len(column) == 0 for column in coverage_curve(np.zeros(0), np.zeros(0, bool)))


@pytest.fixture
def run(workspace):
    run = create_run(workspace, tiny(epochs=2, checkpoint={"every_epochs": 1}))
    assert run_session(workspace, run).reason == "finished"
    return run


def test_predictions_use_what_is_kept_for_these_weights_only(run):
    first, last = list_checkpoints(run)[-2:]
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8))
    plain = predict(last, image)
    assert plain.is_sure and plain.calibration == PLAIN
    save_calibration(last, Calibration(2.5, 0.999, "half of the test"))
    said = predict(last, image)
    assert not said.is_sure
    powers = plain.probabilities.astype(np.float64) ** (1 / 2.5)
    np.testing.assert_allclose(said.probabilities, powers / powers.sum(), atol=1e-5)
    assert said.top(1)[0][0] == plain.top(1)[0][0]
    np.testing.assert_array_equal(predict(first, image).probabilities, predict(first, image).probabilities)
    assert predict(first, image).calibration == PLAIN
    assert calibration_of(find_checkpoint(run, "last")).fitted_on == "half of the test", "by whatever name"
    save_calibration(last, PLAIN)
    np.testing.assert_array_equal(predict(last, image).probabilities, plain.probabilities)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"seal": "x"}'])
def test_damaged_file_is_as_none(run, damage):
    last = find_checkpoint(run, "last")
    save_calibration(last, Calibration(2.0, 0.5, "x"))
    (run.path / "calibration.json").write_bytes(damage)
    assert calibration_of(last) == PLAIN
    save_calibration(last, Calibration(3.0, 0.5, "x"))
    assert calibration_of(last).temperature == 3


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e9, math.nan])
def test_numbers_out_of_range_are_neither_kept_nor_used(run, temperature):
    from core.files import sealed
    from core.runs.checkpoints import weights_sum

    last = find_checkpoint(run, "last")
    with pytest.raises(ValueError, match="out of range"):
        save_calibration(last, Calibration(temperature, 0.5, "x"))
    hostile = {weights_sum(last): {"temperature": json.loads("1e9"), "threshold": 7, "fitted_on": "x"}}
    (run.path / "calibration.json").write_bytes(sealed(hostile))
    assert calibration_of(last) == PLAIN


def test_calibration_travels_with_the_run(run, tmp_path):
    from core.export.bundles import run_zip
    from core.intake.load import load_file
    from core.workspace import open_workspace

    save_calibration(find_checkpoint(run, "last"), Calibration(1.5, 0.25, "half"))
    path = tmp_path / "run.zip"
    path.write_bytes(b"".join(run_zip(run)))
    elsewhere = open_workspace(tmp_path / "elsewhere")
    loaded = load_file(elsewhere, path, "run.zip")
    assert calibration_of(find_checkpoint(loaded.run, "last")) == Calibration(1.5, 0.25, "half")
    shutil.rmtree(elsewhere.home)
