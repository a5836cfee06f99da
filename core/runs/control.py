"""control.json: commands to whoever trains a run, numbered, none lost. Works between any processes, also before one trains."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from filelock import FileLock

from core.files import write_json_atomically
from core.runs.directory import Run, read_json
from core.runs.history import story_of

Kind = Literal["stop", "pause", "change"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """setting, value: what a change sets, such as "optimizer.lr" to 0.001."""

    number: int
    kind: Kind
    setting: str = ""
    value: Any = None


def send(run: Run, kind: Literal["stop", "pause"]) -> int:
    """Leaves a command for the trainer, which looks several times a second. Returns its number."""
    return _add(run, [Command(number=0, kind=kind)])


def send_changes(run: Run, settings: Mapping[str, Any]) -> int:
    """Leaves a command for each setting, valid ones by then. Returns the last number."""
    return _add(run, [Command(number=0, kind="change", setting=setting, value=value) for setting, value in settings.items()])


def _add(run: Run, commands: list[Command]) -> int:
    with FileLock(run.path / "control.lock"):
        number, waiting = _read(run)
        numbered = [replace(command, number=number + i) for i, command in enumerate(commands, start=1)]
        _write(run, number + len(commands), [*waiting, *numbered])
    return number + len(commands)


def take_back(run: Run, kind: Kind) -> list[Command]:
    """Forgets commands of this kind that nobody has taken yet, and returns them."""
    if not run.control.exists():
        return []
    with FileLock(run.path / "control.lock"):
        number, waiting = _read(run)
        taken = [command for command in waiting if command.kind == kind]
        if taken:
            _write(run, number, [command for command in waiting if command.kind != kind])
    return taken


def waiting_commands(run: Run) -> list[Command]:
    """Those that nobody has taken yet; only looked at, which needs no lock and no rights."""
    return _read(run)[1] if run.control.exists() else []


class Commands:
    """Hands out each command in its order until it is done with, and is cheap to ask thousands of times a second."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seen: tuple[int, ...] = ()

    def waiting(self) -> list[Command]:
        """Commands not done with, if anything was sent since the last look; else none."""
        seen = self._look()
        if seen == self.seen:
            return []
        with FileLock(self.run.path / "control.lock"):
            self.seen = self._look()
            return _read(self.run)[1]

    def done(self, command: Command) -> None:
        """The command has taken effect, and its effect is on disk: it is not handed out again, to nobody."""
        with FileLock(self.run.path / "control.lock"):
            number, waiting = _read(self.run)
            _write(self.run, number, [other for other in waiting if other.number != command.number])

    def _look(self) -> tuple[int, ...]:
        try:
            found = self.run.control.stat()
        except FileNotFoundError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size  # replaced as a whole: another file each time


def _read(run: Run) -> tuple[int, list[Command]]:
    """(the last number given, commands not done with)"""
    try:
        content = read_json(run.control)
        if content is not None:
            return content["number"], [Command(**command) for command in content["waiting"]]
    except (ValueError, KeyError, TypeError):
        logging.exception("control.json of %s is damaged; commands in it are lost", run.id)
    # none yet, lost, or left behind where the run was exported: numbers go on after those that its history knows
    return max(story_of(run).all_changes(), default=0), []


def _write(run: Run, number: int, waiting: list[Command]) -> None:
    write_json_atomically(run.control, {"number": number, "waiting": [asdict(command) for command in waiting]})
