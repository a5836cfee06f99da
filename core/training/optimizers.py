"""Optimizers and schedules: from their settings to what the loop calls. Which there are is in core/optimizers.py and core/schedules.py."""

import math

import torch
from torch import nn

from core.config import CatalogueNetwork, ModelConfig, Schedule
from core.config import Optimizer as OptimizerConfig
from core.models.head import head_of
from core.optimizers import OPTIMIZERS, Groups
from core.schedules import SCHEDULES


def build_optimizer(
    config: OptimizerConfig, model: nn.Module, network: ModelConfig = CatalogueNetwork()
) -> torch.optim.Optimizer:
    """The optimizer over all trainable parameters. network: the model's settings, of which those about its last layer count."""
    return OPTIMIZERS[config.name].build(config, parameter_groups(config, model, network))


def parameter_groups(config: OptimizerConfig, model: nn.Module, network: ModelConfig) -> Groups:
    """All trainable parameters, vectors (biases, norms) undecayed where the settings say so.

    Where the last layer learns otherwise than the rest, its groups come first, and each has the "lr_factor" by which its learning
    rate is multiplied.
    """
    if not network.has_head_apart:
        return _by_decay(config, [p for p in model.parameters() if p.requires_grad])
    names = head_of(list(model.state_dict()))
    head = [p for name, p in model.named_parameters() if p.requires_grad and name in names]
    rest = [p for name, p in model.named_parameters() if p.requires_grad and name not in names]
    groups = [{**group, "lr_factor": 1.0} for group in _by_decay(config, head)]
    return groups + [{**group, "lr_factor": network.backbone_factor} for group in _by_decay(config, rest) if rest]


def _by_decay(config: OptimizerConfig, trainable: list[nn.Parameter]) -> Groups:
    if config.decay_all or config.weight_decay == 0:
        return [{"params": trainable, "weight_decay": config.weight_decay}]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]


def regrouped(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, model: nn.Module, network: ModelConfig
) -> torch.optim.Optimizer:
    """An optimizer over what is trainable now. What the earlier one remembers of parameters that stay in it is kept."""
    new = build_optimizer(config, model, network)
    for group in new.param_groups:
        new.state.update({p: optimizer.state[p] for p in group["params"] if p in optimizer.state})
    return new


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by at this step, counted from 0. A pure function of the position: nothing to save."""
    position = step / steps_per_epoch
    if schedule.warmup_epochs and position < schedule.warmup_epochs:
        return (step + 1) / (schedule.warmup_epochs * steps_per_epoch + 1)
    if schedule.update_every == "epoch":
        position = float(math.floor(position))
    return SCHEDULES[schedule.name].factor(schedule, position, epochs)
