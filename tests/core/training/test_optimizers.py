"""Optimizers against their published formulas written out here, and schedules against torch.optim.lr_scheduler."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from core.config import VARIANTS, CatalogueNetwork, Optimizer, Schedule, TrainConfig
from core.models.catalogue import MODELS, build_model
from core.settings import changed, config_from
from core.training.optimizers import build_optimizer, lr_factor

STEPS, EPOCHS = 7, 12  # a number of steps that does not divide anything


def optimizer_config(**values) -> Optimizer:
    return config_from({"optimizer": values}).optimizer


def schedule_config(**values) -> Schedule:
    return config_from({"schedule": values}).schedule


def factors(schedule: Schedule, epochs: int = EPOCHS, steps: int = STEPS) -> list[float]:
    return [lr_factor(schedule, step, steps, epochs) for step in range(epochs * steps)]


def torch_factors(build: Callable, count: int, lr: float = 1.0) -> list[float]:
    """What one of torch's schedulers multiplies the rate by, stepped `count` times."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    scheduler = build(optimizer)
    values = []
    for _ in range(count):
        values.append(optimizer.param_groups[0]["lr"] / lr)
        optimizer.step()
        scheduler.step()
    return values


def each_epoch_repeated(values: list[float]) -> list[float]:
    return [value for value in values for _ in range(STEPS)]


# --- schedules


def test_step_schedule_is_torch_s_step_lr():
    expected = torch_factors(lambda o: lr_scheduler.StepLR(o, step_size=5, gamma=0.3), EPOCHS)
    for follow in ("step", "epoch"):
        ours = factors(schedule_config(name="step", step_epochs=5, gamma=0.3, update_every=follow))
        assert ours == pytest.approx(each_epoch_repeated(expected))


@pytest.mark.parametrize("period", [5, 12, 32])
def test_cosine_schedule_by_epoch_is_torch_s_cosine_annealing(period):
    expected = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=period, eta_min=0.1), EPOCHS)
    ours = factors(schedule_config(name="cosine", period_epochs=period, final_fraction=0.1, update_every="epoch"))
    assert ours == pytest.approx(each_epoch_repeated(expected))


def test_cosine_schedule_by_step_is_torch_s_cosine_annealing_over_all_steps():
    expected = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS * STEPS), EPOCHS * STEPS)
    assert factors(schedule_config(name="cosine")) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("shape", "strategy"), [("linear", "linear"), ("cosine", "cos")])
def test_one_cycle_is_torch_s_one_cycle_lr(shape, strategy):
    """Torch puts the peak at pct * total - 1 and the end at total - 1; ours lie at the shares of the run themselves."""
    peak_at, initial, final, steps = 0.25, 0.04, 0.001, EPOCHS * STEPS
    expected = torch_factors(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            max_lr=1.0,
            total_steps=steps + 1,
            pct_start=(peak_at * steps + 1) / (steps + 1),
            anneal_strategy=strategy,
            div_factor=1 / initial,
            final_div_factor=initial / final,
            cycle_momentum=False,
        ),
        steps,
    )
    ours = factors(
        schedule_config(name="one-cycle", peak_at=peak_at, initial_fraction=initial, final_fraction=final, shape=shape)
    )
    assert ours == pytest.approx(expected)


def test_warm_up_is_torch_s_linear_lr():
    warm = 3 * STEPS
    expected = torch_factors(lambda o: lr_scheduler.LinearLR(o, start_factor=1 / (warm + 1), total_iters=warm), EPOCHS * STEPS)
    assert factors(schedule_config(name="constant", warmup_epochs=3)) == pytest.approx(expected)


def test_cosine_after_warm_up_runs_over_what_is_left():
    warm = 3 * STEPS
    expected = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=(EPOCHS - 3) * STEPS), (EPOCHS - 3) * STEPS)
    ours = factors(schedule_config(name="cosine", warmup_epochs=3))
    assert ours[warm:] == pytest.approx(expected, abs=1e-12)
    assert ours[:warm] == sorted(ours[:warm])


def test_constant_schedule_is_constant():
    assert set(factors(schedule_config(name="constant"))) == {1.0}


@pytest.mark.parametrize("follow", ["step", "epoch"])
@pytest.mark.parametrize("name", VARIANTS["schedule"])
def test_rate_stays_between_zero_and_the_chosen_one_and_moves_as_often_as_told(name, follow):
    ours = factors(changed(TrainConfig(), {"schedule.name": name, "schedule.update_every": follow}).schedule)
    assert all(0 <= value <= 1 for value in ours)
    if follow == "epoch":
        assert ours == each_epoch_repeated(ours[::STEPS])


@pytest.mark.parametrize("peak_at", [0, 1])
def test_one_cycle_can_only_fall_or_only_climb(peak_at):
    ours = factors(schedule_config(name="one-cycle", peak_at=peak_at))
    assert ours == sorted(ours, reverse=peak_at == 0)


@pytest.mark.parametrize("name", VARIANTS["schedule"])
def test_run_of_one_step_has_a_rate(name):
    assert 0 <= lr_factor(changed(TrainConfig(), {"schedule.name": name}).schedule, 0, 1, 1) <= 1


# --- optimizers


def sgd(p: Tensor, g: Tensor, s: dict, t: int, c) -> Tensor:
    """Sutskever et al. 2013 in torch's form: the buffer takes the gradient whole."""
    g = g + c.weight_decay * p
    if c.momentum:
        s["v"] = g if t == 1 else c.momentum * s["v"] + g
        g = g + c.momentum * s["v"] if c.nesterov else s["v"]
    return p - c.lr * g


def adam(p: Tensor, g: Tensor, s: dict, t: int, c) -> Tensor:
    """Kingma and Ba 2015, algorithm 1; weight decay added to the gradient."""
    g = g + c.weight_decay * p
    s["m"] = c.beta1 * s.get("m", 0) + (1 - c.beta1) * g
    s["v"] = c.beta2 * s.get("v", 0) + (1 - c.beta2) * g**2
    return p - c.lr * (s["m"] / (1 - c.beta1**t)) / ((s["v"] / (1 - c.beta2**t)).sqrt() + c.eps)


def adamw(p: Tensor, g: Tensor, s: dict, t: int, c) -> Tensor:
    """Loshchilov and Hutter 2019: the decay apart from the gradient, times the rate."""
    return adam(p, g, s, t, c.model_copy(update={"weight_decay": 0.0})) - c.lr * c.weight_decay * p


def rmsprop(p: Tensor, g: Tensor, s: dict, t: int, c) -> Tensor:
    """Hinton's lecture 6e, with torch's momentum."""
    g = g + c.weight_decay * p
    s["v"] = c.alpha * s.get("v", 0) + (1 - c.alpha) * g**2
    step = g / (s["v"].sqrt() + c.eps)
    if c.momentum:
        s["b"] = c.momentum * s.get("b", 0) + step
        step = s["b"]
    return p - c.lr * step


FORMULAS = {"sgd": sgd, "adam": adam, "adamw": adamw, "rmsprop": rmsprop}
CASES = [
    {"name": "sgd", "lr": 0.1},
    {"name": "sgd", "lr": 0.1, "weight_decay": 0.05},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.05},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    {"name": "adam", "lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
    {"name": "adamw", "lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
    {"name": "rmsprop", "lr": 0.01, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1},
    {"name": "rmsprop", "lr": 0.01, "alpha": 0.9, "momentum": 0.7},
]


@pytest.mark.parametrize("values", CASES, ids=lambda v: " ".join(f"{k}={x}" for k, x in v.items()))
def test_optimizer_follows_its_published_formula(values):
    config, model = optimizer_config(**values), nn.Linear(4, 3)
    optimizer = build_optimizer(config, model)
    draws = torch.Generator().manual_seed(0)
    expected, memory = {n: p.detach().clone() for n, p in model.named_parameters()}, {n: {} for n, _ in model.named_parameters()}
    for t in range(1, 6):
        for name, parameter in model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=draws)
            expected[name] = FORMULAS[config.name](expected[name], parameter.grad, memory[name], t, config)
        optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-5, atol=1e-6)


def test_every_optimizer_of_the_configuration_has_a_formula_here():
    assert set(FORMULAS) == set(VARIANTS["optimizer"])


@pytest.mark.parametrize("name", VARIANTS["optimizer"])
@pytest.mark.parametrize("decay_all", [True, False])
def test_weight_decay_leaves_biases_and_norms_alone_when_told_so(name, decay_all):
    """With gradients of zero, decay is all that moves a parameter."""
    model = build_model(CatalogueNetwork(name="mnist-batchnorm-cnn"), (1, 8, 8), 10)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    build_optimizer(optimizer_config(name=name, lr=0.1, weight_decay=0.5, decay_all=decay_all), model).step()
    for key, parameter in model.named_parameters():
        is_vector = parameter.ndim == 1
        moved = not torch.equal(parameter, torch.ones_like(parameter))
        assert moved == (decay_all or not is_vector), key


@pytest.mark.parametrize("model", MODELS)
def test_optimizer_holds_every_parameter_once(model):
    with torch.device("meta"):
        network = build_model(CatalogueNetwork(name=model), (3, 32, 32), 10)
    for decay_all in (True, False):
        optimizer = build_optimizer(optimizer_config(name="sgd", weight_decay=0.1, decay_all=decay_all), network)
        held = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in network.parameters())


def test_frozen_parameters_are_left_out():
    model = nn.Linear(2, 2)
    model.bias.requires_grad = False
    optimizer = build_optimizer(optimizer_config(name="sgd"), model)
    assert [p.shape for group in optimizer.param_groups for p in group["params"]] == [torch.Size([2, 2])]


def test_rate_of_the_reference_cosine_is_half_at_half_its_period():
    config = schedule_config(name="cosine", period_epochs=32, update_every="epoch")
    assert lr_factor(config, 16 * 1875, 1875, 50) == pytest.approx(0.5)
    assert lr_factor(config, 32 * 1875, 1875, 50) == pytest.approx(0)
    assert lr_factor(config, 40 * 1875, 1875, 50) == pytest.approx((1 - math.cos(math.pi * 8 / 32)) / 2)  # it climbs again
