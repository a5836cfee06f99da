"""The optimizers there are. A new one is its settings, how it is built, and a record below; forms, help and tests follow from it.

Which parameters it gets is decided in core/training/optimizers.py. torch is imported only once one is built: commands
and forms read the records without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from core.sections import Section, setting

if TYPE_CHECKING:
    import torch

Groups = list[dict[str, Any]]  # parameters with the weight decay of each group, as torch takes them


class OptimizerBase(Section):
    if TYPE_CHECKING:
        name: str = ""

    lr: float = setting(
        0.01,
        "Learning rate",
        "Size of each update. Too high and the loss jumps or explodes; too low and it crawls.",
        basic=True,
        gt=0,
        le=100,
    )
    weight_decay: float = setting(0.0, "Weight decay", "Pulls the weights towards zero at every step.", ge=0, le=10)
    decay_all: bool = setting(
        True,
        "Decay biases and norms",
        "Off: weight decay leaves biases and normalisation layers alone, as newer recipes do.",
    )
    clip_norm: float = setting(
        0.0,
        "Gradient clipping",
        "Longest norm of all gradients together: longer ones are shortened to it before the update (max norm). 0: never.",
        ge=0,
        le=1_000_000,
    )


class SGD(OptimizerBase):
    name: Literal["sgd"] = "sgd"
    momentum: float = setting(0.0, "Momentum", "Share of the last update that is carried on.", basic=True, ge=0, lt=1)
    nesterov: bool = setting(False, "Nesterov", "Looks ahead along the momentum. Needs momentum above 0.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; set momentum, for example to 0.9, or turn nesterov off")
        return self


class Adam(OptimizerBase):
    name: Literal["adam"] = "adam"
    lr: float = setting(0.001, "Learning rate", OptimizerBase.model_fields["lr"].description or "", basic=True, gt=0, le=100)
    beta1: float = setting(0.9, "Beta 1", "Memory of the mean gradient.", ge=0, lt=1)
    beta2: float = setting(0.999, "Beta 2", "Memory of the squared gradient.", ge=0, lt=1)
    eps: float = setting(1e-8, "Epsilon", "Added to the denominator for stability.", gt=0, le=1)


class AdamW(Adam):
    name: Literal["adamw"] = "adamw"
    weight_decay: float = setting(0.01, "Weight decay", "Pulls the weights towards zero, apart from the gradient.", ge=0, le=10)


class RMSprop(OptimizerBase):
    name: Literal["rmsprop"] = "rmsprop"
    alpha: float = setting(0.99, "Alpha", "Memory of the squared gradient.", ge=0, lt=1)
    momentum: float = setting(0.0, "Momentum", "Share of the last update that is carried on.", ge=0, lt=1)
    eps: float = setting(1e-8, "Epsilon", "Added to the denominator for stability.", gt=0, le=1)


def _sgd(settings: SGD, groups: Groups) -> "torch.optim.Optimizer":
    from torch import optim

    return optim.SGD(groups, settings.lr, settings.momentum, nesterov=settings.nesterov, fused=True)


def _adam(settings: Adam, groups: Groups) -> "torch.optim.Optimizer":
    from torch import optim

    return optim.Adam(groups, settings.lr, (settings.beta1, settings.beta2), settings.eps, fused=True)


def _adamw(settings: AdamW, groups: Groups) -> "torch.optim.Optimizer":
    from torch import optim

    return optim.AdamW(groups, settings.lr, (settings.beta1, settings.beta2), settings.eps, fused=True)


def _rmsprop(settings: RMSprop, groups: Groups) -> "torch.optim.Optimizer":
    from torch import optim

    return optim.RMSprop(groups, settings.lr, settings.alpha, settings.eps, momentum=settings.momentum)


@dataclass(frozen=True)
class OptimizerEntry:
    """summary: a sentence; settings: its section of a configuration, which names it; build(settings, groups) returns torch's."""

    summary: str
    settings: type[OptimizerBase]
    build: Callable[[Any, Groups], "torch.optim.Optimizer"]

    @property
    def name(self) -> str:
        return self.settings.model_fields["name"].default


OPTIMIZERS = {
    record.name: record
    for record in (
        OptimizerEntry("Down the gradient, with momentum if wanted: the classic.", SGD, _sgd),
        OptimizerEntry("A step size of its own for each weight; forgiving about the learning rate.", Adam, _adam),
        OptimizerEntry("Adam whose weight decay is kept apart from the gradient.", AdamW, _adamw),
        OptimizerEntry("The gradient divided by its own recent size.", RMSprop, _rmsprop),
    )
}
