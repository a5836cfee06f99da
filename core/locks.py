"""Whether somebody holds the lock in a file. Taking it is filelock's; asking must not take it, or those who ask meet one another.

The system frees the lock of a process that ends, however it ends.
"""

import os
import threading
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TRY_S = 0.05  # processes that ask hold the lock for less than a millisecond
_asking = threading.Lock()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock in this file. A file that is not there, or not for us to read, is not locked."""
    return _is_taken(path) if fcntl is None else _is_taken_by_flock(path)


def _is_taken_by_flock(path: Path) -> bool:
    assert fcntl
    try:
        handle = os.open(path, os.O_RDONLY)  # never made here: its folder may just have been deleted
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: those who ask don't meet one another
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _is_taken(path: Path) -> bool:
    """By trying to take it for a moment: longer than others who ask have it, which costs that time where it is held.

    One thread after another: many that ask at once would find one another there for longer than that.
    """
    if not path.exists():
        return False
    try:
        with _asking:
            FileLock(path).acquire(timeout=TRY_S, poll_interval=0.005).lock.release()
    except Timeout:
        return True
    except OSError:
        return False
    return False
