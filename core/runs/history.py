"""The one reading of a run: its events folded into columns, evaluations, checkpoints, changes and the summary that lists show.

Whatever is said of a run (status, charts, lists, what a resume goes on from) is a view of this fold.
"""

import math
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.config import CatalogueNetwork, ModelConfig, TrainConfig
from core.runs.directory import Run
from core.runs.event_log import EventReader, Logged, from_row, rare_rows
from core.runs.summary import Summary
from core.settings import changed
from core.training.events import (
    Changed,
    CheckpointSaved,
    Ended,
    Evaluated,
    LearningWeights,
    Preparing,
    Queued,
    Started,
    ThreadsChanged,
)
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


@dataclass(kw_only=True)
class History:
    """steps: an array for each of STEP_COLUMNS, one entry a record. evaluations: one per evaluated epoch from 0.

    started, preparing, ended: the last such event, None where there is none or it counts no longer. changes: settings changed on the
    way. learning: where layers were unfrozen. story: every start, change, unfreezing and end, superseded ones too, in the order of
    time. A resume supersedes what came after its checkpoint. inexact: (step, reason) of each time that going on may have changed the
    last bits. wavered_at: the step at which the number of threads first followed the load of the machine, which does so too.
    dropped: lines that are damaged, or no events.
    """

    steps: dict[str, array] = field(default_factory=lambda: {name: array(code) for name, code in STEP_COLUMNS.items()})
    evaluations: list[Evaluated] = field(default_factory=list)
    checkpoints: list[CheckpointSaved] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    learning: list[LearningWeights] = field(default_factory=list)
    story: list[Logged] = field(default_factory=list)
    started: Started | None = None
    preparing: Preparing | None = None
    ended: Ended | None = None
    threads: int = 1
    wavered_at: int | None = None
    inexact: list[tuple[int, str]] = field(default_factory=list)
    dropped: int = 0
    summary: Summary = field(default_factory=Summary)

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of the events file in their order. Step records go straight into the columns: there may be a million."""
        for row in rows:
            if row.get("kind") == "step":
                self._add_step(row)
            elif logged := from_row(row):
                self.add(logged)
            else:
                self.dropped += 1

    def _add_step(self, row: Mapping[str, Any]) -> None:
        values = [row.get(name) for name in STEP_COLUMNS]
        try:
            for column, value in zip(self.steps.values(), values, strict=True):
                column.append(math.nan if value is None else value)
        except TypeError:  # no number: not as the loop writes it
            shortest = min(map(len, self.steps.values()))
            for column in self.steps.values():
                del column[shortest:]
            self.dropped += 1
            return
        self.summary.step_at(self.steps["seconds"][-1])

    def add(self, logged: Logged) -> None:
        event = logged.event
        if isinstance(event, (Queued, Started, Changed, LearningWeights, Ended)):
            self.story.append(logged)
        self.summary.add(event)
        match event:
            case Evaluated():
                while self.evaluations and self.evaluations[-1].epoch >= event.epoch:
                    self.evaluations.pop()  # evaluated again after a resume
                self.evaluations.append(event)
            case CheckpointSaved():
                self.checkpoints = [other for other in self.checkpoints if other.name != event.name]
                self.checkpoints.append(event)
            case Changed():
                self.changes = [*(other for other in self.changes if other.number != event.number), event]
            case LearningWeights():
                self.learning = [*(other for other in self.learning if other.step != event.step), event]
            case Preparing():
                self.preparing = event
            case Started():
                self._forget_after(event.from_step)
                if event.epoch is not None:  # a checkpoint may have been saved before its epoch was evaluated
                    self.evaluations = [other for other in self.evaluations if other.epoch <= event.epoch]
                self.started, self.preparing, self.ended, self.threads = event, None, None, event.threads
                if event.inexact:
                    self.inexact.append((event.from_step, event.inexact))
                last = self.last_evaluation
                if not self.summary.is_told:
                    self.summary.go_back(last.epoch if last else 0, last.accuracy if last else None)
            case ThreadsChanged():
                self.threads = event.threads
                self.wavered_at = event.step if self.wavered_at is None else self.wavered_at
            case Queued():
                self.ended = None
            case Ended():
                self.ended, self.preparing = event, None

    def _forget_after(self, step: int) -> None:
        kept = bisect_right(self.steps["step"], step)
        for column in self.steps.values():
            del column[kept:]
        self.evaluations = [event for event in self.evaluations if event.step <= step]
        self.checkpoints = [event for event in self.checkpoints if event.step <= step]
        self.changes = [event for event in self.changes if event.step <= step]
        self.learning = [event for event in self.learning if event.step <= step]
        self.inexact = [(since, why) for since, why in self.inexact if since <= step]
        self.wavered_at = self.wavered_at if self.wavered_at is not None and self.wavered_at <= step else None

    def config(self, config: TrainConfig) -> TrainConfig:
        """The configuration as it stands after all changes."""
        return changed(config, {event.setting: event.after for event in self.changes}) if self.changes else config

    def all_changes(self) -> dict[int, Changed]:
        """By number, those too that a resume has superseded: going on takes them again where they lie."""
        return {logged.event.number: logged.event for logged in self.story if isinstance(logged.event, Changed)}

    def columns(self, *names: str) -> list[np.ndarray]:
        """The step records' columns as float arrays of equal length, NaN where a value was not finite."""
        n = len(self.steps["images_per_s"])  # the last to be filled: another session may be adding a row
        return [np.array(self.steps[name][:n], dtype=float) for name in names]

    def points(self, what: str, x: str) -> tuple[np.ndarray, np.ndarray]:
        """The training's "loss", "accuracy" or "lr" at each step record, over "examples", "step", "epoch" or "seconds"."""
        positions, values = self.columns("step" if x == "epoch" else x, what)
        return (self._in_epochs(positions) if x == "epoch" else positions), values

    def evaluated_points(self, what: str, x: str) -> tuple[np.ndarray, np.ndarray]:
        """The same of the evaluated split."""
        return self.positions(self.evaluations, x), np.array([getattr(row, what) for row in self.evaluations], float)

    def positions(self, events: Sequence[Evaluated | Changed], x: str) -> np.ndarray:
        """Where these events stand on that axis."""
        positions = np.array([getattr(event, "step" if x == "epoch" else x) for event in events], float)
        return self._in_epochs(positions) if x == "epoch" else positions

    def _in_epochs(self, steps: np.ndarray) -> np.ndarray:
        return steps / (self.started.steps_per_epoch if self.started else 1)

    @property
    def takes_cores(self) -> int:
        """The cores of this machine if training takes all of them, so that whatever else it does slows the training; else 0."""
        return self.threads if self.threads >= available_cores() else 0

    @property
    def last_evaluation(self) -> Evaluated | None:
        return self.evaluations[-1] if self.evaluations else None

    @property
    def best_evaluation(self) -> Evaluated | None:
        """The most accurate one after training began, the earliest of equals."""
        trained = [event for event in self.evaluations if event.epoch > 0]
        return max(trained, key=lambda event: (event.accuracy, -event.epoch), default=None)


class _Growing:
    """A history kept up with its file, by one reader for all sessions of a server."""

    def __init__(self, path: Path) -> None:
        self.reader, self.history, self.lock = EventReader(path), History(), threading.Lock()

    def now(self) -> History:
        with self.lock:
            for rows in self.reader.pieces():
                self.history.add_rows(rows)
                self.history.dropped += self.reader.take_dropped()
            return self.history


@lru_cache(maxsize=32)
def _growing(path: Path) -> _Growing:
    return _Growing(path)


def history_of(run: Run) -> History:
    """The history up to now. Each call reads only what is new."""
    return _growing(run.events).now()


def model_now(run: Run) -> ModelConfig:
    """As it learns now: once its layers were unfrozen, it is no frozen one any more."""
    history = history_of(run)
    model = history.config(run.config).model
    epoch = max([1, *(event.epoch for event in history.learning)])
    if isinstance(model, CatalogueNetwork) and model.frozen and not model.is_frozen_in(epoch):
        return model.model_copy(update={"frozen": False, "unfreeze_epoch": None})
    return model


def story_of(run: Run) -> History:
    """The history without its step records, read in a moment whatever its length."""
    history = History()
    history.add_rows(rare_rows(run.events))
    return history
