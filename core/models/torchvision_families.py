"""Networks of torchvision's with a last layer of their own size; names of weights are torchvision's, so that its files fit."""

from collections.abc import Callable

from torch import nn

from core.errors import InputError
from core.models.reference import need_side


def from_torchvision(name: str, minimum_px: int, shape: tuple[int, int, int], num_classes: int, width: float) -> nn.Module:
    """torchvision.models.<name> for colour images. Raises InputError for grey ones, small ones, and another width."""
    if shape[0] != 3:
        raise InputError(
            f"{name} is made for colour images, these have {shape[0]} channel.",
            code="model",
            hint="Set preprocessing.colour to rgb, or choose another model.",
        )
    if width != 1:
        raise InputError(f"model.width: {name} comes in one width only, found {width:g}, expected 1.", code="model")
    need_side(name, shape, minimum_px)
    from torchvision import models

    build: Callable[..., nn.Module] = getattr(models, name)
    return build(weights=None, num_classes=num_classes)
