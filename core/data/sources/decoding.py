"""Image files from anywhere, hostile ones included, to PIL images in mode L or RGB. Sizes and values stay as they are, but for
photographs of more than 25 megapixels: of these every second, fourth or eighth pixel's mean is taken.

Import of folders and prediction both come through here, so that the network sees the same image in both.
"""

import ctypes
import io
import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from core.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
MAX_PIXELS = 25_000_000  # in memory
MAX_JPEG_PIXELS = 250_000_000  # in the file, if it can be decoded at a half, a quarter or an eighth
MAX_WHOLE_JPEG_PIXELS = 50_000_000  # where the decoder holds the whole file's coefficients: 6 bytes a pixel
Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS  # Pillow refuses on opening what has more than twice as many
MAX_FILE_BYTES = 100_000_000
ORIENTATION = 0x0112
SEQUENTIAL, TABLES, START_OF_SCAN = (0xC0, 0xC1, 0xC9), (0xC4, 0xC8, 0xCC), 0xDA  # a JPEG's markers


# Pillow tells of what is odd in a file; what is broken we say ourselves. For good: filters set for a while are not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with suppress(OSError, AttributeError):  # libtiff writes what it finds to the terminal itself
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


@dataclass(frozen=True)
class Decoded:
    """size: width and height of the image in the file, upright; the image itself is smaller if it had too many pixels."""

    image: Image.Image
    size: tuple[int, int]


def decode_image(source: bytes | Path) -> Image.Image:
    """The image upright, its first frame only, alpha laid over white, in mode "L" or "RGB", of at most 25 megapixels.

    A JPEG of more is decoded smaller. 16-bit images are scaled to 8 bits, not clipped. Raises InputError for what is no image,
    broken or too large.
    """
    return decode(source).image


def decode(source: bytes | Path) -> Decoded:
    """The same with the size that the image has in its file."""
    try:
        if isinstance(source, Path):
            if source.stat().st_size > MAX_FILE_BYTES:
                raise InputError(
                    f"The file has {source.stat().st_size:,} bytes, at most {MAX_FILE_BYTES:,} are read.",
                    code="picture",
                )
            source = source.read_bytes()
        if not source:
            raise InputError("The file is empty.", code="picture", hint="Copy or download it again.")
        image = Image.open(io.BytesIO(source), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            _decode_smaller(image, source)
        layout = str(image.tile[0][3]) if image.format == "PNG" and image.tile else ""
        image.load()
        _tell_transparent_colour(image, layout)
        is_on_its_side = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        upright = _as_grey_or_rgb(ImageOps.exif_transpose(image), has_16_bits=image.format in ("PNG", "PPM"))
        return Decoded(upright, (height, width) if is_on_its_side else (width, height))
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"This is not an image in a format we read ({', '.join(FORMATS)}).", code="picture") from None
    except Image.DecompressionBombError:
        raise _too_many_pixels("hundreds of millions of", MAX_JPEG_PIXELS, of_what="of a JPEG ") from None
    except FileNotFoundError:
        raise InputError("There is no such file.", code="picture") from None
    except MemoryError:
        raise InputError("The image needs more memory than there is.", code="picture") from None
    # Pillow's decoders leak TypeError, ValueError, SyntaxError, struct.error and more on broken files
    except Exception as error:
        raise InputError(f"The image can't be read ({_reason(error)}).", code="picture") from None


def _decode_smaller(image: Image.Image, content: bytes) -> None:
    """Has a JPEG decoded at the first of a half, a quarter and an eighth that is no larger than is held in memory.

    Raises InputError for other formats, whose decoders know no such way, and for JPEGs that would fill the memory all the same.
    """
    width, height = image.size
    has = f"{width} × {height}"
    if not isinstance(image, JpegImageFile):
        raise _too_many_pixels(has, MAX_PIXELS, "Make it smaller first, or save it as a JPEG.")
    if width * height > MAX_JPEG_PIXELS:
        raise _too_many_pixels(has, MAX_JPEG_PIXELS)
    if width * height > MAX_WHOLE_JPEG_PIXELS and not _comes_row_by_row(content):
        raise _too_many_pixels(
            has,
            MAX_WHOLE_JPEG_PIXELS,
            "Save it as a baseline JPEG (not progressive), or make it smaller.",
            "of a progressive JPEG ",
        )
    scale = next(s for s in (2, 4, 8) if -(-width // s) * -(-height // s) <= MAX_PIXELS)
    image.draft(None, (width // scale, height // scale))
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels(has, MAX_PIXELS)


def _comes_row_by_row(content: bytes) -> bool:
    """Whether a JPEG is sequential and has all its colours in one scan, so that its decoder holds a few rows at a time.

    Markers: ITU-T T.81, B.1 and B.2.
    """
    at, num_colours = 2, 0
    while at + 10 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in SEQUENTIAL:
            num_colours = content[at + 9]
        elif marker == START_OF_SCAN:
            return 0 < num_colours == content[at + 4]
        elif 0xC0 <= marker <= 0xCF and marker not in TABLES:
            return False
        at += 2 + length
    return False


def _too_many_pixels(number: str, at_most: int, hint: str = "Make it smaller first.", of_what: str = "") -> InputError:
    return InputError(
        f"The image has {number} pixels, at most {at_most // 1_000_000} megapixels {of_what}are read.",
        code="picture",
        hint=hint,
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__


def _tell_transparent_colour(image: Image.Image, layout: str) -> None:
    """A PNG names its transparent colour in its own bits; Pillow looks for it among those it has made of them."""
    colour = image.info.get("transparency")
    if layout in ("L;2", "L;4") and isinstance(colour, int):
        image.info["transparency"] = min(255, colour * (85 if layout == "L;2" else 17))
    elif layout == "RGB;16B" and isinstance(colour, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _as_grey_or_rgb(image: Image.Image, has_16_bits: bool) -> Image.Image:
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _in_8_bits(image, has_16_bits or mode.startswith("I;16"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
        return image.convert("L") if mode in ("1", "L", "LA", "La") else image
    return image.convert("L" if mode in ("L", "1") else "RGB")


def _in_8_bits(image: Image.Image, has_16_bits: bool) -> Image.Image:
    """Grey of 16 or 32 bits or in floating point, scaled; convert("L") would clip. White is what a file of 16 bits has as such,
    else the least usual white that no value exceeds: 1 (floating point alone), 255, 65,535 or the most that 32 bits hold."""
    values = np.asarray(image)
    peak = float(np.max(values, where=np.isfinite(values), initial=0)) if image.mode == "F" else float(values.max(initial=0))
    usual = [1.0] * (image.mode == "F") + [255.0, 65535.0, 2.0**31 - 1]
    top = 65535.0 if has_16_bits else next((white for white in usual if white >= peak), peak)
    transparent = image.info.get("transparency") if has_16_bits else None
    grey = np.empty(values.shape, np.uint8)
    rows = max(1, 1_000_000 // image.width)
    for start in range(0, image.height, rows):  # a part at a time: 25 megapixels would take 600 MB
        part = values[start : start + rows]
        with np.errstate(all="ignore"):  # numbers that are none are black
            shares = np.nan_to_num(part.astype(np.float64) / top, nan=0, posinf=1, neginf=0).clip(0, 1)
        grey[start : start + rows] = shares * 255 + 0.5
        if transparent is not None:
            grey[start : start + rows][part == transparent] = 255
    return Image.fromarray(grey)
