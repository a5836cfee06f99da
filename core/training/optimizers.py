"""Optimizers and schedules: from their settings to what the loop calls."""

import math

import torch
from torch import nn

from core.config import SGD, Adam, AdamW, Constant, Cosine, OneCycle, RMSprop, Schedule, StepDecay
from core.config import Optimizer as OptimizerConfig


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
    match config:
        case AdamW():
            return torch.optim.AdamW(groups, config.lr, (config.beta1, config.beta2), config.eps, fused=True)
        case Adam():
            return torch.optim.Adam(groups, config.lr, (config.beta1, config.beta2), config.eps, fused=True)
        case SGD():
            return torch.optim.SGD(groups, config.lr, config.momentum, nesterov=config.nesterov, fused=True)
        case RMSprop():
            return torch.optim.RMSprop(groups, config.lr, config.alpha, config.eps, momentum=config.momentum)


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by at this step, counted from 0. A pure function of the position: nothing to save.

    The curves are those of torch.optim.lr_scheduler (StepLR, CosineAnnealingLR), with the position in epochs.
    """
    position = step / steps_per_epoch
    if schedule.warmup_epochs and position < schedule.warmup_epochs:
        return (step + 1) / (schedule.warmup_epochs * steps_per_epoch + 1)
    if schedule.update_every == "epoch":
        position = float(math.floor(position))
    match schedule:
        case Constant():
            return 1.0
        case StepDecay():
            return schedule.gamma ** math.floor(position / schedule.step_epochs)
        case Cosine():
            period = schedule.period_epochs or max(epochs - schedule.warmup_epochs, 1e-9)
            return _between(
                schedule.final_fraction, 1.0, (1 + math.cos(math.pi * (position - schedule.warmup_epochs) / period)) / 2
            )
        case OneCycle():
            share = min(position / epochs, 1.0)
            if share < schedule.peak_at:
                return _between(schedule.initial_fraction, 1.0, _eased(share / schedule.peak_at, schedule.shape))
            falling = (share - schedule.peak_at) / max(1 - schedule.peak_at, 1e-9)
            return _between(1.0, schedule.final_fraction, _eased(falling, schedule.shape))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _eased(share: float, shape: str) -> float:
    return share if shape == "linear" else (1 - math.cos(math.pi * share)) / 2
