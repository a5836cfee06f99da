"""Image files, odd and hostile ones included: shown right, or refused with a sentence, and never another exception."""

import io
import random
import resource
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from core.data.sources import decoding
from core.data.sources.decoding import FORMATS, MAX_PIXELS, decode_image
from core.errors import InputError
from tests.fixtures.odd_images import mutated

STORED = np.array([[10, 60, 110], [160, 210, 250]], np.uint8)  # no symmetry
UPRIGHT = {  # what a viewer shows of STORED, by EXIF orientation (CIPA DC-008, tag 0x0112)
    1: STORED,
    2: np.fliplr(STORED),
    3: np.rot90(STORED, 2),
    4: np.flipud(STORED),
    5: STORED.T,
    6: np.rot90(STORED, -1),
    7: np.rot90(STORED, 2).T,
    8: np.rot90(STORED, 1),
}


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values).convert(mode)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(decode_image(content)).astype(int)


# --- odd ones


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_plain_picture_comes_back_as_it_is(kind, mode):
    image = decode_image(encoded(gradient(mode), kind))
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image), np.asarray(gradient(mode)))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_that_is_promised_is_read(kind):
    image = decode_image(encoded(Image.new("RGB", (16, 8), (200, 100, 50)), kind))
    assert image.size == (16, 8)
    np.testing.assert_allclose(np.asarray(image.convert("RGB"))[4, 8], (200, 100, 50), atol=6)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photograph_is_turned_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(STORED), "PNG", exif=exif)
    np.testing.assert_array_equal(pixels(content), UPRIGHT[orientation])


def test_alpha_is_laid_over_white():
    clear, half, full = (255, 0, 0, 0), (255, 0, 0, 128), (255, 0, 0, 255)
    image = Image.new("RGBA", (3, 1))
    for x, colour in enumerate((clear, half, full)):
        image.putpixel((x, 0), colour)
    # half: 255 - 128 = 127 of white, give or take one
    np.testing.assert_allclose(pixels(encoded(image))[0], [(255, 255, 255), (255, 127, 127), (255, 0, 0)], atol=1)


def test_grey_picture_with_alpha_stays_grey():
    image = Image.new("LA", (2, 1))
    image.putpixel((0, 0), (0, 255))
    image.putpixel((1, 0), (0, 0))
    decoded = decode_image(encoded(image))
    assert decoded.mode == "L"
    assert np.asarray(decoded).tolist() == [[0, 255]]


def test_palette_is_looked_up_and_its_transparent_entry_is_white():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    for x in range(3):
        image.putpixel((x, 0), x)
    assert pixels(encoded(image)).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert pixels(encoded(image, transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]


def test_one_bit_picture_is_black_and_white():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image)).tolist() == [[0, 255]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind):
    values = np.linspace(0, 65535, 256 * 4).round().astype(np.uint16).reshape(32, 32)
    decoded = decode_image(encoded(Image.fromarray(values), kind))
    assert decoded.mode == "L"
    np.testing.assert_allclose(np.asarray(decoded).astype(int), values / 257, atol=0.51)


def test_dark_sixteen_bit_picture_stays_dark():
    values = np.full((4, 4), 300, np.uint16)
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(values), "PNG")), 1)  # 300 / 257


def test_print_colours_become_screen_colours():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow ink: red
    np.testing.assert_allclose(pixels(encoded(image, "JPEG", quality=95)).mean(axis=(0, 1)), (254, 0, 0), atol=8)
    np.testing.assert_allclose(pixels(encoded(image, "TIFF")).mean(axis=(0, 1)), (255, 0, 0), atol=1)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation_is_taken(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(pixels(content)[4, 4], (255, 0, 0))


# --- hostile ones


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


LARGE = struct.pack("<HH", 65535, 65535)
BOMBS = {
    "PNG of 900 megapixels": png_that_claims(30_000, 30_000),
    "PNG of 4 gigapixels": png_that_claims(2**16, 2**16),
    "PNG just above the limit": png_that_claims(5001, 5000),
    "PNG as long as can be": png_that_claims(2**31 - 1, 1),
    "GIF of 35 bytes": b"GIF89a" + LARGE + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + LARGE + b"\0\2\0;;;;",
    "PPM by its header": b"P6 60000 60000 255\n" + bytes(100),
    "BMP by its header": b"BM" + struct.pack("<IHHIIiiHH", 154, 0, 0, 54, 40, 50_000, 50_000, 1, 24) + bytes(124),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_within_a_quarter_of_a_second_and_little_memory(name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with pytest.raises(InputError) as refusal:
        decode_image(BOMBS[name])
    assert time.perf_counter() - began < 0.25
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 150e6
    assert refusal.value.code == "picture"


def test_refusal_of_a_large_picture_names_its_size_and_the_limit():
    with pytest.raises(InputError, match="5001 × 5000 pixels, at most 25 megapixels"):
        decode_image(BOMBS["PNG just above the limit"])


def test_picture_at_the_limit_is_read():
    assert MAX_PIXELS == 5000 * 5000
    assert decode_image(encoded(Image.new("1", (5000, 5000)))).size == (5000, 5000)


def mutations(content: bytes, count: int, seed: int):
    draws = random.Random(seed)
    for _ in range(count):
        yield mutated(content, draws)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about what it found in the file
@pytest.mark.parametrize("kind", FORMATS)
def test_mutated_files_are_pictures_or_input_errors_and_nothing_else(kind):
    originals = [encoded(gradient(mode), kind) for mode in ("RGB", "L")]
    if kind in ("PNG", "TIFF", "GIF"):
        originals.append(encoded(gradient("P"), kind))
    refused = 0
    for seed, original in enumerate(originals):
        for content in mutations(original, 60, seed):
            try:
                image = decode_image(content)
            except InputError as error:
                assert error.code == "picture"
                assert len(str(error)) < 500
                refused += 1
            else:
                assert image.mode in ("L", "RGB")
                assert image.width * image.height <= MAX_PIXELS
    assert refused > 20


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF",
        b"\0" * 1000,
    ],
)
def test_what_is_no_picture_is_refused_with_the_formats_we_read(content):
    with pytest.raises(InputError) as refusal:
        decode_image(content)
    assert refusal.value.code == "picture"


@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX", "SGI", "EPS", "PDF"])
def test_format_that_is_not_promised_is_refused(kind):
    with pytest.raises(InputError, match="not an image in a format we read"):
        decode_image(encoded(Image.new("RGB", (16, 16)), kind))


def test_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        decode_image(tmp_path / "none.png")
    with pytest.raises(InputError):
        decode_image(tmp_path)


def test_file_that_is_too_long_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 1000)
    (tmp_path / "long.png").write_bytes(bytes(1001))
    with pytest.raises(InputError, match="1,001 bytes, at most 1,000"):
        decode_image(tmp_path / "long.png")


def test_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for source in (b"", tmp_path / "a.png"):
        with pytest.raises(InputError, match=r"^The file is empty\. Copy or download it again\.$"):
            decode_image(source)


# --- photographs of large cameras


def photograph(width: int, height: int, **options) -> bytes:
    """A JPEG of four quarters of one colour each, made without holding it in memory as more than a palette."""
    small = Image.new("RGB", (2, 2))
    for x, y, colour in ((0, 0, "red"), (1, 0, "lime"), (0, 1, "blue"), (1, 1, "white")):
        small.paste(Image.new("RGB", (1, 1), colour), (x, y))
    return encoded(small.resize((width, height), Image.Resampling.NEAREST), "JPEG", **options)


@pytest.mark.parametrize(("size", "scale"), [((6240, 4160), 2), ((8000, 6000), 2), ((12_000, 9000), 4)])
def test_photograph_of_any_camera_is_read_at_a_half_or_a_quarter_and_keeps_its_own_size(size, scale):
    decoded = decoding.decode(photograph(*size))
    assert decoded.size == size
    assert decoded.image.size == tuple(-(-side // scale) for side in size)
    values = np.asarray(decoded.image)
    height, width = values.shape[:2]
    for y, x, colour in (
        (0.25, 0.25, (254, 0, 0)),
        (0.25, 0.75, (0, 255, 1)),
        (0.75, 0.25, (0, 0, 254)),
        (0.75, 0.75, (255,) * 3),
    ):
        np.testing.assert_allclose(values[int(y * height), int(x * width)].astype(int), colour, atol=3)


def test_large_photograph_on_its_side_is_turned_and_so_is_its_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decoding.decode(photograph(6240, 4160, exif=exif))
    assert decoded.size == (4160, 6240)
    assert decoded.image.size == (2080, 3120)
    np.testing.assert_allclose(np.asarray(decoded.image)[100, 100].astype(int), (0, 0, 254), atol=3)  # what was below left


def test_photograph_at_the_limit_is_decoded_whole():
    decoded = decoding.decode(photograph(5000, 5000))
    assert decoded.image.size == decoded.size == (5000, 5000)


def test_photograph_with_a_second_image_beside_it_is_read_too():
    """As many telephones write them (MPO)."""
    first, second = Image.new("RGB", (6240, 4160), "red"), Image.new("RGB", (16, 8), "blue")
    decoded = decoding.decode(encoded(first, "MPO", save_all=True, append_images=[second]))
    assert decoded.size == (6240, 4160)
    assert decoded.image.size == (3120, 2080)


def test_progressive_photographs_are_read_to_50_megapixels_and_refused_above_with_what_to_do():
    assert decoding.decode(photograph(8000, 6000, progressive=True)).image.size == (4000, 3000)
    with pytest.raises(InputError, match="12000 × 9000 pixels, at most 50 megapixels of a progressive JPEG") as refusal:
        decode_image(photograph(12_000, 9000, progressive=True))
    assert "baseline JPEG" in refusal.value.hint


def test_sequential_jpeg_whose_colours_come_one_after_the_other_counts_as_progressive():
    """Its decoder holds the whole image's coefficients too."""
    content = photograph(64, 64)
    scan = content.index(b"\xff\xda")
    assert decoding._comes_row_by_row(content)
    assert not decoding._comes_row_by_row(content[: scan + 4] + b"\x01" + content[scan + 5 :])
    assert not decoding._comes_row_by_row(photograph(64, 64, progressive=True))
    assert not decoding._comes_row_by_row(b"\xff\xd8" + b"\xff" * 100)
    assert not decoding._comes_row_by_row(b"\xff\xd8\xff\xe0")


def test_jpeg_above_250_megapixels_and_other_formats_above_25_are_refused():
    header = photograph(64, 64)
    at = header.index(b"\xff\xc0") + 5
    with pytest.raises(InputError, match="20000 × 13000 pixels, at most 250 megapixels"):
        decode_image(header[:at] + struct.pack(">HH", 13_000, 20_000) + header[at + 4 :])
    with pytest.raises(InputError, match="save it as a JPEG"):
        decode_image(BOMBS["PNG just above the limit"])


MEMORY_OF = """
import resource, sys
from core.data.sources.decoding import decode
content = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decoded = decode(content)
print(*decoded.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_108_megapixels_take_little_memory(tmp_path, subsampling):
    """Whole, they take 324 MB, and the coefficients as much again. A quarter of each side is 6.75 megapixels, 20 MB; turned once."""
    (tmp_path / "a.jpg").write_bytes(photograph(12_000, 9000, subsampling=subsampling))
    said = subprocess.run([sys.executable, "-c", MEMORY_OF, tmp_path / "a.jpg"], capture_output=True, text=True, check=True)
    width, height, grown_kb = map(int, said.stdout.split())
    assert (width, height) == (12_000, 9000)
    assert grown_kb * 1024 < 100e6
