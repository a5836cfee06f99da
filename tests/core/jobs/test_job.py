"""Long work beside the pages: done once, told how far it is, cancelled where it is asked to, its failure and its end told."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from core.errors import InputError
from core.jobs.job import Job, JobStatus, Request, create_job, find_job, folder_status, list_jobs
from core.jobs.kinds import JobKind, cancel_folder
from core.jobs.queue import MOST_BESIDE, Queue
from core.jobs.slots import Slot
from core.jobs.worker import Cancelled, carry_out, told_as_a_job
from core.locks import is_locked
from core.runs.event_log import EventReader
from core.workspace import Workspace
from tests.fixtures.threads import ThreadWorker
from tests.fixtures.waiting import until

WORK: dict[str, Callable] = {}


def work(workspace: Workspace, inputs: dict, progress: Callable) -> dict | None:
    """The work of the kind `test`, by its name."""
    return WORK[inputs["do"]](progress)


KINDS = {
    "test": JobKind(name="test", title="Test", work="tests.core.jobs.test_job:work"),
    "slot": JobKind(
        name="slot", title="Test", work="tests.core.jobs.test_job:work", slots=lambda workspace, job: (Slot("a"), Slot("a", 1))
    ),
}


class Threads:
    """An executor of threads, which do the kinds above."""

    reserve = None

    def start(self) -> ThreadWorker:
        return ThreadWorker(KINDS)

    def give_back(self, worker: ThreadWorker) -> None:
        pass

    def fill_reserve(self) -> None:
        pass

    def close(self) -> None:
        pass


def asked(name: str, kind: str = "test", **more: object) -> Request:
    return Request(kind, name, {"do": name, **more})


@pytest.fixture
def queue(workspace: Workspace):
    WORK.clear()
    queue = Queue(workspace, KINDS, Threads())
    queue.open()
    yield queue
    queue.close()


def state_of(queue: Queue, job: Job) -> str:
    return queue.status(job).state


def ended(queue: Queue, job: Job) -> JobStatus:
    until(lambda: queue.wait(job, 0.1))
    return queue.status(job)


def test_work_is_done_once_for_all_who_ask(queue):
    begun, may_end = [], Event()
    WORK["a"] = lambda progress: begun.append(1) or (may_end.wait(10) and {"made": "it"})
    first, second = queue.submit(asked("a")), queue.submit(asked("a"))
    other = queue.submit(asked("a", size=2))
    assert first == second == queue.doing(asked("a")) != other
    assert not queue.wait(first, 0)
    may_end.set()
    assert ended(queue, first) == JobStatus(state="finished", result={"made": "it"})
    ended(queue, other)
    assert begun == [1, 1]
    assert queue.doing(asked("a")) is None
    assert queue.submit(asked("a")) != first, "work that has ended is begun anew"


def test_so_many_at_a_time_and_those_that_wait_say_so_and_can_be_cancelled(queue):
    may_end, began = Event(), []
    WORK["endless"] = lambda progress: may_end.wait(10) and None
    WORK["other"] = lambda progress: began.append(1)
    going_on = [queue.submit(asked("endless", number=n)) for n in range(MOST_BESIDE)]
    waiting, last = queue.submit(asked("other")), queue.submit(asked("other", number=2))
    until(lambda: [state_of(queue, job) for job in going_on] == ["running"] * MOST_BESIDE)
    assert state_of(queue, waiting) == state_of(queue, last) == "queued"
    queue.cancel(waiting)
    assert state_of(queue, waiting) == "cancelled"
    may_end.set()
    assert ended(queue, last).state == "finished"
    assert began == [1]
    with pytest.raises(InputError, match="it is cancelled"):
        queue.cancel(waiting)


def test_what_was_put_ready_for_work_that_is_cancelled_before_it_began_is_removed(queue, monkeypatch):
    tidied, may_end = [], Event()
    monkeypatch.setitem(KINDS, "test", replace(KINDS["test"], tidy=lambda workspace, job: tidied.append(job)))
    WORK["endless"] = lambda progress: may_end.wait(10) and None
    WORK["other"] = lambda progress: None
    going_on = [queue.submit(asked("endless", number=n)) for n in range(MOST_BESIDE)]
    here, elsewhere = queue.submit(asked("other")), queue.submit(asked("other", number=2))
    queue.cancel(here)
    assert tidied == [here]
    KINDS["test"].cancel(queue.workspace, elsewhere)  # as another process does it
    may_end.set()
    for job in [*going_on, elsewhere]:
        ended(queue, job)
    until(lambda: tidied == [here, elsewhere])


def test_progress_and_what_is_left_are_told_and_cancelled_work_stops_where_it_tells(queue):
    told, go_on = Event(), Event()

    def endless(progress):
        for done in count(1):
            progress("Counting", done, 10**6)
            if done == 5:
                told.set()
            if done > 5:
                go_on.wait(0.05)

    WORK["endless"] = endless
    job = queue.submit(asked("endless"))
    assert told.wait(10)
    until(lambda: queue.status(job).left_s)
    status = queue.status(job)
    assert (status.state, status.what, status.total) == ("running", "Counting", 10**6)
    assert 0 < status.share < 0.01 and status.left_s > 100
    queue.cancel(job)
    assert queue.doing(asked("endless")) is None, "who asks now gets work of his own"
    assert ended(queue, job).state == "cancelled"


def test_failures_of_every_kind_are_told(queue):
    def refuses(progress):
        raise InputError("Not so.", hint="Otherwise.")

    def full(progress):
        raise OSError(28, "No space left on device", "/x")

    WORK.update(refuses=refuses, full=full, breaks=lambda progress: 1 / 0)
    assert ended(queue, queue.submit(asked("refuses"))).message == "Not so. Otherwise."
    assert "Make room" in ended(queue, queue.submit(asked("full"))).message
    status = ended(queue, queue.submit(asked("breaks")))
    assert status.state == "failed" and "went wrong (ZeroDivisionError)" in status.message


def test_each_slot_is_for_one_job_and_both_are_used(queue):
    may_end = Event()
    WORK["long"] = lambda progress: may_end.wait(10) and None
    jobs = [queue.submit(asked("long", "slot", number=n)) for n in range(3)]
    until(lambda: [state_of(queue, job) for job in jobs] == ["running", "running", "queued"])
    assert sorted(slot.name for slot in queue.slots.values()) == ["a-0", "a-1"]
    lock = Slot("a").hold(0)  # another program has the first one by the time it is given up here
    may_end.set()
    assert [ended(queue, job).state for job in jobs] == ["finished"] * 3
    assert lock is not None
    lock.release()


def test_a_slot_is_the_machine_s_and_not_a_workspace_s():
    lock = Slot("b", 3).hold(0)
    assert lock is not None and not Slot("b", 3).is_free()
    assert Slot("b", 2).is_free(), "two GPUs never share a lock"
    assert Slot("b", 3).hold(0.05) is None
    lock.release()
    assert Slot("b", 3).is_free()


def test_the_end_of_the_server_ends_the_work_and_says_so(workspace):
    is_gone = Event()
    WORK["waits"] = lambda progress: [progress("Waiting", n, 0) or is_gone.wait(0.02) for n in range(1000)] and None
    job = create_job(workspace, asked("waits"))
    is_gone.set()
    found = carry_out(workspace, job, KINDS["test"], is_gone.is_set)
    assert found is not None and (found.reason, found.message) == ("interrupted", "The server ended. Begin it again.")
    assert not is_locked(job.path / "lock")


def test_what_waits_for_a_server_that_is_gone_reads_as_interrupted(workspace):
    queue = Queue(workspace, KINDS, Threads())  # not serving
    WORK["a"] = lambda progress: None
    job = queue.submit(asked("a"))
    assert queue.status(job).state == "interrupted"
    assert "before it began" in queue.status(job).message


def test_a_job_is_found_by_its_id_alone_and_damage_is_passed_over(workspace, queue):
    WORK["a"] = lambda progress: None
    job = queue.submit(asked("a"))
    ended(queue, job)
    assert find_job(workspace, job.id) == job
    for unknown in ("", "..", "../runs", f"../jobs/{job.id}", job.id[:-1] + "g", "20260101-000000-test-00000000"):
        with pytest.raises(InputError, match="There is no job"):
            find_job(workspace, unknown)
    (Path(workspace.jobs) / "20260101-000000-test-00000000").mkdir()
    (Path(workspace.jobs) / "rubbish").mkdir()
    assert list_jobs(workspace) == [job]
    (job.path / "job.json").write_text("{")
    assert list_jobs(workspace) == []


def test_events_of_a_job_tell_its_course(workspace):
    WORK["a"] = lambda progress: progress("Counting", 1, 2)
    job = create_job(workspace, asked("a"))
    carry_out(workspace, job, KINDS["test"])
    assert [row["kind"] for row in EventReader(job.events).read()] == ["queued", "started", "progress", "ended"]
    assert carry_out(workspace, job, KINDS["test"]) is None, "it waits no longer"


@pytest.mark.parametrize(
    ("raised", "state", "message"),
    [
        (None, "finished", ""),
        (InputError("It does not fit."), "failed", "It does not fit."),
        (KeyboardInterrupt(), "cancelled", ""),
        (ZeroDivisionError(), "failed", "Something in Trainscope went wrong (ZeroDivisionError)"),
    ],
)
def test_what_a_command_does_itself_is_in_the_list_and_raises_what_it_raised(workspace, raised, state, message):
    told, seen = [], []

    def command() -> None:
        with told_as_a_job(workspace, asked("a"), lambda *progress: told.append(progress)) as tell:
            tell("Counting", 1, 2)
            (job,) = list_jobs(workspace)
            seen.append(folder_status(workspace, job))
            if raised:
                raise raised

    if raised:
        with pytest.raises(type(raised)):
            command()
    else:
        command()
    assert told == [("Counting", 1, 2)]
    assert (seen[0].state, seen[0].what, seen[0].done) == ("running", "Counting", 1)
    (job,) = list_jobs(workspace)
    status = folder_status(workspace, job)
    assert (status.state, status.message.startswith(message)) == (state, True)
    assert not is_locked(job.path / "lock")


def test_what_a_command_does_itself_is_cancelled_from_elsewhere(workspace):
    with (
        pytest.raises(InputError, match="it was cancelled"),
        told_as_a_job(workspace, asked("a"), lambda *progress: None) as tell,
    ):
        (job,) = list_jobs(workspace)
        cancel_folder(workspace, job)
        tell("Counting", 1, 2)
    assert folder_status(workspace, job).state == "cancelled"


def test_progress_raises_cancelled_in_the_work(workspace):
    seen = []

    def stubborn(progress):
        try:
            progress("Counting", 1, 2)
        except Cancelled:
            seen.append(1)
            raise

    WORK["a"] = stubborn
    job = create_job(workspace, asked("a"))
    job.ask_to_cancel()
    assert carry_out(workspace, job, KINDS["test"]) is None, "cancelled before it began"
    assert seen == []
