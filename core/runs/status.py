"""Where a run stands, worked out from its last events and its lock; nothing here is stored."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

from core.runs.directory import Run
from core.runs.event_log import EventReader, rows_of_kind

State = Literal["queued", "running", "paused", "stopped", "finished", "failed", "interrupted"]
GONE = "The training process is gone without a word: killed, or the computer went down. What it had saved is kept."


@dataclass(frozen=True)
class Status:
    """message: the sentence for a run that has ended, else empty. accuracy: of the last evaluation, 0..1. epochs: asked for
    as it stands, None before the start. cause: of a pause, as in events.Ended."""

    state: State
    message: str
    epoch: int
    accuracy: float | None
    seconds: float
    epochs: int | None = None
    cause: str = ""
    is_unexplained: bool = False  # interrupted without a word by its process or its server

    @property
    def is_active(self) -> bool:
        return self.state in ("queued", "running")


def status_of(run: Run) -> Status:
    is_held = run.is_held()  # before the events are read: a trainer writes "ended" before it lets go
    try:
        last, *progress = _summary(run)
    except OSError as error:
        return Status("interrupted", f"Its files can't be read ({error.strerror}).", 0, None, 0.0)
    if last is None:
        return Status("running" if is_held else "interrupted", "" if is_held else "It was never started.", *progress)
    if last["kind"] == "ended":
        return Status(last["reason"], last["message"], *progress, last.get("cause", ""))
    if last["kind"] == "queued":
        return Status("queued", "", *progress)
    return Status("running", "", *progress) if is_held else Status("interrupted", GONE, *progress, is_unexplained=True)


def last_row(run: Run) -> dict[str, Any] | None:
    """The last event that tells the state; None before the first. For whoever holds the run's lock, to whom it seems held."""
    return _summary(run)[0]


MOST_TAIL_BYTES = 1_000_000


class _Reading:
    """A run's events in short, kept up with its file: at first as much of its end as is needed, then what is new."""

    def __init__(self, run: Run) -> None:
        size = run.events.stat().st_size if run.events.exists() else 0
        length = 4096
        while True:
            self.last: dict[str, Any] | None = None
            self.epoch, self.accuracy, self.seconds, self.epochs = 0, None, 0.0, None
            self.reader = EventReader(run.events, offset=max(0, size - length))
            self.catch_up()
            if length >= size or self.accuracy is not None:
                return
            if length > MOST_TAIL_BYTES:
                self._find_evaluation(run)
                return
            length *= 8

    def _find_evaluation(self, run: Run) -> None:
        """The last evaluation, where an epoch's records are longer than the tail."""
        for row in rows_of_kind(run.events, "evaluation")[-1:]:
            self.epoch, self.accuracy, self.epochs = row["epoch"], row["accuracy"], self.epochs or row.get("epochs")

    def catch_up(self) -> None:
        for row in self.reader.read():
            if row["kind"] not in ("checkpoint", "threads"):
                self.last = row
            self.seconds = max(self.seconds, row.get("seconds", 0.0))
            self.epochs = row.get("epochs") or self.epochs
            if row["kind"] == "changed" and row["setting"] == "epochs":
                self.epochs = row["after"]
            if row["kind"] in ("evaluation", "ended") and row["accuracy"] is not None:
                self.epoch, self.accuracy = row["epoch"], row["accuracy"]


CACHED_RUNS = 20_000
_cache: OrderedDict[str, _Reading] = OrderedDict()
_lock = threading.Lock()


def _summary(run: Run) -> tuple[dict[str, Any] | None, int, float | None, float, int | None]:
    """(last event that tells the state, epochs judged, accuracy of the last evaluation, seconds trained, epochs asked for)."""
    with _lock:
        reading = _cache.pop(str(run.path), None)
        if reading is None:
            reading = _Reading(run)
        else:
            reading.catch_up()
        _cache[str(run.path)] = reading
        if len(_cache) > CACHED_RUNS:
            _cache.popitem(last=False)
        return reading.last, reading.epoch, reading.accuracy, reading.seconds, reading.epochs
