"""From an image to the network's input: as torchvision does it, and drawings as MNIST was made."""

import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits
from torchvision import transforms

from core.config import Preprocessing, TrainConfig
from core.data.transforms.preprocessing import DRAWING_STYLES, drawing_to_image, image_to_array, normalise, prepare
from core.errors import InputError
from core.settings import changed
from tests.fixtures.real_data import real_data

MNIST, DIGITS = (28, 28), (8, 8)


def random_image(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values).convert(mode)


def centre_of_mass(ink: np.ndarray) -> tuple[float, float]:
    """(x, y) in pixels from the upper left corner; the middle of the first pixel is 0.5."""
    ink = ink.astype(float)
    x = (ink.sum(axis=0) * (np.arange(ink.shape[1]) + 0.5)).sum() / ink.sum()
    y = (ink.sum(axis=1) * (np.arange(ink.shape[0]) + 0.5)).sum() / ink.sum()
    return x, y


@pytest.mark.parametrize("side", [64, 96, 128, 224])
def test_every_size_of_photograph_can_be_cropped(side):
    """A middle part that is as wide as the image lies within it, whatever the arithmetic of floats makes of that."""
    preprocessing = Preprocessing(size_px=side, fit="crop")
    for width in range(200, 700, 7):
        for height in (200, 331, 375, 499, 500, 512):
            image = Image.new("L", (width, height), 77)
            assert (image_to_array(image, (1, side, side), preprocessing) == 77).all()


# --- normalisation


@pytest.mark.parametrize(
    ("mode", "mean", "std"),
    [("L", (0.1307,), (0.3081,)), ("RGB", (0.5, 0.4, 0.3), (0.2, 0.3, 0.5)), ("RGB", (0.0,) * 3, (1.0,) * 3)],
)
def test_normalisation_is_torchvision_s(mode, mean, std):
    images = [random_image((20, 14), mode, seed) for seed in range(3)]
    reference = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    expected = torch.stack([reference(image) for image in images])
    arrays = np.stack([image_to_array(image, (len(mean), 14, 20), Preprocessing(fit="crop")) for image in images])
    ours = normalise(torch.from_numpy(arrays), torch.tensor(mean), torch.tensor(std))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_normalisation_leaves_the_stored_pictures_alone():
    images = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    before = images.clone()
    normalise(images, torch.tensor([0.5]), torch.tensor([0.5]))
    assert torch.equal(images, before)
    numbers = images.float()
    normalise(numbers, torch.tensor([0.5]), torch.tensor([0.5]))
    assert torch.equal(numbers, before.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (5, 3, 32, 32), (1, 3, 7, 9), (1, 1, 8, 8)])
def test_normalisation_has_the_bits_and_the_order_in_memory_of_the_first_version(shape, dtype):
    """Which computed in channels-last order throughout; a run from then goes on with the same images."""
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465][: shape[1]]), torch.tensor([0.247, 0.2435, 0.2616][: shape[1]])
    scale, shift = (1 / (255 * std)).to(dtype).view(1, -1, 1, 1), (mean / std).to(dtype).view(1, -1, 1, 1)
    expected = images.to(dtype, memory_format=torch.channels_last).mul_(scale).sub_(shift)
    ours = normalise(images, mean, std, dtype)
    assert torch.equal(ours, expected)
    assert ours.stride() == expected.stride()


def test_normalisation_in_bfloat16_is_close():
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    mean, std = torch.tensor([0.5]), torch.tensor([0.25])
    ours = normalise(images, mean, std, torch.bfloat16)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), normalise(images, mean, std), rtol=0.02, atol=0.02)


# --- size and colour


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_picture_of_the_right_size_passes_unchanged(fit):
    image = random_image((12, 9))
    array = image_to_array(image, (3, 9, 12), Preprocessing(fit=fit))
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, np.asarray(image).transpose(2, 0, 1))


def striped() -> Image.Image:
    """120 × 40: red, green and blue squares side by side."""
    image = Image.new("RGB", (120, 40))
    for i, colour in enumerate(("red", "lime", "blue")):
        image.paste(colour, (40 * i, 0, 40 * i + 40, 40))
    return image


def test_crop_is_the_middle():
    array = image_to_array(striped(), (3, 20, 20), Preprocessing(fit="crop"))
    assert array.shape == (3, 20, 20)
    np.testing.assert_array_equal(array[:, 10, 10], (0, 255, 0))
    np.testing.assert_array_equal(array[:, 10, 2:18].T, [(0, 255, 0)] * 16)


def test_pad_shows_the_whole_picture_between_black_bars():
    array = image_to_array(striped(), (3, 30, 30), Preprocessing(fit="pad"))
    assert (array[:, :9] == 0).all()
    assert (array[:, 21:] == 0).all()
    for x, colour in ((5, (255, 0, 0)), (15, (0, 255, 0)), (25, (0, 0, 255))):
        np.testing.assert_array_equal(array[:, 15, x], colour)


def test_stretch_fills_the_square_with_the_whole_picture():
    array = image_to_array(striped(), (3, 30, 30), Preprocessing(fit="stretch"))
    for y in (2, 15, 27):
        for x, colour in ((5, (255, 0, 0)), (15, (0, 255, 0)), (25, (0, 0, 255))):
            np.testing.assert_array_equal(array[:, y, x], colour)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 1000), (7, 5)])
def test_picture_of_any_shape_comes_out_at_the_size_asked_for(size, fit):
    for channels in (1, 3):
        array = image_to_array(random_image(size), (channels, 16, 16), Preprocessing(fit=fit))
        assert (array.shape, array.dtype) == ((channels, 16, 16), np.uint8)
        assert array.flags.c_contiguous


def test_grey_becomes_three_equal_channels_and_colour_one_of_luminance():
    grey = image_to_array(random_image((5, 5), "L"), (3, 5, 5), Preprocessing(fit="crop"))
    assert (grey[0] == grey[1]).all()
    assert (grey[0] == grey[2]).all()
    red = image_to_array(Image.new("RGB", (5, 5), "red"), (1, 5, 5), Preprocessing(fit="crop"))
    assert red[0, 0, 0] == 76  # ITU-R 601: 0.299 × 255


# --- drawings


def drawn(at: tuple[int, int], size: int, thickness: int = 18, dark_on_light: bool = True, shape: str = "seven") -> Image.Image:
    """A stroke somewhere on a canvas of 280 × 280, as a hand would leave it."""
    paper, pen = (255, 0) if dark_on_light else (0, 255)
    image = Image.new("L", (280, 280), paper)
    pencil = ImageDraw.Draw(image)
    x, y = at
    if shape == "seven":
        pencil.line([(x, y), (x + size, y), (x + size // 3, y + int(1.4 * size))], fill=pen, width=thickness, joint="curve")
    elif shape == "one":
        pencil.line([(x, y), (x, y + size)], fill=pen, width=thickness)
    elif shape == "zero":
        pencil.ellipse([x, y, x + size, y + int(1.3 * size)], outline=pen, width=thickness)
    return image


DRAWINGS = {
    f"{shape} at {at}, {size} px": drawn(at, size, shape=shape)
    for shape in ("seven", "one", "zero")
    for at, size in (((20, 20), 60), ((180, 30), 70), ((40, 120), 100))
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawing_is_centred_by_its_mass_as_mnist_is(name):
    """Ink within a box of 20 pixels, its centre of mass where that of MNIST's own images lies: between 14 and 15, each way."""
    array, words = prepare(DRAWINGS[name], Preprocessing(drawing="mnist"), 1, MNIST)
    assert array.shape == (1, 28, 28)
    x, y = centre_of_mass(array[0])
    assert 13.95 <= x <= 15.05
    assert 13.95 <= y <= 15.05
    rows, columns = np.flatnonzero(array[0].any(axis=1)), np.flatnonzero(array[0].any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert "centred" in words


@pytest.mark.parametrize("style", DRAWING_STYLES)
@pytest.mark.parametrize("name", DRAWINGS)
def test_dark_ink_on_light_paper_becomes_light_on_dark(name, style):
    array = np.asarray(drawing_to_image(DRAWINGS[name], DRAWING_STYLES[style]))
    assert array[0, 0] == 0
    assert array.max() > 200


@pytest.mark.parametrize("style", DRAWING_STYLES)
def test_drawing_is_the_same_whether_dark_on_light_or_light_on_dark(style):
    dark, light = (drawn((50, 60), 90, dark_on_light=flag) for flag in (True, False))
    ours = [np.asarray(drawing_to_image(image, DRAWING_STYLES[style])) for image in (dark, light)]
    np.testing.assert_array_equal(ours[0], ours[1])


@pytest.mark.parametrize("style", DRAWING_STYLES)
def test_drawing_is_the_same_wherever_it_stands_and_however_large_it_is(style):
    reference = np.asarray(drawing_to_image(drawn((20, 20), 80, 16), DRAWING_STYLES[style])).astype(int)
    moved = np.asarray(drawing_to_image(drawn((150, 110), 80, 16), DRAWING_STYLES[style])).astype(int)
    larger = np.asarray(drawing_to_image(drawn((40, 30), 160, 32), DRAWING_STYLES[style])).astype(int)
    np.testing.assert_array_equal(moved, reference)
    assert abs(larger - reference).mean() < 8


def test_grey_paper_and_pale_ink_are_told_apart():
    """A photograph of pencil on paper: neither is black or white."""
    photograph = drawn((60, 60), 90).point(lambda v: 120 if v == 0 else 215)
    crisp = drawing_to_image(drawn((60, 60), 90), DRAWING_STYLES["mnist"])
    np.testing.assert_allclose(
        np.asarray(drawing_to_image(photograph, DRAWING_STYLES["mnist"])).astype(int), np.asarray(crisp).astype(int), atol=3
    )


@pytest.mark.parametrize("style", DRAWING_STYLES)
@pytest.mark.parametrize("paper", [0, 128, 255])
def test_empty_canvas_comes_back_black(style, paper):
    array = np.asarray(drawing_to_image(Image.new("L", (280, 280), paper), DRAWING_STYLES[style]))
    assert (array == 0).all()


@pytest.mark.parametrize("at", [(0, 0), (279, 279), (140, 140)])
def test_single_dot_is_a_picture_too(at):
    canvas = Image.new("L", (280, 280), 255)
    canvas.putpixel(at, 0)
    array, _ = prepare(canvas, Preprocessing(drawing="mnist"), 1, MNIST)
    assert array.max() == 255
    assert all(13.95 <= value <= 15.05 for value in centre_of_mass(array[0]))


def test_digit_of_the_set_passes_unchanged():
    for image in load_digits().images[:20]:
        values = (image * 15.9375).round().astype(np.uint8)
        array, words = prepare(Image.fromarray(values), Preprocessing(drawing="digits"), 1, DIGITS)
        np.testing.assert_array_equal(array[0], values)
        assert words == "Taken as it is."


def test_set_without_drawings_gets_pictures_brought_to_size_only():
    array, words = prepare(striped(), Preprocessing(drawing="none"), 3, (20, 20))
    np.testing.assert_array_equal(array, image_to_array(striped(), (3, 20, 20), Preprocessing(fit="crop")))
    assert words == "Brought to 20 × 20 pixels."


def test_drawing_for_a_network_of_three_channels_is_three_times_the_same():
    array, _ = prepare(DRAWINGS["zero at (20, 20), 60 px"], Preprocessing(drawing="mnist"), 3, MNIST)
    assert array.shape == (3, 28, 28)
    assert (array[0] == array[1]).all()
    assert (array[0] == array[2]).all()


def mnist_test_images() -> np.ndarray:
    raw = (real_data("MNIST") / "raw" / "t10k-images-idx3-ubyte").read_bytes()
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)


@pytest.mark.real_data
def test_mnist_pictures_have_their_centre_of_mass_between_14_and_15():
    """The fact that the tests above rest on: 14 and a half in the mean."""
    centres = np.array([centre_of_mass(image) for image in mnist_test_images()[:2000]])
    np.testing.assert_allclose(centres.mean(axis=0), 14.5, atol=0.02)
    assert ((centres > 13.95) & (centres < 15.05)).all(axis=1).mean() > 0.99


@pytest.mark.real_data
def test_mnist_digits_redrawn_large_and_off_centre_come_back_where_they_were():
    """Moved by none of the eight steps around, in the mean, to fit the original best; and the likeness is close."""
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    places, alike = [], []
    for index, original in enumerate(mnist_test_images()[:200]):
        canvas = Image.new("L", (400, 400), 255)
        large = Image.fromarray(255 - original).resize((196, 196), Image.Resampling.BICUBIC)
        canvas.paste(large, (index % 200, 200 - index % 200))
        array, _ = prepare(canvas, Preprocessing(drawing="mnist"), 1, MNIST)
        likeness = [np.corrcoef(np.roll(array[0], shift, (0, 1)).ravel(), original.ravel())[0, 1] for shift in around]
        places.append(around[int(np.argmax(likeness))])
        alike.append(max(likeness))
    np.testing.assert_allclose(np.mean(places, axis=0), 0, atol=0.1)
    assert np.median(alike) > 0.97


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_long_thin_picture_is_fitted_without_a_giant_between(fit):
    image = Image.new("L", (1_000_000, 1), 200)
    tracemalloc.start()
    array = image_to_array(image, (1, 224, 224), Preprocessing(fit=fit))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert array.shape == (1, 224, 224)
    assert array.max() == 200
    assert peak < 50_000_000


def test_middle_is_cut_out_of_a_picture_that_is_too_wide():
    image = Image.fromarray(np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[None], 8, axis=0))  # 24 × 8, brighter to the right
    assert image_to_array(image, (1, 8, 8), Preprocessing(fit="crop"))[0, 0].tolist() == list(range(80, 160, 10))


# --- the short side first, and inverted images


def smooth_image(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    return random_image((6, 5), mode, seed).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (224, 224), (90, 64), (1000, 260)])
def test_short_side_and_crop_are_torchvision_s_resize_and_centre_crop(size):
    """But for the rounding of torchvision's crop to whole pixels: half a pixel of an image without edges."""
    image = smooth_image(size)
    reference = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(56), transforms.PILToTensor()])
    ours = image_to_array(image, (3, 56, 56), Preprocessing(size_px=56, short_side_px=64))
    assert np.abs(ours.astype(int) - reference(image).numpy().astype(int)).max() <= 7
    assert np.abs(ours.astype(int) - reference(image).numpy().astype(int)).mean() < 2


def test_short_side_equal_to_the_size_is_the_plain_crop():
    for size in ((300, 200), (200, 300), (64, 64)):
        image = random_image(size)
        both = [image_to_array(image, (3, 64, 64), Preprocessing(size_px=64, short_side_px=s)) for s in (None, 64)]
        np.testing.assert_array_equal(*both)


def test_short_side_enlarges_a_picture_that_has_the_size_already():
    """A frame of white around black: the larger short side leaves the frame out."""
    framed = Image.new("L", (32, 32), 255)
    framed.paste(0, (4, 4, 28, 28))
    assert image_to_array(framed, (1, 32, 32), Preprocessing(size_px=32)).max() == 255
    assert image_to_array(framed, (1, 32, 32), Preprocessing(size_px=32, short_side_px=48)).max() == 0


def test_long_thin_picture_is_cut_by_its_short_side_without_a_giant_between():
    tracemalloc.start()
    array = image_to_array(Image.new("L", (1_000_000, 1), 200), (1, 224, 224), Preprocessing(size_px=224, short_side_px=256))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (array == 200).all()
    assert peak < 50_000_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size_px": 64, "short_side_px": 63}, "size_px 64"),
        ({"short_side_px": 64}, "no size_px"),
        ({"size_px": 64, "short_side_px": 80, "fit": "pad"}, "set fit to crop"),
        ({"size_px": 64, "short_side_px": 80, "fit": "stretch"}, "set fit to crop"),
    ],
    ids=str,
)
def test_short_side_that_leaves_no_square_is_refused_with_the_way_out(changes, words):
    with pytest.raises(InputError, match=words):
        changed(TrainConfig(), {f"preprocessing.{name}": value for name, value in changes.items()})


def test_description_from_before_short_side_and_invert_is_read_as_it_was_meant():
    """As it stands in the checkpoints of the first version."""
    old = '{"size_px": 64, "fit": "crop", "colour": "rgb", "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "drawing": "none"}'
    read = Preprocessing.model_validate_json(old)
    assert (read.short_side_px, read.invert) == (None, False)
    assert read == Preprocessing(size_px=64, colour="rgb", mean=(0.5,) * 3, std=(0.2,) * 3, drawing="none")


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_inverted_is_255_less_the_value_whatever_the_fit(channels, fit):
    image = random_image((50, 30))
    plain, inverted = (image_to_array(image, (channels, 24, 24), Preprocessing(fit=fit, invert=i)) for i in (False, True))
    np.testing.assert_array_equal(inverted, 255 - plain)
    assert inverted.dtype == np.uint8


OUTSIDE = {
    "no style, its size": (random_image((28, 28), "L"), "none"),
    "no style, another size": (random_image((90, 60)), "none"),
    "a digit of the set": (Image.fromarray(np.pad(np.full((12, 8), 200, np.uint8), ((8, 8), (10, 10)))), "mnist"),
    "dark on light": (drawn((60, 60), 90), "mnist"),
    "light on dark": (drawn((60, 60), 90, dark_on_light=False), "mnist"),
    "an empty canvas": (Image.new("L", (280, 280), 255), "mnist"),
    "dark on light, digits": (drawn((60, 60), 90), "digits"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OUTSIDE)
def test_picture_for_a_set_that_was_stored_inverted_is_inverted_exactly_once(name, channels):
    image, drawing = OUTSIDE[name]
    plain, words = prepare(image, Preprocessing(drawing=drawing), channels, MNIST)
    inverted, inverted_words = prepare(image, Preprocessing(drawing=drawing, invert=True), channels, MNIST)
    np.testing.assert_array_equal(inverted, 255 - plain)
    assert "inverted" in inverted_words
    assert "inverted" not in words


@pytest.mark.parametrize("invert", [False, True])
def test_drawing_for_a_set_whose_middle_was_cut_out_is_cut_likewise(invert):
    """The set's own digit and the same digit drawn large end alike."""
    digit = drawing_to_image(DRAWINGS["zero at (40, 120), 100 px"], DRAWING_STYLES["mnist"])
    how = Preprocessing(size_px=28, short_side_px=36, drawing="mnist", invert=invert)
    of_the_set, _ = prepare(digit, how, 1, MNIST)
    np.testing.assert_array_equal(of_the_set, image_to_array(digit, (1, *MNIST), how))
    from_canvas, _ = prepare(DRAWINGS["zero at (40, 120), 100 px"], how, 1, MNIST)
    np.testing.assert_array_equal(from_canvas, of_the_set)
