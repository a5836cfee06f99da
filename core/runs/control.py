"""control.json: the last command to whoever trains a run, numbered, replaced as a whole. Works between any processes."""

from typing import Literal

from filelock import FileLock

from core.files import write_json_atomically
from core.runs.directory import Run, read_json

Command = Literal["stop", "pause"]


def send(run: Run, command: Command) -> int:
    """Leaves the command for the trainer, which looks several times a second. Returns its number."""
    with FileLock(run.path / "control.lock"):
        number = read_json(run.control, {"number": 0})["number"] + 1
        write_json_atomically(run.control, {"number": number, "command": command})
    return number


class Commands:
    """Hands out each command once, also when asked thousands of times a second. Those sent before it was made are old."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seen = read_json(run.control, {"number": 0})["number"]
        self.changed = self._change_time()

    def new(self) -> Command | None:
        changed = self._change_time()
        if changed == self.changed:
            return None
        self.changed = changed
        sent = read_json(self.run.control, {"number": 0})
        if sent["number"] <= self.seen:
            return None
        self.seen = sent["number"]
        return sent["command"]

    def _change_time(self) -> int:
        try:
            return self.run.control.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
