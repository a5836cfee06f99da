"""The training loop: what it says and when, and that it computes what a plain PyTorch loop computes."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from core.config import TrainConfig
from core.models.catalogue import build_model
from core.settings import config_from
from core.training.batches import TrainingData, gather, steps_per_epoch, training_batches
from core.training.device import Compute
from core.training.evaluation import evaluate
from core.training.events import TICK, Evaluated, StepLogged
from core.training.loop import TrainState, new_state, train

CPU = torch.device("cpu")
FLOAT32 = Compute(device=CPU, device_reason="", dtype=torch.float32, precision_reason="")
NUM_TRAIN, NUM_EVALUATED = 300, 100


@pytest.fixture(scope="module")
def data() -> TrainingData:
    digits = load_digits()
    images = torch.from_numpy((digits.images[:, None] * 15).astype(np.uint8))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return TrainingData(
        images=images,
        labels=torch.from_numpy(digits.target).long(),
        train=order[:NUM_TRAIN],
        evaluated=order[NUM_TRAIN : NUM_TRAIN + NUM_EVALUATED],
        mean=torch.tensor([0.3]),
        std=torch.tensor([0.35]),
    )


def config_with(**changes) -> TrainConfig:
    return config_from(
        {
            "model": {"name": "mlp", "width": 0.1},
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
            "batch_size": 32,
            "epochs": 2,
            "log_every": 4,
            "threads": 1,
            **changes,
        }
    )


def fresh(config: TrainConfig) -> TrainState:
    torch.manual_seed(config.seed)
    return new_state(config, build_model(config.model, (1, 8, 8), 10), CPU)


def events_of(config: TrainConfig, data: TrainingData, state: TrainState | None = None) -> list:
    return list(train(data, 10, state or fresh(config), FLOAT32))


def weights(state: TrainState) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in state.model.parameters()])


# --- what it says


def test_events_come_in_the_promised_order(data):
    config = config_with()  # 300 images in batches of 32: nine full ones and one of 12
    events = [event for event in events_of(config, data) if event is not TICK]
    kinds = [(type(event).__name__, event.epoch, event.step, event.examples) for event in events]
    assert kinds == [
        ("Evaluated", 0, 0, 0),
        ("StepLogged", 1, 4, 128),
        ("StepLogged", 1, 8, 256),
        ("Evaluated", 1, 10, 300),
        ("StepLogged", 2, 14, 428),
        ("StepLogged", 2, 18, 556),
        ("Evaluated", 2, 20, 600),
    ]
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(
    ("log_every", "expected"), [(15, [10, 20, 30]), (4, [4, 8, 14, 18, 24, 28]), (10, [10, 20, 30]), (1000, [10, 20, 30])]
)
def test_each_epoch_has_a_record_also_when_records_are_rare(data, log_every, expected):
    """At its end, where none fell into its ten steps."""
    events = events_of(config_with(log_every=log_every, epochs=3), data)
    assert [event.step for event in events if isinstance(event, StepLogged)] == expected


def test_every_step_is_a_moment_to_stop(data):
    config = config_with(epochs=1, eval_batch_size=25)
    ticks = sum(event is TICK for event in events_of(config, data))
    assert ticks == 4 + 10 + 4  # evaluation in batches of 25, ten steps, evaluation


def test_last_batch_is_left_out_when_it_is_to_be_dropped(data):
    events = [event for event in events_of(config_with(drop_last=True, epochs=1), data) if isinstance(event, Evaluated)]
    assert (events[-1].step, events[-1].examples) == (9, 288)


@pytest.mark.parametrize("model", ["mlp", "mnist-batchnorm-cnn"])
def test_loss_before_training_lies_near_that_of_guessing(data, model):
    first = next(event for event in events_of(config_with(model={"name": model}, epochs=1), data) if isinstance(event, Evaluated))
    assert first.loss == pytest.approx(math.log(10), abs=0.25)
    assert 0 <= first.accuracy <= 0.35


def test_training_learns_the_digits(data):
    last = [event for event in events_of(config_with(epochs=20), data) if isinstance(event, Evaluated)][-1]
    assert last.accuracy > 0.85
    assert last.loss < 0.7


def test_recorded_losses_are_the_means_over_the_pictures_of_their_steps(data):
    """Recorded every step and every fourth step: the same losses, weighted by the batches' sizes."""
    fine = [event for event in events_of(config_with(log_every=1), data) if isinstance(event, StepLogged)]
    coarse = [event for event in events_of(config_with(), data) if isinstance(event, StepLogged)]
    sizes, previous = [], 0
    for event in fine:
        sizes.append(event.examples - previous)
        previous = event.examples
    assert sizes == ([32] * 9 + [12]) * 2
    for event in coarse:
        part = slice(max(event.step - 4, 10 * (event.epoch - 1)), event.step)  # ten steps an epoch, counted anew in each
        assert event.loss == pytest.approx(np.average([f.loss for f in fine[part]], weights=sizes[part]), rel=1e-5)
        assert event.accuracy == pytest.approx(np.average([f.accuracy for f in fine[part]], weights=sizes[part]), rel=1e-6)
        assert event.images_per_s > 0


def test_learning_rate_of_each_record_is_the_schedule_s(data):
    config = config_with(schedule={"name": "step", "step_epochs": 1, "gamma": 0.5}, log_every=1)
    rates = [event.lr for event in events_of(config, data) if isinstance(event, StepLogged)]
    assert rates == [0.1] * 10 + [0.05] * 10


# --- what it computes


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("model", ["mlp", "mnist-batchnorm-cnn"])
def test_run_equals_a_plain_pytorch_loop(data, model, smoothing):
    """The tutorials' loop written out, over the same order of images: losses, weights and evaluation."""
    config = config_with(model={"name": model, "width": 0.5}, log_every=1, loss={"label_smoothing": smoothing})
    state = fresh(config)
    ours = events_of(config, data, state)

    torch.manual_seed(config.seed)
    network = build_model(config.model, (1, 8, 8), 10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=smoothing)
    losses = []
    for epoch in range(config.epochs):
        network.train()
        for images, labels in training_batches(data, config, epoch, torch.float32):
            loss = loss_fn(network(images.contiguous()), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    network.eval()
    originals = (data.images[data.evaluated].float() / 255 - 0.3) / 0.35
    labels = data.labels[data.evaluated]
    with torch.no_grad():
        logits = network(originals)

    assert [event.loss for event in ours if isinstance(event, StepLogged)] == pytest.approx(losses, rel=1e-4, abs=1e-5)
    plain = torch.cat([p.detach().flatten() for p in network.parameters()])
    torch.testing.assert_close(weights(state), plain, rtol=1e-3, atol=1e-4)
    last = [event for event in ours if isinstance(event, Evaluated)][-1]
    assert last.loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-3)
    assert last.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item(), abs=0.011)  # one image at most


def test_gradients_are_shortened_to_the_longest_norm_and_not_below_it(data):
    """Plain SGD moves by the learning rate times the gradient, whose norm is then that of the step."""

    def first_step(clip_norm: float) -> float:
        config = config_with(optimizer={"name": "sgd", "lr": 1.0, "clip_norm": clip_norm}, log_every=1)
        state = fresh(config)
        before = weights(state)
        next(event for event in train(data, 10, state, FLOAT32) if isinstance(event, StepLogged))
        return float((weights(state) - before).norm())

    whole = first_step(0.0)
    assert whole > 0.2
    assert first_step(0.1) == pytest.approx(0.1, rel=1e-3)
    assert first_step(2 * whole) == whole


def test_images_come_in_the_set_s_order_where_they_are_not_shuffled(data):
    config = config_with(data={"sampling": "in order"})
    for epoch in (0, 1):
        seen = torch.cat([labels for _, labels in training_batches(data, config, epoch, torch.float32)])
        assert torch.equal(seen, data.labels[data.train])


def test_same_seed_gives_the_same_run_and_another_seed_another(data):
    def run(seed: int) -> tuple[list[float], torch.Tensor]:
        config = config_with(seed=seed, augmentation={"shift_px": 1})
        state = fresh(config)
        return [event.loss for event in events_of(config, data, state) if event is not TICK], weights(state)

    first, again, other = run(1), run(1), run(2)
    assert first[0] == again[0]
    assert torch.equal(first[1], again[1])
    assert first[0] != other[0]


def test_bfloat16_computes_nearly_the_same_first_losses_and_keeps_weights_in_float32(data):
    """Eight bits of mantissa: a loss of 2.3 to within a hundredth or so, before the runs drift apart."""
    config = config_with(log_every=1, epochs=1)
    state = fresh(config)
    rough = list(train(data, 10, state, Compute(device=CPU, device_reason="", dtype=torch.bfloat16, precision_reason="")))
    exact = events_of(config, data)
    assert all(p.dtype == torch.float32 for p in state.model.parameters())
    first = [[event.loss for event in events if isinstance(event, StepLogged)][:3] for events in (rough, exact)]
    assert first[0] != first[1]
    assert first[0] == pytest.approx(first[1], abs=0.02)
    evaluated_first = [next(event for event in events if isinstance(event, Evaluated)).loss for events in (rough, exact)]
    assert evaluated_first[0] == evaluated_first[1]  # evaluation is in float32 in both


# --- batches


def test_epoch_shows_every_training_picture_once_and_no_other(data):
    config = config_with(batch_size=7)
    marked = TrainingData(
        images=torch.arange(1797, dtype=torch.int64).view(-1, 1, 1, 1) % 251,
        labels=torch.arange(1797),
        train=data.train,
        evaluated=data.evaluated,
        mean=torch.tensor([0.0]),
        std=torch.tensor([1.0]),
    )
    seen = torch.cat([labels for _, labels in training_batches(marked, config, 0, torch.float32)])
    assert sorted(seen.tolist()) == sorted(data.train.tolist())


def test_order_differs_from_epoch_to_epoch_and_is_the_seed_s(data):
    def labels(seed: int, epoch: int) -> list[int]:
        return torch.cat([y for _, y in training_batches(data, config_with(seed=seed), epoch, torch.float32)]).tolist()

    assert labels(1, 0) == labels(1, 0)
    assert labels(1, 0) != labels(1, 1)
    assert labels(1, 0) != labels(2, 0)


@pytest.mark.parametrize("skip", [0, 1, 5, 9, 10])
def test_epoch_resumed_after_some_batches_gets_the_rest_exactly(data, skip, monkeypatch):
    monkeypatch.setattr("core.training.batches.CHUNK_BYTES", 3 * 32 * 64 * 4)  # three batches are gathered at once
    config = config_with(augmentation={"shift_px": 1, "rotate_deg": 10, "erase_px": 2, "flip": True})
    whole = list(training_batches(data, config, 3, torch.float32))
    rest = list(training_batches(data, config, 3, torch.float32, skip=skip))
    assert len(rest) == 10 - skip
    for (images, labels), (expected_images, expected_labels) in zip(rest, whole[skip:], strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)


@pytest.mark.parametrize(
    ("num_train", "batch_size", "drop_last", "expected"),
    [(100, 30, False, 4), (100, 30, True, 3), (90, 30, True, 3), (90, 30, False, 3), (1, 1, True, 1)],
)
def test_steps_of_an_epoch_are_counted(num_train, batch_size, drop_last, expected):
    assert steps_per_epoch(num_train, batch_size, drop_last) == expected


# --- evaluation


def evaluated(data: TrainingData, batch_size: int, model: nn.Module) -> Evaluated:
    position = {"epoch": 1, "step": 2, "examples": 3, "seconds": 4.0, "split": "test"}
    return list(evaluate(model, data, batch_size, 10, **position))[-1]


@pytest.mark.parametrize("model", ["mlp", "mnist-batchnorm-cnn"])
def test_evaluation_does_not_depend_on_its_batch_size(data, model):
    network = fresh(config_with(model={"name": model})).model
    whole = evaluated(data, 1000, network)
    for batch_size in (1, 7, 99):
        parts = evaluated(data, batch_size, network)
        assert parts.accuracy == whole.accuracy
        assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
        assert (parts.correct, parts.support) == (whole.correct, whole.support)
        assert np.array_equal(parts.predictions.predicted, whole.predictions.predicted)


def test_evaluation_agrees_with_a_forward_pass_over_all_pictures(data):
    network = fresh(config_with()).model
    event = evaluated(data, 33, network)
    images, labels = gather(data, data.evaluated)
    with torch.no_grad():
        probabilities = network.eval()(images).softmax(1)
    assert event.loss == pytest.approx(-probabilities[range(100), labels].log().mean().item(), rel=1e-5)
    assert event.support == torch.bincount(labels, minlength=10).tolist()
    assert sum(event.correct) / 100 == pytest.approx(event.accuracy)
    np.testing.assert_allclose(event.predictions.true_probability, probabilities[range(100), labels], atol=1e-3)
    np.testing.assert_allclose(event.predictions.confidence, probabilities.max(1).values, atol=1e-3)


def test_whoever_iterates_over_an_evaluation_is_not_in_inference_mode(data):
    network = fresh(config_with()).model
    position = {"epoch": 0, "step": 0, "examples": 0, "seconds": 0.0, "split": "test"}
    for _ in evaluate(network, data, 33, 10, **position):
        assert not torch.is_inference_mode_enabled()
        assert torch.ones(1, requires_grad=True).mul(2).requires_grad


def test_evaluation_leaves_the_network_as_it_was(data):
    state = fresh(config_with(model={"name": "mnist-batchnorm-cnn"}))
    state.model.train()
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    evaluated(data, 10, state.model)
    assert state.model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in state.model.state_dict().items())


def test_prediction_record_takes_five_bytes_a_picture(data):
    record = evaluated(data, 10, fresh(config_with()).model).predictions
    assert sum(array.nbytes for array in (record.predicted, record.confidence, record.true_probability)) == 5 * NUM_EVALUATED
