"""Runs: all of them as a table, searched and sorted; the queue; a checkpoint or a run from outside becomes one."""

import streamlit as st

from core.runs.index import SORTS, ListedRun, entries, select
from pages.runs.load_file import load_file_form
from pages.runs.table import table
from pages.shared.actions import do
from pages.shared.run_row import COLOURS, title_of
from pages.shared.session import launcher, workspace
from pages.shared.text import escaped

PER_PAGE = 50


def chosen_entries() -> tuple[list[ListedRun], str, bool]:
    """The runs that search and filter leave, in the chosen order; that order, and whether it is reversed."""
    state = st.session_state
    if clicked := state.pop("runs-sorted", ""):  # a header: the same one again turns the order round
        state["runs-reversed"] = clicked == state.get("runs-sort") and not state.get("runs-reversed", False)
        state["runs-sort"] = clicked
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="runs-search",
            placeholder="Name, tag, note, data, model, date or setting, such as adam or lr=0.01",
            persist_state="session",
        )
        states = st.multiselect("State", list(COLOURS), key="runs-states", placeholder="Any", persist_state="session")
        sort = st.selectbox(
            "Order",
            list(SORTS),
            format_func=lambda name: SORTS[name][0],
            key="runs-sort",
            persist_state="session",
            on_change=lambda: state.update({"runs-reversed": False}),
        )
    sort, is_reversed = sort or "newest", state.get("runs-reversed", False)
    return select(entries(workspace()), text, states, sort, is_reversed), sort, is_reversed


@st.fragment(run_every=2.0)
def waiting_line() -> None:
    """What waits for the device, to be reordered and cancelled."""
    line = launcher().line()
    if not line:
        return
    st.header("Queue")
    for place, run in enumerate(line, start=1):
        with st.container(horizontal=True, vertical_alignment="center", key=f"line-{run.id}"):
            st.markdown(f"**{place}** &nbsp; {escaped(title_of(run))}", width="stretch")
            if st.button("Move up", key=f"earlier-{run.id}", disabled=place == 1):
                do(lambda run=run, place=place: launcher().move(run, place - 1))
            if st.button("Move down", key=f"later-{run.id}", disabled=place == len(line)):
                do(lambda run=run, place=place: launcher().move(run, place + 1))
            if st.button("Cancel", key=f"cancel-{run.id}"):
                do(lambda run=run: launcher().stop(run))


st.title("Runs")
load_file_form()
if not entries(workspace()):
    st.info("There are no runs yet. Each training you start is kept here, with its curves, records and checkpoints.")
    if st.button("Go to training", type="primary", key="go-train"):
        st.switch_page("train/train.py")
else:
    waiting_line()
    found, sort, is_reversed = chosen_entries()
    pages = max(1, -(-len(found) // PER_PAGE))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        page = st.number_input(f"Page of {pages}", 1, pages, key=f"runs-page-{pages}", width=160) if pages > 1 else 1
        st.caption(f"{len(found):,} {'run' if len(found) == 1 else 'runs'}")
    if not found:
        st.info("No run has all of that. Fewer words or states find more.")
    table(found[(page - 1) * PER_PAGE : page * PER_PAGE], sort, is_reversed)
