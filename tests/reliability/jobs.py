"""What the zygote's children do: take paths and numbers, return what JSON can hold."""

import os
import signal
from pathlib import Path

from core.running.session import run_session
from core.runs.directory import Run
from core.training.events import Event
from core.workspace import Workspace
from tests.reliability.failing_disk import Mode, failing_disk


def train(home: str, run: str) -> str:
    """Trains the run as a worker would; how it ended."""
    return run_session(Workspace(Path(home)), Run(Path(run))).reason


def train_until_event(home: str, run: str, kind: str, number: int) -> str:
    """Trains the run, and is killed by itself right after it has written its event `number` of this kind."""
    heard = []

    def on_event(event: Event) -> None:
        heard.append(event.kind)
        if event.kind == kind and heard.count(kind) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return run_session(Workspace(Path(home)), Run(Path(run)), on_event=on_event).reason


def count_calls(home: str, run: str, mode: Mode) -> int:
    """Trains the run; the number of calls below its folder that a fault of this mode can meet."""
    with failing_disk(Path(run), mode=mode) as disk:
        train(home, run)
    return len(disk.calls)


def train_until_call(home: str, run: str, mode: Mode, number: int) -> str:
    """Trains the run, and is killed by itself instead of call `number`, or in its midst."""
    with failing_disk(Path(run), number, mode=mode):
        return train(home, run)
