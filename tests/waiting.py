"""Waiting for a condition, never for a time."""

import threading
import time
from collections.abc import Callable


def until(condition: Callable[[], object], timeout_s: float = 20.0, what: Callable[[], str] = lambda: "") -> object:
    """The first true value of the condition; fails the test, saying what was waited for, when it stays false."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while time.monotonic() < deadline:
        if value := condition():
            return value
        pause.wait(0.02)
    raise AssertionError(f"not within {timeout_s} s: {what()}")
