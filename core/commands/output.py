"""What all commands share: the form of a result, and progress told apart from it."""

import sys
import time
from collections.abc import Callable
from typing import Any

Result = dict[str, Any]


def say(text: str) -> None:
    """Progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)


def progress() -> Callable[[str, int, int], None]:
    """A listener for long work that tells of it once a second."""
    last = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 1 or (total and done == total):
            last = time.monotonic()
            say(f"{what} …" + (f" {done:,} of {total:,}" if total else ""))

    return tell
