"""What the headers of image files say, without decoding them: whether all have one size, and whether any has colour."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from core.data.sources.containers import Container
from core.data.sources.decoding import FORMATS, ORIENTATION
from core.data.store.image_store import Progress, no_progress
from core.errors import InputError

HEAD_BYTES = 32_768  # has the header of nearly all; of the others the whole file is read
TOLD_EVERY = 500
GREY = ("1", "L", "LA", "La", "I", "F")  # what decoding makes grey; a palette is colour, whatever is in it


@dataclass(frozen=True)
class Seen:
    """What is known of some images together. size: (width, height) of all, None where they differ; is_grey: whether all are."""

    size: tuple[int, int] | None
    is_grey: bool


def seen_in(
    container: Container, names: Sequence[str], by_size: bool = True, by_colour: bool = True, progress: Progress = no_progress
) -> Seen | None:
    """Of all these images that have a header; None if none has. 20 to 30 µs each, and no more are looked at than it takes to know.

    by_size, by_colour: whether that has to be known.
    """
    first, differ, is_grey = None, False, True
    for number, (size, grey) in enumerate(_headers(container, names)):
        if number % TOLD_EVERY == 0:
            progress("Looking at sizes and colours", number, len(names))
        first = first or size
        differ |= size != first
        is_grey &= grey
        if (differ or not by_size) and (not is_grey or not by_colour):
            break
    return None if first is None else Seen(None if differ else first, is_grey)


def _headers(container: Container, names: Sequence[str]) -> Iterator[tuple[tuple[int, int], bool]]:
    """(size upright, whether it is grey) of those that have a header."""
    for name in names:
        try:
            header = _header(container.head(name, HEAD_BYTES)) or _header(container.read(name))
        except (InputError, OSError):
            continue  # told when it is decoded
        if header:
            yield header


def _header(content: bytes) -> tuple[tuple[int, int], bool] | None:
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        # of a PNG without it in front, asking for it would decode the image
        is_on_its_side = "exif" in image.info and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (height, width) if is_on_its_side else (width, height), image.mode in GREY or image.mode.startswith("I;16")
    except Exception:  # Pillow leaks all kinds on broken files, as in decoding.py
        return None
