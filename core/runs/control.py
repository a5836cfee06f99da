"""control.json: the last command to whoever trains a run, numbered, replaced as a whole. Works between any processes."""

from typing import Any, Literal

from filelock import FileLock

from core.files import write_json_atomically
from core.runs.directory import Run, read_json

Command = Literal["stop", "pause"]


def send(run: Run, command: Command) -> int:
    """Leaves the command for the trainer, which looks several times a second. Returns its number."""
    with FileLock(run.path / "control.lock"):
        number = _read(run)["number"] + 1
        write_json_atomically(run.control, {"number": number, "command": command})
    return number


class Commands:
    """Hands out each command once, also one sent before the trainer was there, and when asked thousands of times a second."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.changed = -1

    def new(self) -> Command | None:
        changed = self._change_time()
        if changed == self.changed:
            return None
        with FileLock(self.run.path / "control.lock"):
            sent = _read(self.run)
            if sent["command"] is not None:  # taken: the number stays, so that the next one is another
                write_json_atomically(self.run.control, {"number": sent["number"], "command": None})
            self.changed = self._change_time()
        return sent["command"]

    def _change_time(self) -> int:
        try:
            return self.run.control.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _read(run: Run) -> dict[str, Any]:
    return read_json(run.control, {"number": 0, "command": None})
