"""The quarantine's limits where the system has none for a process: kept by its parent, who looks twenty times a second.

Between two looks a process can take more than it may; docs/systems.md says what that means.
"""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from core.processes import end_all

try:
    import resource
except ImportError:  # Windows
    resource = None

LOOK_S = 0.05


def has_limits() -> bool:
    """Whether the system keeps a process within its memory by itself. macOS takes the limit, and does not keep it."""
    return resource is not None and sys.platform == "linux"


class Watch:
    """Ends a process that takes more memory, or writes more into these files, than it may. Entered for as long as it is to last.

    has_ended_it: whether it did so.
    """

    def __init__(self, process: subprocess.Popen, memory_bytes: int, files: Sequence[Path], file_bytes: int) -> None:
        self.process, self.memory_bytes, self.files, self.file_bytes = process, memory_bytes, files, file_bytes
        self.has_ended_it = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watching a reader", daemon=True)

    def _watch(self) -> None:
        try:
            of = psutil.Process(self.process.pid)
            while not self._is_over.wait(LOOK_S):
                memory = of.memory_info()
                held = getattr(memory, "private", memory.rss)  # on Windows without the file that it has mapped
                if held > self.memory_bytes or any(_bytes_of(file) > self.file_bytes for file in self.files):
                    self.has_ended_it = True
                    end_all(self.process)
                    return
        except psutil.NoSuchProcess:
            return

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


def _bytes_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
