"""Duplicates: how many changed images are found, how many different ones are taken for the same, in what time.

    python -m benchmarks.duplicates [--data FOLDER]

The folder holds MNIST/raw, cifar10_images, hymenoptera and orl_faces; without --data it is that of TRAINSCOPE_TEST_DATA.
"""

import argparse
import io
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from core.config import Preprocessing
from core.data.sources.decoding import decode_image
from core.data.store.duplicates import (
    HASH_BYTES,
    find_duplicates,
    perceptual_hash,
    perceptual_hashes,
    pixel_digest,
    pixel_digests,
)
from core.data.transforms.preprocessing import image_to_array

FACTORS = (0.5, 0.7, 1.5, 2)
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
QUALITIES = (40, 60, 80, 95)
SETS = {
    # folder: (files, each how many-th, stored shape)
    "cifar10_images": ("*/*/*.jpg", 75, (3, 32, 32)),
    "hymenoptera": ("*/*/*.jpg", 1, (3, 64, 64)),
    "orl_faces": ("*/*.pgm", 1, (1, 56, 46)),
}
CROP = Preprocessing(fit="crop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("TRAINSCOPE_TEST_DATA"))
    options = parser.parse_args()
    if not options.data:
        parser.error("give --data, or set TRAINSCOPE_TEST_DATA")
    data = Path(options.data)
    million()  # first, while the process is small: peak memory is that of its whole life
    for name, (pattern, step, shape) in SETS.items():
        recall(name, [decode_image(file) for file in sorted((data / name).glob(pattern))[::step]], shape)
    print()
    searched("MNIST", mnist(data / "MNIST" / "raw"))
    searched("ORL faces", stored(data / "orl_faces", "*/*.pgm", (1, 112, 92)))
    searched("CIFAR-10", stored(data / "cifar10_images", "*/*/*.jpg", (3, 32, 32)))


def recall(name: str, originals: list[Image.Image], shape: tuple[int, int, int]) -> None:
    print(f"{name}: {len(originals)} originals and each changed; found, other pairs")
    for change, changed in changes().items():
        everything = [*originals, *map(changed, originals)]
        digests = np.stack([np.frombuffer(pixel_digest(image), np.uint8) for image in everything])
        hashes = np.stack([perceptual_hash(image) for image in everything])
        images = np.stack([image_to_array(image, shape, CROP) for image in everything])
        found = find_duplicates(digests, hashes, images)
        share = (found.groups[: len(originals)] == found.groups[len(originals) :]).mean()
        others = (np.diff(found.pairs, axis=1) != len(originals)).sum()
        print(f"  {change:15} {share:7.1%} {others:5}", flush=True)


def changes() -> dict[str, Callable[[Image.Image], Image.Image]]:
    scalings = {
        f"× {factor} {filter_.name.lower()}": lambda image, factor=factor, filter_=filter_: scaled(image, factor, filter_)
        for factor in FACTORS
        for filter_ in FILTERS
    }
    return (
        {"equal": lambda image: image}
        | scalings
        | {f"JPEG {quality}": lambda image, quality=quality: recompressed(image, quality) for quality in QUALITIES}
    )


def scaled(image: Image.Image, factor: float, filter_: Image.Resampling) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), filter_)


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def mnist(raw: Path) -> np.ndarray:
    parts = [(raw / f"{name}-images-idx3-ubyte").read_bytes() for name in ("train", "t10k")]
    return np.concatenate([np.frombuffer(part, np.uint8, offset=16).reshape(-1, 1, 28, 28) for part in parts])


def stored(folder: Path, pattern: str, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack([image_to_array(decode_image(file), shape, CROP) for file in sorted(folder.glob(pattern))])


def searched(name: str, images: np.ndarray) -> None:
    began = time.perf_counter()
    digests = pixel_digests(images)
    digested = time.perf_counter()
    hashes = perceptual_hashes(images)
    hashed = time.perf_counter()
    found = find_duplicates(digests, hashes, images)
    ended = time.perf_counter()
    near = found.pairs[~found.is_exact]
    print(
        f"{name}, {len(images):,} images: {found.is_exact.sum()} exact pairs, {len(near)} near ones of {len(np.unique(near))} "
        f"images; digests {digested - began:.1f} s, hashes {hashed - digested:.1f} s, search {ended - hashed:.1f} s",
        flush=True,
    )


def million(count: int = 1_000_000) -> None:
    """Hashes made up; the images are one and the same in memory, so that the peak is the search's and the hashes'."""
    random = np.random.default_rng(0)
    images = np.broadcast_to(random.integers(0, 256, (1, 3, 32, 32), np.uint8), (count, 3, 32, 32))
    digests = random.integers(0, 256, (count, 16), np.uint8)
    middle = made_up(random.standard_normal((1, HASH_BYTES), np.float32))
    hashes = np.empty((count, HASH_BYTES), np.uint8)
    for kind, noise in {"random": None, "all nearly equal": 2.0, "all equal": 0.0}.items():
        for part in np.array_split(hashes, 50):
            waves = random.standard_normal(part.shape, np.float32)
            part[:] = made_up(waves if noise is None else middle.view(np.int8) + noise * waves)
        began = time.perf_counter()
        found = find_duplicates(digests, hashes, images)
        seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{count:,} hashes, {kind}: {len(found.pairs):,} pairs, {seconds:.0f} s, peak {peak:.1f} GB", flush=True)


def made_up(waves: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(waves, axis=1, keepdims=True)
    return np.rint(waves * (127 / lengths)).clip(-127, 127).astype(np.int8).view(np.uint8)


if __name__ == "__main__":
    main()
