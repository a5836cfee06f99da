"""Duplicates: equal images are all found, resized and recompressed ones nearly all, and alike is not the same."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from core.config import Preprocessing
from core.data.store.duplicates import (
    HASH_BYTES,
    Duplicates,
    find_duplicates,
    perceptual_hash,
    perceptual_hashes,
    pixel_digest,
    pixel_digests,
)
from core.data.transforms.preprocessing import array_to_image, image_to_array
from tests.fixtures.real_data import real_data


def of_arrays(images: np.ndarray) -> Duplicates:
    return find_duplicates(pixel_digests(images), perceptual_hashes(images), images)


def of_images(originals: list[Image.Image], shape: tuple[int, int, int]) -> Duplicates:
    """As an import of a folder would find them: digests and hashes of the originals as decoded, arrays as stored."""
    digests = np.stack([np.frombuffer(pixel_digest(image), np.uint8) for image in originals])
    hashes = np.stack([perceptual_hash(image) for image in originals])
    images = np.stack([image_to_array(image, shape, Preprocessing(fit="crop")) for image in originals])
    return find_duplicates(digests, hashes, images)


def noise(count: int, shape: tuple[int, int, int] = (3, 32, 32), seed: int = 0) -> np.ndarray:
    """(count, *shape) uint8: images of random 8×8 patches, all different, with coarse and fine structure."""
    channels, height, width = shape
    patches = np.random.default_rng(seed).integers(0, 256, (count, channels, 8, 8), np.uint8)
    return patches.repeat(height // 8, axis=2).repeat(width // 8, axis=3)


def photographs() -> list[Image.Image]:
    """45 overlapping cuts, 80 × 64, of the lower half of scikit-learn's photograph of a temple."""
    photo = Image.fromarray(load_sample_images().images[0])
    return [photo.crop((x, y, x + 80, y + 64)) for y in range(235, 427, 64) for x in range(0, 600, 40)]


def mnist() -> np.ndarray:
    raw = real_data("MNIST") / "raw"
    parts = [(raw / f"{name}-images-idx3-ubyte").read_bytes() for name in ("train", "t10k")]
    return np.concatenate([np.frombuffer(part, np.uint8, offset=16).reshape(-1, 1, 28, 28) for part in parts])


def opened(files: list[Path]) -> list[Image.Image]:
    return [image if image.mode == "L" else image.convert("RGB") for image in map(Image.open, files)]


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(saved(image, "JPEG", quality=quality))


def saved(image: Image.Image, file_format: str, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file


CHANGES = {
    "half": lambda image: scaled(image, 0.5),
    "0.7": lambda image: scaled(image, 0.7),
    "double": lambda image: scaled(image, 2),
    "quality 40": lambda image: recompressed(image, 40),
    "quality 95": lambda image: recompressed(image, 95),
}
REAL_SETS = {
    "cifar10_images": ("test/*/*.jpg", 25, (3, 32, 32)),
    "hymenoptera": ("*/*/*.jpg", 4, (3, 64, 64)),
    "orl_faces": ("*/*.pgm", 1, (1, 56, 46)),
}


# --- digests


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_digest_is_that_of_the_pixels_whatever_the_file(file_format, channels):
    images = noise(1, (channels, 16, 24))
    image = array_to_image(images[0])
    assert pixel_digest(Image.open(saved(image, file_format))) == pixel_digest(image) == pixel_digests(images).tobytes()


def test_digest_of_grey_stored_as_rgb_is_that_of_grey():
    grey = array_to_image(noise(1, (1, 16, 24))[0])
    assert pixel_digest(grey.convert("RGB")) == pixel_digest(grey)


def test_digest_tells_one_pixel_another_shape_and_the_place_of_colour():
    image = array_to_image(noise(1)[0])
    one_pixel, last_row = image.copy(), Image.new("RGB", (32, 32), (9, 9, 9))
    one_pixel.putpixel((31, 31), (1, 2, 3))
    last_row.putpixel((0, 31), (9, 9, 8))
    flat = [Image.new(mode, size) for mode in "L" for size in ((4, 6), (6, 4), (2, 12))]
    swapped = Image.merge("RGB", image.split()[::-1])
    different = [image, one_pixel, swapped, last_row, Image.new("RGB", (32, 32), (9, 9, 9)), *flat]
    assert len({pixel_digest(each) for each in different}) == len(different)
    assert {len(pixel_digest(each)) for each in different} == {16}


# --- hashes


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distance of hashes as a share of their length."""
    return np.linalg.norm(one.view(np.int8).astype(float) - other.view(np.int8), axis=-1) / 127


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 48), (1, 8, 8), (3, 5, 40)])
def test_hash_of_a_picture_is_that_of_its_array(shape):
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (20, *shape), np.uint8)
    hashes = perceptual_hashes(images)
    assert hashes.shape == (20, HASH_BYTES)
    assert hashes.any(axis=1).all()
    single = np.stack([perceptual_hash(array_to_image(image)) for image in images])
    assert apart(hashes, single).max() < 0.04  # rounding to grey levels, then to int8
    assert apart(hashes[1:], hashes[:-1]).min() > 0.5


def test_hash_is_of_the_whole_picture_at_any_size():
    photo = Image.fromarray(load_sample_images().images[0])
    hashes = [perceptual_hash(photo.resize(size)) for size in ((640, 427), (320, 427), (64, 64), (50, 300))]
    assert apart(np.stack(hashes[1:]), hashes[0]).max() < 0.05


def test_threads_hash_alike():
    images = [array_to_image(image) for image in noise(200, (1, 40, 56))]
    with ThreadPoolExecutor(4) as pool:
        assert np.array_equal(list(pool.map(perceptual_hash, images)), [perceptual_hash(each) for each in images])


def test_pictures_without_structure_have_a_hash_of_zeros():
    slope = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    faint = np.random.default_rng(0).integers(127, 129, (32, 32), np.uint8)
    flat = np.stack([np.zeros_like(slope), np.full_like(slope, 200), slope, slope.T, slope[::-1, ::-1], slope // 4, faint])
    assert not perceptual_hashes(flat[:, None]).any()


# --- equal images


def test_equal_pictures_are_all_found_and_form_one_group_under_the_first():
    images = noise(40)
    images[[7, 20, 39]] = images[3]
    images[30] = images[29]
    found = of_arrays(images)
    assert found.pairs.tolist() == [[3, 7], [3, 20], [3, 39], [29, 30]]
    assert found.is_exact.all()
    assert [i for i, group in enumerate(found.groups) if group != i] == [7, 20, 30, 39]
    assert found.groups[[7, 20, 39, 30]].tolist() == [3, 3, 3, 29]


def test_a_near_duplicate_of_equal_pictures_joins_their_group():
    images = noise(40)
    images[12] = images[5]
    images[2] = np.asarray(recompressed(array_to_image(images[5]), 90)).transpose(2, 0, 1)
    found = of_arrays(images)
    assert found.pairs.tolist() == [[2, 5], [5, 12]]
    assert found.is_exact.tolist() == [False, True]
    assert found.groups[[2, 5, 12]].tolist() == [2, 2, 2]


def test_a_grey_picture_equals_itself_stored_as_rgb():
    grey = photographs()[0].convert("L")
    found = of_images([grey, grey.convert("RGB"), photographs()[20]], (3, 32, 32))
    assert found.pairs.tolist() == [[0, 1]]
    assert found.is_exact.all()


def test_tiny_pictures_are_found_only_where_they_are_equal():
    digits = np.round(load_digits().images[:, None] * (255 / 16)).astype(np.uint8)
    found = of_arrays(np.concatenate([digits, digits[:100], np.maximum(digits[100:200], 1)]))
    assert found.is_exact.all()
    assert found.groups[len(digits) : len(digits) + 100].tolist() == list(range(100))


# --- near images


@pytest.mark.parametrize("change", CHANGES)
def test_changed_photographs_are_found_and_nothing_else(change):
    images = photographs()
    found = of_images([*images, *map(CHANGES[change], images)], (3, 32, 32))
    recalled, others = evaluated(found, len(images))
    assert recalled >= 0.98
    assert others == 0
    assert not found.is_exact.any()


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL_SETS)
def test_changed_real_pictures_are_found_and_nothing_else(name):
    pattern, step, shape = REAL_SETS[name]
    images = opened(sorted(real_data(name).glob(pattern))[::step])
    for change in CHANGES.values():
        recalled, others = evaluated(of_images([*images, *map(change, images)], shape), len(images))
        assert recalled >= 0.98
        assert others == 0


def evaluated(found: Duplicates, count: int) -> tuple[float, int]:
    """The share of the first `count` images that are grouped with their changed selves, and how many other pairs there are."""
    others = (found.pairs[:, 0] % count != found.pairs[:, 1] % count).sum()
    return (found.groups[:count] == found.groups[count:]).mean(), others


@pytest.mark.real_data
def test_training_pictures_of_cifar_that_its_test_split_holds_again_are_found():
    """Looked at by eye: the same photographs, other prints of them."""
    folder = real_data("cifar10_images")
    known = {"bird/0688": "bird/3554", "deer/0232": "deer/2819", "deer/0440": "deer/4577", "dog/0651": "dog/0736"}
    files = [folder / split / f"{name}.jpg" for one, other in known.items() for split, name in (("test", one), ("train", other))]
    others = sorted(set(folder.glob("test/*/*.jpg")) - set(files))[::10]
    found = of_images(opened([*files, *others]), (3, 32, 32))
    assert found.pairs.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.real_data
def test_no_two_different_digits_of_mnist_are_near():
    images = mnist()
    found = of_arrays(images)
    assert len(np.unique(found.pairs)) < 0.001 * len(images)


@pytest.mark.real_data
def test_digits_recompressed_amid_all_of_mnist_are_found():
    images = mnist()
    again = np.stack([np.asarray(recompressed(array_to_image(image), 60))[None] for image in images[:300]])
    found = of_arrays(np.concatenate([images, again]))
    assert (found.groups[-300:] == np.arange(300)).mean() >= 0.98


@pytest.mark.real_data
def test_different_shots_of_one_face_are_not_near():
    faces = np.stack([np.asarray(image) for image in opened(sorted(real_data("orl_faces").glob("*/*.pgm")))])
    assert len(faces) == 400
    assert len(of_arrays(faces[:, None]).pairs) == 0


def test_pictures_alike_only_in_their_middle_or_only_when_squeezed_are_not_near():
    one, other = noise(2, (3, 32, 96))
    other[..., 32:64] = one[..., 32:64]  # all that a centre crop keeps
    assert len(of_images([array_to_image(one), array_to_image(other)], (3, 32, 32)).pairs) == 0
    photo = Image.fromarray(load_sample_images().images[0])
    assert len(of_images([photo, photo.resize((photo.height // 2, photo.width))], (3, 32, 32)).pairs) == 0


# --- hostile sets


@pytest.mark.parametrize("count", [0, 1])
def test_a_set_without_two_pictures_has_no_duplicates(count):
    found = of_arrays(noise(count))
    assert found.pairs.shape == (0, 2)
    assert found.is_exact.shape == (0,)
    assert found.groups.tolist() == list(range(count))


def test_results_have_the_promised_types_and_order():
    for images in (noise(9), noise(9)[[0, 1, 2, 1, 0, 5, 5, 5, 8]]):
        pairs, is_exact, groups = (getattr(of_arrays(images), name) for name in ("pairs", "is_exact", "groups"))
        assert (pairs.dtype, is_exact.dtype, groups.dtype) == (np.int32, bool, np.int32)
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert pairs.tolist() == sorted(pairs.tolist())


def test_a_set_of_one_picture_over_and_over_is_one_group():
    found = of_arrays(np.broadcast_to(noise(1), (5000, 3, 32, 32)))
    assert len(found.pairs) == 4999
    assert found.is_exact.all()
    assert not found.groups.any()


def test_a_set_of_nearly_one_picture_is_one_group_with_few_pairs():
    random = np.random.default_rng(0)
    images = noise(1) // 2 + random.integers(0, 4, (3000, 3, 32, 32), np.uint8)
    found = of_arrays(images)
    assert len(found.pairs) == 2999
    assert not found.is_exact.any()
    assert not found.groups.any()


def test_flat_pictures_are_near_to_nothing():
    images = np.zeros((600, 1, 20, 20), np.uint8) + np.arange(600, dtype=np.uint8)[:, None, None, None]
    found = of_arrays(images)  # shades 0 to 255, then again
    assert found.is_exact.all()
    assert found.groups.tolist() == [i % 256 for i in range(600)]


def test_equal_hashes_of_different_pictures_lead_to_no_pair():
    images = noise(3000)
    hashes = np.broadcast_to(perceptual_hashes(images[:1]), (3000, HASH_BYTES))
    assert len(find_duplicates(pixel_digests(images), hashes, images).pairs) == 0


def test_a_store_that_has_kept_only_a_flat_middle_is_near_to_nothing():
    wide = noise(1, (3, 32, 96))[0] // 2 + noise(20, (3, 32, 96), seed=1) // 8  # alike, not the same
    wide[..., 32:64] = 100 + noise(1)[0] // 128
    assert len(of_images([array_to_image(image) for image in wide], (3, 32, 32)).pairs) == 0


def test_faint_pictures_that_are_alike_are_not_near():
    strong, weak = (noise(count, (1, 32, 32), seed).astype(float) / 255 for count, seed in ((1, 0), (20, 1)))
    assert len(of_arrays(np.rint(100 + 24 * strong + 6 * weak).astype(np.uint8)).pairs) == 0


def test_the_same_set_gives_the_same_answer_from_memory_and_from_a_file(tmp_path):
    images = noise(500)
    images[250:] = [np.asarray(recompressed(array_to_image(image), 70)).transpose(2, 0, 1) for image in images[:250]]
    np.save(tmp_path / "images.npy", images)
    one, other = of_arrays(images), of_arrays(np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert len(one.pairs) > 200
    assert all(np.array_equal(left, right) for left, right in zip(astuple(one), astuple(other), strict=True))
