"""A run's course as columns, read from its events file bit by bit; what charts and tables are made from."""

import math
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.config import TrainConfig
from core.runs.directory import Run
from core.runs.event_log import EventReader
from core.settings import changed
from core.training.threads import available_cores

# q: whole numbers, d: floats, NaN where a value was not finite; a million records take 64 MB
STEP_COLUMNS = {
    "step": "q",
    "epoch": "q",
    "examples": "q",
    "seconds": "d",
    "loss": "d",
    "accuracy": "d",
    "lr": "d",
    "images_per_s": "d",
}


@dataclass
class History:
    """steps: an array for each of STEP_COLUMNS, one entry a record. evaluations: rows, one per evaluated epoch from 0.

    started, ended: the last such row, None where there is none. changes: settings changed on the way. story: every start,
    change and end, superseded ones too, in the order of time. A resume supersedes what came after its checkpoint.
    inexact: (step, reason) of each time that going on may have changed the last bits. wavered_at: the step at which the
    number of threads first followed the load of the machine, which does so too.
    """

    steps: dict[str, array] = field(default_factory=lambda: {name: array(code) for name, code in STEP_COLUMNS.items()})
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    story: list[dict[str, Any]] = field(default_factory=list)
    started: dict[str, Any] | None = None
    preparing: dict[str, Any] | None = None
    ended: dict[str, Any] | None = None
    threads: int = 1
    wavered_at: int | None = None
    inexact: list[tuple[int, str]] = field(default_factory=list)
    dropped: int = 0

    def add(self, row: dict[str, Any]) -> None:
        if row["kind"] in ("queued", "started", "changed", "ended"):
            self.story.append(row)
        match row["kind"]:
            case "step":
                for name in STEP_COLUMNS:
                    self.steps[name].append(math.nan if row[name] is None else row[name])
            case "evaluation":
                while self.evaluations and self.evaluations[-1]["epoch"] >= row["epoch"]:
                    self.evaluations.pop()  # judged again after a resume
                self.evaluations.append(row)
            case "checkpoint":
                self.checkpoints = [other for other in self.checkpoints if other["name"] != row["name"]]
                self.checkpoints.append(row)
            case "changed":
                self.changes = [*(other for other in self.changes if other["number"] != row["number"]), row]
            case "preparing":
                self.preparing = row
            case "started":
                self._forget_after(row["from_step"])
                self.started, self.preparing, self.ended, self.threads = row, None, None, row["threads"]
                if row["inexact"]:
                    self.inexact.append((row["from_step"], row["inexact"]))
            case "threads":
                self.threads = row["threads"]
                self.wavered_at = row["step"] if self.wavered_at is None else self.wavered_at
            case "queued":
                self.ended = None
            case "ended":
                self.ended, self.preparing = row, None

    def _forget_after(self, step: int) -> None:
        kept = bisect_right(self.steps["step"], step)
        for column in self.steps.values():
            del column[kept:]
        self.evaluations = [row for row in self.evaluations if row["step"] <= step]
        self.checkpoints = [row for row in self.checkpoints if row["step"] <= step]
        self.changes = [row for row in self.changes if row["step"] <= step]
        self.inexact = [(since, why) for since, why in self.inexact if since <= step]
        self.wavered_at = self.wavered_at if self.wavered_at is not None and self.wavered_at <= step else None

    def config(self, config: TrainConfig) -> TrainConfig:
        """The configuration as it stands after all changes."""
        return changed(config, {row["setting"]: row["after"] for row in self.changes}) if self.changes else config

    def columns(self, *names: str) -> list[np.ndarray]:
        """The step records' columns as float arrays of equal length, NaN where a value was not finite."""
        n = len(self.steps["images_per_s"])  # the last to be filled: another session may be adding a row
        return [np.array(self.steps[name][:n], dtype=float) for name in names]

    @property
    def takes_cores(self) -> int:
        """The cores of this machine if training takes all of them, so that whatever else it does slows the training; else 0."""
        return self.threads if self.threads >= available_cores() else 0

    @property
    def last_evaluation(self) -> dict[str, Any] | None:
        return self.evaluations[-1] if self.evaluations else None

    @property
    def best_evaluation(self) -> dict[str, Any] | None:
        """The most accurate one after training began, the earliest of equals."""
        trained = [row for row in self.evaluations if row["epoch"] > 0]
        return max(trained, key=lambda row: (row["accuracy"], -row["epoch"]), default=None)


CACHED_RUNS = 32
_cache: OrderedDict[str, tuple[EventReader, History]] = OrderedDict()
_lock = threading.Lock()


def history_of(run: Run) -> History:
    """The history up to now. One reader a run serves all sessions of a server; each call reads only what is new."""
    with _lock:
        key = str(run.path)
        reader, history = _cache.pop(key, None) or (EventReader(run.events), History())
        for rows in reader.pieces():
            for row in rows:
                history.add(row)
        history.dropped = reader.dropped
        _cache[key] = (reader, history)
        while len(_cache) > CACHED_RUNS:
            _cache.popitem(last=False)
    return history
