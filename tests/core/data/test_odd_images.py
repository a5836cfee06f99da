"""Odd but valid images come out as a viewer shows them, the same in a store and in prediction; broken ones are refused in words."""

import random
import subprocess
import sys

import numpy as np
import pytest

from core.config import Preprocessing
from core.data.sets import prepare_store
from core.data.sources.decoding import decode_image
from core.data.store.duplicates import HASH_BYTES, perceptual_hash
from core.data.transforms.preprocessing import prepare
from core.workspace import open_workspace
from tests.fixtures.odd_images import GREY, mutants, odd_images, saved, torture

ODD = list(odd_images())
SUFFIXES = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpg",
    b"RIFF": "webp",
    b"BM": "bmp",
    b"GIF8": "gif",
    b"II*\0": "tif",
    b"MM\0*": "tif",
}


def suffix(content: bytes) -> str:
    return next((name for start, name in SUFFIXES.items() if content.startswith(start)), "pgm")


def in_colour(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_picture_is_read_as_a_viewer_shows_it(odd):
    shown = np.asarray(decode_image(odd.content).convert("RGB")).astype(float)
    assert shown.shape[:2] == odd.expected.shape[:2]
    assert np.abs(shown - in_colour(odd.expected)).max() <= odd.within


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_prediction_sees_what_the_store_holds_bit_for_bit(tmp_path, fit, colour):
    root = tmp_path / "odd"
    for number, odd in enumerate(ODD):
        folder = root / ("even" if number % 2 else "odd")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03}.{suffix(odd.content)}").write_bytes(odd.content)
    preprocessing = Preprocessing(size_px=16, fit=fit, colour=colour)
    store = prepare_store(open_workspace(tmp_path / "home"), str(root), preprocessing)
    assert store.skipped == []
    assert len(store.files) == len(ODD)
    for stored, file in zip(store.images, store.files, strict=True):
        image = decode_image((root / file).read_bytes())
        seen, _ = prepare(image, preprocessing, store.meta.shape[0], store.meta.shape[1:])
        np.testing.assert_array_equal(seen, stored)
        assert seen.dtype == stored.dtype == np.uint8


def test_stored_picture_of_its_own_size_is_the_picture(tmp_path):
    """Those of 12 × 8 pixels, in one set: what is stored is what was expected of each."""
    chosen = [odd for odd in ODD if odd.expected.shape[:2] == GREY.shape and odd.within <= 1]
    assert len(chosen) > 80
    for number, odd in enumerate(chosen):
        folder = tmp_path / "odd" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03}.{suffix(odd.content)}").write_bytes(odd.content)
    store = prepare_store(open_workspace(tmp_path / "home"), str(tmp_path / "odd"), Preprocessing())
    assert store.meta.shape == (3, *GREY.shape)
    by_number = {int(file[2:5]): image for file, image in zip(store.files, store.images, strict=True)}
    for number, odd in enumerate(chosen):
        stored = by_number[number].transpose(1, 2, 0).astype(float)
        assert np.abs(stored - in_colour(odd.expected)).max() <= 1, odd.name


# --- broken ones


def test_five_thousand_broken_files_are_pictures_or_refusals_in_bounded_memory_and_without_a_word():
    """In a process of its own, so that its memory can be limited and what it prints be seen."""
    command = [sys.executable, "-m", "tests.fixtures.odd_images", "--mutations", "5000", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    assert "'decoded'" in done.stdout


@pytest.mark.filterwarnings("ignore")
def test_broken_files_are_broken_enough_and_some_are_read():
    result = torture(700, seed=2)
    assert result["refused"] > 200
    assert result["decoded"] > 50
    assert result["slowest_s"] < 2


@pytest.mark.filterwarnings("ignore")
def test_folder_of_broken_files_is_imported_with_a_reason_for_each_that_is_left_out(tmp_path):
    root = tmp_path / "broken"
    for number, content in enumerate(mutants(400, seed=3)):
        folder = root / f"class-{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(content)
    store = prepare_store(open_workspace(tmp_path / "home"), str(root), Preprocessing(size_px=16))
    assert len(store.files) + len(store.skipped) == 400
    assert {entry["file"] for entry in store.skipped}.isdisjoint(store.files)
    assert {entry["kind"] for entry in store.skipped} == {"unreadable"}
    assert all(10 < len(entry["reason"]) < 500 and entry["reason"].isprintable() for entry in store.skipped)
    assert np.isfinite(store.meta.mean).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 1), (1, 5000), (5000, 1), (2, 2), (15, 17)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_picture_of_any_size_can_be_stored_and_compared(size, fit):
    draws = np.random.default_rng(random.Random(str(size)).randrange(1000))
    image = decode_image(saved(draws.integers(0, 256, (size[1], size[0], 3), np.uint8), "PNG"))
    seen, _ = prepare(image, Preprocessing(fit=fit), 3, (32, 32))
    assert seen.shape == (3, 32, 32)
    assert perceptual_hash(image).shape == (HASH_BYTES,)
