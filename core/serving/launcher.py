"""What a server does with runs: begins them, goes on with them, lets them wait, stops them; and takes up what an earlier server left."""

import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from core.config import TrainConfig
from core.data.store.image_store import sweep_unfinished
from core.errors import InputError
from core.files import disk_error, sweep
from core.jobs.executor import GRACE_S, LocalProcesses
from core.jobs.queue import Queue
from core.running.actions import make_ready, pause_run, stop_run
from core.running.plan import Plan, plan_run
from core.running.train_job import job_of, run_of
from core.runs.control import take_back
from core.runs.directory import Run, find_run
from core.runs.event_log import append_event
from core.runs.index import entries
from core.runs.status import status_of
from core.serving.job_kinds import KINDS
from core.serving.new_run import new_run
from core.training.events import Queued
from core.workspace import Workspace

LOG = logging.getLogger(__name__)


class Launcher:
    """The runs of one server, in its queue. Every public method may be called from any thread."""

    def __init__(self, workspace: Workspace, keep_reserve: bool = True, auto_resume: bool = True) -> None:
        self.workspace, self.auto_resume = workspace, auto_resume
        self.queue = Queue(workspace, KINDS, LocalProcesses(keep_reserve))
        self._restoring = threading.Thread(target=self.restore, name="restore", daemon=True)

    def open(self) -> None:
        """Starts serving. Runs that trained or waited when an earlier server ended do so again, in their order."""
        self.queue.open()
        self._restoring.start()

    def submit(self, asked: Plan | TrainConfig) -> Run:
        """A new run, training as soon as the device is free. Raises InputError for a configuration that can't work."""
        run = new_run(self.workspace, asked if isinstance(asked, Plan) else plan_run(self.workspace, asked))
        self.enqueue(run)
        return run

    def resume(self, run: Run, settings: Mapping[str, Any] | None = None, checkpoint: str = "last") -> None:
        """Goes on with a run from a checkpoint when its turn comes, with these settings changed; more epochs train a finished one longer.

        Raises InputError if it trains or waits already, has nothing left to do, or the checkpoint is damaged.
        """
        plan_run(self.workspace, run.config)
        self.enqueue(run, settings or {}, checkpoint)

    def enqueue(self, run: Run, settings: Mapping[str, Any] | None = None, checkpoint: str = "last") -> None:
        """Has a run go on, or begin that was made elsewhere, such as one with weights from outside."""
        lock = run.hold(timeout_s=2)
        try:
            if status_of(run).state == "queued":
                raise InputError(f"{run.id} waits in the queue already.", code="not-resumable")
            make_ready(run, settings or {}, checkpoint)
            try:
                append_event(run.events, Queued(checkpoint))
            except OSError as error:
                take_back(run, "change")
                raise disk_error(error) from error
        finally:
            lock.release()
        self.queue.put_in_line(job_of(run))

    def stop(self, run: Run) -> None:
        """Stops a run that trains, wherever it trains, or takes a waiting one out of the queue."""
        self.queue.take_out(job_of(run))
        stop_run(run)

    def pause(self, run: Run) -> None:
        """Saves and pauses a run that trains, wherever it trains, or takes a waiting one out of the queue."""
        self.queue.take_out(job_of(run))
        pause_run(run)

    def move(self, run: Run, place: int) -> None:
        """Puts a waiting run at this place in the line, 1 being the next; does nothing for one that waits no longer."""
        self.queue.move(job_of(run), place)

    def active(self) -> list[Run]:
        """The runs that train here and those that wait, in their order."""
        return [run_of(job) for job in [*self.queue.going_on("train"), *self.queue.line("train")]]

    def line(self) -> list[Run]:
        """The waiting runs, the next one first."""
        return [run_of(job) for job in self.queue.line("train")]

    def place_of(self, run: Run) -> int:
        """1 for the run that is next, 0 for one that does not wait here."""
        line = self.line()
        return line.index(run) + 1 if run in line else 0

    def close(self) -> None:
        """Ends every process of ours; those that train save and pause first."""
        self.queue.close()
        if self._restoring.is_alive():
            self._restoring.join(GRACE_S)

    @property
    def threads(self) -> list[threading.Thread]:
        """Those of this server's own."""
        return [self._restoring, *self.queue.threads]

    def restore(self) -> None:
        """Takes over what an earlier server left, and sweeps up after it."""
        sweep(self.workspace.runs, ".deleted-")
        sweep(self.workspace.jobs, ".new-")
        sweep(self.workspace.home, "upload-")
        sweep_unfinished(self.workspace)
        listed = self.queue.noted()
        for run_id in listed:
            with suppress(InputError):  # deleted meanwhile
                self._take_over(find_run(self.workspace, run_id))
        for entry in reversed(entries(self.workspace)):  # also those that the file does not know
            if entry.run.id not in listed and (entry.state == "queued" or entry.cause == "server"):
                self._take_over(entry.run)

    def _take_over(self, run: Run) -> None:
        deadline = time.monotonic() + GRACE_S
        while run.is_held() and time.monotonic() < deadline and not self.queue.is_closed:
            time.sleep(0.05)  # its worker may still be saving
        status = status_of(run)
        if status.state == "queued":
            self.queue.put_in_line(job_of(run))
        elif self.auto_resume and (status.cause == "server" or status.is_unexplained):
            try:
                self.resume(run)
            except (InputError, OSError):
                LOG.exception("%s could not be resumed by itself", run.id)


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
