"""All runs of a workspace in short, to be sorted and searched: ten thousand of them within a second, and kept up to date.

Of a run that has ended only the last line of its events, its configuration and its notes are read, once, and again when they change.
"""

import json
import os
import threading
import time
from calendar import month_abbr
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.runs.directory import Run, list_runs
from core.runs.event_log import decode_line, from_row
from core.runs.history import story_of
from core.runs.notes import read_notes
from core.runs.status import Status, status_of, status_told
from core.runs.summary import Summary
from core.training.events import Ended
from core.workspace import Workspace

FRESH_S = 1.0  # pages that ask again within this get the same figures, unless runs came or went
TAIL_BYTES = 2048


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """One run. title: its name, or what was trained. accuracy: of the last evaluation. parent: the run its weights came from.

    settings: every setting that it began with, "optimizer.lr=0.1" and so on, to be searched.
    """

    run: Run
    title: str
    tags: tuple[str, ...]
    note: str
    state: str
    message: str
    cause: str
    recipe: str
    dataset: str
    model: str
    optimizer: str
    lr: float | None
    epoch: int
    epochs: int | None
    accuracy: float | None
    seconds: float
    parent: str
    settings: str


@dataclass
class _Kept:
    signature: tuple[Any, ...]
    entry: ListedRun


_kept: dict[Workspace, dict[str, _Kept]] = {}
_listed: dict[Workspace, tuple[float, list[Run], list[ListedRun]]] = {}
_lock = threading.Lock()


def entries(workspace: Workspace) -> list[ListedRun]:
    """Every run, the newest first."""
    with _lock:
        runs = list_runs(workspace)
        looked, of_runs, listed = _listed.get(workspace, (0.0, [], []))
        if time.monotonic() - looked < FRESH_S and runs == of_runs:
            return listed
        before = _kept.get(workspace, {})
        now = {run.id: _entry(run, before.get(run.id)) for run in runs}
        listed = [kept.entry for kept in now.values()]
        _kept[workspace], _listed[workspace] = now, (time.monotonic(), runs, listed)
        return listed


def _entry(run: Run, before: _Kept | None) -> _Kept:
    signature = (_changed(f"{run.path}/events.jsonl"), _changed(f"{run.path}/notes.json"))
    if before and before.signature == signature and before.entry.state not in ("queued", "running"):
        return before
    notes = read_notes(run)
    config = _config(run)
    status = _last_words(f"{run.path}/events.jsonl") or status_of(run)
    entry = ListedRun(
        run=run,
        title=notes.name or label_of(run),
        tags=notes.tags,
        note=notes.note,
        state=status.state,
        message=status.message,
        cause=status.cause,
        recipe=config["recipe"],
        dataset=config["dataset"],
        model=config["model"],
        optimizer=config["optimizer"],
        lr=config["lr"],
        epoch=status.epoch,
        epochs=config["epochs"] if status.epochs is None else status.epochs,
        accuracy=status.accuracy,
        seconds=status.seconds,
        parent=config["parent"],
        settings=config["settings"],
    )
    return _Kept(signature, entry)


def label_of(run: Run) -> str:
    """What was trained, from the id alone."""
    return "-".join(run.id.split("-")[2:-1])


def _changed(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


DAMAGED = {
    "recipe": "",
    "dataset": "damaged",
    "model": "damaged",
    "optimizer": "",
    "lr": None,
    "epochs": None,
    "parent": "",
    "settings": "",
}


def _config(run: Run) -> dict[str, Any]:
    """What a list shows of the configuration, unchecked: for thousands of runs validation would take seconds."""
    try:
        with open(f"{run.path}/config.json", "rb") as file:
            config = json.load(file)
        origin = config.get("origin") or {}
        return {
            "recipe": str(config["recipe"]),
            "dataset": str(config["data"]["dataset"]),
            "model": str(config["model"]["name"]),
            "optimizer": str(config["optimizer"]["name"]),
            "lr": float(config["optimizer"]["lr"]),
            "epochs": int(config["epochs"]),
            "parent": str(origin["name"]) if origin.get("kind") == "run" else "",
            "settings": " ".join(_flat(config)).casefold(),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DAMAGED


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={value}"


def _last_words(path: str) -> Status | None:
    """From the last line of the events alone if it tells the run's end, with all that a list shows."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read()
    except OSError:
        return None
    if not tail.endswith(b"\n"):
        return None
    row = decode_line(tail[tail.rfind(b"\n", 0, -1) + 1 : -1])
    logged = from_row(row) if row else None
    if logged is None or not isinstance(logged.event, Ended):
        return None
    summary = Summary()
    summary.add(logged.event)
    return status_told(summary, is_held=False) if summary.is_told else None


SORTS: dict[str, tuple[str, Callable[[ListedRun], Any], bool]] = {
    "newest": ("Newest first", lambda e: e.run.id, True),
    "oldest": ("Oldest first", lambda e: e.run.id, False),
    "accuracy": ("Most accurate first", lambda e: -1.0 if e.accuracy is None else e.accuracy, True),
    "time": ("Longest training first", lambda e: e.seconds, True),
    "name": ("By name", lambda e: e.title.casefold(), False),
    "model": ("By model", lambda e: e.model, False),
    "data": ("By data set", lambda e: e.dataset, False),
    "optimizer": ("By optimizer", lambda e: e.optimizer, False),
    "lr": ("Highest learning rate first", lambda e: -1.0 if e.lr is None else e.lr, True),
    "epochs": ("Most epochs first", lambda e: e.epochs or 0, True),
}


def select(
    listed: Sequence[ListedRun],
    text: str = "",
    states: Sequence[str] = (),
    sort: str = "newest",
    is_reversed: bool = False,
) -> list[ListedRun]:
    """Those in one of the states (all if none is given) in which every word of the text occurs: in title, tags, note, id or settings.

    is_reversed: in the opposite order.
    """
    words = text.casefold().split()
    found = [entry for entry in listed if not states or entry.state in states]
    if words:
        found = [entry for entry in found if all(word in _text(entry) for word in words)]
    _, key, is_descending = SORTS[sort]
    return sorted(found, key=key, reverse=is_descending != is_reversed)


def accuracies_of(entry: ListedRun) -> tuple[float, ...]:
    """After each evaluation, as far as it has got; read again when there are more."""
    return _accuracies(entry.run, _changed(f"{entry.run.path}/events.jsonl"))


@lru_cache(maxsize=2_000)
def _accuracies(run: Run, signature: tuple[int, int] | None) -> tuple[float, ...]:
    return tuple(row.accuracy for row in story_of(run).evaluations)


def _text(entry: ListedRun) -> str:
    date, clock, *_ = entry.run.id.split("-")
    when = f"{int(date[6:])} {month_abbr[int(date[4:6])]} {clock[:2]}:{clock[2:4]}"
    return " ".join(
        (when, entry.title, *entry.tags, entry.note, entry.run.id, entry.dataset, entry.model, entry.state, entry.settings)
    ).casefold()
