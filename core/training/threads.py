"""How many processor threads train: all cores while they are free, one while another process keeps a core busy.

Threads that compute together wait for one another a hundred times a step. One that has lost its core to another
process makes all of them wait: measured on two cores, a busy neighbour slows two threads down 5 to 90 times, and
one thread not at all (docs/decisions/threads.md).
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

SMALL_BATCH_PIXELS = 32_768  # below this, starting a second thread costs about what it brings
CHECK_S = 0.5
CROWDED = 0.2  # share of the time in which threads of ours were ready to run and had no core
CROWDED_CHECKS = 8  # crowded half seconds in a row: pages that load or redraw make a few, a busy program makes all
FREE = 0.8  # cores idle, beside the one in use, before all are taken again


def threads_for(batch_size: int, shape: tuple[int, int, int]) -> int:
    """Threads for batches of images (C, H, W): one for small ones, else one for each core."""
    pixels = batch_size * shape[1] * shape[2]
    return 1 if pixels < SMALL_BATCH_PIXELS else available_cores()


def available_cores() -> int:
    """Cores that this process may use; fewer than the machine's in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Reading:
    time: float
    waited_s: float  # by all threads of this process together, since they began
    idle_s: float  # by all cores of the machine together


class ThreadGovernor:
    """Sets torch's threads between 1 and `most`, by what the system says of the last half second. Linux only;
    elsewhere, and where most is 1, it does nothing."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = most
        self.patience_s = 2.0  # before all cores are tried again; doubled when that was too early
        self.changed_at = time.monotonic()
        self.crowded = 0
        self.last = read_pressure() if most > 1 else None

    def adjust(self) -> int | None:
        """Called often; the new number of threads if it was time to look and the number changed."""
        if self.last is None or time.monotonic() - self.last.time < CHECK_S:
            return None
        before, now = self.last, read_pressure()
        if now is None:  # a thread ended between being listed and being read: looked at again at the next step
            return None
        self.last = now
        elapsed = now.time - before.time
        since_change = now.time - self.changed_at
        self.crowded = self.crowded + 1 if (now.waited_s - before.waited_s) / elapsed > CROWDED else 0
        if self.now > 1 and self.crowded >= CROWDED_CHECKS:
            self.patience_s = min(self.patience_s * 2, 60.0) if since_change < 10 else 2.0
            return self._set(1, now.time)
        if self.now == 1 and since_change > self.patience_s and (now.idle_s - before.idle_s) / elapsed > FREE:
            return self._set(self.most, now.time)
        return None

    def _set(self, threads: int, at: float) -> int:
        torch.set_num_threads(threads)
        self.now, self.changed_at = threads, at
        return threads


def read_pressure() -> Reading | None:
    """What the kernel counts of waiting and idling, or None where it does not say."""
    try:
        waited_ns = sum(int((task / "schedstat").read_bytes().split()[1]) for task in Path("/proc/self/task").iterdir())
        with open("/proc/stat", "rb") as file:
            idle_ticks = int(file.readline().split()[4])
    except (OSError, ValueError, IndexError):
        return None
    return Reading(time.monotonic(), waited_ns / 1e9, idle_ticks / os.sysconf("SC_CLK_TCK"))
