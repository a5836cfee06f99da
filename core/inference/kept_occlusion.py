"""What covering parts of a picture showed, kept in memory: it costs hundreds of passes, and a page is drawn anew at every click."""

import hashlib
from collections import OrderedDict
from threading import Lock

import numpy as np

from core.runs.checkpoints import Checkpoint, weights_sum

MOST_COVERED = 64  # 13 MB of maps of 224 × 224 pixels

_covered: OrderedDict[str, np.ndarray] = OrderedDict()
_covered_lock = Lock()


def covered_key(checkpoint: Checkpoint, seen: np.ndarray, *choices: float) -> str:
    """The name of what covering parts of a picture showed of a class."""
    return hashlib.sha256(repr((weights_sum(checkpoint), seen.shape, choices)).encode() + seen.tobytes()).hexdigest()


def kept_covered(key: str) -> np.ndarray | None:
    with _covered_lock:
        if key in _covered:
            _covered.move_to_end(key)
        return _covered.get(key)


def keep_covered(key: str, fall: np.ndarray) -> None:
    with _covered_lock:
        _covered[key] = fall
        while len(_covered) > MOST_COVERED:
            _covered.popitem(last=False)
