"""The queue of one server: which jobs wait, which go on, and in what process. It knows kinds of jobs, not what they do.

Of the kinds that go on with the next server, what goes on and waits is written to queue.json, where that one finds it.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from filelock import FileLock

from core.errors import InputError
from core.files import disk_error, write_json_atomically
from core.jobs.executor import LocalProcesses, Worker
from core.jobs.job import Job, JobStatus, Request, create_job, find_job, server_lock
from core.jobs.kinds import JobKind
from core.jobs.slots import Slot, first_free
from core.runs.directory import read_json
from core.workspace import Workspace

LOG = logging.getLogger(__name__)
LOOK_S = 0.5
CANCEL_S = 1.2  # what a job has to hear that it is cancelled, before its process is killed
MOST_BESIDE = 2  # jobs that need no device, at the same time


class Queue:
    """Every public method may be called from any thread."""

    def __init__(self, workspace: Workspace, kinds: Mapping[str, JobKind], executor: LocalProcesses) -> None:
        self.workspace, self.kinds, self.executor = workspace, kinds, executor
        self.server = secrets.token_hex(4)
        self.waiting: list[Job] = []
        self.active: dict[Job, Worker] = {}
        self.slots: dict[Job, Slot] = {}
        self.known: set[str] = set()  # every job that was ever in this queue
        self.changed = threading.Condition()
        self.is_closed = False
        self._thread = threading.Thread(target=self._serve, name="queue", daemon=True)
        self._watching: set[threading.Thread] = set()
        self._lock: FileLock | None = None

    def open(self) -> None:
        """Starts serving."""
        _sweep_servers(self.workspace)
        self._lock = FileLock(server_lock(self.workspace, self.server))
        self._lock.acquire(timeout=1)
        self.executor.fill_reserve()
        self._thread.start()

    def submit(self, request: Request, owner: str = "") -> Job:
        """A job for this work, or the one that is doing the same already, whoever asked for that. Raises InputError."""
        with self.changed:
            if job := self.doing(request):
                return job
            try:
                job = create_job(self.workspace, request, server=self.server, owner=owner)
            except OSError as error:
                raise disk_error(error) from error
            self.put_in_line(job)
            return job

    def doing(self, request: Request) -> Job | None:
        """The job that does this work or waits for it."""
        with self.changed:
            alike = (job for job in [*self.active, *self.waiting] if job.kind == request.kind and job.key == request.key)
            return next((job for job in alike if not job.is_unwanted_since), None)

    def put_in_line(self, job: Job) -> None:
        with self.changed:
            self.known.add(job.id)
            if job not in self.waiting and job not in self.active:
                self.waiting.append(job)
            self.note()
            self.changed.notify_all()

    def take_out(self, job: Job) -> bool:
        """Whether it waited here."""
        with self.changed:
            if job not in self.waiting:
                return False
            self.waiting.remove(job)
            self.note()
            return True

    def move(self, job: Job, place: int) -> None:
        """Puts a waiting job at this place among those of its kind, 1 being the next; does nothing for one that waits no longer."""
        with self.changed:
            if job not in self.waiting:
                return
            self.waiting.remove(job)
            alike = [i for i, other in enumerate(self.waiting) if other.kind == job.kind]
            place = max(place - 1, 0)
            self.waiting.insert(alike[place] if place < len(alike) else len(self.waiting), job)
            self.note()

    def line(self, kind: str) -> list[Job]:
        """The waiting ones of a kind, the next one first."""
        with self.changed:
            return [job for job in self.waiting if job.kind == kind]

    def going_on(self, kind: str) -> list[Job]:
        with self.changed:
            return [job for job in self.active if job.kind == kind]

    def find(self, job_id: str) -> Job | None:
        """A job of this queue that goes on or waits."""
        with self.changed:
            return next((job for job in [*self.active, *self.waiting] if job.id == job_id), None)

    def ended(self, job_id: str) -> JobStatus | None:
        """How a job that is no longer in this queue stands; None where it was removed meanwhile."""
        try:
            return self.status(find_job(self.workspace, job_id))
        except InputError:
            return None

    def wait(self, job: Job, timeout_s: float) -> bool:
        """Whether it has ended, by then at the latest."""
        with self.changed:
            return self.changed.wait_for(lambda: job not in self.active and job not in self.waiting, timeout_s)

    def status(self, job: Job) -> JobStatus:
        return self.kinds[job.kind].status(self.workspace, job)

    def cancel(self, job: Job) -> None:
        """Has a job end, within two seconds; one that waits is taken out. Raises InputError if it has ended already."""
        waited, kind = self.take_out(job), self.kinds[job.kind]
        kind.cancel(self.workspace, job)
        if waited:
            kind.tidy(self.workspace, job)

    def close(self) -> None:
        """Ends every process of ours; those at work save and end first. The queue's file is left for the next server."""
        with self.changed:
            self.is_closed = True
            workers = list(self.active.values())
            self.changed.notify_all()
        for worker in workers:
            worker.let_go()
        self.executor.close()
        for worker in workers:
            worker.end()
        for thread in self.threads:  # they write down how the work ended
            if thread.is_alive():
                thread.join(LOOK_S)
        if self._lock:
            self._lock.release()
            with suppress(OSError):
                server_lock(self.workspace, self.server).unlink()

    @property
    def threads(self) -> list[threading.Thread]:
        return [self._thread, *self._watching]

    def note(self) -> None:
        """Writes down what goes on and waits, beside what other servers of the workspace have. Called with the condition held."""
        if self.is_closed:
            return
        ours = [job.id for job in [*self.active, *self.waiting] if self.kinds[job.kind].goes_on]
        try:
            with FileLock(self.workspace.locks / "queue.lock"):
                others = [job_id for job_id in self.noted() if job_id not in self.known]
                write_json_atomically(self.workspace.queue, {"runs": [*ours, *others]})
        except OSError:
            LOG.exception("the queue could not be written down")  # it still works as long as this server

    def noted(self) -> list[str]:
        """Ids that this or an earlier server has written down."""
        try:
            return [str(job_id) for job_id in read_json(self.workspace.queue, {"runs": []})["runs"]]
        except (ValueError, KeyError, TypeError):
            LOG.exception("queue.json is damaged; waiting runs are found by their events")
            return []

    def _next(self) -> tuple[Job, Slot | None] | None:
        """The first waiting job that can begin, with its slot. Another server or a command line may have a device too."""
        beside = sum(job not in self.slots for job in self.active)
        for job in self.waiting:
            wanted = self.kinds[job.kind].slots(self.workspace, job)
            if not wanted:
                if beside < MOST_BESIDE:
                    return job, None
                continue
            ours = set(self.slots.values())
            if slot := first_free(tuple(slot for slot in wanted if slot not in ours)):
                return job, slot
        return None

    def _serve(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.is_closed or self.waiting or self.active)
                # looked at again and again: nobody tells when a job of another process ends, or is cancelled from there
                if not self.is_closed:
                    self.changed.wait_for(lambda: self.is_closed or self._next(), timeout=LOOK_S)
                if self.is_closed:
                    return
                self._kill_unwanted()
                found = self._next()
                if found is None:
                    continue
                job, slot = found
                self.waiting.remove(job)
                state = self.status(job).state
                if state == "queued":  # else taken out of the queue, or done, by another process
                    self._begin(job, slot)
                elif state == "cancelled":
                    self.kinds[job.kind].tidy(self.workspace, job)
                self.note()

    def _kill_unwanted(self) -> None:
        for job, worker in self.active.items():
            since = job.is_unwanted_since
            if since and time.time() - since > CANCEL_S:
                worker.kill()

    def _begin(self, job: Job, slot: Slot | None) -> None:
        try:
            worker = self.executor.start()
        except OSError:  # no more processes, or no memory for one
            LOG.exception("no process for %s", job.id)
            self._note_end(job, None)
            return
        self.active[job] = worker
        if slot:
            self.slots[job] = slot
        watching = threading.Thread(target=self._see_through, args=(job, worker, slot), name=f"job-{job.id}", daemon=True)
        self._watching = {thread for thread in self._watching if thread.is_alive()} | {watching}
        watching.start()

    def _see_through(self, job: Job, worker: Worker, slot: Slot | None) -> None:
        code: int | None = 1
        try:
            worker.give({"home": str(self.workspace.home), "kind": job.kind, "path": str(job.path), "slot": slot and slot.index})
            code = worker.wait()
            if code is not None:
                self._note_end(job, code)
        finally:  # whatever happens, those behind it get their turn
            with self.changed:
                del self.active[job]
                self.slots.pop(job, None)
                if code is None and not self.is_closed:
                    self.executor.give_back(worker)
                else:
                    worker.let_go()
                self.note()
                self.changed.notify_all()
        if not self.waiting and not self.is_closed:
            with suppress(OSError):
                self.executor.fill_reserve()

    def _note_end(self, job: Job, code: int | None) -> None:
        """Where that can't be written, on a full disk say, the job reads as interrupted, and those behind it still get their turn."""
        kind = self.kinds[job.kind]
        try:
            kind.note_end(self.workspace, job, code)
            kind.tidy(self.workspace, job)
        except (InputError, OSError):
            LOG.exception("the end of %s was not recorded", job.id)


def _sweep_servers(workspace: Workspace) -> None:
    """The locks of servers that are gone."""
    for path in workspace.locks.glob("server-*.lock"):
        lock = FileLock(path)
        with suppress(OSError, TimeoutError), lock.acquire(timeout=0):
            path.unlink()
