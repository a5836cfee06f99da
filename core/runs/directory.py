"""A run's directory: its id, its files by name, and the runs of a workspace. What the files mean is in the modules beside."""

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.config import TrainConfig
from core.data.edits import keep_revision
from core.errors import InputError
from core.files import OPEN_FILES_STAY, disk_error, move_folder, remove_folder, remove_quietly, write_json_atomically
from core.locks import is_locked
from core.recipes import RECIPES
from core.runs.event_log import read_tail
from core.settings import config_from_json
from core.workspace import Workspace

ID_PATTERN = re.compile(r"\d{8}-\d{6}-[a-z0-9-]{1,60}-[0-9a-f]{4}")


@dataclass(frozen=True)
class Run:
    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @cached_property
    def config(self) -> TrainConfig:
        """The configuration as it was written before the start; it never changes."""
        return config_from_json((self.path / "config.json").read_bytes())

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def records(self) -> Path:
        return self.path / "records"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def control(self) -> Path:
        return self.path / "control.json"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    def hold(self, timeout_s: float = 0) -> FileLock:
        """The lock that whoever trains this run holds for life, acquired. Raises InputError if another process has it."""
        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(timeout=timeout_s, poll_interval=0.02)
        except Timeout:
            raise InputError(f"{self.id} is being trained by another process.", code="running") from None
        except OSError as error:
            raise disk_error(error) from error
        return lock

    def is_held(self) -> bool:
        """Whether a living process trains this run, told by whether its lock can be taken."""
        return is_locked(self.path / "lock")


def create_run(workspace: Workspace, config: TrainConfig, fill: Callable[["Run"], object] = lambda run: None) -> Run:
    """A new run's directory with its configuration; nothing has started yet. fill: puts more into it before it appears."""
    if config.data.edits:
        keep_revision(workspace, config.data.dataset)
    slug = re.sub(r"[^a-z0-9]+", "-", _label(config).lower()).strip("-")[:40] or "run"
    while True:
        name = new_id(slug)
        aside = Run(workspace.runs / f".new-{name}")
        try:
            aside.path.mkdir()
            aside.records.mkdir()
            aside.checkpoints.mkdir()
            write_json_atomically(aside.path / "config.json", config.model_dump(mode="json"))
            fill(aside)
            move_folder(aside.path, workspace.runs / name)  # appears whole
            return Run(workspace.runs / name)
        except OSError as error:
            remove_quietly(aside.path)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise disk_error(error) from error
        except BaseException:
            remove_quietly(aside.path)
            raise


def new_id(slug: str) -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}-{secrets.token_hex(2)}"


def _label(config: TrainConfig) -> str:
    """The recipe's name while its data and model are the recipe's, else data and model."""
    recipe = RECIPES.get(config.recipe)
    if recipe and (recipe.config.data.dataset, recipe.config.model) == (config.data.dataset, config.model):
        return recipe.name
    return f"{Path(config.data.dataset).name}-{config.model.name}"


SETTLED_NS = 100_000_000  # a folder that changed within the clock's coarseness may have changed again since


def list_runs(workspace: Workspace) -> list[Run]:
    """All runs, the newest first. Folders that are no runs are passed over. Costs nothing while no run comes or goes."""
    changed = workspace.runs.stat().st_mtime_ns
    is_settled = time.time_ns() - changed > SETTLED_NS
    return list((_runs_in if is_settled else _runs_in.__wrapped__)(workspace.runs, changed))


@lru_cache(maxsize=8)
def _runs_in(folder: Path, changed: int) -> list[Run]:
    """changed: when the folder changed last, in nanoseconds."""
    names = (entry.name for entry in os.scandir(folder) if ID_PATTERN.fullmatch(entry.name))
    return [Run(folder / name) for name in sorted(names, reverse=True)]


def find_run(workspace: Workspace, run_id: str) -> Run:
    """The run with this id; "last" is the newest. The id is looked up, never joined to a path unchecked."""
    if run_id == "last":
        if runs := list_runs(workspace):
            return runs[0]
        raise InputError("There are no runs yet.", code="run", hint="Start one with train.")
    if ID_PATTERN.fullmatch(run_id) and (workspace.runs / run_id / "config.json").is_file():
        return Run(workspace.runs / run_id)
    raise InputError(f"There is no run '{run_id[:100]}'.", code="run")


def delete_run(run: Run) -> None:
    """Removes the run's directory for good. Raises InputError while it is being trained or waits for that."""
    lock = run.hold(timeout_s=2)
    try:
        if (rows := read_tail(run.events)) and rows[-1]["kind"] == "queued":
            raise InputError(f"{run.id} waits in line.", code="running", hint="Take it out of the line first.")
        if OPEN_FILES_STAY:  # the lock's file too; who takes it now keeps the folder from going
            lock.release()
        remove_folder(run.path)
    finally:
        lock.release()


def disk_use(path: Path) -> int:
    """Bytes of all files below a folder; what vanishes meanwhile counts as nothing."""
    total = 0
    for folder, _, files in os.walk(path):
        for file in files:
            with suppress(OSError):
                total += os.stat(os.path.join(folder, file)).st_size
    return total


def read_json(path: Path, default: Any = None) -> Any:
    """The JSON in a file that another process may be replacing, or the default where there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return default
