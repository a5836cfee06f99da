"""A run's life as lines for people: when it began, went on, was changed and ended, and how each time."""

import time
from typing import Any

from core.runs.history import History
from core.settings import all_settings

TITLES = {item.path: item.title for item in all_settings()}


def timeline(history: History) -> list[dict[str, str]]:
    """{"time", "step", "what"} as text, in the order of time; step is empty before the first."""
    lines: list[dict[str, str]] = []
    is_known: set[int] = set()
    for row in history.story:
        match row["kind"]:
            case "queued":
                what = "Put in line" + ("" if row["from_checkpoint"] == "last" else f", to go on from {row['from_checkpoint']}")
            case "started" if row["from_step"] == 0:
                what = f"Began on {row['device']} in {row['precision']}, {_threads(row['threads'])}"
            case "started":
                how = f"the last bits may differ: {row['inexact']}" if row["inexact"] else "exactly where it was saved"
                what = f"Went on after step {row['from_step']:,}, {how}"
            case "changed":
                again = ", as before the interruption" if row["number"] in is_known else ""
                is_known.add(row["number"])
                what = change_in_words(row) + again
            case _:
                what = row["message"]
        step = row.get("step", row.get("from_step"))
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["time"]))
        lines.append({"time": when, "step": "" if step is None else f"{step:,}", "what": what})
    if history.wavered_at is not None:
        lines.append(
            {"time": "", "step": f"{history.wavered_at:,}", "what": "From here on threads followed the load of the machine"}
        )
    return lines


def change_in_words(row: dict[str, Any]) -> str:
    """A change, with what it was before: "Learning rate changed from 0.1 to 0.01"."""
    before, after = (f"{value:g}" if isinstance(value, float) else str(value) for value in (row["before"], row["after"]))
    return f"{TITLES.get(row['setting'], row['setting'])} changed from {before} to {after}"


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
