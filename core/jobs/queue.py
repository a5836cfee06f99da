"""Starts training processes for a server: one for each device at a time, the others wait in order; one more, with its
imports done, in reserve. What trains and waits is written to queue.json, where the next server finds it."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.config import TrainConfig
from core.data.sets import settled
from core.data.store.image_store import sweep_unfinished
from core.errors import InputError
from core.files import disk_error, is_locked, sweep, write_json_atomically
from core.running.actions import make_ready, pause_run, stop_run
from core.running.plan import plan_run
from core.runs.checkpoints import find_checkpoint, position_of
from core.runs.control import take_back
from core.runs.directory import Run, create_run, find_run, read_json
from core.runs.event_log import append_event
from core.runs.index import entries
from core.runs.status import last_row, status_of
from core.training.device import choose_compute
from core.training.events import Ended, Queued
from core.workspace import Workspace

LOG = logging.getLogger(__name__)
LOOK_S = 0.5
PROJECT = Path(__file__).resolve().parents[2]
GRACE_S = 5.0  # what a worker has to save and pause when the server ends; it needs a fraction of it
WORKER_ENVIRONMENT = {
    "GOMP_SPINCOUNT": "10000",  # threads that wait spin for some 50 µs, then sleep: docs/decisions/threads.md
    "PYTHONUNBUFFERED": "1",
}


class Launcher:
    """The queue of one server. Every public method may be called from any thread."""

    def __init__(self, workspace: Workspace, keep_reserve: bool = True, auto_resume: bool = True) -> None:
        self.workspace = workspace
        self.keep_reserve, self.auto_resume = keep_reserve, auto_resume
        self.waiting: list[Run] = []
        self.training: dict[str, Run] = {}  # by device
        self.workers: dict[str, subprocess.Popen] = {}
        self.reserve: subprocess.Popen | None = None
        self.known: set[str] = set()  # every run that was ever in this line
        self.changed = threading.Condition()
        self.is_closed = False
        self.threads = [
            threading.Thread(target=self._serve, name="launcher", daemon=True),
            threading.Thread(target=self._restore, name="launcher-restore", daemon=True),
        ]

    def open(self) -> None:
        """Starts serving. Runs that trained or waited when an earlier server ended do so again, in their order."""
        if self.keep_reserve:
            self.reserve = self._spawn()
        for thread in self.threads:
            thread.start()

    def submit(self, config: TrainConfig) -> Run:
        """A new run for a configuration, training as soon as the device is free. Raises InputError for one that can't work."""
        config = settled(self.workspace, config)
        plan_run(self.workspace, config)
        run = create_run(self.workspace, config)
        self._enqueue(run, {}, "last")
        return run

    def resume(self, run: Run, settings: Mapping[str, Any] | None = None, checkpoint: str = "last") -> None:
        """Goes on with a run from a checkpoint when its turn comes, with these settings changed; more epochs train a finished one longer.

        Raises InputError if it trains or waits already, has nothing left to do, or the checkpoint is damaged.
        """
        plan_run(self.workspace, run.config)
        self._enqueue(run, settings or {}, checkpoint)

    def _enqueue(self, run: Run, settings: Mapping[str, Any], checkpoint: str) -> None:
        lock = run.hold(timeout_s=2)
        try:
            if status_of(run).state == "queued":
                raise InputError(f"{run.id} waits in the queue already.", code="not-resumable")
            make_ready(run, settings, checkpoint)
            try:
                append_event(run.events, Queued(checkpoint))
            except OSError as error:
                take_back(run, "change")
                raise disk_error(error) from error
        finally:
            lock.release()
        self._wait_in_line(run)

    def enqueue(self, run: Run) -> None:
        """Has a run begin that was made elsewhere, such as one with weights from outside."""
        self._enqueue(run, {}, "last")

    def _wait_in_line(self, run: Run) -> None:
        with self.changed:
            self.known.add(run.id)
            if run not in self.waiting and run not in self.training.values():
                self.waiting.append(run)
            self._note()
            self.changed.notify_all()

    def stop(self, run: Run) -> None:
        """Stops a run that trains, wherever it trains, or takes a waiting one out of the queue."""
        self._take_out(run)
        stop_run(run)

    def pause(self, run: Run) -> None:
        """Saves and pauses a run that trains, wherever it trains, or takes a waiting one out of the queue."""
        self._take_out(run)
        pause_run(run)

    def _take_out(self, run: Run) -> None:
        with self.changed:
            if run in self.waiting:
                self.waiting.remove(run)
                self._note()

    def move(self, run: Run, place: int) -> None:
        """Puts a waiting run at this place in the line, 1 being the next; does nothing for one that waits no longer."""
        with self.changed:
            if run in self.waiting:
                self.waiting.remove(run)
                self.waiting.insert(max(place - 1, 0), run)
                self._note()

    def active(self) -> list[Run]:
        """The runs that train here and those that wait, in their order."""
        with self.changed:
            return [*self.training.values(), *self.waiting]

    def line(self) -> list[Run]:
        """The waiting runs, the next one first."""
        with self.changed:
            return list(self.waiting)

    def place_of(self, run: Run) -> int:
        """1 for the run that is next, 0 for one that does not wait here."""
        with self.changed:
            return self.waiting.index(run) + 1 if run in self.waiting else 0

    def close(self) -> None:
        """Ends every process of ours; those that train save and pause first. The queue's file is left for the next server."""
        with self.changed:
            self.is_closed = True
            if self.reserve:
                self.reserve.kill()  # it has nothing to save, and may still be importing
            processes = [*self.workers.values(), *filter(None, [self.reserve])]
            self.changed.notify_all()
        for process in processes:
            _let_go(process)
        for process in processes:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(GRACE_S)

    def _note(self) -> None:
        """Writes down what trains and waits, beside what other servers of the workspace have. Called with the condition held."""
        if self.is_closed:
            return
        ours = [run.id for run in [*self.training.values(), *self.waiting]]
        try:
            with FileLock(self.workspace.locks / "queue.lock"):
                others = [run_id for run_id in self._noted() if run_id not in self.known]
                write_json_atomically(self.workspace.queue, {"runs": [*ours, *others]})
        except OSError:
            LOG.exception("the queue could not be written down")  # it still works as long as this server

    def _noted(self) -> list[str]:
        try:
            return [str(run_id) for run_id in read_json(self.workspace.queue, {"runs": []})["runs"]]
        except (ValueError, KeyError, TypeError):
            LOG.exception("queue.json is damaged; waiting runs are found by their events")
            return []

    def _restore(self) -> None:
        """Takes over what an earlier server left, and sweeps up after it."""
        sweep(self.workspace.runs, ".deleted-")
        sweep(self.workspace.home, "upload-")
        sweep_unfinished(self.workspace)
        listed = self._noted()
        for run_id in listed:
            with suppress(InputError):  # deleted meanwhile
                self._take_over(find_run(self.workspace, run_id))
        for entry in reversed(entries(self.workspace)):  # also those that the file does not know
            if entry.run.id not in listed and (entry.state == "queued" or entry.cause == "server"):
                self._take_over(entry.run)

    def _take_over(self, run: Run) -> None:
        deadline = time.monotonic() + GRACE_S
        while run.is_held() and time.monotonic() < deadline and not self.is_closed:
            time.sleep(0.05)  # its worker may still be saving
        status = status_of(run)
        if status.state == "queued":
            self._wait_in_line(run)
        elif self.auto_resume and (status.cause == "server" or status.is_unexplained):
            try:
                self.resume(run)
            except (InputError, OSError):
                LOG.exception("%s could not be resumed by itself", run.id)

    def _next(self) -> tuple[str, Run] | None:
        """The first waiting run whose device is free, with that device. Another server or a command line may train there too."""
        for run in self.waiting:
            device = _device_of(run)
            if device not in self.training and not is_locked(self.workspace.locks / f"{device}.lock"):
                return device, run
        return None

    def _serve(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.is_closed or self.waiting)
                # looked at again and again: nobody tells when a training of another process ends
                found = None if self.is_closed else self.changed.wait_for(self._next_or_closed, timeout=LOOK_S)
                if self.is_closed:
                    return
                if not found:
                    continue
                device, run = found
                self.waiting.remove(run)
                if status_of(run).state == "queued":  # else taken out of the queue, or trained, by another process
                    self._begin(device, run)
                self._note()

    def _next_or_closed(self) -> tuple[str, Run] | bool | None:
        return self.is_closed or self._next()

    def _begin(self, device: str, run: Run) -> None:
        try:
            worker = self._take_worker()
        except OSError as error:  # no more processes, or no memory for one
            LOG.exception("no process for %s", run.id)
            ended = Ended("interrupted", f"Its process could not be started ({error.strerror}). Resume it later.")
            _note_end(run, lambda: ended)
            return
        self.training[device], self.workers[device] = run, worker
        threading.Thread(target=self._see_through, args=(device,), name=f"training-{device}", daemon=True).start()

    def _see_through(self, device: str) -> None:
        run, worker = self.training[device], self.workers[device]
        try:
            _give_job(worker, self.workspace, run)
            code = worker.wait()
            _note_end(run, lambda: _obituary(run, code))
        finally:  # whatever happens, those behind it get their turn
            with self.changed:
                del self.training[device], self.workers[device]
                _let_go(worker)
                self._note()
                self.changed.notify_all()
        with self.changed:
            if self.keep_reserve and not self.waiting and not self.is_closed and self.reserve is None:
                self.reserve = self._spawn()

    def _take_worker(self) -> subprocess.Popen:
        reserve, self.reserve = self.reserve, None
        return reserve if reserve and reserve.poll() is None else self._spawn()

    def _spawn(self) -> subprocess.Popen:
        # a session of its own: Ctrl-C in the server's terminal must not reach it
        return subprocess.Popen(
            [sys.executable, "-m", "core.jobs.worker"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **WORKER_ENVIRONMENT},
            start_new_session=True,
        )


@cache
def _device_of(run: Run) -> str:
    try:
        return choose_compute(run.config).device.type
    except (InputError, OSError):
        return "none"  # its worker will say so


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


def _note_end(run: Run, ended: Callable[[], Ended]) -> None:
    """Writes down the end of a run that said nothing itself, unless another process has taken it over.

    Where that can't be written, on a full disk say, the run reads as interrupted, and those behind it still get their turn.
    """
    try:
        lock = run.hold(timeout_s=2)
        try:
            last = last_row(run)
            if last is None or last["kind"] != "ended":
                append_event(run.events, ended())
        finally:
            lock.release()
    except (InputError, OSError):
        LOG.exception("the end of %s was not recorded", run.id)


def _obituary(run: Run, code: int) -> Ended:
    """How a worker that said nothing came to its end."""
    status = status_of(run)
    if code < 0:
        name = signal.Signals(-code).name
        cause = f"The training process was killed by {name}"
        if name == "SIGKILL":
            smaller = run.config.batch_size // 2
            cause += " (by hand, or by the system for want of memory"
            cause += f": a batch size of {smaller:,} then needs less)" if smaller else ")"
    else:
        cause = f"The training process ended by itself with status {code}; worker.log in the run's folder may say why"
    return Ended(
        "interrupted",
        f"{cause}. {_what_is_left(run)}",
        epoch=status.epoch,
        seconds=status.seconds,
        accuracy=status.accuracy,
    )


def _what_is_left(run: Run) -> str:
    try:
        last = find_checkpoint(run, "last")
    except InputError:
        return "It had saved no checkpoint yet; Resume begins again."
    return f"Its checkpoints are kept; Resume goes on after step {position_of(last):,}."


@cache
def launcher_for(workspace: Workspace) -> Launcher:
    """The one launcher of this process for a workspace, serving. TRAINSCOPE_RESERVE=0 keeps no process in reserve,
    TRAINSCOPE_RESUME=0 leaves runs paused that the end of an earlier server had paused."""
    launcher = Launcher(
        workspace,
        keep_reserve=os.environ.get("TRAINSCOPE_RESERVE", "1") != "0",
        auto_resume=os.environ.get("TRAINSCOPE_RESUME", "1") != "0",
    )
    launcher.open()
    return launcher
