"""Random changes of training pictures, drawn per picture and applied to whole batches on the training device."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import Augmentation


def augment(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Changed copies of (N, C, H, W) normalised pictures; each picture gets draws of its own from the CPU generator.

    Pixels that come in from outside repeat the picture mirrored (shift) or are zero, the mean (rotate, scale, erase).
    """
    if settings.rotate_deg or settings.scale:
        images = _affine(images, settings, generator)
    elif settings.shift_px:
        images = _shift(images, settings.shift_px, generator)
    if settings.flip:
        chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        images = torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)
    if settings.erase_px:
        images = _erase(images, settings.erase_px, generator)
    return images


def _shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Crops of the padded picture at random corners; gathered by index, without interpolation."""
    n, _, height, width = images.shape
    mode = "reflect" if pixels < min(height, width) else "constant"
    padded = F.pad(images, (pixels,) * 4, mode=mode).permute(0, 2, 3, 1)  # (N, H + 2p, W + 2p, C)
    corners = torch.randint(0, 2 * pixels + 1, (2, n, 1), generator=generator)
    rows = (corners[0] + torch.arange(height)).to(images.device)  # (N, H)
    columns = (corners[1] + torch.arange(width)).to(images.device)  # (N, W)
    picture = torch.arange(n, device=images.device).view(-1, 1, 1)
    return padded[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # channels last


def _affine(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Rotation, scale and shift together, by one bilinear resampling."""
    n, _, height, width = images.shape
    draws = torch.rand(4, n, generator=generator) * 2 - 1  # (4, N) in -1..1
    angle = draws[0] * math.radians(settings.rotate_deg)
    scale = 1 / (1 + draws[1] * settings.scale)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = (
        cos,
        -sin * height / width,
        draws[2] * 2 * settings.shift_px / width,
    )
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = (
        sin * width / height,
        cos,
        draws[3] * 2 * settings.shift_px / height,
    )
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False).to(images.dtype)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _erase(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    n, _, height, width = images.shape
    centres = torch.rand(2, n, 1, generator=generator)
    offset = side / 2
    rows = (torch.arange(height) + 0.5 - centres[0] * height).abs() < offset  # (N, H)
    columns = (torch.arange(width) + 0.5 - centres[1] * width).abs() < offset  # (N, W)
    hole = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1).to(images.device)  # (N, 1, H, W)
    return images.masked_fill(hole, 0)
