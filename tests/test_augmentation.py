"""Augmentation: drawn for each picture by itself, repeatable, and each change does only what its name says."""

import numpy as np
import pytest
import torch

from core.config import Augmentation
from core.data.augmentation import augment

CASES = {
    "shift": Augmentation(shift_px=3),
    "flip": Augmentation(flip=True),
    "rotate": Augmentation(rotate_deg=20),
    "scale": Augmentation(scale=0.3),
    "erase": Augmentation(erase_px=4),
    "rotate and shift": Augmentation(rotate_deg=10, shift_px=2),
    "all": Augmentation(shift_px=2, flip=True, rotate_deg=15, scale=0.2, erase_px=3),
}


def pictures(n: int = 32, channels: int = 3, height: int = 12, width: int = 10) -> torch.Tensor:
    """The same random picture n times, so that any difference was drawn."""
    one = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(1))
    return one.repeat(n, 1, 1, 1).to(memory_format=torch.channels_last)


def changed(images: torch.Tensor, settings: Augmentation, seed: int = 0) -> torch.Tensor:
    return augment(images, settings, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", CASES)
def test_draws_differ_within_a_batch(name):
    images = changed(pictures(), CASES[name])
    distinct = {image.numpy().tobytes() for image in images}
    assert len(distinct) > (1 if name == "flip" else 8)


@pytest.mark.parametrize("name", CASES)
def test_same_seed_gives_the_same_pictures_and_another_seed_others(name):
    first, again, other = (changed(pictures(), CASES[name], seed) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_shape_type_and_original_are_kept(name, channels, dtype):
    images = pictures(8, channels).to(dtype)
    before = images.clone()
    after = changed(images, CASES[name])
    assert after.shape == images.shape
    assert after.dtype == dtype
    assert after.isfinite().all()
    assert torch.equal(images, before)


def test_shift_moves_by_whole_pixels_and_mirrors_what_comes_in():
    """Each result is a window of the mirrored picture, at an offset within the bound; all offsets come up."""
    images = pictures(400, 2)
    padded = np.pad(images[0].numpy(), ((0, 0), (3, 3), (3, 3)), mode="reflect")
    windows = {padded[:, y : y + 12, x : x + 10].tobytes(): (y - 3, x - 3) for y in range(7) for x in range(7)}
    offsets = [windows[np.ascontiguousarray(image.numpy()).tobytes()] for image in changed(images, CASES["shift"])]
    assert len(set(offsets)) == 49
    assert abs(np.mean(offsets)) < 0.4


def test_shift_of_more_than_the_picture_is_large_leaves_a_picture():
    images = changed(pictures(20, 1, 6, 6), Augmentation(shift_px=8))
    assert images.shape == (20, 1, 6, 6)
    assert images.isfinite().all()


def test_flip_only_mirrors_about_half_of_the_pictures():
    images = pictures(400)
    after = changed(images, CASES["flip"])
    mirrored = images[0].flip(2)
    is_mirrored = [torch.equal(image, mirrored) for image in after]
    is_same = [torch.equal(image, images[0]) for image in after]
    assert all(a != b for a, b in zip(is_mirrored, is_same, strict=True))
    assert 140 < sum(is_mirrored) < 260  # six standard deviations


def test_rotation_leaves_a_round_picture_as_it_is_and_turns_others():
    y, x = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")
    round_picture = torch.exp(-(x**2 + y**2) / 40).expand(16, 1, 33, 33)
    torch.testing.assert_close(changed(round_picture, Augmentation(rotate_deg=180)), round_picture.clone(), atol=0.02, rtol=0)
    bar = ((x.abs() < 2) & (y.abs() < 12)).float().expand(64, 1, 33, 33)
    turned = changed(bar, Augmentation(rotate_deg=30))
    # the bar's own angle, from its second moments
    angles = torch.rad2deg(0.5 * torch.atan2(2 * (turned[:, 0] * x * y).sum((1, 2)), (turned[:, 0] * (y**2 - x**2)).sum((1, 2))))
    assert angles.abs().max() <= 31
    assert angles.max() > 15
    assert angles.min() < -15
    torch.testing.assert_close(turned.sum((1, 2, 3)), bar.sum((1, 2, 3)), rtol=0.05, atol=0)  # its area stays


def test_rotation_keeps_angles_in_pictures_that_are_not_square():
    """A disc stays a disc, but for the error of bilinear interpolation: an eighth of its curvature, 4 / 18 at the top."""
    y, x = torch.meshgrid(torch.arange(20) - 9.5, torch.arange(40) - 19.5, indexing="ij")
    disc = torch.exp(-(x**2 + y**2) / 18).expand(16, 1, 20, 40)
    torch.testing.assert_close(changed(disc, Augmentation(rotate_deg=90)), disc.clone(), atol=0.03, rtol=0)


def test_scale_changes_the_area_within_its_bounds():
    y, x = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")
    disc = (x**2 + y**2 < 64).float().expand(200, 1, 33, 33)
    share = (changed(disc, Augmentation(scale=0.2)).sum((1, 2, 3)) / disc.sum((1, 2, 3))).sqrt()
    assert share.min() == pytest.approx(0.8, abs=0.04)
    assert share.max() == pytest.approx(1.2, abs=0.04)


def test_erased_square_is_blank_and_the_rest_is_untouched():
    images = pictures(300)
    after = changed(images, CASES["erase"])
    erased = (after != images).any(dim=1)
    assert (after[erased.unsqueeze(1).expand_as(after)] == 0).all()
    sizes = erased.sum(dim=(1, 2))
    assert sizes.max() == 16  # 4 × 4, cut off at the border
    assert (sizes > 0).all()
    for hole in erased.numpy():
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # one rectangle


def test_nothing_is_drawn_where_nothing_is_asked_for():
    assert not Augmentation().is_active
    assert torch.equal(changed(pictures(), Augmentation()), pictures())
