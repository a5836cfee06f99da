"""Augmentation: drawn for each image by itself, repeatable, as torchvision does it, and each change does only what its name says."""

import hashlib
import math
from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as TF

from core.config import Augmentation, TrainConfig
from core.data.transforms.augmentation import Draws, applied, augment, draw, recoloured
from core.data.transforms.preprocessing import normalise
from core.settings import changed as config_with
from core.training.batches import TrainingData, training_batches
from tests.fixtures.random_changes import is_either_or, not_set_by, turned_on

CASES = {
    "shift": Augmentation(shift_px=3),
    "flip": Augmentation(flip=True),
    "rotate": Augmentation(rotate_deg=20),
    "scale": Augmentation(scale=0.3),
    "erase": Augmentation(erase_px=4),
    "rotate and shift": Augmentation(rotate_deg=10, shift_px=2),
    "all of the first version": Augmentation(shift_px=2, flip=True, rotate_deg=15, scale=0.2, erase_px=3),
}
LATER_CASES = {
    "crop": Augmentation(crop_area=0.4),
    "upside down": Augmentation(flip_vertical=True),
    "both flips and shift": Augmentation(flip=True, flip_vertical=True, shift_px=2),
    "brightness": Augmentation(brightness=0.5),
    "contrast": Augmentation(contrast=0.5),
    "saturation": Augmentation(saturation=0.5),
    "hue": Augmentation(hue=0.2),
    "grey": Augmentation(grey_probability=0.5),
    "invert": Augmentation(invert_probability=0.5),
    "all": Augmentation(
        shift_px=2,
        flip=True,
        rotate_deg=15,
        scale=0.2,
        erase_px=3,
        crop_area=0.5,
        flip_vertical=True,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue=0.1,
        grey_probability=0.2,
        invert_probability=0.2,
    ),
}
SET = {setting for case in (CASES | LATER_CASES).values() for setting in case.model_dump(exclude_defaults=True)}
LATER_CASES |= {name: Augmentation(**turned_on(change)) for name, change in not_set_by(SET).items()}
ALL_CASES = CASES | LATER_CASES
EITHER_OR = {"flip": 2, "upside down": 2, "grey": 2, "invert": 2}  # how many different images there can be
EITHER_OR |= {name: 2 for name, change in not_set_by(SET).items() if is_either_or(change)}


def random_images(n: int = 32, channels: int = 3, height: int = 12, width: int = 10) -> torch.Tensor:
    """The same random image n times, so that any difference was drawn."""
    one = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(1))
    return one.repeat(n, 1, 1, 1).to(memory_format=torch.channels_last)


def changed(images: torch.Tensor, settings: Augmentation, seed: int = 0) -> torch.Tensor:
    """Augmented with a normalisation that leaves numbers as they are: mean 0, deviation 1 / 255."""
    channels = images.shape[1]
    generator = torch.Generator().manual_seed(seed)
    return augment(images, settings, generator, torch.zeros(channels), torch.full((channels,), 1 / 255), images.dtype)


def stored(n: int = 8, channels: int = 3, height: int = 12, width: int = 10, seed: int = 3) -> torch.Tensor:
    """Different random images as a store holds them."""
    return torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def smooth(n: int = 8, height: int = 24, width: int = 32) -> torch.Tensor:
    """(n, 3, H, W) uint8 without sharp edges, so that half a hundredth of a pixel makes no difference."""
    small = torch.rand(n, 3, 5, 6, generator=torch.Generator().manual_seed(4)) * 255
    return F.interpolate(small, (height, width), mode="bicubic").clamp(0, 255).to(torch.uint8)


# --- draws


@pytest.mark.parametrize("name", ALL_CASES)
def test_draws_differ_within_a_batch(name):
    images = augment(
        stored(1).expand(32, -1, -1, -1),
        ALL_CASES[name],
        torch.Generator().manual_seed(0),
        torch.full((3,), 0.5),
        torch.full((3,), 0.2),
    )
    distinct = {image.numpy().tobytes() for image in images}
    assert len(distinct) == EITHER_OR[name] if name in EITHER_OR else len(distinct) > 8


@pytest.mark.parametrize("name", ALL_CASES)
def test_same_seed_gives_the_same_pictures_and_another_seed_others(name):
    first, again, other = (changed(stored(32).float(), ALL_CASES[name], seed) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ALL_CASES)
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_a_training_repeat_with_the_seed_and_differ_from_epoch_to_epoch(name, channels):
    """Also from the middle of an epoch on."""
    config = config_with(TrainConfig(), {"augmentation": ALL_CASES[name].model_dump(), "batch_size": 8})
    everything = torch.arange(40)
    data = TrainingData(
        images=stored(40, channels),
        labels=everything,
        train=everything,
        evaluated=everything,
        mean=torch.full((channels,), 0.4),
        std=torch.full((channels,), 0.3),
    )

    def batches(epoch: int, skip: int = 0) -> list[torch.Tensor]:
        return [images for images, _ in training_batches(data, config, epoch, torch.float32, skip)]

    first = batches(0)
    assert all(torch.equal(a, b) for a, b in zip(first, batches(0), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first[3:], batches(0, skip=3), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, batches(1), strict=True))


def test_what_is_turned_on_later_leaves_the_draws_of_the_first_version_as_they_are():
    """Colours beside a shift: the same shift as without them."""
    both, alone = (
        draw(settings, 16, (12, 10), torch.Generator().manual_seed(1))
        for settings in (Augmentation(shift_px=3, flip=True, hue=0.1, contrast=0.5), Augmentation(shift_px=3, flip=True))
    )
    assert torch.equal(both.corner, alone.corner)
    assert torch.equal(both.is_flipped, alone.is_flipped)


# --- as it was before colours and crops: runs of then go on with the same images


def as_it_was(images: torch.Tensor, settings: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """augment() of the first version, word for word; it took normalised images."""
    if settings.rotate_deg or settings.scale:
        images = affine_as_it_was(images, settings, generator)
    elif settings.shift_px:
        images = shift_as_it_was(images, settings.shift_px, generator)
    if settings.flip:
        chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        images = torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)
    if settings.erase_px:
        images = erase_as_it_was(images, settings.erase_px, generator)
    return images


def shift_as_it_was(images: torch.Tensor, pixels: int, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    mode = "reflect" if pixels < min(height, width) else "constant"
    padded = F.pad(images, (pixels,) * 4, mode=mode).permute(0, 2, 3, 1)
    corners = torch.randint(0, 2 * pixels + 1, (2, n, 1), generator=generator)
    rows = (corners[0] + torch.arange(height)).to(images.device)
    columns = (corners[1] + torch.arange(width)).to(images.device)
    image = torch.arange(n, device=images.device).view(-1, 1, 1)
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def affine_as_it_was(images: torch.Tensor, settings: Augmentation, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    draws = torch.rand(4, n, generator=generator) * 2 - 1
    angle = draws[0] * math.radians(settings.rotate_deg)
    scale = 1 / (1 + draws[1] * settings.scale)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = cos, -sin * height / width, draws[2] * 2 * settings.shift_px / width
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = sin * width / height, cos, draws[3] * 2 * settings.shift_px / height
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False).to(images.dtype)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def erase_as_it_was(images: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    centres = torch.rand(2, n, 1, generator=generator)
    offset = side / 2
    rows = (torch.arange(height) + 0.5 - centres[0] * height).abs() < offset
    columns = (torch.arange(width) + 0.5 - centres[1] * width).abs() < offset
    hole = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1).to(images.device)
    return images.masked_fill(hole, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 10), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", [*CASES, "shift beyond the image", "nothing"])
def test_settings_of_the_first_version_give_the_same_bits_in_the_same_order_in_memory(name, shape, dtype):
    settings = {"shift beyond the image": Augmentation(shift_px=40, flip=True), "nothing": Augmentation()}.get(name) or CASES[
        name
    ]
    channels, height, width = shape
    images = stored(50, channels, height, width)
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465][:channels]), torch.tensor([0.247, 0.2435, 0.2616][:channels])
    ours = augment(images, settings, torch.Generator().manual_seed(7), mean, std, dtype)
    expected = as_it_was(normalise(images, mean, std, dtype), settings, torch.Generator().manual_seed(7))
    assert torch.equal(ours, expected)
    assert ours.stride() == expected.stride()  # else a convolution could add in another order


# Recorded from the first version. Rotation and scale are not here: their last bits depend on the processor.
DIGESTS = {"shift": "632fb27422be3cef", "flip": "d5bce0d944bd8c3f", "erase": "77cc9a8df092a8b7"}


@pytest.mark.parametrize("name", DIGESTS)
def test_pictures_are_those_that_the_first_version_made(name):
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.25, 0.3, 0.35])
    images = augment(stored(20), CASES[name], torch.Generator().manual_seed(7), mean, std)
    assert hashlib.sha256(images.contiguous().numpy().tobytes()).hexdigest()[:16] == DIGESTS[name]


# --- what holds for all


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ALL_CASES)
def test_shape_type_and_original_are_kept(name, channels, dtype):
    images = stored(8, channels)
    before = images.clone()
    mean, std = torch.full((channels,), 0.5), torch.full((channels,), 0.25)
    after = augment(images, ALL_CASES[name], torch.Generator().manual_seed(0), mean, std, dtype)
    assert after.shape == images.shape
    assert after.dtype == dtype
    assert after.isfinite().all()
    assert (after >= -2.02).all()  # black and white: bfloat16 rounds
    assert (after <= 2.02).all()
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", LATER_CASES)
def test_bfloat16_is_close_to_float32(name):
    images, mean, std = smooth(), torch.full((3,), 0.5), torch.full((3,), 0.25)
    exact, rounded = (
        augment(images, LATER_CASES[name], torch.Generator().manual_seed(0), mean, std, dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", ALL_CASES)
def test_order_of_the_pictures_in_memory_makes_no_difference(name):
    """A slice, channels last, or one after the other: the same images."""
    images = smooth(16)
    results = [
        changed_stored(version, ALL_CASES[name])
        for version in (images, images.to(memory_format=torch.channels_last), torch.cat([images, images])[:16])
    ]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ALL_CASES)
def test_gpu_makes_the_same_pictures(name, dtype):
    images, mean, std = smooth(64), torch.full((3,), 0.5), torch.full((3,), 0.25)
    here = augment(images, ALL_CASES[name], torch.Generator().manual_seed(0), mean, std, dtype)
    there = augment(images.cuda(), ALL_CASES[name], torch.Generator().manual_seed(0), mean.cuda(), std.cuda(), dtype)
    assert there.device.type == "cuda"
    difference = (there.cpu().float() - here.float()).abs()
    assert difference.mean() < (1e-4 if dtype == torch.float32 else 0.03)


# --- as torchvision does it, image by image, with the values that were drawn


def changed_stored(images: torch.Tensor, settings: Augmentation, seed: int = 0) -> torch.Tensor:
    return augment(images, settings, torch.Generator().manual_seed(seed), torch.full((3,), 0.5), torch.full((3,), 0.25))


def drawn_for(images: torch.Tensor, seed: int = 0, **settings) -> Draws:
    return draw(Augmentation(**settings), len(images), tuple(images.shape[2:]), torch.Generator().manual_seed(seed))


COLOUR = {
    "brightness": lambda image, d, i: TF.adjust_brightness(image, float(d.brightness[i])),
    "contrast": lambda image, d, i: TF.adjust_contrast(image, float(d.contrast[i])),
    "saturation": lambda image, d, i: TF.adjust_saturation(image, float(d.saturation[i])),
    "hue": lambda image, d, i: TF.adjust_hue(image, float(d.hue[i])),
    "grey_probability": lambda image, d, i: TF.rgb_to_grayscale(image, 3) if d.is_grey[i] else image,
    "invert_probability": lambda image, d, i: TF.invert(image) if d.is_inverted[i] else image,
}


@pytest.mark.parametrize("kind", ["random", "smooth", "plain"])
@pytest.mark.parametrize("name", COLOUR)
def test_colour_is_changed_as_torchvision_does(name, kind):
    plain = torch.tensor(
        [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90], [255, 255, 0], [7, 8, 7]]
    )
    images = {
        "random": stored(8),
        "smooth": smooth(8),
        "plain": plain.to(torch.uint8)[:, :, None, None].expand(-1, -1, 4, 4),
    }[kind]
    for seed in range(4):
        draws = drawn_for(images, seed, **{name: 0.5})
        ours = recoloured(images, draws) / 255
        for i, image in enumerate(images):
            torch.testing.assert_close(ours[i], COLOUR[name](image / 255, draws, i), atol=2e-5, rtol=0)


def test_colours_follow_one_another_in_the_documented_order():
    images = smooth(16)
    draws = drawn_for(images, **dict.fromkeys(COLOUR, 0.4))
    ours = recoloured(images, draws) / 255
    for i, image in enumerate(images):
        expected = image / 255
        for change in COLOUR.values():
            expected = change(expected, draws, i)
        torch.testing.assert_close(ours[i], expected, atol=1e-4, rtol=0)


def test_colour_of_grey_pictures_has_brightness_and_contrast_alone():
    images = stored(8, 1)
    for name in ("saturation", "hue", "grey_probability"):
        assert torch.equal(recoloured(images, drawn_for(images, **{name: 0.5})), images.float())
    draws = drawn_for(images, brightness=0.5, contrast=0.5)
    for i, image in enumerate(images):
        expected = TF.adjust_contrast(TF.adjust_brightness(image / 255, float(draws.brightness[i])), float(draws.contrast[i]))
        torch.testing.assert_close(recoloured(images, draws)[i] / 255, expected, atol=2e-5, rtol=0)


def pixel_values(images: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Applied with black as the value that comes in, as in torchvision."""
    return applied(images, draws, torch.zeros(3), torch.ones(3))


def test_rotation_is_torchvision_s():
    images = smooth(12)
    draws = drawn_for(images, rotate_deg=120)
    ours = pixel_values(images, draws)
    for i, image in enumerate(images):
        expected = TF.rotate(image / 255, math.degrees(draws.angle[i]), TF.InterpolationMode.BILINEAR)
        whole = TF.rotate(torch.ones(1, 24, 32), math.degrees(draws.angle[i]), TF.InterpolationMode.BILINEAR) == 1
        torch.testing.assert_close(ours[i] * whole, expected * whole, atol=2e-3, rtol=0)
        assert ((ours[i] - expected).abs().amax(0) > 0.01).float().mean() < 0.1  # torchvision cuts half a pixel off at the border


def test_rotation_scale_and_shift_are_torchvision_s_affine():
    images = smooth(12)
    draws = drawn_for(images, rotate_deg=30, scale=0.3, shift_px=4)
    ours = pixel_values(images, draws)
    for i, image in enumerate(images):
        # torchvision moves the turned image, ours is looked at from a moved place: the same once the move is turned and scaled
        angle, zoom = float(draws.angle[i]), float(draws.zoom[i])
        x, y = (-float(v) * zoom for v in draws.offset[:, i])
        moved = [x * math.cos(angle) + y * math.sin(angle), -x * math.sin(angle) + y * math.cos(angle)]
        how = {"angle": -math.degrees(angle), "translate": moved, "scale": zoom, "shear": [0.0, 0.0]}
        expected = TF.affine(image / 255, interpolation=TF.InterpolationMode.BILINEAR, **how)
        whole = TF.affine(torch.ones(1, 24, 32), interpolation=TF.InterpolationMode.BILINEAR, **how) == 1
        assert whole.float().mean() > 0.3
        torch.testing.assert_close(ours[i] * whole, expected * whole, atol=2e-3, rtol=0)


def test_random_crop_is_torchvision_s_resized_crop():
    """Within half a pixel of the crop's border ours sees the image beyond it, where torchvision repeats the last pixel."""
    images = smooth(24)
    draws = drawn_for(images, crop_area=0.2)
    ours = pixel_values(images, draws)
    for i, image in enumerate(images):
        top, left, height, width = (int(v) for v in draws.crop[:, i])
        expected = TF.resized_crop(
            image / 255, top, left, height, width, [24, 32], TF.InterpolationMode.BILINEAR, antialias=False
        )
        y, x = math.ceil(12 / height), math.ceil(16 / width)
        inner = (slice(None), slice(y, 24 - y), slice(x, 32 - x))
        torch.testing.assert_close(ours[i][inner], expected[inner], atol=1e-4, rtol=0)


def test_crop_alone_lets_nothing_come_in():
    white = torch.full((200, 3, 12, 10), 255, dtype=torch.uint8)
    torch.testing.assert_close(pixel_values(white, drawn_for(white, crop_area=0.05)), torch.ones(200, 3, 12, 10))


def test_crops_are_drawn_as_torchvision_draws_them():
    """Area, ratio and place have the same distribution; five standard deviations of the mean of 4,000."""
    n, size = 4000, (24, 32)
    image = torch.zeros(3, *size)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.3, 1.0], [3 / 4, 4 / 3]) for _ in range(n)], dtype=float)
    ours = drawn_for(image.expand(n, -1, -1, -1), crop_area=0.3).crop.numpy().T.astype(float)
    assert ((ours[:, :2] >= 0) & (ours[:, :2] + ours[:, 2:] <= size) & (ours[:, 2:] >= 1)).all()
    assert np.array_equal(ours, ours.round())
    for mine, other in zip(ours.T, theirs.T, strict=True):
        assert abs(mine.mean() - other.mean()) < 5 * math.sqrt((mine.var() + other.var()) / n)
        assert 0.85 < mine.std() / other.std() < 1.18


def test_flips_are_torchvision_s():
    images = stored(32)
    draws = drawn_for(images, flip=True, flip_vertical=True)
    expected = []
    for image, is_flipped, is_upside_down in zip(images, draws.is_flipped, draws.is_upside_down, strict=True):
        image = TF.horizontal_flip(image) if is_flipped else image
        expected.append(TF.vertical_flip(image) if is_upside_down else image)
    assert len({(bool(a), bool(b)) for a, b in zip(draws.is_flipped, draws.is_upside_down, strict=True)}) == 4
    torch.testing.assert_close(pixel_values(images, draws), torch.stack(expected) / 255)


@pytest.mark.parametrize("settings", [{"rotate_deg": 25}, {"crop_area": 0.5}, {"shift_px": 2}], ids=str)
def test_mirroring_comes_after_the_other_moves(settings):
    images = smooth(32)
    draws = drawn_for(images, flip=True, flip_vertical=True, **settings)
    plain = pixel_values(images, Draws(**{f.name: getattr(draws, f.name) for f in fields(Draws) if not f.name.startswith("is_")}))
    for i in range(len(images)):
        expected = plain[i].flip(2) if draws.is_flipped[i] else plain[i]
        expected = expected.flip(1) if draws.is_upside_down[i] else expected
        assert torch.equal(pixel_values(images, draws)[i], expected)


# --- each change by itself


def test_shift_moves_by_whole_pixels_and_mirrors_what_comes_in():
    """Each result is a window of the mirrored image, at an offset within the bound; all offsets come up."""
    images = random_images(400, 2)
    padded = np.pad(images[0].numpy(), ((0, 0), (3, 3), (3, 3)), mode="reflect")
    windows = {padded[:, y : y + 12, x : x + 10].tobytes(): (y - 3, x - 3) for y in range(7) for x in range(7)}
    offsets = [windows[np.ascontiguousarray(image.numpy()).tobytes()] for image in changed(images, CASES["shift"])]
    assert len(set(offsets)) == 49
    assert abs(np.mean(offsets)) < 0.4


def test_shift_of_more_than_the_picture_is_large_leaves_a_picture():
    images = changed(random_images(20, 1, 6, 6), Augmentation(shift_px=8))
    assert images.shape == (20, 1, 6, 6)
    assert images.isfinite().all()


def test_flip_only_mirrors_about_half_of_the_pictures():
    images = random_images(400)
    after = changed(images, CASES["flip"])
    mirrored = images[0].flip(2)
    is_mirrored = [torch.equal(image, mirrored) for image in after]
    is_same = [torch.equal(image, images[0]) for image in after]
    assert all(a != b for a, b in zip(is_mirrored, is_same, strict=True))
    assert 140 < sum(is_mirrored) < 260  # six standard deviations


def test_rotation_leaves_a_round_picture_as_it_is_and_turns_others():
    y, x = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")
    round_image = torch.exp(-(x**2 + y**2) / 40).expand(16, 1, 33, 33)
    torch.testing.assert_close(changed(round_image, Augmentation(rotate_deg=180)), round_image.clone(), atol=0.02, rtol=0)
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
    images = random_images(300)
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
    assert torch.equal(changed(random_images(), Augmentation()), random_images())
