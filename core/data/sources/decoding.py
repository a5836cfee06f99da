"""Image files from anywhere, hostile ones included, to PIL images in mode L or RGB. Sizes and values stay as they are.

Import of folders and prediction both come through here, so that the network sees the same image in both.
"""

import ctypes
import io
import logging
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
MAX_PIXELS = 25_000_000
MAX_FILE_BYTES = 100_000_000


# Pillow tells of what is odd in a file; what is broken we say ourselves. For good: filters set for a while are not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with suppress(OSError, AttributeError):  # libtiff writes what it finds to the terminal itself
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


def decode_image(source: bytes | Path) -> Image.Image:
    """The image upright, its first frame only, alpha laid over white, in mode "L" or "RGB".

    16-bit images are scaled to 8 bits, not clipped. Raises InputError for what is no image, broken or too large.
    """
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
            raise _too_many_pixels(f"{width} × {height}")
        layout = str(image.tile[0][3]) if image.format == "PNG" and image.tile else ""
        image.load()
        _tell_transparent_colour(image, layout)
        return _as_grey_or_rgb(ImageOps.exif_transpose(image), has_16_bits=image.format in ("PNG", "PPM"))
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"This is not an image in a format we read ({', '.join(FORMATS)}).", code="picture") from None
    except Image.DecompressionBombError:
        raise _too_many_pixels("hundreds of millions of") from None
    except FileNotFoundError:
        raise InputError("There is no such file.", code="picture") from None
    except MemoryError:
        raise InputError("The image needs more memory than there is.", code="picture") from None
    # Pillow's decoders leak TypeError, ValueError, SyntaxError, struct.error and more on broken files
    except Exception as error:
        raise InputError(f"The image can't be read ({_reason(error)}).", code="picture") from None


def _too_many_pixels(number: str) -> InputError:
    return InputError(
        f"The image has {number} pixels, at most {MAX_PIXELS // 1_000_000} megapixels are read.",
        code="picture",
        hint="Make it smaller first.",
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
