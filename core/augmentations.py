"""The random changes of training images there are, each one a record: its settings, how it is drawn and done, its words.

A new one is its functions and a record below; configuration, form, help, lab and tests follow from it. Batches go through
them in core/data/transforms/augmentation.py. torch is imported only once something is drawn or done: commands and forms
read the records without it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo

from core.sections import setting

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Weights of red, green and blue in torchvision's grey.
RED, GREEN, BLUE = 0.2989, 0.587, 0.114
CROP_RATIOS = (3 / 4, 4 / 3)
CROP_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What n images of (height, width) are drawn from, on the CPU."""

    settings: Any  # Augmentation
    n: int
    size_px: tuple[int, int]
    generator: "torch.Generator"

    def uniform(self, *shape: int) -> "Tensor":
        import torch

        return torch.rand(*shape, generator=self.generator)

    def happens(self, probability: float) -> "Tensor":
        """(n,) bool."""
        return self.uniform(self.n) < probability

    def around(self, middle: float, by: float) -> "Tensor":
        """(n,) from middle - by to middle + by."""
        return middle + (self.uniform(self.n) * 2 - 1) * by

    def whole(self, up_to: int, *shape: int) -> "Tensor":
        """Whole numbers from 0 to up_to."""
        import torch

        return torch.randint(0, up_to + 1, shape, generator=self.generator)

    @cached_property
    def is_resampled(self) -> bool:
        """Whether images are looked up between pixels: rotation, scale and shift then share four draws."""
        return any(change.is_resampling and change.is_on(self.settings) for change in AUGMENTATIONS.values())

    @cached_property
    def moves(self) -> "Tensor":
        """(4, n) in -1..1 for angle, zoom, and the shift to the right and down; drawn before all else."""
        return self.uniform(4, self.n) * 2 - 1


@dataclass(kw_only=True)
class Places:
    """Which row and column each pixel of the result comes from, on the CPU; outside: where nothing does, (N, 1, H, W)."""

    height: int
    width: int
    rows: "Tensor"  # (N, H)
    columns: "Tensor"  # (N, W)
    outside: "Tensor | None" = None


@dataclass(kw_only=True)
class View:
    """Where between pixels each pixel of the result comes from, on the CPU, seen from the middle of the image in pixels."""

    matrix: "Tensor | None" = None  # (N, 2, 2) for x to the right and y down; None: as it is
    offset: "Tensor | None" = None  # (2, N) pixels to the right and down that the view moves
    window: "Tensor | None" = None  # (4, N) top, left, height, width: the part that is then looked at as the whole
    mirrored: "dict[int, Tensor]" = field(default_factory=dict)  # (N,) bool by dimension of (N, H, W): the result's places change

    def turn(self, matrix: "Tensor") -> None:
        """Goes through this (N, 2, 2) too."""
        before = self.matrix
        self.matrix = matrix if before is None else (matrix[:, :, :, None] * before[:, None]).sum(2)


@dataclass(frozen=True, kw_only=True)
class RandomChange:
    """One kind of random change.

    number: its turn to be drawn, and its place in a configuration's JSON. A new one takes the next: what was drawn before
    it stays as it was, and runs from before go on with the same images.
    title names torchvision's transform where there is one; settings: its fields, (type, setting(...)) by name; it is on
    while one of them is not at its default. drawn: the names of what it draws. draw(chance): those by name, or some of them;
    called only where it is on. in_words(draws): what was drawn for the first image.

    Then what is done with the draws, each a function (of what is to be changed, draws). A colour has `recolour`: pixels
    (N, C, H, W) float32 from 0 to 255, not rounded, its own to change in place, and returns them. A move has `rearrange`
    for whole pixels, which changes Places, or `resample`, which changes a View, or both: any that can only resample makes
    all of them resample. What comes last has `finish`: normalised (N, C, H, W), and returns them.
    """

    name: str
    number: int
    title: str
    explanation: str
    settings: dict[str, tuple[type, FieldInfo]]
    drawn: tuple[str, ...]
    draw: "Callable[[Chance], dict[str, Tensor]]"
    in_words: Callable[[Any], str]
    recolour: "Callable[[Tensor, Any], Tensor] | None" = None
    rearrange: Callable[[Places, Any], None] | None = None
    resample: Callable[[View, Any], None] | None = None
    finish: "Callable[[Tensor, Any], Tensor] | None" = None

    @property
    def is_resampling(self) -> bool:
        return self.resample is not None and self.rearrange is None

    def is_on(self, settings: Any) -> bool:
        return any(getattr(settings, name) != field.default for name, (_, field) in self.settings.items())

    def is_drawn(self, draws: Any) -> bool:
        return any(getattr(draws, name) is not None for name in self.drawn)


# --- colour; the formulas are torchvision's


def _brighten(pixels: "Tensor", draws: Any) -> "Tensor":
    return pixels.mul_(_each(draws.brightness, pixels)).clamp_(max=255)


def _change_contrast(pixels: "Tensor", draws: Any) -> "Tensor":
    factor = _each(draws.contrast, pixels)
    return _blend(pixels, _grey(pixels.mean((2, 3), keepdim=True)), factor)


def _saturate(pixels: "Tensor", draws: Any) -> "Tensor":
    return _blend(pixels, _grey(pixels), _each(draws.saturation, pixels)) if pixels.shape[1] == 3 else pixels


def _turn_hue(pixels: "Tensor", draws: Any) -> "Tensor":
    return _turned_hue(pixels, _each(draws.hue, pixels)[:, 0]) if pixels.shape[1] == 3 else pixels


def _make_grey(pixels: "Tensor", draws: Any) -> "Tensor":
    if pixels.shape[1] == 3:
        chosen = draws.is_grey.nonzero()[:, 0].to(pixels.device)
        pixels[chosen] = _grey(pixels[chosen]).expand(-1, 3, -1, -1)
    return pixels


def _invert(pixels: "Tensor", draws: Any) -> "Tensor":
    """255 - x for the chosen ones."""
    sign = 1 - 2 * _each(draws.is_inverted.float(), pixels)
    return pixels.mul_(sign).add_(127.5 * (1 - sign))


def _each(numbers: "Tensor", pixels: "Tensor") -> "Tensor":
    """(N,) as (N, 1, 1, 1) on the device of the images."""
    return numbers.view(-1, 1, 1, 1).to(pixels.device)


def _grey(pixels: "Tensor") -> "Tensor":
    """(N, 1, H, W) brightness of (N, C, H, W)."""
    if pixels.shape[1] == 1:
        return pixels
    return (pixels[:, 0:1] * RED).add_(pixels[:, 1:2], alpha=GREEN).add_(pixels[:, 2:3], alpha=BLUE)


def _blend(pixels: "Tensor", with_this: "Tensor", factor: "Tensor") -> "Tensor":
    """In place: the images at factor 1, what they are blended with at 0, beyond the images above 1."""
    return pixels.mul_(factor).add_(with_this * (1 - factor)).clamp_(0, 255)


def _turned_hue(pixels: "Tensor", turn: "Tensor") -> "Tensor":
    """Hue moved on by `turn`, (N, 1, 1) shares of the circle; saturation and value kept (HSV).

    For a hue h from 0 to 6: red has |h - 3| - 1 of the chroma, green 2 - |h - 2|, blue 2 - |h - 4|, between none and all of it.
    """
    import torch

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


# --- moves


def _crops(chance: Chance) -> "Tensor":
    """(4, n) top, left, height, width as torchvision's RandomResizedCrop draws them: the first of ten tries that fits, else all."""
    import torch

    n, (height, width), smallest_area = chance.n, chance.size_px, chance.settings.crop_area
    tries = chance.uniform(2, CROP_TRIES, n)
    area = height * width * (smallest_area + tries[0] * (1 - smallest_area))
    low, high = (math.log(ratio) for ratio in CROP_RATIOS)
    ratio = torch.exp(low + tries[1] * (high - low))
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()])  # (2, tries, n) height, width
    fits = (sides[0] <= height) & (sides[1] <= width) & (sides.amin(0) >= 1)
    first = fits.float().argmax(0)  # (n,)
    chosen = sides.gather(1, first.expand(2, 1, n))[:, 0]  # (2, n)
    whole = torch.tensor([[height], [width]], dtype=torch.float32)
    chosen = torch.where(fits.any(0), chosen, whole)
    corner = (chance.uniform(2, n) * (whole - chosen + 1)).floor().minimum(whole - chosen)
    return torch.cat([corner, chosen])


def _look_through_window(view: View, draws: Any) -> None:
    view.window = draws.crop


def _turn(view: View, draws: Any) -> None:
    import torch

    cos, sin = draws.angle.cos(), draws.angle.sin()
    view.turn(torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2))


def _zoom(view: View, draws: Any) -> None:
    import torch

    view.turn((1 / draws.zoom)[:, None, None] * torch.eye(2))


def _draw_shift(chance: Chance) -> "dict[str, Tensor]":
    by = chance.settings.shift_px
    if chance.is_resampled:
        return {"offset": chance.moves[2:] * by}
    return {"corner": chance.whole(2 * by, 2, chance.n, 1)[:, :, 0] - by}


def _shift_whole(places: Places, draws: Any) -> None:
    """What comes in is the image mirrored at its border; nothing, for shifts of more than the image is large."""
    height, width = places.height, places.width
    rows, columns = places.rows + draws.corner[0][:, None], places.columns + draws.corner[1][:, None]
    if draws.settings.shift_px >= min(height, width):
        missing = [(rows < 0) | (rows >= height), (columns < 0) | (columns >= width)]
        places.outside = (missing[0][:, :, None] | missing[1][:, None, :]).unsqueeze(1)
        places.rows, places.columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    else:
        places.rows, places.columns = _reflected(rows, height), _reflected(columns, width)


def _reflected(index: "Tensor", size: int) -> "Tensor":
    """Indices from -(size - 1) to 2 (size - 1) brought into 0..size - 1, the border itself not repeated."""
    index = index.abs()
    return index.where(index < size, 2 * (size - 1) - index)


def _shift_between(view: View, draws: Any) -> None:
    view.offset = draws.offset if view.offset is None else view.offset + draws.offset


def _mirror_columns(places: Places, draws: Any) -> None:
    places.columns = places.columns.flip(1).where(draws.is_flipped[:, None], places.columns)


def _mirror_rows(places: Places, draws: Any) -> None:
    places.rows = places.rows.flip(1).where(draws.is_upside_down[:, None], places.rows)


def _mirror_across(view: View, draws: Any) -> None:
    view.mirrored[2] = draws.is_flipped


def _mirror_down(view: View, draws: Any) -> None:
    view.mirrored[1] = draws.is_upside_down


# --- last


def _erase(images: "Tensor", draws: Any) -> "Tensor":
    """A square blanked out in each, its middle anywhere."""
    import torch

    height, width = images.shape[2:]
    offset = draws.settings.erase_px / 2
    rows = (torch.arange(height) + 0.5 - draws.hole[0] * height).abs() < offset  # (N, H)
    columns = (torch.arange(width) + 0.5 - draws.hole[1] * width).abs() < offset  # (N, W)
    square = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1).to(images.device)  # (N, 1, H, W)
    return images.masked_fill(square, 0)


# --- what was drawn, in words


def _factor(name: str) -> Callable[[Any], str]:
    return lambda draws: f"× {float(getattr(draws, name)[0]):.2f}"


def _chance(name: str, done: str) -> Callable[[Any], str]:
    return lambda draws: done if bool(getattr(draws, name)[0]) else "left as it is"


def _hue_in_words(draws: Any) -> str:
    return f"{100 * float(draws.hue[0]):+.0f} % of the circle".replace("-", "−")


def _crop_in_words(draws: Any) -> str:
    top, left, height, width = (int(v) for v in draws.crop[:, 0])
    return f"{width} × {height} px from {left}, {top}"


def _turn_in_words(draws: Any) -> str:
    degrees = math.degrees(float(draws.angle[0]))
    return f"{abs(degrees):.0f}° to the {'left' if degrees > 0 else 'right'}"


def _shift_in_words(draws: Any) -> str:
    """The image moves against the view."""
    down, right = (draws.corner[:, 0] if draws.corner is not None else draws.offset[:, 0].flip(0)).neg().tolist()
    return f"{abs(right):.0f} px to the {'right' if right > 0 else 'left'}, {abs(down):.0f} px {'down' if down > 0 else 'up'}"


def _hole_in_words(draws: Any) -> str:
    return f"{100 * float(draws.hole[1, 0, 0]):.0f} % from the left, {100 * float(draws.hole[0, 0, 0]):.0f} % from the top"


# In the order in which they are done (docs/decisions/transforms.md): colours, moves, what comes last.
AUGMENTATIONS = {
    record.name: record
    for record in (
        RandomChange(
            name="brightness",
            number=8,
            title="Brightness (ColorJitter)",
            explanation="All values times a random factor.",
            settings={
                "brightness": (
                    float,
                    setting(
                        0.0,
                        "Brightness",
                        "Made brighter or darker by up to this share (ColorJitter). At 1 some turn black.",
                        ge=0,
                        le=1,
                    ),
                )
            },
            drawn=("brightness",),  # (N,) factors
            draw=lambda chance: {"brightness": chance.around(1, chance.settings.brightness)},
            in_words=_factor("brightness"),
            recolour=_brighten,
        ),
        RandomChange(
            name="contrast",
            number=9,
            title="Contrast (ColorJitter)",
            explanation="Moved away from the mean grey or towards it.",
            settings={
                "contrast": (
                    float,
                    setting(
                        0.0,
                        "Contrast",
                        "Light and dark moved apart or together by up to this share (ColorJitter). At 1 some turn plain grey.",
                        ge=0,
                        le=1,
                    ),
                )
            },
            drawn=("contrast",),  # (N,) factors
            draw=lambda chance: {"contrast": chance.around(1, chance.settings.contrast)},
            in_words=_factor("contrast"),
            recolour=_change_contrast,
        ),
        RandomChange(
            name="saturation",
            number=10,
            title="Saturation (ColorJitter)",
            explanation="Moved away from its own grey or towards it.",
            settings={
                "saturation": (
                    float,
                    setting(0.0, "Saturation", "Colours made stronger or paler by up to this share (ColorJitter).", ge=0, le=1),
                )
            },
            drawn=("saturation",),  # (N,) factors
            draw=lambda chance: {"saturation": chance.around(1, chance.settings.saturation)},
            in_words=_factor("saturation"),
            recolour=_saturate,
        ),
        RandomChange(
            name="hue",
            number=11,
            title="Hue (ColorJitter)",
            explanation="Colours move around the colour circle.",
            settings={
                "hue": (
                    float,
                    setting(
                        0.0,
                        "Hue",
                        "Colours moved around the colour circle by up to this share of it (ColorJitter). "
                        "At 0.5 every colour can become any other.",
                        ge=0,
                        le=0.5,
                    ),
                )
            },
            drawn=("hue",),  # (N,) shares of the colour circle
            draw=lambda chance: {"hue": chance.around(0, chance.settings.hue)},
            in_words=_hue_in_words,
            recolour=_turn_hue,
        ),
        RandomChange(
            name="random-grey",
            number=12,
            title="Random grayscale (RandomGrayscale)",
            explanation="Some images lose their colours.",
            settings={
                "grey_probability": (
                    float,
                    setting(0.0, "Random grayscale", "This share of the images loses its colours (RandomGrayscale).", ge=0, le=1),
                )
            },
            drawn=("is_grey",),  # (N,) bool
            draw=lambda chance: {"is_grey": chance.happens(chance.settings.grey_probability)},
            in_words=_chance("is_grey", "made grey"),
            recolour=_make_grey,
        ),
        RandomChange(
            name="random-invert",
            number=13,
            title="Invert at random (RandomInvert)",
            explanation="In some images light and dark change places.",
            settings={
                "invert_probability": (
                    float,
                    setting(
                        0.0,
                        "Invert at random",
                        "In this share of the images light and dark change places (RandomInvert).",
                        ge=0,
                        le=1,
                    ),
                )
            },
            drawn=("is_inverted",),  # (N,) bool
            draw=lambda chance: {"is_inverted": chance.happens(chance.settings.invert_probability)},
            in_words=_chance("is_inverted", "inverted"),
            recolour=_invert,
        ),
        RandomChange(
            name="random-crop",
            number=6,
            title="Crop (RandomResizedCrop)",
            explanation="A random part is enlarged to the full size.",
            settings={
                "crop_area": (
                    float,
                    setting(
                        1.0,
                        "Random crop, min. area",
                        "A part of the image, from this share of its area up to all of it, is enlarged to the full size; "
                        "sides in the ratio 3:4 to 4:3 (RandomResizedCrop). 1: never cropped.",
                        ge=0.01,
                        le=1,
                    ),
                )
            },
            drawn=("crop",),  # (4, N) top, left, height, width, whole pixels
            draw=lambda chance: {"crop": _crops(chance)},
            in_words=_crop_in_words,
            resample=_look_through_window,
        ),
        RandomChange(
            name="rotate",
            number=3,
            title="Rotate (RandomRotation)",
            explanation="Turned about the middle; corners become 0, the mean.",
            settings={
                "rotate_deg": (
                    float,
                    setting(0.0, "Rotate", "Turned by up to this angle each way (RandomRotation).", unit="°", ge=0, le=180),
                )
            },
            drawn=("angle",),  # (N,) radians, counter-clockwise
            draw=lambda chance: {"angle": chance.moves[0] * math.radians(chance.settings.rotate_deg)},
            in_words=_turn_in_words,
            resample=_turn,
        ),
        RandomChange(
            name="scale",
            number=4,
            title="Scale (RandomAffine)",
            explanation="Made larger or smaller about the middle.",
            settings={
                "scale": (
                    float,
                    setting(0.0, "Scale", "Made larger or smaller by up to this share (RandomAffine).", ge=0, le=0.9),
                )
            },
            drawn=("zoom",),  # (N,) 1.1 is a tenth larger
            draw=lambda chance: {"zoom": 1 + chance.moves[1] * chance.settings.scale},
            in_words=_factor("zoom"),
            resample=_zoom,
        ),
        RandomChange(
            name="shift",
            number=1,
            title="Shift (RandomCrop with padding)",
            explanation="Moved; by itself, the image's mirror image comes in from outside.",
            settings={
                "shift_px": (
                    int,
                    setting(
                        0, "Shift", "Moved by up to this many pixels each way (RandomCrop with padding).", unit="px", ge=0, le=64
                    ),
                )
            },
            # (2, N) how far the view moves: whole pixels down and to the right, or where resampled pixels to the right and down
            drawn=("corner", "offset"),
            draw=_draw_shift,
            in_words=_shift_in_words,
            rearrange=_shift_whole,
            resample=_shift_between,
        ),
        RandomChange(
            name="flip",
            number=2,
            title="Horizontal flip (RandomHorizontalFlip)",
            explanation="Left and right change places in half of the images.",
            settings={
                "flip": (
                    bool,
                    setting(
                        False,
                        "Horizontal flip",
                        "Half of the images are mirrored left to right (RandomHorizontalFlip). Wrong for digits and letters.",
                    ),
                )
            },
            drawn=("is_flipped",),  # (N,) bool
            draw=lambda chance: {"is_flipped": chance.happens(0.5)},
            in_words=_chance("is_flipped", "mirrored"),
            rearrange=_mirror_columns,
            resample=_mirror_across,
        ),
        RandomChange(
            name="flip-vertical",
            number=7,
            title="Upside down (RandomVerticalFlip)",
            explanation="Top and bottom change places in half of the images.",
            settings={
                "flip_vertical": (
                    bool,
                    setting(
                        False,
                        "Vertical flip",
                        "Half of the images are mirrored top to bottom (RandomVerticalFlip). For images without an up.",
                    ),
                )
            },
            drawn=("is_upside_down",),  # (N,) bool
            draw=lambda chance: {"is_upside_down": chance.happens(0.5)},
            in_words=_chance("is_upside_down", "flipped vertically"),
            rearrange=_mirror_rows,
            resample=_mirror_down,
        ),
        RandomChange(
            name="erase",
            number=5,
            title="Random erasing (RandomErasing)",
            explanation="A square is blanked out with 0, the mean.",
            settings={
                "erase_px": (
                    int,
                    setting(
                        0,
                        "Random erasing",
                        "A square of this side is blanked out somewhere (RandomErasing, cutout).",
                        unit="px",
                        ge=0,
                        le=512,
                    ),
                )
            },
            drawn=("hole",),  # (2, N, 1) its middle, as a share of height and width
            draw=lambda chance: {"hole": chance.uniform(2, chance.n, 1)},
            in_words=_hole_in_words,
            finish=_erase,
        ),
    )
}


def in_drawing_order() -> list[RandomChange]:
    return sorted(AUGMENTATIONS.values(), key=lambda change: change.number)
