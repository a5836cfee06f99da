"""A job: a kind of work that takes long, with its inputs, in a folder of its own. Where it stands is worked out, never stored."""

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar, Literal

from filelock import FileLock

from core.errors import InputError
from core.files import move_folder, remove_quietly, write_json_atomically
from core.locks import is_locked
from core.runs.event_log import append_event, read_tail
from core.workspace import Workspace

State = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
ID_PATTERN = re.compile(r"\d{8}-\d{6}-[a-z-]{1,30}-[0-9a-f]{8}")
KEPT_JOBS = 60  # that have ended; what they made is kept elsewhere


@dataclass(frozen=True)
class JobEvent:
    """A line of a job's events. A vocabulary of its own: a run tells much more."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class JobQueued(JobEvent):
    """server: the lock of the server in whose queue it waits; once nobody holds that, nobody will begin it."""

    kind: ClassVar[str] = "queued"
    server: str


@dataclass(frozen=True)
class JobStarted(JobEvent):
    kind: ClassVar[str] = "started"
    pid: int


@dataclass(frozen=True, kw_only=True)
class JobProgress(JobEvent):
    """total: 0 where it is not known. seconds: since the job began."""

    kind: ClassVar[str] = "progress"
    what: str
    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class JobEnded(JobEvent):
    """message: a sentence where it did not finish. result: what the work returned, such as the name of what it made."""

    kind: ClassVar[str] = "ended"
    reason: State
    message: str = ""
    result: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """what, done, total: the progress told last. left_s: seconds to go at the pace so far, None where that can't be told."""

    state: State | str
    message: str = ""
    what: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    left_s: float | None = None
    result: Mapping[str, Any] | None = None

    @property
    def is_active(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def share(self) -> float:
        """0..1; 0 where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class Request:
    """Work that somebody wants done. inputs: what JSON can hold; the same ones mean the same work. title: for lists."""

    kind: str
    title: str
    inputs: Mapping[str, Any]

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps([self.kind, self.inputs], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """kind: its name in the catalogue. path: its folder, that of the run for a training."""

    kind: str
    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @cached_property
    def description(self) -> dict[str, Any]:
        """What was written when it was made: kind, title, inputs, key, owner."""
        return json.loads((self.path / "job.json").read_bytes())

    @property
    def inputs(self) -> dict[str, Any]:
        return self.description["inputs"]

    @property
    def title(self) -> str:
        return self.description["title"]

    @property
    def key(self) -> str:
        """The same for the same work, so that it is done once for all who ask."""
        return self.description["key"]

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def lock(self) -> FileLock:
        """Held for life by whoever does the work."""
        return FileLock(self.path / "lock")

    def ask_to_cancel(self) -> None:
        """Heard by whoever does the work, in whatever process."""
        with suppress(FileNotFoundError):  # removed meanwhile
            (self.path / "cancel").touch()

    @property
    def is_unwanted_since(self) -> float | None:
        """When it was to be cancelled, in seconds since 1970."""
        try:
            return os.stat(self.path / "cancel").st_mtime
        except FileNotFoundError:
            return None


def create_job(workspace: Workspace, request: Request, *, server: str = "", owner: str = "") -> Job:
    """A new job's folder. Nothing has started yet. Raises OSError."""
    _prune(workspace)
    kind = request.kind
    job = Job(kind, workspace.jobs / f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}-{secrets.token_hex(4)}")
    aside = Job(kind, workspace.jobs / f".new-{job.id}")
    try:
        aside.path.mkdir()
        content = {"kind": kind, "title": request.title, "inputs": dict(request.inputs), "key": request.key, "owner": owner}
        write_json_atomically(aside.path / "job.json", content)
        append_event(aside.events, JobQueued(server))
        move_folder(aside.path, job.path)
    except BaseException:
        remove_quietly(aside.path)
        raise
    return job


def list_jobs(workspace: Workspace) -> list[Job]:
    """Those in folders of their own, the newest first; what is damaged is passed over."""
    names = sorted((entry.name for entry in os.scandir(workspace.jobs) if ID_PATTERN.fullmatch(entry.name)), reverse=True)
    found = (_read(workspace.jobs / name) for name in names)
    return [job for job in found if job]


def find_job(workspace: Workspace, job_id: str) -> Job:
    """Looked up, never joined to a path unchecked. Raises InputError."""
    if ID_PATTERN.fullmatch(job_id) and (job := _read(workspace.jobs / job_id)):
        return job
    raise InputError(f"There is no job '{job_id[:100]}'.", code="job", hint="'python -m core jobs' lists them.")


def _read(path: Path) -> Job | None:
    try:
        job = Job("", path)
        kind = job.description["kind"]
        _ = job.inputs, job.title, job.key
        return replace(job, kind=str(kind))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def folder_status(workspace: Workspace, job: Job) -> JobStatus:
    """Where a job stands, from its folder."""
    is_held = is_locked(job.path / "lock")  # before the events are read: a worker writes "ended" before it lets go
    rows = read_tail(job.events)
    last: dict[str, Any] = rows[-1] if rows else {"kind": "queued", "server": ""}
    told = next((row for row in reversed(rows) if row["kind"] == "progress"), None)
    progress: dict[str, Any] = {} if told is None else {name: told[name] for name in ("what", "done", "total", "seconds")}
    if last["kind"] == "ended":
        return JobStatus(state=last["reason"], message=last["message"], result=last["result"], **progress)
    if last["kind"] == "queued" and not is_held:
        waits = is_locked(server_lock(workspace, last["server"]))
        return JobStatus(state="queued") if waits else JobStatus(state="interrupted", message="The server ended before it began.")
    if not is_held:
        message = "Its process is gone without a word: killed, or the computer went down. Begin it again."
        return JobStatus(state="interrupted", message=message, **progress)
    return JobStatus(state="running", left_s=_left_s(rows), **progress)


def _left_s(rows: list[dict[str, Any]]) -> float | None:
    """From the pace so far of what is being counted now."""
    told = [row for row in rows if row["kind"] == "progress"]
    if not told or not told[-1]["total"]:
        return None
    last = told[-1]
    counted = list(takewhile(lambda row: row["total"] == last["total"], reversed(told)))
    done, seconds = last["done"] - counted[-1]["done"], last["seconds"] - counted[-1]["seconds"]
    return (last["total"] - last["done"]) * seconds / done if done > 0 and seconds > 0.3 else None


def server_lock(workspace: Workspace, server: str) -> Path:
    return workspace.locks / f"server-{server or 'none'}.lock"


def _prune(workspace: Workspace) -> None:
    ended = [job for job in list_jobs(workspace) if not folder_status(workspace, job).is_active]
    for job in ended[KEPT_JOBS:]:
        with suppress(OSError):
            shutil.rmtree(job.path)
