"""What there is to know about a kind of job, so that the queue, the pages and the command line treat all of them alike."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.jobs.job import Job, JobEnded, JobStatus, folder_status
from core.jobs.slots import Slot
from core.locks import is_locked
from core.runs.event_log import append_event
from core.workspace import Workspace


def no_slot(workspace: Workspace, job: Job) -> tuple[Slot, ...]:
    return ()


def cancel_folder(workspace: Workspace, job: Job) -> None:
    """Has a job end, whoever does it or has it in its queue. Raises InputError if it has ended already."""
    status = folder_status(workspace, job)
    if not status.is_active:
        raise InputError(f"{job.title} is not going on: it is {status.state}.", code="not-running")
    job.ask_to_cancel()
    if status.state == "queued" and not is_locked(job.path / "lock"):
        append_event(job.events, JobEnded("cancelled", "Taken out of the queue before it began."))


def note_folder_end(workspace: Workspace, job: Job, code: int | None) -> None:
    """Writes down the end of a job whose process said nothing itself. code: None where none could be started."""
    if folder_status(workspace, job).state not in ("running", "interrupted", "queued"):
        return
    append_event(job.events, JobEnded("cancelled") if job.is_unwanted_since else JobEnded("interrupted", obituary(code)))


def obituary(code: int | None) -> str:
    """How a process came to its end that said nothing."""
    if code is None:
        return "Its process could not be started: no memory, or no more processes. Begin it again later."
    if code < 0:
        return f"Its process was killed by {signal.Signals(-code).name}. What it was making is not kept; begin it again."
    return f"Its process ended by itself with status {code}; worker.log in the job's folder may say why. Begin it again."


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """name: lower case, of the job's id. title: what a list calls it.

    work: "module:function", imported where it is done, so that a process imports only what it uses; called with (workspace,
    inputs, progress), returns what JSON can hold. Progress raises Cancelled once the job is no longer wanted.
    slots: the devices of which it needs one; none: it computes beside them. goes_on: whether the next server takes it up again.
    tidy: removes what a process that was killed had half made, and what was put ready for one that is not wanted any more.
    """

    name: str
    title: str
    work: str
    slots: Callable[[Workspace, Job], tuple[Slot, ...]] = no_slot
    status: Callable[[Workspace, Job], JobStatus] = folder_status
    cancel: Callable[[Workspace, Job], None] = cancel_folder
    note_end: Callable[[Workspace, Job, int | None], None] = note_folder_end
    tidy: Callable[[Workspace, Job], Any] = lambda workspace, job: None
    goes_on: bool = False
