"""What images suffer outside the laboratory, each at five strengths; the same every time for the same images in the same order."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchvision.transforms.v2.functional as F
from torch import Tensor

Apply = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """strengths: the weakest first, in the unit. apply(images, strength): (N, C, H, W) float from 0 to 1, and the same again."""

    title: str
    unit: str
    strengths: tuple[float, ...]
    apply: Apply


def _in_turn(images: Tensor, variants: list[Callable[[Tensor], Tensor]]) -> Tensor:
    """One image after the other gets one variant after the other: left and right, brighter and darker."""
    result = images.clone()
    for n, variant in enumerate(variants):
        if len(chosen := images[n :: len(variants)]):
            result[n :: len(variants)] = variant(chosen)
    return result


def _rotated(images: Tensor, degrees: float) -> Tensor:
    linear = F.InterpolationMode.BILINEAR
    return _in_turn(images, [lambda x, by=by: F.rotate(x, by, linear) for by in (degrees, -degrees)])


def _shifted(images: Tensor, share: float) -> Tensor:
    by, linear = share / 100 * min(images.shape[-2:]), F.InterpolationMode.BILINEAR
    ways = ((by, 0.0), (-by, 0.0), (0.0, by), (0.0, -by))
    return _in_turn(images, [lambda x, way=way: F.affine(x, 0.0, list(way), 1.0, [0.0, 0.0], linear) for way in ways])


def _blurred(images: Tensor, sigma: float) -> Tensor:
    scaled = sigma * min(images.shape[-2:]) / 32
    # padding by reflection needs half a kernel's width of image
    kernel = min(2 * max(1, round(3 * scaled)) + 1, 2 * min(images.shape[-2:]) - 1)
    # one direction after the other: the same, and a hundred times as fast for large images
    return F.gaussian_blur(F.gaussian_blur(images, [kernel, 1], [scaled, scaled]), [1, kernel], [scaled, scaled])


def _noisy(images: Tensor, std: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + std / 100 * noise).clamp(0, 1)


def _lit(images: Tensor, percent: float) -> Tensor:
    return _in_turn(images, [lambda x, by=by: (x * by).clamp(0, 1) for by in (1 + percent / 100, 1 - percent / 100)])


def _flattened(images: Tensor, percent: float) -> Tensor:
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 - percent / 100)


CORRUPTIONS = {
    "rotation": Corruption(title="Rotation", unit="°", strengths=(5, 10, 20, 30, 45), apply=_rotated),
    "shift": Corruption(title="Shift", unit=" % of the side", strengths=(5, 10, 15, 20, 30), apply=_shifted),
    "blur": Corruption(title="Blur", unit=" px of 32", strengths=(0.5, 1, 1.5, 2, 3), apply=_blurred),
    "noise": Corruption(title="Noise", unit=" % of the range", strengths=(5, 10, 20, 30, 50), apply=_noisy),
    "brightness": Corruption(title="Brightness", unit=" % more or less", strengths=(10, 20, 40, 60, 80), apply=_lit),
    "contrast": Corruption(title="Contrast", unit=" % less", strengths=(20, 40, 60, 75, 90), apply=_flattened),
}


def corrupted(pixels: Tensor, name: str, level: int) -> Tensor:
    """(N, C, H, W) uint8 at a level from 0, as it is, to 5."""
    if level == 0:
        return pixels
    corruption = CORRUPTIONS[name]
    images = corruption.apply(pixels.float() / 255, corruption.strengths[level - 1])
    return (images * 255).round().clamp(0, 255).to(torch.uint8)
