"""Where the windows of a layer lie: for each output pixel the input pixels that it looks at, padding included."""

from dataclasses import dataclass

from core.layers import AdaptiveAvgPool2d, Conv2d, Layer, Pool, pair, sides_of

PADDING = -1  # in the place of a pixel: one that was added and holds no pixel of the image
NOTHING = -2  # beyond the padding too, where only a window that was rounded up reaches


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One side of the input as windows see it.

    pixels: for each place of the padded side the input's pixel there, or PADDING, or NOTHING. windows: for each output place the
    places of the padded side that its window looks at. before: how many places lie before the first pixel.
    counted: for each output place what its window counts in a mean.
    """

    pixels: tuple[int, ...]
    windows: tuple[tuple[int, ...], ...]
    before: int
    counted: tuple[int, ...]


def axes_of(row: Layer, arriving: tuple[int, ...]) -> tuple[Axis, Axis] | None:
    """(rows, columns) for (C, H, W) that arrive; None for a layer that has no windows."""
    if isinstance(row, AdaptiveAvgPool2d):
        height, width = (_adaptive(size, side) for size, side in zip(arriving[1:], pair(row.side), strict=True))
        return height, width
    if not isinstance(row, Conv2d | Pool):
        return None
    height, width = (_axis(row, which, arriving[1 + which], sides_of(row, arriving)[which]) for which in (0, 1))
    return height, width


def _axis(row: Conv2d | Pool, which: int, size: int, side: int) -> Axis:
    kernel, stride, padding, dilation = (pair(getattr(row, n, 1))[which] for n in ("kernel", "stride", "padding", "dilation"))
    mode = row.padding_mode if isinstance(row, Conv2d) else "zeros"
    windows = tuple(tuple(place * stride + i * dilation for i in range(kernel)) for place in range(side))
    padded = size + 2 * padding
    pixels = [_pixel(place - padding, size, mode) for place in range(padded)]
    pixels += [NOTHING] * (windows[-1][-1] + 1 - padded)
    is_with_padding = getattr(row, "count_include_pad", True)
    counted = tuple(
        sum(pixels[place] != NOTHING if is_with_padding else pixels[place] >= 0 for place in window) for window in windows
    )
    return Axis(pixels=tuple(pixels), windows=windows, before=padding, counted=counted)


def _adaptive(size: int, side: int) -> Axis:
    """Windows from ⌊i · size / side⌋ to ⌈(i + 1) · size / side⌉."""
    windows = tuple(tuple(range(i * size // side, -(-(i + 1) * size // side))) for i in range(side))
    return Axis(pixels=tuple(range(size)), windows=windows, before=0, counted=tuple(map(len, windows)))


def _pixel(place: int, size: int, mode: str) -> int:
    """Which pixel stands at a place before, within or after an image's side."""
    if 0 <= place < size:
        return place
    match mode:
        case "reflect":
            return -place if place < 0 else 2 * (size - 1) - place
        case "replicate":
            return 0 if place < 0 else size - 1
        case "circular":
            return place % size
    return PADDING
