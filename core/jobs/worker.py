"""One job done in this process: its lock held, its progress told, its end written down."""

import importlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import InputError
from core.files import disk_error
from core.jobs.job import Job, JobEnded, JobProgress, JobStarted, Request, create_job, folder_status
from core.jobs.kinds import JobKind
from core.runs.event_log import EventWriter
from core.workspace import Workspace

TELL_S = 0.25
LOOK_S = 0.1
Progress = Callable[[str, int, int], None]


class Cancelled(Exception):
    """Raised in the work, where it tells its progress, once it is no longer wanted."""


def work_of(kind: JobKind) -> Callable[[Workspace, dict[str, Any], Progress], dict[str, Any] | None]:
    module, _, name = kind.work.partition(":")
    return getattr(importlib.import_module(module), name)


def carry_out(
    workspace: Workspace,
    job: Job,
    kind: JobKind,
    server_is_gone: Callable[[], bool] = lambda: False,
    on_progress: Progress = lambda what, done, total: None,
) -> JobEnded | None:
    """Does the job's work to its end and says how it ended; None for one that waits no longer."""
    with job.lock.acquire(timeout=2), EventWriter(job.events) as log:
        if job.is_unwanted_since or folder_status(workspace, job).state not in ("queued", "running"):
            return None  # the lock is ours: one that waits reads as running
        log.write(JobStarted(os.getpid()))
        desk = _Desk(job, log, server_is_gone, on_progress)
        ended = _ended(lambda: work_of(kind)(workspace, job.inputs, desk.tell), desk)
        log.write(ended)
        return ended


@contextmanager
def told_as_a_job(workspace: Workspace, request: Request, on_progress: Progress) -> Iterator[Progress]:
    """For work that this process does for itself, as a command does: every list has it, and it can be cancelled from anywhere.

    Gives what the work is to tell its progress to. Raises what the work raises, and InputError where it was cancelled.
    """
    job = create_job(workspace, request)
    with job.lock.acquire(timeout=2), EventWriter(job.events) as log:
        log.write(JobStarted(os.getpid()))
        try:
            yield _Desk(job, log, lambda: False, on_progress).tell
        except BaseException as error:
            log.write(_end_by(error, job))
            if isinstance(error, Cancelled):
                raise InputError(
                    f"{request.title}: it was cancelled.", code="cancelled", hint="Nothing half made is kept."
                ) from None
            raise
        log.write(JobEnded("finished"))


def _ended(work: Callable[[], dict[str, Any] | None], desk: "_Desk") -> JobEnded:
    try:
        return JobEnded("finished", result=work())
    except Exception as error:
        return _end_by(error, desk.job)


def _end_by(error: BaseException, job: Job) -> JobEnded:
    """How work ended that raised this; what is nobody's doing goes into the log too."""
    match error:
        case KeyboardInterrupt():
            return JobEnded("cancelled")
        case Cancelled() if job.is_unwanted_since:
            return JobEnded("cancelled")
        case Cancelled():
            return JobEnded("interrupted", "The server ended. Begin it again.")
        case InputError():
            return JobEnded("failed", str(error))
        case OSError():
            logging.error("a file operation failed", exc_info=error)
            return JobEnded("failed", str(disk_error(error)))
        case MemoryError():
            logging.error("out of memory", exc_info=error)
            return JobEnded("failed", "There was not enough memory for it.")
    logging.error("the work failed", exc_info=error)
    where = "worker.log in the job's folder has the details"
    return JobEnded("failed", f"Something in Trainscope went wrong ({type(error).__name__}); {where}.")


class _Desk:
    """Where the work tells its progress, and hears that it is not wanted any more; cheap enough for every batch."""

    def __init__(self, job: Job, log: EventWriter, server_is_gone: Callable[[], bool], on_progress: Progress) -> None:
        self.job, self.log, self.server_is_gone, self.on_progress = job, log, server_is_gone, on_progress
        self.began = time.monotonic()
        self.next_told = self.next_look = 0.0
        self.phase = ""

    def tell(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + LOOK_S
            if self.server_is_gone() or self.job.is_unwanted_since:
                raise Cancelled
        self.on_progress(what, done, total)
        if now >= self.next_told or what != self.phase:
            self.phase, self.next_told = what, now + TELL_S
            self.log.write(JobProgress(what=what, done=done, total=total, seconds=round(now - self.began, 3)))
