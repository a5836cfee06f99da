"""A run that was exported as a zip becomes a run here: unpacked aside, every file of it verified, then there at once."""

import errno
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from core.config import TrainConfig
from core.errors import InputError
from core.files import flush_folder, move_folder, remove_quietly, unsealed
from core.intake.checkpoint_check import check_manifest, check_state, read_network
from core.intake.event_check import check_events
from core.intake.record_check import check_records
from core.intake.run_layout import max_bytes_of
from core.intake.sandbox import Task, examine
from core.runs.checkpoints import NAME, Checkpoint, list_checkpoints
from core.runs.directory import ID_PATTERN, Run, new_id, read_json
from core.runs.event_log import append_event
from core.settings import config_from_json
from core.training.events import Ended
from core.wording import size
from core.workspace import Workspace
from core.zips import CheckedZip, shown

SPARE_BYTES = 100_000_000  # of the disk, left to those who train
STILL_TRAINING = "It was still training when it was exported."


def root_of(archive: CheckedZip) -> str:
    """The one folder that everything in a run's zip lies in, "" where there is none."""
    roots = {name.partition("/")[0] for name in archive.entries}
    return roots.pop() if len(roots) == 1 else ""


def restore_run(workspace: Workspace, archive: CheckedZip) -> Run:
    """The run under its own id, or a new one where that is taken. Raises InputError that says what is wrong with the zip."""
    root = root_of(archive)
    aside = Run(workspace.runs / f".new-{secrets.token_hex(8)}")
    try:
        _unpack(archive, root, aside)
        _verify(aside)
        return _appear(workspace, aside, root)
    except BaseException:
        remove_quietly(aside.path)
        raise


def _unpack(archive: CheckedZip, root: str, aside: Run) -> None:
    """Only files that runs have, under paths of our own making: what is not on the list is refused, not skipped."""
    needed, free = sum(entry.num_bytes for entry in archive.entries.values()), shutil.disk_usage(aside.path.parent).free
    if needed > free - SPARE_BYTES:
        raise InputError(
            f"There is no room for the run: {size(needed)} are needed, {size(free)} are free.", code="file", hint="Make room."
        )
    for folder in (aside.path, aside.records, aside.checkpoints):
        folder.mkdir()
    for name, entry in archive.entries.items():
        relative = name.removeprefix(f"{root}/")
        allowed = max_bytes_of(relative)
        if allowed is None:
            raise _refusal(f"{shown(relative)} in it is not a file that runs have")
        if entry.num_bytes > allowed:
            raise _refusal(f"{shown(relative)} in it has {entry.num_bytes:,} bytes, expected {allowed:,} at most")
        target = aside.path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for piece in archive.pieces(name):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())


def _verify(run: Run) -> None:
    try:
        config = config_from_json((run.path / "config.json").read_bytes())
    except OSError:
        raise _refusal("it has no config.json") from None
    _check_notes(run)
    num_classes = _verify_checkpoints(run, config)
    last: dict[str, Any] | None = None
    if run.events.is_file():
        checked = check_events(run.events, config)
        last = checked.last
        if checked.num_classes and num_classes and checked.num_classes != num_classes:
            raise _refusal("its events and its checkpoints are of networks for different numbers of classes")
        num_classes = num_classes or checked.num_classes
    check_records(run.records, num_classes or 0)
    # a pause that the server made itself would be ended by the next one; this run is to rest until somebody resumes it
    if last is None or last["kind"] != "ended" or last["cause"] == "server":
        append_event(run.events, _ended(last))


def _verify_checkpoints(run: Run, config: TrainConfig) -> int | None:
    """Every checkpoint against its manifest, its network and the configuration. Returns the number of classes, None without any."""
    tasks, num_classes = [], None
    for checkpoint in list_checkpoints(run):
        check_manifest(checkpoint.path)
        spec, wanted = read_network(checkpoint.path)
        if spec.model != config.model or len(spec.class_names) != (num_classes or len(spec.class_names)):
            raise _refusal(f"{checkpoint.name} is of another network than its configuration")
        num_classes = len(spec.class_names)
        check_state(checkpoint.path, config, spec)
        tasks.append(Task(file=checkpoint.path / "weights.safetensors", kind="safetensors", wanted=wanted))
    if tasks:
        examine(tasks)
    for pointer in ("best", "last"):
        path = run.checkpoints / f"{pointer}.json"
        if path.is_file() and not _points_to_one_of(path, list_checkpoints(run)):
            raise _refusal(f"{pointer}.json in it names no checkpoint of the run")
    return num_classes


def _points_to_one_of(path: Path, checkpoints: list[Checkpoint]) -> bool:
    try:
        entry = unsealed(path.read_bytes())
        name, accuracy, epoch = entry["checkpoint"], entry.get("accuracy", 0.0), entry.get("epoch", 0)
    except (ValueError, KeyError, RecursionError):
        return False
    is_sound = isinstance(name, str) and NAME.fullmatch(name) and isinstance(accuracy, int | float) and isinstance(epoch, int)
    return bool(is_sound) and name in {checkpoint.name for checkpoint in checkpoints}


def _check_notes(run: Run) -> None:
    try:
        notes = read_json(run.path / "notes.json", default={})
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict) or not all(
        isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
        for value in notes.values()
    ):
        raise _refusal("notes.json in it is not what a person wrote about a run")


def _ended(last: dict[str, Any] | None) -> Ended:
    last = last or {}
    is_paused = last.get("kind") == "ended"
    return Ended(
        reason="paused" if is_paused else "interrupted",
        message=last["message"] if is_paused else STILL_TRAINING,
        cause="hand" if is_paused else "",
        epoch=last.get("epoch") or 0,
        step=last.get("step") or 0,
        seconds=last.get("seconds") or 0.0,
        epochs=last.get("epochs"),
        accuracy=last.get("accuracy") if last.get("kind") in ("evaluation", "ended") else None,
    )


def _appear(workspace: Workspace, aside: Run, root: str) -> Run:
    wanted = root if ID_PATTERN.fullmatch(root) else ""
    label = re.sub(r"^\d{8}-\d{6}-|-[0-9a-f]{4}$", "", wanted) or "run"
    flush_folder(aside.path)
    while True:
        name = wanted or new_id(label)
        wanted = ""
        try:
            run = Run(workspace.runs / name)
            move_folder(aside.path, run.path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                continue
            raise
        flush_folder(workspace.runs)
        return run


def _refusal(reason: str) -> InputError:
    return InputError(f"The run can't be taken: {reason}.", code="file", hint="Export it again where it was trained.")
