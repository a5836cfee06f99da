"""What two runs of one configuration must have in common to the last bit, and what a run's directory must hold after any fault.

Findings are sentences; an empty list is what a test expects, and a run of thousands counts and prints them.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.runs.checkpoints import Checkpoint, find_checkpoint, list_checkpoints, load_network
from core.runs.directory import Run
from core.runs.event_log import EventReader, to_row
from core.runs.history import STEP_COLUMNS, history_of
from core.runs.records import evaluated_images, load_predictions

CLOCK = {"n", "time", "seconds", "images_per_s", "num_bytes"}  # num_bytes: a checkpoint holds its seconds as text


def without_clock(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in CLOCK}


def trace_of(run: Run) -> dict[str, Any]:
    """Everything of a finished run that must not depend on how often it was interrupted."""
    history = history_of(run)
    trace: dict[str, Any] = {f"column {name}": history.steps[name] for name in STEP_COLUMNS if name not in CLOCK}
    trace["evaluations"] = [without_clock(to_row(event)) for event in history.evaluations]
    # those within an epoch come by the clock
    trace["checkpoints"] = [without_clock(to_row(event)) for event in history.checkpoints if event.name.startswith("epoch")]
    trace["kept"] = [checkpoint.name for checkpoint in list_checkpoints(run)]
    trace["best evaluation"] = history.best_evaluation and without_clock(to_row(history.best_evaluation))
    trace["ended"] = history.ended and without_clock(to_row(history.ended))
    for pointer in ("best", "last"):
        checkpoint = find_checkpoint(run, pointer)
        trace[pointer] = checkpoint.name
        for file in ("weights.safetensors", "optimizer.safetensors"):
            trace[f"{file} of {pointer}"] = sha256(checkpoint.path / file)
        trace[f"state of {pointer}"] = without_clock(json.loads((checkpoint.path / "state.json").read_bytes()))
    for path in sorted(run.records.glob("*.npy")):
        trace[f"record {path.name}"] = sha256(path)
    return trace


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(run: Run, whole: dict[str, Any]) -> list[str]:
    """In what the run's course differs from this one, with some of both."""
    try:
        trace = trace_of(run)
    except (InputError, OSError) as error:
        return [f"its course can't be read: {error!r}"]
    found = []
    for name in sorted({*trace, *whole}):
        ours, theirs = trace.get(name, "nothing"), whole.get(name, "nothing")
        if ours != theirs:
            found.append(f"{name}: {_around(ours, theirs)} instead of {_around(theirs, ours)}")
    return found


def _around(value: Any, other: Any) -> str:
    """Some of a long list, from where it differs."""
    if isinstance(value, list) and isinstance(other, list):
        same = next((i for i, (a, b) in enumerate(zip(value, other, strict=False)) if a != b), min(len(value), len(other)))
        return f"[{len(value)} long, at {same}: {value[same : same + 2]}]"[:400]
    return str(value)[:400]


def damages(run: Run) -> list[str]:
    """What can't be read in a run's directory, whatever has happened to its trainer."""
    found = []
    for checkpoint in list_checkpoints(run):
        found += [f"{checkpoint.name} is unreadable: {error}" for error in _unreadable(checkpoint)]
    for pointer in ("best", "last"):
        if (run.checkpoints / f"{pointer}.json").exists():
            try:
                pointed = find_checkpoint(run, pointer)
            except InputError as error:
                found.append(f"{pointer} can't be followed: {error}")
            else:
                found += [f"{pointer} is unreadable: {error}" for error in _unreadable(pointed)]
    found += _damaged_records(run)
    rows = EventReader(run.events).read()
    if [row["n"] for row in rows] != list(range(1, len(rows) + 1)):
        found.append(f"the events are not numbered in order: {[row['n'] for row in rows][-5:]}")
    return found


def _unreadable(checkpoint: Checkpoint) -> list[str]:
    try:
        load_network(checkpoint)  # compares every file with its checksum
    except InputError as error:
        return [str(error)]
    return []


def _damaged_records(run: Run) -> list[str]:
    """Records that can't be read, or that are missing for an evaluation in the events."""
    found = []
    try:
        evaluated_images(run)
    except (OSError, ValueError) as error:
        found.append(f"the list of evaluated images is unreadable: {error}")
    told = {row["epoch"] for row in EventReader(run.events).read() if row["kind"] == "evaluation"}
    there = {int(path.stem.removeprefix("epoch-")) for path in run.records.glob("epoch-*.npy")}
    for epoch in sorted(told | there):
        try:
            if load_predictions(run, epoch) is None:
                found.append(f"the record of epoch {epoch} is missing")
        except (OSError, ValueError) as error:
            found.append(f"the record of epoch {epoch} is unreadable: {error}")
    return found


def leftovers(run: Run) -> list[str]:
    """Files and folders that only a writer at work may have."""
    return [
        f"{path.relative_to(run.path)} was left behind"
        for path in sorted(run.path.rglob("*"))
        if path.name.startswith((".tmp-", ".deleted-", ".new-")) or path.name == "ballast"
    ]


def saved_before(run: Run) -> int:
    """The step of the last checkpoint in the events; 0 where there is none."""
    return max((event.step for event in history_of(run).checkpoints), default=0)


def false_promises(run: Run) -> list[str]:
    """Checkpoints that the events or the last word call saved and that are not there.

    Those of a whole epoch are all kept (every_epochs is 1 here); one within an epoch until another one is last.
    """
    names = {checkpoint.name for checkpoint in list_checkpoints(run)}
    history = history_of(run)
    promised = saved_before(run)
    if history.ended and (said := re.search(r"at step ([\d,]+), and saved", history.ended.message)):
        promised = max(promised, int(said[1].replace(",", "")))
    found = [
        f"{event.name} is called saved and is not there"
        for event in history.checkpoints
        if event.name.startswith("epoch") and event.name not in names
    ]
    if promised:
        try:
            last = find_checkpoint(run, "last")
            position = json.loads((last.path / "state.json").read_bytes())["step"]
        except (InputError, OSError) as error:
            return [*found, f"checkpoints were called saved, but there is no last one: {error}"]
        if position < promised:
            found.append(f"step {promised} is called saved, but last is at step {position}")
    return found
