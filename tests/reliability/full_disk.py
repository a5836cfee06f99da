"""A real file system of a few megabytes that becomes full while a run trains on it. Run in a mount namespace of its own,
`unshare -rm python -m tests.reliability.full_disk checkpoints`; prints a report as JSON."""

import gc
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.config import TrainConfig
from core.data.store.image_store import _opened
from core.errors import InputError
from core.running.session import run_session
from core.runs.checkpoints import list_checkpoints
from core.runs.directory import create_run
from core.runs.status import status_of
from core.settings import config_from
from core.training.events import Event
from core.workspace import open_workspace
from tests.reliability.comparing import damages, differences, false_promises, leftovers, trace_of
from tests.reliability.failing_disk import SIZE

SMALL = {"checkpoints": "size=3m", "ballast": "size=40m", "inodes": "size=40m,nr_inodes=42", "before the start": "size=40m"}
LARGE = "size=200m,nr_inodes=100000"


def config() -> TrainConfig:
    """A perceptron whose checkpoints take some 200 KB and are all kept."""
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.4},
            "optimizer": {"name": "adam"},
            "schedule": {"name": "one-cycle"},
            "epochs": 20,
            "threads": 1,
            "tensorboard": False,
            "eval_batch_size": 100,
        }
    )


def main(scenarios: list[str]) -> None:
    reports = {}
    with tempfile.TemporaryDirectory() as elsewhere, tempfile.TemporaryDirectory() as mounted:
        roomy = open_workspace(elsewhere)
        whole = create_run(roomy, config())
        run_session(roomy, whole)
        for scenario in scenarios:
            mount(Path(mounted), SMALL[scenario])
            try:
                reports[scenario] = trained_on(Path(mounted), scenario, trace_of(whole))
            finally:
                _opened.cache_clear()  # a store that is kept open keeps its file system busy
                gc.collect()
                subprocess.run(["umount", mounted], check=True)
    print(json.dumps(reports))


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def trained_on(mounted: Path, scenario: str, whole: dict[str, Any]) -> dict[str, Any]:
    workspace = open_workspace(mounted / "workspace")
    ballast = mounted / "ballast-of-the-test"
    run = create_run(workspace, config())
    if scenario == "before the start":
        fill(ballast)

    def on_event(event: Event) -> None:
        if scenario == "ballast" and event.kind == "checkpoint" and event.epoch == 3:
            fill(ballast)

    found, message = [], ""
    try:
        ended = run_session(workspace, run, on_event=on_event)
    except InputError as refusal:
        message = str(refusal)
        if refusal.code != "disk":
            found.append(f"refused with the code '{refusal.code}': {refusal}")
        if status_of(run).state not in ("interrupted", "paused"):
            found.append(f"refused, it is {status_of(run).state}")
    else:
        message = ended.message
        if (ended.reason, status_of(run).state) != ("paused", "paused"):
            found.append(f"ended as {ended.reason}, shown as {status_of(run).state}: {message}")
    if not re.search("room|space|full", message):
        found.append(f"does not say that the disk is full: {message}")
    if scenario in ("checkpoints", "ballast") and len(SIZE.findall(message)) < 2:
        found.append(f"does not say how much room is needed and how much is free: {message}")
    names = [checkpoint.name for checkpoint in list_checkpoints(run)]
    if scenario in ("checkpoints", "ballast") and "epoch-0003" not in names:
        found.append(f"of the checkpoints before the disk was full these are left: {names}")
    found += damages(run) + false_promises(run)
    was_full = 0 < len(names) < 20 or scenario == "before the start"

    ballast.unlink(missing_ok=True)
    mount_options = f"remount,{LARGE}"
    subprocess.run(["mount", "-o", mount_options, str(mounted)], check=True)
    again = run_session(workspace, run)
    if again.reason != "finished":
        found.append(f"with room again it ended as {again.reason}: {again.message}")
    found += damages(run) + differences(run, whole) + leftovers(run)
    return {"was_full": was_full, "message": message, "findings": found}


def fill(path: Path) -> None:
    """Takes the file system's last byte."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1_000_000, 4096, 1):
            try:
                while True:
                    os.write(handle, bytes(size))
            except OSError:
                continue
    finally:
        os.close(handle)


if __name__ == "__main__":
    main(sys.argv[1:] or list(SMALL))
