"""A disk on which one call fails, by its number: with an error of choice, once or for ever, after half a write, or by kill -9.

Below the level of our code: what `os` and `open` do for paths in one folder. By hand, every call and error in turn:
`python -m tests.reliability.failing_disk`.
"""

import argparse
import builtins
import errno
import io
import json
import os
import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config import TrainConfig
from core.errors import InputError
from core.running.session import run_session
from core.runs.directory import create_run
from core.runs.status import status_of
from core.settings import config_from
from core.workspace import Workspace, open_workspace
from tests.reliability.comparing import damages, differences, false_promises, leftovers, trace_of

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
# "short": half of a write is done, the next one fails. "kill": the process is killed instead of the call; "torn": in a write.
Mode = Literal["once", "ever", "short", "kill", "torn"]

BY_PATH = ("open", "mkdir", "rmdir", "unlink", "remove", "truncate", "rename", "replace", "link", "symlink")
BY_HANDLE = ("write", "pwrite", "fsync", "fdatasync", "ftruncate")
WRITES = ("write", "pwrite")


@dataclass
class Disk:
    """calls: what was done so far in the folder, by name; has_fired: whether the fault has come."""

    folder: str
    at: int
    error: int
    mode: Mode
    calls: list[str] = field(default_factory=list)
    has_fired: bool = False
    next_write_fails: bool = False

    def meet(self, call: str, path: Any, dir_fd: int | None = None) -> bool:
        """Whether only half of this write is to be done. Raises the OSError if the call is to fail."""
        place = _place(path, dir_fd)
        if place != self.folder and not place.startswith(self.folder + "/"):
            return False
        if self.mode in ("short", "torn") and call not in WRITES:
            return False
        self.calls.append(call)
        if self.next_write_fails:
            self.next_write_fails = False
            self._fail(place)
        if not (len(self.calls) == self.at or (self.mode == "ever" and 0 < self.at < len(self.calls))):
            return False
        self.has_fired = True
        if self.mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode in ("short", "torn"):
            self.next_write_fails = True
            return True
        self._fail(place)
        return False

    def _fail(self, place: str) -> None:
        if self.mode == "torn":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.error, os.strerror(self.error), place)

    def tear(self, write: Callable[[Any], int], data: Any) -> int:
        """Half of the data written; -1 byte is never written."""
        half = memoryview(data).cast("B")[: memoryview(data).nbytes // 2]
        written = write(half) if half else 0
        if self.mode == "torn" or not written:
            self.next_write_fails = False
            self._fail("half a write")
        return written


def _place(path: Any, dir_fd: int | None) -> str:
    try:
        if isinstance(path, int):
            return os.readlink(f"/proc/self/fd/{path}")
        if dir_fd is not None:
            return os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), os.fsdecode(path))
    except OSError:
        return ""
    return os.path.abspath(os.fsdecode(path))


@contextmanager
def failing_disk(folder: Path, at: int = 0, error: int = errno.EIO, mode: Mode = "once") -> Iterator[Disk]:
    """Calls below the folder are counted, from 1; the one with number `at` fails. With 0 none does."""
    disk = Disk(str(folder.resolve()), at, error, mode)
    before = {name: getattr(os, name) for name in (*BY_PATH, *BY_HANDLE)}
    real_open = io.open

    def by_path(name: str) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            disk.meet(name, path, options.get("dir_fd", options.get("src_dir_fd")))
            return before[name](path, *arguments, **options)

        return call

    def by_handle(name: str) -> Callable[..., Any]:
        def call(handle: int, *arguments: Any) -> Any:
            if disk.meet(name, handle):
                data, *rest = arguments
                return disk.tear(lambda half: before[name](handle, half, *rest), data)
            return before[name](handle, *arguments)

        return call

    class FailingFile(io.FileIO):
        def write(self, data: Any) -> int:
            if disk.meet("write", self.fileno()):
                return disk.tear(super().write, data)
            return super().write(data)

        def truncate(self, size: int | None = None) -> int:
            disk.meet("ftruncate", self.fileno())
            return super().truncate(size)

    def open_failing(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: Any = None,
        errors: Any = None,
        newline: Any = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if not set(mode) & set("wax+") or not _place(file, None).startswith(disk.folder):
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if not isinstance(file, int):
            disk.meet("open", file)
        raw = FailingFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)

    try:
        for name in BY_PATH:
            setattr(os, name, by_path(name))
        for name in BY_HANDLE:
            setattr(os, name, by_handle(name))
        builtins.open = io.open = open_failing
        yield disk
    finally:
        builtins.open = io.open = real_open
        for name, function in before.items():
            setattr(os, name, function)


def tiny() -> TrainConfig:
    """A perceptron on the digits, two epochs of some 120 ms, so that a checkpoint also comes by the clock."""
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.05},
            "optimizer": {"name": "adam"},
            "schedule": {"name": "one-cycle"},
            "epochs": 2,
            "batch_size": 4,
            "threads": 1,
            "tensorboard": False,
            "log_every": 60,
            "eval_batch_size": 100,
            "checkpoint": {"every_seconds": 0.1},
        }
    )


SIZE = re.compile(r"\d[\d.,]*\s?(?:bytes|kB|KB|MB|GB|KiB|MiB|GiB)")
CAUSES = {
    errno.ENOSPC: ("room", "space", "full"),
    errno.EIO: ("input/output", "i/o"),
    errno.EACCES: ("permission", "not allowed", "denied", "may not"),
    errno.EROFS: ("read-only", "read only"),
}


def findings_with(workspace: Workspace, whole: dict[str, Any], at: int, error: int, mode: Mode) -> tuple[bool, list[str]]:
    """Whether the fault came at all, and what was wrong while it lasted and after a resume without it."""
    run = create_run(workspace, tiny())
    found: list[str] = []
    ended = None
    with failing_disk(run.path, at, error, mode) as disk:
        try:
            ended = run_session(workspace, run)
        except InputError as refusal:
            if refusal.code != "disk":
                found.append(f"refused with the code '{refusal.code}': {refusal}")
            found += unclear(str(refusal), error)
        except Exception as raised:
            found.append(f"raised {raised!r}")
    if not disk.has_fired:
        shutil.rmtree(run.path)
        return False, found
    status = status_of(run)
    if ended is not None:
        if ended.reason not in ("paused", "finished"):
            found.append(f"ended as {ended.reason}: {ended.message}")
        if status.state != ended.reason:
            found.append(f"ended as {ended.reason}, is shown as {status.state}")
        if ended.reason == "paused":
            found += unclear(ended.message, error)
            if error == errno.ENOSPC and not SIZE.search(ended.message):
                found.append(f"does not say how much room is needed: {ended.message}")
    elif status.state not in ("interrupted", "paused"):
        found.append(f"without a last word it is shown as {status.state}")
    if not status.message:
        found.append(f"it is {status.state} without a sentence")
    if run.is_held():
        found.append("its lock is still held")
    found += damages(run) + false_promises(run)
    if status.state != "finished":
        try:
            again = run_session(workspace, run).reason
        except Exception as raised:
            again = f"raising {raised!r}"
        if again != "finished":
            found.append(f"resumed without the fault it ended as {again}")
    found += damages(run) + false_promises(run) + differences(run, whole)
    if status.state != "finished":
        found += leftovers(run)
    shutil.rmtree(run.path)
    return True, [f"{disk.calls[at - 1]} number {at}, {os.strerror(error)}, {mode}: {line}" for line in found]


def unclear(message: str, error: int) -> list[str]:
    """What a sentence about this error leaves out."""
    missing = []
    if not any(word in message.lower() for word in CAUSES[error]):
        missing.append(f"no word of '{os.strerror(error)}' in: {message}")
    return missing


def faults(step: int, count: int) -> Iterator[tuple[int, int, Mode]]:
    """(number of the call, error, mode), every step-th call up to count with all of them."""
    for at in range(1, count + 1, step):
        for error in ERRORS:
            yield at, error, "once"
            yield at, error, "ever"
        yield at, errno.ENOSPC, "short"


def undisturbed(workspace: Workspace) -> tuple[dict[str, Any], int]:
    """The course of a run without a fault, and the number of its calls."""
    run = create_run(workspace, tiny())
    with failing_disk(run.path) as disk:
        assert run_session(workspace, run).reason == "finished"
    return trace_of(run), len(disk.calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="try only every so manieth call")
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        workspace = open_workspace(home)
        whole, count = undisturbed(workspace)
        tried, kinds = 0, Counter()
        # checkpoints by the clock make some runs longer: on until none of the faults comes any more
        for at, error, mode in faults(options.every, 2 * count):
            if at < options.first:
                continue
            has_fired, found = findings_with(workspace, whole, at, error, mode)
            tried += has_fired
            kinds.update(re.sub(r"\d+|epoch-\d+|step-\d+|'[^']*'", "#", line.partition(": ")[2])[:90] for line in found)
            for line in found:
                print(line, flush=True)
            if not has_fired and at > count + 20:
                break
        print(json.dumps({"calls": count, "faults": tried, "findings": sum(kinds.values()), "kinds": dict(kinds)}, indent=2))
    raise SystemExit(1 if kinds else 0)


if __name__ == "__main__":
    main()
