"""Random changes of training images: drawn per image on the CPU, applied to whole batches on the training device.

Which there are is in core/augmentations.py; here is what they have in common. The order is fixed
(docs/decisions/transforms.md): colour, normalise, crop, turn, scale, shift, mirror, erase.
"""

from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.augmentations import AUGMENTATIONS, Chance, Places, View, in_drawing_order
from core.config import Augmentation
from core.data.transforms.preprocessing import normalise

DRAWN_IN_ORDER = in_drawing_order()

# What was drawn for N images under these settings, on the CPU. None: this change is off. Shapes stand beside the records.
if TYPE_CHECKING:

    @dataclass(frozen=True, init=False)
    class Draws:
        settings: Augmentation

        def __init__(self, settings: Augmentation, **drawn: Tensor) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    Draws = make_dataclass(
        "Draws",
        [
            ("settings", Augmentation),
            *((name, Tensor | None, None) for change in AUGMENTATIONS.values() for name in change.drawn),
        ],
        frozen=True,
        namespace={"__module__": __name__},
    )


def augment(
    images: Tensor,
    settings: Augmentation,
    generator: torch.Generator,
    mean: Tensor,
    std: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(N, C, H, W) uint8 images as the network gets them while it trains: changed and normalised, channels last or not.

    Each image gets draws of its own from the CPU generator. mean, std: (C,), pixels 0..1, on the device of the images.
    """
    n, _, height, width = images.shape
    return applied(images, draw(settings, n, (height, width), generator), mean, std, dtype)


def draw(settings: Augmentation, n: int, size_px: tuple[int, int], generator: torch.Generator) -> Draws:
    """The draws for n images of (height, width). What is off draws nothing, so turning one on leaves those before it as they are."""
    chance = Chance(settings=settings, n=n, size_px=size_px, generator=generator)
    drawn: dict[str, Tensor] = {}
    if chance.is_resampled:
        _ = chance.moves  # first, as in the first version: a run of then goes on with the same images
    for change in DRAWN_IN_ORDER:
        if change.is_on(settings):
            drawn |= change.draw(chance)
    return Draws(settings, **drawn)


def applied(images: Tensor, draws: Draws, mean: Tensor, std: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, C, H, W) uint8 images with these draws applied and normalised.

    Pixels that come in from outside repeat the image mirrored (shift alone) or are zero, the mean (all others).
    """
    pixels = recoloured(images, draws)
    if not _is_resampled(draws):
        # whole pixels change places: the same before or after normalising, but a byte moves faster than a number
        pixels, outside = rearranged(pixels, draws)
        result = normalise(pixels, mean, std, dtype)
        if outside is not None:
            result.masked_fill_(outside, 0)
    elif draws.crop is None:
        result = resampled(normalise(pixels, mean, std, dtype), draws)
    else:  # in float32: bfloat16 can't tell the places in a large image apart
        result = resampled(normalise(pixels, mean, std).contiguous(), draws)
        result = result.to(dtype, memory_format=torch.channels_last)
    for change in AUGMENTATIONS.values():
        if change.finish and change.is_drawn(draws):
            result = change.finish(result, draws)
    return result


def _is_resampled(draws: Draws) -> bool:
    """Whether any place lies between pixels."""
    return draws.offset is not None or any(change.is_resampling and change.is_drawn(draws) for change in AUGMENTATIONS.values())


def recoloured(pixels: Tensor, draws: Draws) -> Tensor:
    """The images with their colours changed, float32 of its own; the very same uint8 images where no colour changes."""
    changes = [change.recolour for change in AUGMENTATIONS.values() if change.recolour and change.is_drawn(draws)]
    if not changes:
        return pixels
    pixels = pixels.to(torch.float32, memory_format=torch.contiguous_format, copy=True)  # a plane for each colour: faster here
    for change in changes:
        pixels = change(pixels, draws)
    return pixels


def rearranged(pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
    """Moved by whole pixels, all by one gather.

    Also (N, 1, H, W) where nothing comes in, for shifts of more than the image is large; None where there is no such place.
    """
    changes = [change.rearrange for change in AUGMENTATIONS.values() if change.rearrange and change.is_drawn(draws)]
    if not changes:
        return pixels, None
    n, channels, height, width = pixels.shape
    places = Places(
        height=height, width=width, rows=torch.arange(height).expand(n, -1), columns=torch.arange(width).expand(n, -1)
    )
    for change in reversed(changes):  # the last change is looked up first: where a pixel of the result comes from
        change(places, draws)
    rows, columns = places.rows.to(pixels.device), places.columns.to(pixels.device)
    at = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1).expand(-1, channels, -1)
    outside = None if places.outside is None else places.outside.to(pixels.device)
    return pixels.reshape(n, channels, -1).gather(2, at).view(pixels.shape), outside


def resampled(images: Tensor, draws: Draws) -> Tensor:
    """Moved between pixels, all by one bilinear resampling of (N, C, H, W) numbers."""
    view = View()
    for change in AUGMENTATIONS.values():
        if change.resample and change.is_drawn(draws):
            change.resample(view, draws)
    grid = F.affine_grid(_sources(view, *images.shape).to(images.device), list(images.shape), align_corners=False)
    grid = grid.to(images.dtype)
    for dimension, is_chosen in view.mirrored.items():  # the places are mirrored, which is less to move than the images
        chosen = is_chosen.nonzero()[:, 0].to(images.device)
        grid[chosen] = grid[chosen].flip(dimension)
    # a crop alone lies within the image: nothing comes in, not even half a pixel at the border
    mode = "border" if view.matrix is None and view.offset is None else "zeros"
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=mode, align_corners=False)


def _sources(view: View, n: int, channels: int, height: int, width: int) -> Tensor:
    """(N, 2, 3) where each pixel of the result comes from, in affine_grid's coordinates: x, y from -1 to 1."""
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    if view.matrix is not None:
        theta[:, :, :2] = view.matrix
        theta[:, 0, 1] *= height
        theta[:, 0, 1] /= width
        theta[:, 1, 0] *= width
        theta[:, 1, 0] /= height
    if view.offset is not None:
        theta[:, 0, 2], theta[:, 1, 2] = view.offset[0] * 2 / width, view.offset[1] * 2 / height
    if view.window is not None:  # the whole is looked at through it
        top, left, part_height, part_width = view.window
        theta *= torch.stack([part_width / width, part_height / height], dim=1)[:, :, None]
        theta[:, 0, 2] += (2 * left + part_width) / width - 1
        theta[:, 1, 2] += (2 * top + part_height) / height - 1
    return theta
