"""Size and colour of a set: by the headers of all its images, none decoded; and what the size costs, in words."""

import io
import os
import struct
import time

import pytest
from PIL import Image

from core.config import Preprocessing
from core.data.edits import NO_EDITS
from core.data.report import report_on
from core.data.sets import prepare_store
from core.data.sources.containers import open_container
from core.data.sources.decoding import decode, decode_image
from core.data.sources.headers import HEAD_BYTES, Seen, seen_in
from core.data.sources.own_images import list_images, shape_of
from core.data.stored_size import StoredSize, stored_size
from tests.fixtures.image_archives import python_zipfile
from tests.fixtures.odd_images import odd_images


def saved(path, mode: str = "L", size: tuple[int, int] = (32, 32), **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)


def seen(root) -> Seen | None:
    listing = list_images(root)
    return seen_in(listing.container, [image.name for image in listing.layout.images])


def test_one_image_of_another_size_or_in_colour_among_a_thousand_is_seen(tmp_path):
    """Found by hand: a sample of 64 took 481 and 480 grey images of 32 × 32 and 13 photographs for grey ones of 32 × 32."""
    for n in range(1000):
        saved(tmp_path / "set" / "ab"[n % 2] / f"{n}.png")
    assert seen(tmp_path / "set") == Seen((32, 32), True)
    saved(tmp_path / "set" / "b" / "501a.png", "RGB", (300, 200))
    listing = list_images(tmp_path / "set")
    assert shape_of(listing, Preprocessing()) == (3, 64, 64)
    assert shape_of(listing, Preprocessing(colour="grey", size_px=20)) == (1, 20, 20)
    assert shape_of(listing, Preprocessing(size_px=20)) == (3, 20, 20)


@pytest.mark.parametrize("odd", list(odd_images()), ids=lambda odd: odd.name)
def test_header_says_the_size_and_colour_that_decoding_gives(tmp_path, odd):
    (tmp_path / "a").write_bytes(odd.content)
    decoded = decode(odd.content)
    assert seen_in(open_container(tmp_path), ["a"]) == Seen(decoded.size, decoded.image.mode == "L")


@pytest.mark.parametrize(
    ("mode", "is_grey"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("P", False), ("RGB", False), ("RGBA", False)],
)
def test_modes_are_grey_or_colour_as_decoding_makes_them(tmp_path, mode, is_grey):
    saved(tmp_path / "a" / "1.png", mode, (6, 4))
    found = seen_in(open_container(tmp_path), ["a/1.png"])
    assert found == Seen((6, 4), is_grey)
    assert (decode_image(tmp_path / "a" / "1.png").mode == "L") == is_grey


def test_photograph_on_its_side_has_the_size_at_which_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    saved(tmp_path / "1.jpg", "RGB", (60, 40), exif=exif)
    assert seen_in(open_container(tmp_path), ["1.jpg"]) == Seen((40, 60), False)


def test_header_behind_a_long_preface_is_found_and_a_broken_file_passed_over(tmp_path):
    comment = b"\xff\xfe" + struct.pack(">H", 65_000) + bytes(64_998)
    plain = io.BytesIO()
    Image.new("L", (10, 20)).save(plain, "JPEG")
    content = plain.getvalue()
    (tmp_path / "1.jpg").write_bytes(content[:2] + comment + content[2:])
    assert (tmp_path / "1.jpg").stat().st_size > HEAD_BYTES
    (tmp_path / "0.jpg").write_bytes(b"\xff\xd8\xff\xe0 and nothing more")
    (tmp_path / "2.png").write_bytes(b"")
    container = open_container(tmp_path)
    assert seen_in(container, ["0.jpg", "1.jpg", "2.png", "gone.png"]) == Seen((10, 20), True)
    assert seen_in(container, ["0.jpg", "gone.png"]) is None


def test_headers_in_a_zip_are_read_too(tmp_path):
    (tmp_path / "set.zip").write_bytes(python_zipfile())
    assert seen(tmp_path / "set.zip") == Seen((8, 6), False)


def test_no_image_is_decoded_and_thousands_take_little_time(tmp_path, monkeypatch):
    saved(tmp_path / "set" / "a" / "0.png")
    (tmp_path / "set" / "b").mkdir()
    for n in range(1, 6000):
        os.link(tmp_path / "set" / "a" / "0.png", tmp_path / "set" / "ab"[n % 2] / f"{n}.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    began = time.process_time()
    assert seen(tmp_path / "set") == Seen((32, 32), True)
    assert time.process_time() - began < 3  # 0.4 s; 60,000 would take ten times as long


def test_no_more_is_looked_at_than_has_to_be_known(tmp_path):
    saved(tmp_path / "a" / "1.png", "RGB", (5, 5))
    saved(tmp_path / "a" / "2.png", "RGB", (6, 6))
    container = open_container(tmp_path)
    looked: list[str] = []
    head = container.head
    container.head = lambda name, at_least: looked.append(name) or head(name, at_least)  # type: ignore[method-assign]
    names = ["a/1.png", "a/2.png", "a/3.png"]
    assert seen_in(container, names) == Seen(None, False)
    assert looked == names[:2]
    seen_in(container, names, by_size=False)
    assert looked == [*names[:2], names[0]]


# --- what it costs


def stored(**about) -> str:
    return StoredSize(**{"num_sizes": 1, "usual": (150, 150), "stored": (150, 150), **about}).sentence("--size {px}")


def test_size_is_said_with_what_another_would_cost():
    assert stored(num_sizes=7, stored=(64, 64), proposed_px=150) == (
        "Images have 7 sizes, 150 × 150 px most often; stored at 64 × 64. --size 150 would show more and train about 5 times slower."
    )  # 150² / 64² = 5.5
    assert stored(proposed_px=64) == (
        "All images have 150 × 150 px and are stored so. --size 64 would show less and train about 5 times faster."
    )
    assert stored(usual=(92, 112), stored=(92, 112), proposed_px=64).endswith("train about 3 times faster.")  # 2.52
    assert stored(usual=(70, 70), stored=(70, 70)) == ""
    assert stored(usual=(500, 300), stored=(224, 224)) == "All images have 500 × 300 px, stored at 224 × 224."


@pytest.mark.parametrize(
    ("size", "side", "proposed"),
    [((32, 32), None, 0), ((150, 100), 64, 100), ((150, 150), None, 64), ((900, 800), 64, 224), ((70, 70), 64, 0)],
)
def test_proposed_is_what_the_images_have_up_to_what_networks_take_or_less_where_they_are_large(
    workspace, tmp_path, size, side, proposed
):
    for name in ("a", "b"):
        saved(tmp_path / "set" / name / "1.png", "RGB", size)
    store = prepare_store(workspace, str(tmp_path / "set"), Preprocessing(size_px=side))
    found = stored_size(store)
    assert found is not None and found.proposed_px == proposed
    assert report_on(store, NO_EDITS).as_dict(store)["storage"] == found.sentence("--size {px}")


def test_built_in_sets_have_no_such_choice(workspace):
    store = prepare_store(workspace, "digits", Preprocessing())
    assert stored_size(store) is None
    assert report_on(store, NO_EDITS).as_dict(store)["storage"] == ""
