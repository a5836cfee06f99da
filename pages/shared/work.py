"""Work that takes long, as a page shows it: how far it is and what is left, whoever asked for it; cancelled, or why it failed."""

import streamlit as st

from core.jobs.job import Job, JobStatus, Request
from core.runs.directory import Run
from core.wording import rough_duration
from pages.shared.actions import do
from pages.shared.session import launcher
from pages.shared.text import escaped

SOON_S = 0.5  # waited for without a word


def begin(request: Request) -> None:
    """Has it done, by whoever does it already or by a job of its own; `work_on` says what came of it. Raises InputError."""
    job = launcher().queue.submit(request)
    st.session_state.setdefault("asked-for", {})[request.key] = job.id
    launcher().queue.wait(job, SOON_S)


def work_on(request: Request) -> JobStatus | None:
    """Shows work that goes on; of what this visitor asked for says why it failed. How it ended once it has, once; else None."""
    queue = launcher().queue
    asked: dict[str, str] = st.session_state.setdefault("asked-for", {})
    mine = asked.get(request.key)
    if job := queue.doing(request) or (queue.find(mine) if mine else None):  # also one that is being cancelled
        asked[request.key] = job.id  # also of another visitor: whoever watches it wants to know
        show(job)
        return JobStatus(state="running")
    if request.key not in asked:
        return None
    status = queue.ended(asked.pop(request.key))
    if status is None or status.state == "finished":
        return status
    if status.state == "cancelled":
        st.info("Cancelled. Nothing of it is kept.")
    else:
        st.error(escaped(status.message))
    return status


def going_on_for(kind: str, run: Run) -> Request | None:
    """The work of this kind that goes on for a run or waits: asked for in another tab, or before the page was loaded anew."""
    queue = launcher().queue
    for job in [*queue.going_on(kind), *queue.line(kind)]:
        if job.inputs["run"] == run.id and not job.is_unwanted_since:
            return Request(job.kind, job.title, job.inputs)
    return None


def is_going_on(status: JobStatus | None) -> bool:
    return status is not None and status.is_active


def show(job: Job) -> None:
    """A bar that moves by itself; the page is drawn anew when the work has ended."""
    st.fragment(_bar, run_every=0.5)(job.id)


def _bar(job_id: str) -> None:
    job = launcher().queue.find(job_id)
    status = launcher().queue.status(job) if job else None
    if job is None or status is None or not status.is_active:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        is_unwanted = job.is_unwanted_since is not None
        st.progress(status.share, "Cancelling" if is_unwanted else escaped(in_words(status)), width="stretch")
        if st.button("Cancel", key=f"cancel-{job.id}", disabled=is_unwanted):
            do(lambda: launcher().queue.cancel(job))


def in_words(status: JobStatus) -> str:
    """How far it is: "Noise, strength 3, 4,200 of 62,000, about 20 s left"."""
    if status.state == "queued":
        return "Waiting for other work to end"
    what = status.what or "Starting"
    if not status.total:
        return what
    left = f", {rough_duration(status.left_s)} left" if status.left_s else ""
    return f"{what}, {status.done:,} of {status.total:,}{left}"
