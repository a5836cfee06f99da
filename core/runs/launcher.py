"""Starts training processes for a server: one at a time, the others wait in order; one process with its imports done in reserve."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

from core.config import TrainConfig
from core.data.catalogue import settled
from core.errors import InputError
from core.runs.control import Commands, send
from core.runs.directory import Run, create_run, list_runs
from core.runs.event_log import append_event
from core.runs.plan import plan_run
from core.runs.status import status_of
from core.training.events import Ended, Queued
from core.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[2]
GRACE_S = 5.0  # what a worker has to save and pause when the server ends; it needs a fraction of it
WORKER_ENVIRONMENT = {
    "GOMP_SPINCOUNT": "10000",  # threads that wait spin for some 50 µs, then sleep: docs/decisions/threads.md
    "PYTHONUNBUFFERED": "1",
}


class Launcher:
    """The queue of one server. Every public method may be called from any thread."""

    def __init__(self, workspace: Workspace, keep_reserve: bool = True) -> None:
        self.workspace = workspace
        self.keep_reserve = keep_reserve
        self.waiting: list[Run] = []
        self.training: Run | None = None
        self.reserve: subprocess.Popen | None = None
        self.worker: subprocess.Popen | None = None
        self.changed = threading.Condition()
        self.is_closed = False
        self.thread = threading.Thread(target=self._serve, name="launcher", daemon=True)

    def open(self) -> None:
        """Starts serving; runs that were waiting when an earlier server ended wait again, in their order."""
        self.waiting = [run for run in reversed(list_runs(self.workspace)) if status_of(run).state == "queued"]
        if self.keep_reserve:
            self.reserve = self._spawn()
        self.thread.start()

    def submit(self, config: TrainConfig) -> Run:
        """A new run for a configuration, training as soon as the device is free. Raises InputError for one that can't work."""
        config = settled(self.workspace, config)
        plan_run(self.workspace, config)
        run = create_run(self.workspace, config)
        self._enqueue(run)
        return run

    def resume(self, run: Run) -> None:
        """Goes on with a run that was stopped, paused or interrupted, from its last checkpoint, when its turn comes."""
        state = status_of(run).state
        if state in ("queued", "running", "finished"):
            raise InputError(f"{run.id} is {state}; only a run that ended early can be resumed.", code="not-resumable")
        plan_run(self.workspace, run.config)
        self._enqueue(run)

    def _enqueue(self, run: Run) -> None:
        lock = run.hold(timeout_s=2)
        try:
            # looked at under the lock: somebody may have been quicker since
            if (state := status_of(run).state) in ("queued", "finished"):
                raise InputError(f"{run.id} is {state}; only a run that ended early can be resumed.", code="not-resumable")
            Commands(run).new()  # a stop that nobody lived to hear is not meant for what comes
            append_event(run.events, Queued())
        finally:
            lock.release()
        with self.changed:
            if run not in self.waiting:
                self.waiting.append(run)
            self.changed.notify()

    def stop(self, run: Run) -> None:
        """Stops a run that trains, wherever it trains, or takes a waiting one out of the queue."""
        with self.changed:
            if run in self.waiting:
                self.waiting.remove(run)
        stop_run(run)

    def active(self) -> list[Run]:
        """The run that trains here and those that wait, in their order."""
        with self.changed:
            return [*filter(None, [self.training]), *self.waiting]

    def place_of(self, run: Run) -> int:
        """1 for the run that is next, 0 for one that does not wait here."""
        with self.changed:
            return self.waiting.index(run) + 1 if run in self.waiting else 0

    def close(self) -> None:
        """Ends every process of ours; the one that trains saves and pauses first."""
        with self.changed:
            self.is_closed = True
            if self.reserve:
                self.reserve.kill()  # it has nothing to save, and may still be importing
            processes = [process for process in (self.worker, self.reserve) if process]
            self.changed.notify()
        for process in processes:
            _let_go(process)
        for process in processes:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.thread.is_alive():
            self.thread.join(GRACE_S)

    def _serve(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.is_closed)
                if self.is_closed:
                    return
                run = self.waiting.pop(0)
                if status_of(run).state != "queued":  # taken out of the queue, or trained, by another process
                    continue
                self.training = run
                worker = self.worker = self._take_worker()
            try:
                self._train(run, worker)
            except Exception:  # a full disk, say: this run is shown as interrupted, and those behind it still get their turn
                logging.getLogger(__name__).exception("the end of %s could not be recorded", run.id)
            with self.changed:
                self.training = self.worker = None
                _let_go(worker)
                if self.keep_reserve and not self.waiting and not self.is_closed and self.reserve is None:
                    self.reserve = self._spawn()

    def _train(self, run: Run, worker: subprocess.Popen) -> None:
        _give_job(worker, self.workspace, run)
        code = worker.wait()
        if status_of(run).state in ("interrupted", "queued", "running"):  # without a last word of its own
            append_event(run.events, _obituary(run, code))

    def _take_worker(self) -> subprocess.Popen:
        reserve, self.reserve = self.reserve, None
        return reserve if reserve and reserve.poll() is None else self._spawn()

    def _spawn(self) -> subprocess.Popen:
        # a session of its own: Ctrl-C in the server's terminal must not reach it
        return subprocess.Popen(
            [sys.executable, "-m", "core.runs.worker"], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env={**os.environ, **WORKER_ENVIRONMENT}, start_new_session=True,
        )  # fmt: skip


def stop_run(run: Run) -> None:
    """Stops a run, whichever process trains it or has it in its queue. Raises InputError if it is neither."""
    status = status_of(run)
    if not status.is_active:
        raise InputError(f"{run.id} is not training: it is {status.state}.", code="not-running")
    send(run, "stop")  # also heard by a worker that is about to begin
    if status.state == "queued" and not run.is_held():
        append_event(run.events, Ended("stopped", "Taken out of the queue before it began."))


def _give_job(worker: subprocess.Popen, workspace: Workspace, run: Run) -> None:
    job = {"run": str(run.path), "home": str(workspace.home)}
    try:
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        worker.stdin.flush()
    except BrokenPipeError:
        pass  # it died meanwhile; waiting for it tells how


def _let_go(worker: subprocess.Popen) -> None:
    with suppress(BrokenPipeError):
        worker.stdin.close()


def _obituary(run: Run, code: int) -> Ended:
    """How a worker that said nothing came to its end."""
    status = status_of(run)
    if code < 0:
        name = signal.Signals(-code).name
        cause = f"The training process was killed by {name}"
        if name == "SIGKILL":
            cause += " (by hand, or by the system for want of memory)"
    else:
        cause = f"The training process ended by itself with status {code}; worker.log in the run's folder may say why"
    return Ended(
        "interrupted",
        f"{cause}. The checkpoints it had saved are kept.",
        epoch=status.epoch,
        seconds=status.seconds,
        accuracy=status.accuracy,
    )


@cache
def launcher_for(workspace: Workspace) -> Launcher:
    """The one launcher of this process for a workspace, serving. TRAINSCOPE_RESERVE=0 keeps no process in reserve."""
    launcher = Launcher(workspace, keep_reserve=os.environ.get("TRAINSCOPE_RESERVE", "1") != "0")
    launcher.open()
    return launcher
