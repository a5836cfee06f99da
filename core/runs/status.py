"""Where a run stands, worked out from its last events and its lock; nothing here is stored."""

from dataclasses import dataclass
from typing import Literal

from core.runs.directory import Run
from core.runs.event_log import read_tail

State = Literal["queued", "running", "paused", "stopped", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Status:
    """message: the sentence for a run that has ended, else empty. accuracy: of the last evaluation, 0..1."""

    state: State
    message: str
    epoch: int
    accuracy: float | None
    seconds: float

    @property
    def is_active(self) -> bool:
        return self.state in ("queued", "running")


def status_of(run: Run) -> Status:
    rows, size = read_tail(run.events), 65_536
    while run.events.exists() and run.events.stat().st_size > size and not any(row["kind"] == "evaluation" for row in rows):
        size *= 8  # evaluations are rare in this run
        rows = read_tail(run.events, size)
    last = next(
        (row for row in reversed(rows) if row["kind"] in ("ended", "queued", "started", "preparing", "step", "evaluation")),
        None,
    )
    if last is None:
        return Status("running" if run.is_held() else "interrupted", "It was never started.", 0, None, 0.0)
    seconds = max((row["seconds"] for row in rows if "seconds" in row), default=0.0)
    judged = next((row for row in reversed(rows) if row["kind"] == "evaluation"), {"epoch": 0, "accuracy": None})
    progress = (judged["epoch"], judged["accuracy"], seconds)
    if last["kind"] == "ended":  # a last word from before the first step knows no figures: those told before hold
        accuracy = judged["accuracy"] if last["accuracy"] is None else last["accuracy"]
        return Status(last["reason"], last["message"], max(last["epoch"], judged["epoch"]), accuracy, seconds)
    if last["kind"] == "queued":
        return Status("queued", "", *progress)
    if run.is_held():
        return Status("running", "", *progress)
    # the trainer writes "ended" before it lets go of the lock; it may just have done so
    again = read_tail(run.events)
    if again and again[-1]["kind"] == "ended":
        return status_of(run)
    return Status("interrupted", "The training process is gone without a word: killed, or the computer went down.", *progress)
