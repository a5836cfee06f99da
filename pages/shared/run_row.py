"""One run as a row of a list: what it is, how it stands, and the buttons for it."""

from calendar import month_abbr
from collections import Counter
from collections.abc import Sequence

import streamlit as st

from core.errors import InputError
from core.runs.directory import Run
from core.runs.index import ListedRun, label_of
from core.runs.notes import read_notes
from core.runs.status import Status, status_of
from core.wording import duration, percent
from pages.shared.session import go_to
from pages.shared.text import escaped

COLOURS = {
    "running": "blue",
    "queued": "blue",
    "finished": "gray",
    "stopped": "gray",
    "paused": "gray",
    "failed": "orange",
    "interrupted": "orange",
}


def title_of(run: Run) -> str:
    """Its name, or what was trained, and when. A name written from right to left stays by itself."""
    return f"\u2068{read_notes(run).name or label_of(run)}\u2069 · {when_of(run)}"


def titles_of(listed: Sequence[ListedRun]) -> dict[str, str]:
    """By id, as `title_of`; the same title twice is told apart by the end of its id, for a list's options are known by their words."""
    titles = {entry.run.id: f"\u2068{entry.title}\u2069 · {when_of(entry.run)}" for entry in listed}
    counts = Counter(titles.values())
    return {id: title if counts[title] == 1 else f"{title} · {id[-4:]}" for id, title in titles.items()}


def when_of(run: Run) -> str:
    date, time, *_ = run.id.split("-")
    return f"{int(date[6:])} {month_abbr[int(date[4:6])]}, {time[:2]}:{time[2:4]}:{time[4:]}"


def subject_of(run: Run) -> str:
    """Model and data; a folder by its name alone."""
    return f"{run.config.model.name} on {run.config.data.dataset.rstrip('/').rpartition('/')[2]}"


def badge(status: Status) -> str:
    return f":{COLOURS[status.state]}-badge[{status.state}]"


def run_row(run: Run, *, key: str) -> None:
    """Shows the row, with a button that opens the run."""
    status = status_of(run)
    try:
        _ = run.config
    except (InputError, OSError) as error:
        with st.container(border=True, key=f"{key}-{run.id}"), st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(title_of(run))}** &nbsp; damaged: {escaped(str(error)[:200])}", width="stretch")
        return
    facts = [
        subject_of(run),
        f"{run.config.optimizer.name} {run.config.optimizer.lr:g}",
        f"epoch {status.epoch} of {status.epochs if status.epochs is not None else run.config.epochs}",
        f"{run.config.data.evaluate_on} accuracy {percent(status.accuracy)}",
        duration(status.seconds),
    ]
    if status.state in ("failed", "interrupted"):
        facts.append(status.message)
    tags = " ".join(f":gray-badge[{escaped(tag)}]" for tag in read_notes(run).tags)
    with st.container(border=True, key=f"{key}-{run.id}"), st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{escaped(title_of(run))}** &nbsp; {badge(status)} {tags}  \n:small[:gray[{escaped(' · '.join(facts))}]]",
            width="stretch",
        )
        if st.button("Open", key=f"{key}-open-{run.id}"):
            go_to("train/train.py" if status.is_active else "results/results.py", run)
