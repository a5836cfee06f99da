"""Where a run stands: a view of the summary of its history, and of its lock; nothing here is stored."""

import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from core.runs.directory import Run
from core.runs.event_log import EventReader, from_row
from core.runs.history import story_of
from core.runs.summary import Summary
from core.training.events import Ended, Event, Queued

State = Literal["queued", "running", "paused", "stopped", "finished", "failed", "interrupted"]
GONE = "The training process is gone without a word: killed, or the computer went down. What it had saved is kept."


@dataclass(frozen=True, kw_only=True)
class Status:
    """message: the sentence for a run that has ended, else empty. accuracy: of the last evaluation, 0..1. epochs: asked for
    as it stands, None before the start. cause: of a pause, as in events.Ended."""

    state: State
    message: str = ""
    epoch: int = 0
    accuracy: float | None = None
    seconds: float = 0.0
    epochs: int | None = None
    cause: str = ""
    is_unexplained: bool = False  # interrupted without a word by its process or its server

    @property
    def facts(self) -> dict[str, Any]:
        """What an end that others write down says of where the run stands."""
        return {"epoch": self.epoch, "accuracy": self.accuracy, "seconds": self.seconds, "epochs": self.epochs}

    @property
    def is_active(self) -> bool:
        return self.state in ("queued", "running")


def status_of(run: Run) -> Status:
    is_held = run.is_held()  # before the events are read: a trainer writes "ended" before it lets go
    try:
        summary = summary_of(run)
    except OSError as error:
        return Status(state="interrupted", message=f"Its files can't be read ({error.strerror}).")
    return status_told(summary, is_held)


def status_told(summary: Summary, is_held: bool) -> Status:
    """is_held: whether a living process trains the run."""
    where: dict[str, Any] = {
        "epoch": summary.epoch,
        "accuracy": summary.accuracy,
        "seconds": summary.seconds,
        "epochs": summary.epochs,
    }
    match summary.last:
        case None:
            message = "" if is_held else "It was never started."
            return Status(state="running" if is_held else "interrupted", message=message, **where)
        case Ended(reason=reason, message=message, cause=cause):
            return Status(state=reason, message=message, cause=cause, **where)
        case Queued():
            return Status(state="queued", **where)
    if is_held:
        return Status(state="running", **where)
    return Status(state="interrupted", message=GONE, is_unexplained=True, **where)


def last_event(run: Run) -> Event | None:
    """The last event that tells the state; None before the first. For whoever holds the run's lock, to whom it seems held."""
    return summary_of(run).last


MOST_TAIL_BYTES = 1_000_000
CACHED_RUNS = 20_000


class _Growing:
    """A run's summary, kept up with its file: at first as much of its end as is needed, then what is new."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.Lock()
        self.summary, self.reader = Summary(), EventReader(path)

    def now(self) -> Summary:
        with self.lock:
            if self.reader.offset == 0:
                self._begin()
            else:
                self._catch_up()
            if not self.summary.is_told:  # never evaluated, an epoch of many records, or a resume of an older version
                of_all = story_of(Run(self.path.parent)).summary
                self.summary.go_back(of_all.epoch, of_all.accuracy)
                self.summary.epochs = self.summary.epochs or of_all.epochs
                self.summary.seconds = self.summary.seconds or of_all.seconds
            return replace(self.summary)

    def _begin(self) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        length = 4096
        while True:
            self.summary, self.reader = Summary(), EventReader(self.path, offset=max(0, size - length))
            self._catch_up()
            if self.summary.is_told:
                return
            if (
                length >= size or length > MOST_TAIL_BYTES
            ):  # never evaluated, an epoch of many records, or an older version's resume
                of_all = story_of(Run(self.path.parent)).summary
                self.summary.go_back(of_all.epoch, of_all.accuracy)
                self.summary.epochs = self.summary.epochs or of_all.epochs
                self.summary.seconds = self.summary.seconds or of_all.seconds
                return
            length *= 8

    def _catch_up(self) -> None:
        for rows in self.reader.pieces():
            for row in rows:
                if logged := from_row(row):
                    self.summary.add(logged.event)


@lru_cache(maxsize=CACHED_RUNS)
def _growing(path: Path) -> _Growing:
    return _Growing(path)


def summary_of(run: Run) -> Summary:
    """The summary of the run's history, worked out from the end of its events."""
    return _growing(run.events).now()
