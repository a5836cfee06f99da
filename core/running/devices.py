"""The devices that a training may take: one slot each, which is the machine's."""

import torch

from core.config import TrainConfig
from core.jobs.slots import Slot
from core.training.device import choose_compute


def slots_for(config: TrainConfig) -> tuple[Slot, ...]:
    """Those of the kind that the configuration asks for, in their order. Raises InputError if there is none."""
    kind = choose_compute(config).device.type
    return tuple(Slot(kind, index) for index in range(torch.cuda.device_count() if kind == "cuda" else 1))
