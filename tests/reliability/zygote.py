"""A process that has imported everything and forks a child for each job: a run can be killed in a tenth of a second.

It never computes itself, since a fork of a process in which torch has computed may hang. Jobs are functions named
"module:function" that take and return what JSON can hold; see kill_and_resume.py and test_one_winner.py for some.
"""

import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.jobs.executor import PROJECT, WORKER_ENVIRONMENT

MODULES = ("core.running.session", "core.serving.launcher", "sklearn.datasets", "torch._dynamo", "tests.reliability.jobs")
PR_SET_PDEATHSIG = 1
PATIENCE_S = 180  # for one job


@dataclass(frozen=True)
class Outcome:
    """How a child ended. result: what its function returned, None where it was killed. error: its traceback, else empty."""

    was_killed: bool
    seconds: float
    result: Any
    error: str


class Zygote:
    """The other end: starts the process, hands it jobs, one after the other. A context manager."""

    is_at_work = False

    def __enter__(self) -> "Zygote":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.zygote"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **WORKER_ENVIRONMENT},
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_at_work:  # the test has given up on it; its children go with it
            self.process.kill()
        with suppress(BrokenPipeError):
            self.process.stdin.close()  # its life line
        self.process.wait()
        self.process.stdout.close()

    def run(self, function: str, *arguments: Any, kill_after_s: float | None = None) -> Outcome:
        """What came of function(*arguments) in a child of its own. kill_after_s: kill -9 this long after the fork."""
        job = {"function": function, "arguments": arguments, "kill_after_s": kill_after_s}
        self.is_at_work = True
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert ready, f"{function}{arguments} has not ended within {PATIENCE_S} s"
        answer = self.process.stdout.readline()
        assert answer, "the zygote is gone; its traceback is above"
        self.is_at_work = False
        return Outcome(**json.loads(answer))


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a job prints must not be taken for an answer
    for module in MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # children share these pages
    for line in sys.stdin.buffer:
        answers.write(json.dumps(vars(serve(**json.loads(line)))).encode() + b"\n")
    os._exit(0)  # the clean-up of what was imported has nothing to say


def serve(function: str, arguments: list[Any], kill_after_s: float | None) -> Outcome:
    reading, writing = os.pipe()
    began = time.monotonic()
    pid = fork(lambda: _report(writing, function, arguments))
    os.close(writing)
    process = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([process], [], [], kill_after_s) if kill_after_s is not None else ([], [], [])
        if kill_after_s is not None and not ended:
            os.kill(pid, signal.SIGKILL)
        with os.fdopen(reading, "rb") as file:
            content = file.read()  # to its end: the child is gone, or dying
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(process)
    was_killed = os.WIFSIGNALED(status)
    report = {"result": None, "error": ""} if was_killed else json.loads(content)
    return Outcome(was_killed, time.monotonic() - began, **report)


def _report(writing: int, function: str, arguments: list[Any]) -> None:
    module, _, name = function.partition(":")
    report: dict[str, Any] = {"result": None, "error": ""}
    try:
        report["result"] = getattr(importlib.import_module(module), name)(*arguments)
    except BaseException:
        report["error"] = traceback.format_exc()
    with os.fdopen(writing, "wb") as file:
        file.write(json.dumps(report).encode())


def fork(work: Callable[[], None], dies_with_parent: bool = True) -> int:
    """The process id of a child that does this work and ends without any clean-up.

    dies_with_parent: killed when the thread that called this is gone.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if dies_with_parent:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            random.seed()
            work()
            code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
