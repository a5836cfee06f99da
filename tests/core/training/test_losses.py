"""Losses: against PyTorch's own, worked by hand, and with predictions that stay probabilities."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from core.config import LossConfig
from core.data.sets import DatasetInfo
from core.errors import InputError
from core.losses import LOSSES
from core.running.plan import plan_for
from core.settings import config_from
from core.training.events import Evaluated, StepLogged
from core.training.losses import loss_function, summed_loss
from tests.core.training.test_loop import config_with, data, events_of, fresh  # noqa: F401 a fixture


def drawn(num_classes: int, images: int = 6) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(images, num_classes, generator=draw) * 2, torch.arange(images) % num_classes


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    return torch.eye(num_classes)[labels]


PYTORCHS = {
    "cross-entropy": lambda outputs, labels: nn.CrossEntropyLoss()(outputs, labels),
    "binary cross-entropy": lambda outputs, labels: nn.BCELoss()(outputs.softmax(1)[:, 1], labels.float()),
    "mse": lambda outputs, labels: nn.MSELoss()(outputs.softmax(1), one_hot(labels, outputs.shape[1])),
    "l1": lambda outputs, labels: nn.L1Loss()(outputs.softmax(1), one_hot(labels, outputs.shape[1])),
}


def test_configuration_knows_the_losses_there_are():
    assert get_args(LossConfig.model_fields["name"].annotation) == tuple(LOSSES)
    assert set(PYTORCHS) == set(LOSSES)
    assert all(record.summary in LossConfig.model_fields["name"].description for record in LOSSES.values())


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_training_and_of_evaluation_is_pytorch_s(name):
    outputs, labels = drawn(LOSSES[name].num_classes or 5)
    expected = PYTORCHS[name](outputs, labels)
    torch.testing.assert_close(loss_function(LossConfig(name=name))(outputs, labels), expected)
    torch.testing.assert_close(summed_loss(name, outputs, labels) / len(labels), expected)


def test_losses_of_two_outputs_are_those_worked_by_hand():
    """Probabilities 0.8 and 0.2, the first class true."""
    outputs, labels = torch.tensor([[4.0, 1.0]]).log(), torch.tensor([0])
    by_hand = {"cross-entropy": 0.2231436, "binary cross-entropy": 0.2231436, "mse": 0.04, "l1": 0.2}
    for name, value in by_hand.items():
        assert loss_function(LossConfig(name=name))(outputs, labels).item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_class_weights_are_shares_of_a_weighted_mean(name):
    classes = LOSSES[name].num_classes or 3
    outputs, labels = drawn(classes)
    weights = torch.arange(1.0, classes + 1)
    each = torch.stack([summed_loss(name, outputs[i : i + 1], labels[i : i + 1]) for i in range(len(labels))])
    expected = (each * weights[labels]).sum() / weights[labels].sum()
    torch.testing.assert_close(loss_function(LossConfig(name=name), weights)(outputs, labels), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_smoothed_targets_are_least_wrong_at_the_smoothed_probabilities(name):
    """Of outputs whose probabilities are the smoothed target, no change makes the loss smaller (l1 and mse are 0 there)."""
    classes = LOSSES[name].num_classes or 4
    labels = torch.tensor([1])
    target = one_hot(labels, classes) * 0.8 + 0.2 / classes
    loss = loss_function(LossConfig(name=name, label_smoothing=0.2))
    best = loss(target.log(), labels)
    for other in (torch.full((1, classes), 0.1), -torch.full((1, classes), 0.1), torch.linspace(0, 0.3, classes)[None]):
        assert loss(target.log() + other, labels) >= best - 1e-6
    if name in ("mse", "l1"):
        assert best.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, record in LOSSES.items() if record.num_classes is None])
def test_training_learns_with_it_and_its_records_hold_probabilities(data, name):  # noqa: F811
    config = config_with(loss={"name": name}, optimizer={"name": "adam", "lr": 0.01}, epochs=8)
    state = fresh(config)
    events = [event for event in events_of(config, data, state) if isinstance(event, (Evaluated, StepLogged))]
    first, last = events[0], events[-1]
    assert last.accuracy > 0.8
    assert last.loss < 0.6 * first.loss
    with torch.no_grad():
        images = (data.images[data.evaluated].float() / 255 - 0.3) / 0.35
        outputs, labels = state.model.eval()(images), data.labels[data.evaluated]
    assert last.loss == pytest.approx(PYTORCHS[name](outputs, labels).item(), rel=1e-3)
    torch.testing.assert_close(torch.tensor(last.predictions.confidence), outputs.softmax(1).amax(1).half(), atol=2e-3, rtol=0)


def test_binary_loss_on_more_classes_is_refused_before_the_start():
    def planned(classes: int) -> None:
        config = config_from(
            {"model": {"name": "mlp"}, "batch_size": 10, "device": "cpu", "loss": {"name": "binary cross-entropy"}}
        )
        splits = {"train": 100, "test": 20}
        plan_for(config, DatasetInfo(title="Things", shape=(3, 32, 32), num_classes=classes, splits=splits, is_ready=True))

    planned(2)
    with pytest.raises(InputError, match=r"loss\.name: binary cross-entropy is for 2 classes, 'Things' has 10") as refusal:
        planned(10)
    assert "cross-entropy" in refusal.value.hint
