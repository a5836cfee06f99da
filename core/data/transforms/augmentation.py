"""Random changes of training pictures: drawn per picture on the CPU, applied to whole batches on the training device.

The order is fixed (docs/decisions/transforms.md): colour, normalise, crop, turn, scale, shift, mirror, erase.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import Augmentation
from core.data.transforms.preprocessing import normalise

# Weights of red, green and blue in torchvision's grey.
RED, GREEN, BLUE = 0.2989, 0.587, 0.114
CROP_RATIOS = (3 / 4, 4 / 3)
CROP_TRIES = 10


@dataclass(frozen=True)
class Draws:
    """What was drawn for N pictures, on the CPU. None: this change is off. See `draw` for the distributions."""

    corner: Tensor | None = None  # (2, N) whole pixels down and to the right that the view moves, from -shift_px to shift_px
    shift_px: int = 0
    angle: Tensor | None = None  # (N,) radians, counter-clockwise; with zoom and offset: all three or none
    zoom: Tensor | None = None  # (N,) 1.1 is a tenth larger
    offset: Tensor | None = None  # (2, N) pixels to the right and down that the view moves
    crop: Tensor | None = None  # (4, N) top, left, height, width, whole pixels
    is_flipped: Tensor | None = None  # (N,) bool
    is_upside_down: Tensor | None = None  # (N,) bool
    hole: Tensor | None = None  # (2, N, 1) its middle, as a share of height and width
    hole_px: int = 0
    brightness: Tensor | None = None  # (N,) factors, as contrast and saturation
    contrast: Tensor | None = None
    saturation: Tensor | None = None
    hue: Tensor | None = None  # (N,) share of the colour circle
    is_grey: Tensor | None = None  # (N,) bool
    is_inverted: Tensor | None = None  # (N,) bool


def augment(
    images: Tensor,
    settings: Augmentation,
    generator: torch.Generator,
    mean: Tensor,
    std: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(N, C, H, W) uint8 pictures as the network gets them while it trains: changed and normalised, channels last or not.

    Each picture gets draws of its own from the CPU generator. mean, std: (C,), pixels 0..1, on the device of the images.
    """
    return applied(images, draw(settings, len(images), tuple(images.shape[2:]), generator), mean, std, dtype)


def draw(settings: Augmentation, n: int, size_px: tuple[int, int], generator: torch.Generator) -> Draws:
    """The draws for n pictures of (height, width). What is off draws nothing, so turning one on leaves those before it as they are."""
    drawn: dict[str, Tensor] = {}

    def chance(probability: float) -> Tensor:
        return torch.rand(n, generator=generator) < probability

    def around(middle: float, by: float) -> Tensor:
        return middle + (torch.rand(n, generator=generator) * 2 - 1) * by

    # First what has been there since the first version, in its order: a run of then goes on with the same pictures.
    if settings.rotate_deg or settings.scale or settings.crop_area < 1:
        draws = torch.rand(4, n, generator=generator) * 2 - 1  # (4, N) in -1..1
        drawn["angle"] = draws[0] * math.radians(settings.rotate_deg)
        drawn["zoom"] = 1 + draws[1] * settings.scale
        drawn["offset"] = draws[2:] * settings.shift_px
    elif settings.shift_px:
        drawn["corner"] = torch.randint(0, 2 * settings.shift_px + 1, (2, n, 1), generator=generator)[:, :, 0] - settings.shift_px
    if settings.flip:
        drawn["is_flipped"] = chance(0.5)
    if settings.erase_px:
        drawn["hole"] = torch.rand(2, n, 1, generator=generator)
    if settings.crop_area < 1:
        drawn["crop"] = _crops(settings.crop_area, n, size_px, generator)
    if settings.flip_vertical:
        drawn["is_upside_down"] = chance(0.5)
    if settings.brightness:
        drawn["brightness"] = around(1, settings.brightness)
    if settings.contrast:
        drawn["contrast"] = around(1, settings.contrast)
    if settings.saturation:
        drawn["saturation"] = around(1, settings.saturation)
    if settings.hue:
        drawn["hue"] = around(0, settings.hue)
    if settings.grey_probability:
        drawn["is_grey"] = chance(settings.grey_probability)
    if settings.invert_probability:
        drawn["is_inverted"] = chance(settings.invert_probability)
    return Draws(shift_px=settings.shift_px, hole_px=settings.erase_px, **drawn)


def _crops(smallest_area: float, n: int, size_px: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(4, n) top, left, height, width as torchvision's RandomResizedCrop draws them: the first of ten tries that fits, else all."""
    height, width = size_px
    tries = torch.rand(2, CROP_TRIES, n, generator=generator)
    area = height * width * (smallest_area + tries[0] * (1 - smallest_area))
    low, high = (math.log(ratio) for ratio in CROP_RATIOS)
    ratio = torch.exp(low + tries[1] * (high - low))
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()])  # (2, tries, n) height, width
    fits = (sides[0] <= height) & (sides[1] <= width) & (sides.amin(0) >= 1)
    first = fits.float().argmax(0)  # (n,)
    chosen = sides.gather(1, first.expand(2, 1, n))[:, 0]  # (2, n)
    whole = torch.tensor([[height], [width]], dtype=torch.float32)
    chosen = torch.where(fits.any(0), chosen, whole)
    corner = (torch.rand(2, n, generator=generator) * (whole - chosen + 1)).floor().minimum(whole - chosen)
    return torch.cat([corner, chosen])


def applied(images: Tensor, draws: Draws, mean: Tensor, std: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, C, H, W) uint8 pictures with these draws applied and normalised.

    Pixels that come in from outside repeat the picture mirrored (shift alone) or are zero, the mean (all others).
    """
    pixels = recoloured(images, draws)
    if draws.angle is None:
        # whole pixels change places: the same before or after normalising, but a byte moves faster than a number
        pixels, outside = rearranged(pixels, draws)
        result = normalise(pixels, mean, std, dtype)
        if outside is not None:
            result.masked_fill_(outside, 0)
    elif draws.crop is None:
        result = resampled(normalise(pixels, mean, std, dtype), draws)
    else:  # in float32: bfloat16 can't tell the places in a large picture apart
        result = resampled(normalise(pixels, mean, std).contiguous(), draws)
        result = result.to(dtype, memory_format=torch.channels_last)
    return result if draws.hole is None else erased(result, draws.hole, draws.hole_px)


# --- whole pixels


def rearranged(pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
    """Shifted and mirrored by one gather; what comes in is the picture mirrored at its border.

    Also (N, 1, H, W) where nothing comes in, for shifts of more than the picture is large; None where there is no such place.
    """
    if draws.corner is None and draws.is_flipped is None and draws.is_upside_down is None:
        return pixels, None
    n, channels, height, width = pixels.shape
    rows, columns = torch.arange(height).expand(n, -1), torch.arange(width).expand(n, -1)
    outside = None
    # the last change is looked up first: where a pixel of the result comes from
    if draws.is_flipped is not None:
        columns = torch.where(draws.is_flipped[:, None], columns.flip(1), columns)
    if draws.is_upside_down is not None:
        rows = torch.where(draws.is_upside_down[:, None], rows.flip(1), rows)
    if draws.corner is not None:
        rows, columns = rows + draws.corner[0][:, None], columns + draws.corner[1][:, None]
        if draws.shift_px >= min(height, width):
            missing = [(rows < 0) | (rows >= height), (columns < 0) | (columns >= width)]
            outside = (missing[0][:, :, None] | missing[1][:, None, :]).unsqueeze(1).to(pixels.device)
            rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        else:
            rows, columns = _reflected(rows, height), _reflected(columns, width)
    rows, columns = rows.to(pixels.device), columns.to(pixels.device)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1).expand(-1, channels, -1)
    return pixels.reshape(n, channels, -1).gather(2, places).view(pixels.shape), outside


def _reflected(index: Tensor, size: int) -> Tensor:
    """Indices from -(size - 1) to 2 (size - 1) brought into 0..size - 1, the border itself not repeated."""
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)


# --- between pixels


def resampled(images: Tensor, draws: Draws) -> Tensor:
    """Crop, rotation, scale, shift and mirroring together, by one bilinear resampling of (N, C, H, W) numbers."""
    theta = sources(draws, images.shape[2], images.shape[3])
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False).to(images.dtype)
    for is_chosen, dimension in ((draws.is_flipped, 2), (draws.is_upside_down, 1)):
        if is_chosen is not None:  # the places are mirrored, which is less to move than the pictures
            chosen = is_chosen.nonzero()[:, 0].to(images.device)
            grid[chosen] = grid[chosen].flip(dimension)
    moves = bool(draws.angle.any() or (draws.zoom != 1).any() or draws.offset.any())
    # a crop alone lies within the picture: nothing comes in, not even half a pixel at the border
    mode = "zeros" if moves or draws.crop is None else "border"
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=mode, align_corners=False)


def sources(draws: Draws, height: int, width: int) -> Tensor:
    """(N, 2, 3) where each pixel of the result comes from, in affine_grid's coordinates: x, y from -1 to 1."""
    scale = 1 / draws.zoom
    cos, sin = torch.cos(draws.angle) * scale, torch.sin(draws.angle) * scale
    theta = torch.zeros(len(cos), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = cos, -sin * height / width, draws.offset[0] * 2 / width
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = sin * width / height, cos, draws.offset[1] * 2 / height
    if draws.crop is not None:  # the whole is looked at through the window of the crop
        top, left, crop_height, crop_width = draws.crop
        theta *= torch.stack([crop_width / width, crop_height / height], dim=1)[:, :, None]
        theta[:, 0, 2] += (2 * left + crop_width) / width - 1
        theta[:, 1, 2] += (2 * top + crop_height) / height - 1
    return theta


def erased(images: Tensor, hole: Tensor, side: int) -> Tensor:
    """Normalised (N, C, H, W) with a square of this side blanked out in each, its middle anywhere."""
    height, width = images.shape[2:]
    offset = side / 2
    rows = (torch.arange(height) + 0.5 - hole[0] * height).abs() < offset  # (N, H)
    columns = (torch.arange(width) + 0.5 - hole[1] * width).abs() < offset  # (N, W)
    square = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1).to(images.device)  # (N, 1, H, W)
    return images.masked_fill(square, 0)


# --- colour, on pixel values from 0 to 255 that are not rounded; the formulas are torchvision's


def recoloured(pixels: Tensor, draws: Draws) -> Tensor:
    """The pictures with their colours changed, float32 of its own; the very same uint8 pictures where no colour changes."""
    changes = (draws.brightness, draws.contrast, draws.saturation, draws.hue, draws.is_grey, draws.is_inverted)
    if all(change is None for change in changes):
        return pixels
    pixels = pixels.to(torch.float32, memory_format=torch.contiguous_format, copy=True)  # a plane for each colour: faster here
    has_colour = pixels.shape[1] == 3
    if draws.brightness is not None:
        pixels.mul_(_each(draws.brightness, pixels)).clamp_(max=255)
    if draws.contrast is not None:
        factor = _each(draws.contrast, pixels)
        _blend(pixels, _grey(pixels.mean((2, 3), keepdim=True)), factor)
    if draws.saturation is not None and has_colour:
        _blend(pixels, _grey(pixels), _each(draws.saturation, pixels))
    if draws.hue is not None and has_colour:
        pixels = _turned_hue(pixels, _each(draws.hue, pixels)[:, 0])
    if draws.is_grey is not None and has_colour:
        chosen = draws.is_grey.nonzero()[:, 0].to(pixels.device)
        pixels[chosen] = _grey(pixels[chosen]).expand(-1, 3, -1, -1)
    if draws.is_inverted is not None:  # 255 - x for the chosen ones
        sign = 1 - 2 * _each(draws.is_inverted.float(), pixels)
        pixels.mul_(sign).add_(127.5 * (1 - sign))
    return pixels


def _each(numbers: Tensor, pixels: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1) on the device of the pictures."""
    return numbers.view(-1, 1, 1, 1).to(pixels.device)


def _grey(pixels: Tensor) -> Tensor:
    """(N, 1, H, W) brightness of (N, C, H, W)."""
    if pixels.shape[1] == 1:
        return pixels
    return (pixels[:, 0:1] * RED).add_(pixels[:, 1:2], alpha=GREEN).add_(pixels[:, 2:3], alpha=BLUE)


def _blend(pixels: Tensor, with_this: Tensor, factor: Tensor) -> None:
    """In place: the pictures at factor 1, what they are blended with at 0, beyond the pictures above 1."""
    pixels.mul_(factor).add_(with_this * (1 - factor)).clamp_(0, 255)


def _turned_hue(pixels: Tensor, turn: Tensor) -> Tensor:
    """Hue moved on by `turn`, (N, 1, 1) shares of the circle; saturation and value kept (HSV).

    For a hue h from 0 to 6: red has |h - 3| - 1 of the chroma, green 2 - |h - 2|, blue 2 - |h - 4|, between none and all of it.
    """
    red, green, blue = pixels.unbind(1)  # (N, H, W)
    value = pixels.amax(1)
    chroma = value - pixels.amin(1)
    scale = chroma.clamp(min=1e-6).reciprocal_()
    # the sector by the largest channel, red before green before blue where they are equal
    hue = (
        torch.where(
            value == red,
            (green - blue).mul_(scale),
            torch.where(value == green, (blue - red).mul_(scale).add_(2), (red - green).mul_(scale).add_(4)),
        )
        .add_(6 * turn)
        .remainder_(6)
    )
    least = value.sub_(chroma)
    result = torch.empty_like(pixels)
    # how much of the chroma each channel has: a ramp up, a plateau and a ramp down around the circle
    for channel, share in enumerate(((hue - 3).abs_().sub_(1), (hue - 2).abs_().neg_().add_(2), (hue - 4).abs_().neg_().add_(2))):
        torch.addcmul(least, share.clamp_(0, 1), chroma, out=result[:, channel])
    return result
