"""Processes that do jobs: started, given one, waited for, ended. One more, with its imports done, waits in reserve."""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.processes import apart

PROJECT = Path(__file__).resolve().parents[2]
GRACE_S = 5.0  # what a worker has to save and end when the server ends; it needs a fraction of it
WORKER_ENVIRONMENT = {
    "GOMP_SPINCOUNT": "10000",  # threads that wait spin for some 50 µs, then sleep: docs/decisions/threads.md
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",  # of the log, whatever the system's letters are
}


class Worker:
    """A process that takes one job after another. Its stdin is its life line: at the end of it, it saves and ends."""

    def __init__(self, process: subprocess.Popen) -> None:
        assert process.stdin and process.stdout, "both are pipes"
        self.process, self.life_line, self.said = process, process.stdin, process.stdout

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def give(self, task: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # it died meanwhile; waiting for it tells how
            self.life_line.write(json.dumps(task).encode() + b"\n")
            self.life_line.flush()

    def wait(self) -> int | None:
        """None once the job is done and the process is free for another, else the status it ended with."""
        return None if self.said.readline() else self.process.wait()

    def kill(self) -> None:
        self.process.kill()

    def let_go(self) -> None:
        with suppress(BrokenPipeError):
            self.life_line.close()

    def end(self) -> None:
        """Waits for the end of a process that was let go, for a while; then kills it."""
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class LocalProcesses:
    """Workers on this machine. keep_reserve: one is kept ready, which makes the first point of a training appear within a second."""

    def __init__(self, keep_reserve: bool = True) -> None:
        self.keep_reserve = keep_reserve
        self.reserve: Worker | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self) -> Worker:
        """A process, the one in reserve if there is one. Raises OSError where there are no more processes, or no memory for one."""
        with self._lock:
            reserve, self.reserve = self.reserve, None
        return reserve if reserve and reserve.is_alive() else self._spawn()

    def give_back(self, worker: Worker) -> None:
        """A process that is free again: into the reserve, if that is empty."""
        with self._lock:
            if self.keep_reserve and not self._is_closed and (self.reserve is None or not self.reserve.is_alive()):
                self.reserve = worker
                return
        worker.let_go()
        threading.Thread(target=worker.end, daemon=True, name="ending").start()

    def fill_reserve(self) -> None:
        with self._lock:
            if self.keep_reserve and not self._is_closed and self.reserve is None:
                self.reserve = self._spawn()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self.reserve:
                self.reserve.kill()  # it has nothing to save, and may still be importing
                self.reserve.let_go()
                self.reserve.end()

    def _spawn(self) -> Worker:
        return Worker(
            subprocess.Popen(
                [sys.executable, "-m", "core.serving.worker"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **WORKER_ENVIRONMENT},
                **apart(),
            )
        )
