"""The devices that a training may take: one slot each, which is the machine's."""

import torch

from core.jobs.slots import Slot
from core.training.device import choose_device


def slots_for(wanted: str) -> tuple[Slot, ...]:
    """Those of the kind that a configuration asks for, in their order. Raises InputError if there is none."""
    kind = choose_device(wanted)[0].type
    return tuple(Slot(kind, index) for index in range(torch.cuda.device_count() if kind == "cuda" else 1))
