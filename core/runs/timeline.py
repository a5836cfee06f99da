"""A run's life as lines for people: when it began, went on, was changed and ended, and how each time."""

import time
from typing import Any

from core.runs.history import History
from core.settings import all_settings
from core.training.events import Changed, Ended, LearningWeights, Queued, Started

TITLES = {item.path: item.title for item in all_settings()}


def timeline(history: History) -> list[dict[str, str]]:
    """{"time", "step", "what"} as text, in the order of time; step is empty before the first."""
    lines: list[dict[str, str]] = []
    is_known: set[int] = set()
    for logged in history.story:
        step: int | None = None
        match event := logged.event:
            case Queued():
                what = "Queued" + ("" if event.from_checkpoint == "last" else f", to go on from {event.from_checkpoint}")
            case Started(from_step=step):
                how = f"the last bits may differ: {event.inexact}" if event.inexact else "exactly where it was saved"
                what = f"Went on after step {step:,}, {how}"
                if step == 0:
                    what = f"Began on {event.device} in {event.precision}, {_threads(event.threads)}"
            case Changed(step=step):
                again = ", as before the interruption" if event.number in is_known else ""
                is_known.add(event.number)
                what = change_in_words(event) + again
            case LearningWeights(step=step):
                what = learning_in_words(event)
            case Ended(step=step):
                what = event.message
            case _:
                continue
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(logged.time))
        lines.append({"time": when, "step": "" if step is None else f"{step:,}", "what": what})
    if history.wavered_at is not None:
        lines.append(
            {"time": "", "step": f"{history.wavered_at:,}", "what": "From here on threads followed the load of the machine"}
        )
    return lines


def change_in_words(change: Changed) -> str:
    """A change, with what it was before: "Learning rate changed from 0.1 to 0.01"."""
    before, after = (_value_in_words(value) for value in (change.before, change.after))
    return f"{TITLES.get(change.setting, change.setting)} changed from {before} to {after}"


def _value_in_words(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def learning_in_words(event: LearningWeights) -> str:
    """What learns from here on: "Unfrozen: all 11,689,512 weights learn"."""
    if event.num_learning == event.num_parameters:
        return f"Unfrozen: all {event.num_parameters:,} weights learn"
    return f"Frozen: only the {event.num_learning:,} weights of the last layer learn"


def exactness(history: History) -> str:
    """Where going on, or the load of the machine, may have changed the last bits, as a sentence; empty if nowhere."""
    if history.inexact:
        step, why = history.inexact[0]
        return f"From step {step:,} on the result may differ in the last bits from that of an uninterrupted run: {why}."
    if history.wavered_at is not None:
        return (
            f"From step {history.wavered_at:,} on the result may differ in the last bits when it is repeated: "
            "another program needed a core, and the number of threads followed. A fixed number of threads prevents that."
        )
    return ""


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"
