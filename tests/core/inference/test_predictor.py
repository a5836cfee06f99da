"""A trained network at work: what it says of an image is what the evaluation of the run said of it."""

import io

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save

from core.data.sets import find_store
from core.data.sources.decoding import decode_image
from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError
from core.inference.evaluation import evaluate_checkpoint, to_evaluate
from core.inference.predictor import predict
from core.insight.metrics import confusion_matrix
from core.insight.run_results import evaluated_after, samples
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run
from core.runs.event_log import EventReader
from core.runs.records import evaluated_images, load_predictions, spread
from core.settings import config_from
from core.workspace import Workspace, open_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def run(workspace) -> Run:
    """A network with batch norm and dropout-free layers on the digits, some epochs on."""
    run = create_run(
        workspace,
        config_from(
            {
                "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
                "model": {"name": "mnist-batchnorm-cnn"},
                "optimizer": {"name": "adam", "lr": 0.01},
                "epochs": 4,
                "threads": 1,
                "tensorboard": False,
            }
        ),
    )
    assert run_session(workspace, run).reason == "finished"
    return run


def evaluated(workspace: Workspace, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The evaluated images and their classes."""
    indices, labels = evaluated_images(run)
    return find_store(workspace, "digits", run.config.preprocessing).images[indices], labels


def test_prediction_of_a_picture_of_the_set_is_that_of_the_evaluation(workspace, run):
    """The same preprocessing in training and prediction: class and probability agree for each of a hundred images."""
    images, _ = evaluated(workspace, run)
    record, checkpoint = load_predictions(run, 4), find_checkpoint(run, "last")
    for i in range(100):
        file = io.BytesIO()
        Image.fromarray(images[i, 0]).save(file, "PNG")
        prediction = predict(checkpoint, decode_image(file.getvalue()))
        np.testing.assert_array_equal(prediction.seen, images[i])
        assert prediction.probabilities.argmax() == record.predicted[i]
        assert prediction.probabilities.max() == pytest.approx(float(record.confidence[i]), abs=2e-3)


def test_digit_drawn_large_dark_on_light_is_recognised(workspace, run):
    images, labels = evaluated(workspace, run)
    right = 0
    for image, label in zip(images[:100], labels[:100], strict=True):
        drawing = Image.new("L", (280, 280), 255)
        drawing.paste(Image.fromarray(255 - image[0]).resize((160, 160), Image.Resampling.BICUBIC), (90, 30))
        right += predict(find_checkpoint(run, "last"), drawing).probabilities.argmax() == label
    assert right >= 75


def test_probabilities_sum_to_one_and_the_top_classes_are_in_order(workspace, run):
    images, _ = evaluated(workspace, run)
    prediction = predict(find_checkpoint(run, "best"), array_to_image(images[0]))
    assert prediction.probabilities.sum() == pytest.approx(1)
    top = prediction.top(3)
    assert [value for _, value in top] == sorted(prediction.probabilities.tolist(), reverse=True)[:3]
    assert all(prediction.probabilities[prediction.class_names.index(name)] == value for name, value in top)


def test_network_with_numbers_that_are_not_finite_is_refused(workspace, run, monkeypatch):
    """docs/architecture.md: NaN logits predict class 0, and NaN weights load silently."""
    from core.inference import predictor

    predictor._network.cache_clear()
    load = predictor.load_network

    def poisoned(checkpoint):
        model, spec = load(checkpoint)
        next(model.parameters()).data[0] = float("nan")
        return model, spec

    monkeypatch.setattr(predictor, "load_network", poisoned)
    with pytest.raises(InputError, match="not finite"):
        predict(find_checkpoint(run, "last"), Image.new("L", (8, 8)))
    predictor._network.cache_clear()


def test_weights_file_is_readable_by_any_safetensors_reader(run):
    weights = load_file(find_checkpoint(run, "last").path / "weights.safetensors")
    assert {"features.0.weight", "head.1.bias"} <= set(weights)
    assert len(save(weights)) > 0


@pytest.mark.parametrize("split", ["train", "validation"])
def test_judging_afterwards_gives_the_figures_of_the_training(workspace, run, split):
    evaluated = evaluate_checkpoint(to_evaluate(workspace, run, find_checkpoint(run, "last"), split)).result
    assert sum(evaluated.correct) / sum(evaluated.support) == pytest.approx(evaluated.accuracy)
    if split == "validation":
        last = [row for row in EventReader(run.events).read() if row["kind"] == "evaluation"][-1]
        assert (evaluated.accuracy, evaluated.correct, evaluated.support) == (last["accuracy"], last["correct"], last["support"])
        assert evaluated.loss == pytest.approx(last["loss"], rel=1e-5)
    else:
        assert sum(evaluated.support) == 1438


def test_confusion_of_an_epoch_agrees_with_its_evaluation(run):
    for row in EventReader(run.events).read():
        if row["kind"] == "evaluation":
            evaluated = evaluated_after(run, row["epoch"])
            confusion = confusion_matrix(evaluated.labels, evaluated.predictions.predicted, 10)
            assert np.diag(confusion).tolist() == row["correct"]
            assert confusion.sum(axis=1).tolist() == row["support"] == np.bincount(evaluated.labels, minlength=10).tolist()
    assert evaluated_after(run, 99) is None


def test_samples_are_the_same_pictures_in_every_epoch_with_what_was_said_then(workspace, run):
    first, last = samples(workspace, run, 0), samples(workspace, run, 4)
    assert len(first) == len(last) == 6
    images, labels = evaluated(workspace, run)
    positions = spread(len(labels), 6)
    for sample, other, position in zip(first, last, positions, strict=True):
        assert sample.image.tobytes() == other.image.tobytes() == images[position].tobytes()
        assert sample.true == other.true == labels[position]
    record = load_predictions(run, 4)
    assert [sample.predicted for sample in last] == record.predicted[positions].tolist()
    assert samples(workspace, run, 99) == []


@pytest.mark.parametrize(
    ("total", "count", "expected"), [(0, 6, []), (1, 6, [0]), (3, 6, [0, 1, 2]), (11, 6, [0, 2, 4, 6, 8, 10]), (100, 1, [0])]
)
def test_samples_are_spread_over_the_split(total, count, expected):
    assert spread(total, count) == expected
