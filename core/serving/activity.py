"""Everything that takes long in a workspace, in one list: trainings and other jobs, those of other processes too."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import InputError
from core.jobs.job import Job, JobStatus, find_job, list_jobs
from core.running.train_job import job_of
from core.runs.directory import find_run
from core.runs.index import entries
from core.serving.job_kinds import KINDS
from core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Activity:
    """kind: as people call it. title: what is worked on."""

    job: Job
    kind: str
    title: str
    status: JobStatus


def activities(workspace: Workspace, most_ended: int = 0) -> list[Activity]:
    """What goes on and waits, the oldest first; then up to so many jobs that have ended, the newest first.

    Of trainings only those that go on or wait: the list of runs has the others.
    """
    active, ended = [], []
    for activity in _all(workspace):
        if activity.status.is_active:
            active.append(activity)
        elif activity.job.kind != "train":
            ended.append(activity)
    active.sort(key=lambda activity: (activity.status.state != "running", activity.job.id[:15]))
    return [*active, *ended[:most_ended]]


def _all(workspace: Workspace) -> Iterator[Activity]:
    for entry in entries(workspace):
        if entry.state in ("running", "queued"):
            yield _activity(workspace, job_of(entry.run), entry.title)
    for job in list_jobs(workspace):
        if job.kind in KINDS:  # else of a later version
            yield _activity(workspace, job, job.title)


def _activity(workspace: Workspace, job: Job, title: str) -> Activity:
    kind = KINDS[job.kind]
    return Activity(job=job, kind=kind.title, title=title, status=kind.status(workspace, job))


def cancel(workspace: Workspace, job_id: str) -> Job:
    """Ends a job, or stops a run, by its id, in whatever process it goes on. Raises InputError if there is none, or it has ended."""
    try:
        job = find_job(workspace, job_id)
    except InputError:
        try:
            job = job_of(find_run(workspace, job_id))
        except InputError:
            raise InputError(
                f"There is no job '{job_id[:100]}'.", code="job", hint="'python -m core jobs' lists what goes on."
            ) from None
    KINDS[job.kind].cancel(workspace, job)
    return job
