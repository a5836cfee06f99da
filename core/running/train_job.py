"""A training as a job: its folder is the run's, so that what is told of it is what the run's events tell."""

import signal
from functools import lru_cache

from core.errors import InputError
from core.jobs.job import Job, JobStatus
from core.jobs.kinds import JobKind
from core.jobs.slots import Slot
from core.running.actions import stop_run
from core.running.devices import slots_for
from core.runs.checkpoints import find_checkpoint, position_of
from core.runs.directory import Run
from core.runs.event_log import append_event
from core.runs.history import history_of
from core.runs.status import last_event, status_of
from core.training.events import Ended, Preparing
from core.workspace import Workspace


def job_of(run: Run) -> Job:
    return Job("train", run.path)


def run_of(job: Job) -> Run:
    return Run(job.path)


@lru_cache(maxsize=20_000)
def _slots(workspace: Workspace, job: Job) -> tuple[Slot, ...]:
    """Asked for twice a second for all that waits; a run's configuration never changes."""
    try:
        return slots_for(run_of(job).config.device)
    except (InputError, OSError):
        return (Slot("none"),)  # its worker will say so


def _status(workspace: Workspace, job: Job) -> JobStatus:
    """Done and total are epochs and, within one, steps."""
    run = run_of(job)
    status = status_of(run)
    if not status.is_active or status.state == "queued":
        return JobStatus(state=status.state, message=status.message, seconds=status.seconds)
    history = history_of(run)
    started, preparing, steps = history.started, history.preparing, history.steps["step"]
    if preparing or not started:
        told = preparing or Preparing("Starting", 0, 0)
        return JobStatus(state="running", what=told.what, done=told.done, total=told.total, seconds=status.seconds)
    epochs = status.epochs or run.config.epochs
    done, total = steps[-1] if steps else 0, epochs * started.steps_per_epoch
    first, began = started.from_step, history.steps["seconds"]
    pace = (done - first) / (began[-1] - began[0]) if len(began) > 1 and began[-1] > began[0] and done > first else 0
    left_s = (total - done) / pace if pace else None
    what = f"Epoch {min(status.epoch + 1, epochs)} of {epochs}"
    return JobStatus(state="running", what=what, done=done, total=total, seconds=status.seconds, left_s=left_s)


def _note_end(workspace: Workspace, job: Job, code: int | None) -> None:
    """Writes down the end of a run that said nothing itself, unless another process has taken it over."""
    run = run_of(job)
    lock = run.hold(timeout_s=2)
    try:
        if not isinstance(last_event(run), Ended):
            append_event(run.events, _end_of_worker(run, code))
    finally:
        lock.release()


def _end_of_worker(run: Run, code: int | None) -> Ended:
    """How a process that said nothing came to its end; None: it could not be started."""
    status = status_of(run)
    if code is None:
        message = "Its process could not be started: no memory, or no more processes. Resume it later."
        return Ended(reason="interrupted", message=message, **status.facts)
    if code < 0:
        name = signal.Signals(-code).name
        cause = f"The training process was killed by {name}"
        if name == "SIGKILL":
            smaller = run.config.batch_size // 2
            cause += " (by hand, or by the system for want of memory"
            cause += f": a batch size of {smaller:,} then needs less)" if smaller else ")"
    else:
        cause = f"The training process ended by itself with status {code}; worker.log in the run's folder may say why"
    message = f"{cause}. {_what_is_left(run)}"
    return Ended(reason="interrupted", message=message, **status.facts)


def _what_is_left(run: Run) -> str:
    try:
        last = find_checkpoint(run, "last")
    except InputError:
        return "It had saved no checkpoint yet; Resume begins again."
    return f"Its checkpoints are kept; Resume goes on after step {position_of(last):,}."


TRAIN = JobKind(
    name="train",
    title="Training",
    work="",  # the worker has its own way with runs, whose folders hold more than a job's
    slots=_slots,
    status=_status,
    cancel=lambda workspace, job: stop_run(run_of(job)),
    note_end=_note_end,
    goes_on=True,
)
