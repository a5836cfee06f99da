"""Optimizers and schedules: from their settings to what the loop calls. Which there are is in core/optimizers.py and core/schedules.py."""

import math

import torch
from torch import nn

from core.config import Optimizer as OptimizerConfig
from core.config import Schedule
from core.optimizers import OPTIMIZERS
from core.schedules import SCHEDULES


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over all trainable parameters; vectors (biases, norms) undecayed where the settings say so."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    if config.decay_all or config.weight_decay == 0:
        groups = [{"params": trainable, "weight_decay": config.weight_decay}]
    else:
        groups = [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
        ]
    return OPTIMIZERS[config.name].build(config, groups)


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by at this step, counted from 0. A pure function of the position: nothing to save."""
    position = step / steps_per_epoch
    if schedule.warmup_epochs and position < schedule.warmup_epochs:
        return (step + 1) / (schedule.warmup_epochs * steps_per_epoch + 1)
    if schedule.update_every == "epoch":
        position = float(math.floor(position))
    return SCHEDULES[schedule.name].factor(schedule, position, epochs)
