"""Numbers as people type or paste them, and as they are written back: rows of a matrix, with or without PyTorch's brackets."""

import math
import re

import numpy as np

from core.errors import InputError
from core.wording import counted

MOST_SIDE, MOST_CHANNELS = 64, 16
LARGEST = 1e6


def matrix(text: str, what: str) -> np.ndarray:
    """(H, W) float32 from a line a row. what: how sentences call it, such as "The matrix". Raises InputError."""
    rows = number_rows(text, what)
    if not rows:
        raise InputError(f"{what} is empty.", code="numbers", hint="Type a row of numbers a line, such as 1 2 3.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{what}: row {number} has {counted(len(row), 'number')}, row 1 has {len(rows[0])}.",
                code="numbers",
                hint="Give every row as many.",
            )
    if max(len(rows), len(rows[0])) > MOST_SIDE:
        raise InputError(
            f"{what} has {len(rows)} × {len(rows[0])} numbers, expected at most {MOST_SIDE} × {MOST_SIDE}.", code="numbers"
        )
    return np.array(rows, np.float32)


def matrices(text: str, what: str) -> np.ndarray:
    """(C, H, W) float32: a matrix a channel, divided by empty lines. Raises InputError."""
    parts = [part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    found = [matrix(part, what if len(parts) < 2 else f"{what}, channel {i}") for i, part in enumerate(parts or [""], start=1)]
    for number, channel in enumerate(found, start=1):
        if channel.shape != found[0].shape:
            first, other = (" × ".join(map(str, shape)) for shape in (found[0].shape, channel.shape))
            raise InputError(
                f"{what}: channel {number} is {other}, channel 1 is {first}.", code="numbers", hint="Make all of one size."
            )
    if len(found) > MOST_CHANNELS:
        raise InputError(f"{what} has {len(found)} channels, expected at most {MOST_CHANNELS}.", code="numbers")
    return np.stack(found)


def number_rows(text: str, what: str) -> list[list[float]]:
    """The numbers of each line that has some. Brackets and the word tensor are left out, so that PyTorch's own can be pasted."""
    lines = re.sub(r"\]\s*,?", "\n", re.sub(r"tensor|[\[(]", " ", text)).replace(")", " ").splitlines()
    found = []
    for line in lines:
        words = re.split(r"[\s,;]+", line.strip(" ,;\t"))
        if words != [""]:
            found.append([number(word, what) for word in words])
    return found


def number(word: str, what: str) -> float:
    """One number. Raises InputError for what is none, or too large to be shown."""
    try:
        value = float(word.replace("−", "-"))
    except ValueError:
        raise InputError(
            f"{what}: '{word[:20]}' is not a number.", code="numbers", hint="Write numbers such as 2, -1 or 0.5."
        ) from None
    if math.isnan(value):
        raise InputError(f"{what}: '{word[:20]}' is not a number.", code="numbers", hint="Write numbers such as 2, -1 or 0.5.")
    if math.isinf(value) or abs(value) > LARGEST:
        raise InputError(f"{what}: {word[:20]} is too large, expected at most {LARGEST:,.0f}.", code="numbers")
    return value


def written(value: float) -> str:
    """Four digits that count, with a proper minus: −0.3333."""
    if not math.isfinite(value):
        return "not a number" if value != value else "∞" if value > 0 else "−∞"
    return "0" if value == 0 else f"{value:.4g}".replace("-", "−")


def as_text(array: np.ndarray) -> str:
    """(H, W) numbers as a person would type them."""
    return "\n".join(" ".join(f"{value:g}" for value in row) for row in array.tolist())
