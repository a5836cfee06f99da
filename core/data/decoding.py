"""Picture files from anywhere, hostile ones included, to PIL pictures in mode L or RGB. Sizes and values stay as they are.

Import of folders and prediction both come through here, so that the network sees the same picture in both.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
MAX_PIXELS = 25_000_000
MAX_FILE_BYTES = 100_000_000


def decode_picture(source: bytes | Path) -> Image.Image:
    """The picture upright, its first frame only, alpha laid over white, in mode "L" or "RGB".

    16-bit pictures are scaled to 8 bits, not clipped. Raises InputError for what is no picture, broken or too large.
    """
    try:
        if isinstance(source, Path):
            if source.stat().st_size > MAX_FILE_BYTES:
                raise InputError(
                    f"The file has {source.stat().st_size:,} bytes, at most {MAX_FILE_BYTES:,} are read.",
                    code="picture",
                )
            source = source.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(source), formats=FORMATS)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise InputError(
                    f"The picture has {width} × {height} pixels, at most {MAX_PIXELS // 1_000_000} megapixels are read.",
                    code="picture", hint="Make it smaller first.",
                )  # fmt: skip
            picture.load()
            return _as_grey_or_rgb(ImageOps.exif_transpose(picture))
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"This is not a picture in a format we read ({', '.join(FORMATS)}).", code="picture") from None
    except FileNotFoundError:
        raise InputError("There is no such file.", code="picture") from None
    except MemoryError:
        raise InputError("The picture needs more memory than there is.", code="picture") from None
    # Pillow's decoders leak TypeError, ValueError, SyntaxError, struct.error and more on broken files
    except Exception as error:
        raise InputError(f"The picture can't be read ({_reason(error)}).", code="picture") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__


def _as_grey_or_rgb(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode.startswith("I") or mode == "F":  # 16 and 32 bits a pixel; convert("L") would clip instead of scaling
        values = np.asarray(picture, dtype=np.float64)
        top = 65535.0 if mode.startswith("I;16") or (mode == "I" and values.max(initial=0) > 255) else 255.0
        if mode == "F":
            top = 1.0 if values.max(initial=0) <= 1.0 else 255.0
        scaled = np.nan_to_num(values / top).clip(0, 1)
        return Image.fromarray((scaled * 255 + 0.5).astype(np.uint8), mode="L")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
        return picture.convert("L") if mode in ("L", "LA", "La") else picture
    return picture.convert("L" if mode in ("L", "1") else "RGB")
