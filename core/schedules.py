"""The learning rate schedules there are. A new one is its settings, its curve, and a record below; forms, help and tests follow.

Warm-up, and whether a curve is followed by step or by epoch, are the same for all: see core/training/optimizers.py.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from core.sections import Section, setting


class ScheduleBase(Section):
    if TYPE_CHECKING:
        name: str = ""

    warmup_epochs: float = setting(
        0.0, "Warm-up", "The learning rate climbs from near zero over this many epochs.", unit="epochs", ge=0, le=1000
    )
    update_every: Literal["step", "epoch"] = setting(
        "step", "Update learning rate every", "Whether the learning rate moves at every step or only from epoch to epoch."
    )


class Constant(ScheduleBase):
    name: Literal["constant"] = "constant"


class StepDecay(ScheduleBase):
    name: Literal["step"] = "step"
    step_epochs: int = setting(10, "Every", "The learning rate drops after each of these.", unit="epochs", ge=1, le=100_000)
    gamma: float = setting(0.1, "Factor", "What it is multiplied by at each drop.", gt=0, le=1)


class Cosine(ScheduleBase):
    name: Literal["cosine"] = "cosine"
    period_epochs: int | None = setting(
        None,
        "Half period",
        "Epochs from the highest to the lowest rate (T_max). Empty: the whole run.",
        unit="epochs",
        ge=1,
        le=100_000,
    )
    final_fraction: float = setting(0.0, "Lowest", "The lowest rate as a share of the learning rate.", ge=0, le=1)


class OneCycle(ScheduleBase):
    name: Literal["one-cycle"] = "one-cycle"
    peak_at: float = setting(0.3, "Peak at", "Share of the run after which the learning rate is reached.", ge=0, le=1)
    initial_fraction: float = setting(0.04, "Start", "The first rate as a share of the learning rate.", ge=0, le=1)
    final_fraction: float = setting(0.0, "End", "The last rate as a share of the learning rate.", ge=0, le=1)
    shape: Literal["linear", "cosine"] = setting("linear", "Shape", "How the rate climbs and falls.")

    @model_validator(mode="after")
    def _warms_up_by_itself(self) -> "OneCycle":
        if self.warmup_epochs:
            raise ValueError("one-cycle has its own climb; set warmup_epochs to 0 and use peak_at and initial_fraction")
        return self


def _constant(settings: Constant, position: float, epochs: int) -> float:
    return 1.0


def _step(settings: StepDecay, position: float, epochs: int) -> float:
    return settings.gamma ** math.floor(position / settings.step_epochs)


def _cosine(settings: Cosine, position: float, epochs: int) -> float:
    period = settings.period_epochs or max(epochs - settings.warmup_epochs, 1e-9)
    return _between(settings.final_fraction, 1.0, (1 + math.cos(math.pi * (position - settings.warmup_epochs) / period)) / 2)


def _one_cycle(settings: OneCycle, position: float, epochs: int) -> float:
    share = min(position / epochs, 1.0)
    if share < settings.peak_at:
        return _between(settings.initial_fraction, 1.0, _eased(share / settings.peak_at, settings.shape))
    falling = (share - settings.peak_at) / max(1 - settings.peak_at, 1e-9)
    return _between(1.0, settings.final_fraction, _eased(falling, settings.shape))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _eased(share: float, shape: str) -> float:
    return share if shape == "linear" else (1 - math.cos(math.pi * share)) / 2


@dataclass(frozen=True, kw_only=True)
class ScheduleEntry:
    """summary: a sentence; settings: its section of a configuration, which names it.

    factor(settings, position, epochs): what the learning rate is multiplied by at a position in epochs, after warm-up.
    spans_run(settings): whether the curve is laid over the whole run, so that another number of epochs stretches it.
    """

    summary: str
    settings: type[ScheduleBase]
    factor: Callable[[Any, float, int], float]
    spans_run: Callable[[Any], bool] = lambda settings: False

    @property
    def name(self) -> str:
        return self.settings.model_fields["name"].default


# The curves are those of torch.optim.lr_scheduler: StepLR, CosineAnnealingLR, OneCycleLR.
SCHEDULES = {
    record.name: record
    for record in (
        ScheduleEntry(summary="The same learning rate all along.", settings=Constant, factor=_constant),
        ScheduleEntry(summary="The learning rate drops by a factor, again and again.", settings=StepDecay, factor=_step),
        ScheduleEntry(
            summary="Falls along half a wave, slowly at first and at the end.",
            settings=Cosine,
            factor=_cosine,
            spans_run=lambda settings: not settings.period_epochs,
        ),
        ScheduleEntry(
            summary="Climbs to its peak and falls again, once in the run.",
            settings=OneCycle,
            factor=_one_cycle,
            spans_run=lambda settings: True,
        ),
    )
}
