"""Twenty processes start or resume one run at the same moment, a hundred times: one does, the others are told why not.

Forked by the zygote, so that they compute in processes of their own, and released together by one pipe.
"""

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest

from core.config import TrainConfig
from core.errors import InputError
from core.jobs.executor import Worker
from core.running.session import run_session
from core.runs.directory import Run, create_run
from core.runs.event_log import EventReader, append_event
from core.runs.status import status_of
from core.serving import worker
from core.serving.launcher import Launcher
from core.settings import config_from
from core.training.events import Ended, Event, Queued
from core.workspace import Workspace, open_workspace
from tests.reliability.zygote import Zygote, fork

PROCESSES = 20
ROUNDS = 100
SERVER_ROUNDS = 5
MODULE = "tests.reliability.test_one_winner"


def tiny() -> TrainConfig:
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.05},
            "epochs": 1,
            "threads": 1,
            "tensorboard": False,
        }
    )


class Pipe:
    """Lines between processes. One line is written at once, so that those of several writers don't mix."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.rest = b""

    def write(self, content: bytes) -> None:
        os.write(self.writing, content)

    def take_byte(self) -> None:
        assert os.read(self.reading, 1), "the other end is gone"

    def line(self) -> Any:
        while b"\n" not in self.rest:
            more = os.read(self.reading, 65_536)
            assert more, "the other end is gone"
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)


class Crowd:
    """Twenty children that wait; each does its work whenever it is let go, and reports one line."""

    def __init__(self, work: Callable[[Run, "Crowd"], str]) -> None:
        self.gate, self.reports, self.finish = Pipe(), Pipe(), Pipe()
        self.places = [Pipe() for _ in range(PROCESSES)]
        for place in self.places:
            fork(lambda place=place: self._live(place, work))

    def _live(self, place: Pipe, work: Callable[[Run, "Crowd"], str]) -> None:
        os.close(place.writing)
        while True:
            run = Run(Path(place.line()))
            self.tell("ready")
            self.gate.take_byte()
            try:
                self.tell(work(run, self))
            except InputError as error:
                self.tell(error.code)
            except BaseException as error:
                self.tell(repr(error))

    def tell(self, word: str) -> None:
        self.reports.write(json.dumps(word).encode() + b"\n")

    def let_go(self, run: Run) -> None:
        """Has all of them work on this run, from the same moment on."""
        for place in self.places:
            place.write(json.dumps(str(run.path)).encode() + b"\n")
        assert [self.reports.line() for _ in range(PROCESSES)] == ["ready"] * PROCESSES
        self.gate.write(b"." * PROCESSES)

    def words(self, count: int = PROCESSES) -> list[str]:
        return [self.reports.line() for _ in range(count)]


# a) training


def starts_of(home: str) -> list[dict]:
    """In a child: for each round what the processes said of starting, how many wrote to the events, and how it ended."""
    workspace, found = Workspace(Path(home)), []
    hold = Run.hold
    Run.hold = lambda run, timeout_s=0: hold(run, min(timeout_s, 0.05))  # the losers wait for a winner that waits for them
    crowd = Crowd(lambda run, crowd: train_until_told(workspace, run, crowd))
    for _ in range(ROUNDS):
        run = create_run(workspace, tiny())
        crowd.let_go(run)
        words = crowd.words()  # the winners train, and say no more until they are told
        winners = words.count("training")
        crowd.finish.write(b"." * winners)
        ends = crowd.words(winners)
        started = sum(row["kind"] == "started" for row in EventReader(run.events).read())
        found.append({"words": words, "started": started, "ends": ends, "state": status_of(run).state})
    return found


def train_until_told(workspace: Workspace, run: Run, crowd: Crowd) -> str:
    """Trains to the first event, waits there until all others have tried, and pauses."""

    def on_event(event: Event) -> None:
        if event.kind == "started":
            crowd.tell("training")
            crowd.finish.take_byte()

    return run_session(workspace, run, should_pause=lambda: True, on_event=on_event).reason


# b) resuming


def resumes_of(home: str) -> list[dict]:
    """In a child: for each round what the processes said of resuming, and the kinds of the events."""
    workspace, found = Workspace(Path(home)), []
    launchers: list[Launcher] = []

    def resume(run: Run, crowd: Crowd) -> str:
        if not launchers:
            launchers.append(Launcher(workspace, keep_reserve=False))  # not serving: what is queued stays queued
        launchers[0].resume(run)
        return "queued"

    crowd = Crowd(resume)
    for _ in range(ROUNDS):
        run = create_run(workspace, tiny())
        append_event(run.events, Ended(reason="paused", message="Paused."))
        crowd.let_go(run)
        words = crowd.words()
        rows = EventReader(run.events).read()
        found.append({"words": words, "kinds": [row["kind"] for row in rows], "numbers": [row["n"] for row in rows]})
    return found


# c) servers


class ForkedWorker:
    """The worker's own code in a forked process, since its imports are done here. As much of Popen as the launcher needs."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        heard, said = os.pipe()
        self.pid = fork(lambda: self._work(reading, writing, said), dies_with_parent=False)  # its stdin is its life line
        os.close(reading)
        os.close(said)
        self.stdin, self.stdout = os.fdopen(writing, "wb"), os.fdopen(heard, "rb")
        self.code: int | None = None

    def _work(self, reading: int, writing: int, said: int) -> None:
        os.close(writing)
        os.dup2(reading, 0)
        os.dup2(said, 1)
        os.close(said)
        worker.main()

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def kill(self) -> None:
        os.kill(self.pid, 9)


def servings_of(home: str) -> list[dict]:
    """In a child: twenty servers open on a workspace with one waiting run; what its events say once nobody trains any more."""
    workspace, found = Workspace(Path(home)), []
    for module in worker.LATE_IMPORTS:
        importlib.import_module(module)

    def serve(run: Run, crowd: Crowd) -> str:
        launcher = Launcher(workspace, keep_reserve=False)
        launcher.queue.executor._spawn = lambda: Worker(ForkedWorker())
        launcher.open()
        done = Flag()
        while not done.is_set():  # until its own worker, if it had one, is gone, and the run is over
            with launcher.queue.changed:
                launcher.queue.changed.wait_for(lambda: not launcher.active(), timeout=0.05)
                if not launcher.active() and not status_of(run).is_active:
                    done.set()
        launcher.close()
        return "served"

    crowd = Crowd(serve)
    for _ in range(SERVER_ROUNDS):
        run = create_run(workspace, tiny())
        append_event(run.events, Queued())
        crowd.let_go(run)
        words = crowd.words()
        rows = EventReader(run.events).read()
        found.append(
            {
                "words": words,
                "state": status_of(run).state,
                "numbers": [row["n"] for row in rows],
                "kinds": [row["kind"] for row in rows if row["kind"] != "preparing"],
            }
        )
    return found


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as zygote:
        yield zygote


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    workspace = open_workspace(tmp_path)
    run_session(workspace, create_run(workspace, tiny()))  # the store is there
    return workspace


def rounds(zygote: Zygote, workspace: Workspace, job: str) -> list[dict]:
    outcome = zygote.run(f"{MODULE}:{job}", str(workspace.home))
    assert not outcome.error, outcome.error
    return outcome.result


def test_twenty_processes_that_train_one_run_at_once_have_one_winner(zygote, workspace):
    found = rounds(zygote, workspace, "starts_of")
    assert len(found) == ROUNDS
    for said in found:
        assert sorted(said["words"]) == ["running"] * (PROCESSES - 1) + ["training"]
        assert (said["started"], said["ends"], said["state"]) == (1, ["paused"], "paused")


def test_twenty_servers_that_resume_one_run_at_once_queue_it_once(zygote, workspace):
    found = rounds(zygote, workspace, "resumes_of")
    assert len(found) == ROUNDS
    for said in found:
        assert said["words"].count("queued") == 1
        assert set(said["words"]) <= {"queued", "running", "not-resumable"}
        assert said["kinds"] == ["ended", "queued"]
        assert said["numbers"] == [1, 2]


def test_twenty_servers_that_find_one_waiting_run_train_it_once(zygote, workspace):
    """Whoever comes too late must not write into the winner's events."""
    found = rounds(zygote, workspace, "servings_of")
    assert len(found) == SERVER_ROUNDS
    for said in found:
        assert said["words"] == ["served"] * PROCESSES
        assert said["kinds"].count("started") == 1
        assert said["kinds"].count("ended") == 1
        assert said["numbers"] == list(range(1, len(said["numbers"]) + 1))
        assert said["state"] == "finished"
