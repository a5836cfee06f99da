"""Runs: all of them, searched and sorted; what waits in line; a checkpoint or a run from outside becomes one."""

import streamlit as st

from core.figures.comparison import MOST_RUNS
from core.runs.directory import Run
from core.runs.index import SORTS, ListedRun, entries, select
from core.runs.status import Status
from pages.compare.choice import compare_runs
from pages.run.delete import delete_button
from pages.runs.load_file import load_file_form
from pages.shared.actions import do
from pages.shared.run_row import COLOURS, run_row, title_of
from pages.shared.session import go_to, launcher, workspace
from pages.shared.text import escaped

PER_PAGE = 20


def chosen_entries() -> list[ListedRun]:
    """The runs that search and filter leave, in the chosen order."""
    listed = entries(workspace())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="runs-search",
            placeholder="Name, tag, note, data, model, date or setting, such as adam or lr=0.01",
            persist_state="session",
        )
        states = st.multiselect("State", list(COLOURS), key="runs-states", placeholder="Any", persist_state="session")
        sort = st.selectbox(
            "Order", list(SORTS), format_func=lambda name: SORTS[name][0], key="runs-sort", persist_state="session"
        )
    return select(listed, text, states, sort or "newest")


@st.fragment(run_every=2.0)
def waiting_line() -> None:
    """What waits for the device, to be reordered and cancelled."""
    line = launcher().line()
    if not line:
        return
    st.subheader("Queue")
    for place, run in enumerate(line, start=1):
        with st.container(horizontal=True, vertical_alignment="center", key=f"line-{run.id}"):
            st.markdown(f"**{place}** &nbsp; {escaped(title_of(run))}", width="stretch")
            if st.button("Move up", key=f"earlier-{run.id}", disabled=place == 1):
                do(lambda run=run, place=place: launcher().move(run, place - 1))
            if st.button("Move down", key=f"later-{run.id}", disabled=place == len(line)):
                do(lambda run=run, place=place: launcher().move(run, place + 1))
            if st.button("Cancel", key=f"cancel-{run.id}"):
                do(lambda run=run: launcher().stop(run))


@st.fragment(run_every=2.0)
def listing(runs: list[Run]) -> None:
    compare_bar()
    for run in runs:
        if run.path.exists():
            run_row(run, key="run", actions=lambda status, run=run: actions(run, status), mark=lambda run=run: compare_mark(run))


def compare_bar() -> None:
    """How many are marked, on whatever page of the list, and the way to their comparison."""
    marked = [id for id in st.session_state.get("to-compare", []) if (workspace().runs / id).exists()]
    with st.container(horizontal=True, vertical_alignment="center", key="compare-bar"):
        label = f"Compare {len(marked)} runs" if len(marked) > 1 else "Compare"
        if st.button(label, type="primary" if len(marked) > 1 else "secondary", disabled=len(marked) < 2, key="compare-marked"):
            compare_runs(marked)
        if marked:
            st.button("Unmark all", key="unmark-all", on_click=unmark_all)
        most = (
            f"{MOST_RUNS} are marked, which is the most."
            if len(marked) >= MOST_RUNS
            else f"Mark two or more to compare them, up to {MOST_RUNS}."
        )
        st.caption(most, width="content")


def compare_mark(run: Run) -> None:
    marked = st.session_state.setdefault("to-compare", [])
    key = f"mark-{run.id}"
    st.session_state[key] = run.id in marked
    st.checkbox(
        f"Mark {escaped(title_of(run))} to be compared",
        key=key,
        label_visibility="collapsed",
        on_change=mark,
        args=(run.id,),
        disabled=run.id not in marked and len(marked) >= MOST_RUNS,
    )


def mark(run_id: str) -> None:
    marked = [id for id in st.session_state["to-compare"] if id != run_id]
    st.session_state["to-compare"] = [*marked, run_id] if st.session_state[f"mark-{run_id}"] else marked


def unmark_all() -> None:
    st.session_state["to-compare"] = []


def actions(run: Run, status: Status) -> None:
    if status.is_active:
        if st.button("Stop", key=f"stop-{run.id}"):
            do(lambda: launcher().stop(run))
    elif status.state != "finished" and st.button("Resume", key=f"resume-{run.id}"):
        do(lambda: launcher().resume(run))
    if st.button("Details", key=f"details-{run.id}"):
        go_to("run/run.py", run)
    if not status.is_active:
        delete_button(run)


st.title("Runs")
load_file_form()
if not entries(workspace()):
    st.info("There are no runs yet. Each training you start is kept here, with its curves, records and checkpoints.")
    if st.button("Go to training", type="primary", key="go-train"):
        st.switch_page("train/train.py")
else:
    waiting_line()
    found = chosen_entries()
    pages = max(1, -(-len(found) // PER_PAGE))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        page = st.number_input(f"Page of {pages}", 1, pages, key=f"runs-page-{pages}", width=160) if pages > 1 else 1
        st.caption(f"{len(found):,} {'run' if len(found) == 1 else 'runs'}")
    if not found:
        st.info("No run has all of that. Fewer words or states find more.")
    listing([entry.run for entry in found[(page - 1) * PER_PAGE : page * PER_PAGE]])
