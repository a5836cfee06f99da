"""The runs as a table, and what can be done with those that are marked."""

from collections.abc import Sequence

import streamlit as st

from core.errors import InputError
from core.figures.comparison import MOST_RUNS
from core.runs.directory import Run, find_run
from core.runs.index import SORTS, ListedRun, accuracies_of, entries
from core.runs.records import spread
from core.runs.status import status_of
from core.wording import duration, percent
from pages.compare.choice import compare_runs
from pages.components.runs_table import Column, Row, runs_table
from pages.run.delete import delete_button
from pages.shared.actions import do
from pages.shared.again import again_button
from pages.shared.run_row import when_of
from pages.shared.session import go_to, launcher, workspace
from pages.shared.text import escaped

COLUMNS = (
    Column(title="Run", sort="name"),
    Column(title="Accuracy", sort="accuracy", is_number=True),
    Column(title="Course"),
    Column(title="Learning rate", sort="lr", is_number=True),
    Column(title="Optimizer", sort="optimizer"),
    Column(title="Model", sort="model"),
    Column(title="Data", sort="data"),
    Column(title="Epochs", sort="epochs", is_number=True),
    Column(title="Time", sort="time", is_number=True),
)
MOST_POINTS = 60  # of a course so small


@st.fragment(run_every=2.0)
def table(shown: Sequence[ListedRun], sort: str, is_reversed: bool) -> None:
    """Kept up to date as long as the page is open."""
    state = st.session_state
    _marked_bar()
    if "run-to-open" in state:
        run_id, page = state.pop("run-to-open")
        _open(run_id, page)
    now = {entry.run.id: entry for entry in entries(workspace())}
    runs_table(
        COLUMNS,
        [_row(now.get(entry.run.id, entry)) for entry in shown if entry.run.path.exists()],
        key="runs-table",
        sorted_by=sort,
        is_descending=SORTS[sort][2] != is_reversed,
        marked=marked(),
        most_marked=MOST_RUNS,
        on_open=lambda run_id: state.update({"run-to-open": (run_id, "")}),
        on_details=lambda run_id: state.update({"run-to-open": (run_id, "run/run.py")}),
        on_mark=mark,
        on_sort=lambda name: state.update({"runs-sorted": name}),
    )
    if "runs-sorted" in state:
        st.rerun()


def _row(entry: ListedRun) -> Row:
    course = accuracies_of(entry)
    return Row(
        id=entry.run.id,
        state=entry.state if entry.model != "damaged" else "damaged",
        when=when_of(entry.run),
        tags=entry.tags,
        cells=(
            entry.title,
            percent(entry.accuracy),
            "",
            "–" if entry.lr is None else f"{entry.lr:g}",
            entry.optimizer,
            entry.model,
            entry.dataset.rstrip("/").rpartition("/")[2],
            f"{entry.epoch:,} of {entry.epochs or 0:,}",
            duration(entry.seconds),
        ),
        course=tuple(course[place] for place in spread(len(course), MOST_POINTS)),
    )


def _open(run_id: str, page: str) -> None:
    try:
        run = find_run(workspace(), run_id)
    except InputError as error:  # deleted a moment ago
        st.warning(escaped(str(error)))
        return
    go_to(page or ("train/train.py" if status_of(run).is_active else "results/results.py"), run)


def marked() -> list[str]:
    """Ids of those that are marked, on whatever page of the list, and are still there."""
    return [run_id for run_id in st.session_state.get("to-compare", []) if (workspace().runs / run_id).exists()]


def mark(run_ids: list[str]) -> None:
    known = {entry.run.id for entry in entries(workspace())}
    st.session_state["to-compare"] = [run_id for run_id in run_ids if run_id in known][:MOST_RUNS]


def unmark_all() -> None:
    st.session_state["to-compare"] = []


def _marked_bar() -> None:
    """What can be done with the marked runs: with one, everything; with several, comparing."""
    runs = marked()
    with st.container(horizontal=True, vertical_alignment="center", key="compare-bar"):
        label = f"Compare {len(runs)} runs" if len(runs) > 1 else "Compare"
        if st.button(label, type="primary" if len(runs) > 1 else "secondary", disabled=len(runs) < 2, key="compare-marked"):
            compare_runs(runs)
        if runs:
            st.button("Unmark all", key="unmark-all", on_click=unmark_all)
        if len(runs) == 1:
            _actions(find_run(workspace(), runs[0]))
        else:
            most = f"{MOST_RUNS} are marked, which is the most." if len(runs) >= MOST_RUNS else ""
            st.caption(most or f"Mark one to resume, repeat or delete it, or up to {MOST_RUNS} to compare them.", width="content")


def _actions(run: Run) -> None:
    status = status_of(run)
    if status.is_active:
        if st.button("Stop", key=f"stop-{run.id}"):
            do(lambda: launcher().stop(run))
    elif status.state != "finished" and st.button("Resume", key=f"resume-{run.id}"):
        do(lambda: launcher().resume(run))
    try:
        _ = run.config
    except (InputError, OSError):  # a damaged one can only be deleted
        delete_button(run)
        return
    again_button(run, key=f"again-{run.id}")
    if not status.is_active:
        delete_button(run)
