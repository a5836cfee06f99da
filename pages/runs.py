"""Runs: all of them, the newest first; open, stop, resume, delete."""

import streamlit as st

from core.errors import InputError
from core.runs.directory import Run, delete_run, list_runs
from core.runs.status import Status
from pages._common import choose_run, do, inert, launcher, workspace
from pages._run_row import run_row, title_of

PER_PAGE = 20


@st.dialog("Delete this run?")
def confirm_deletion(run: Run) -> None:
    """The second question."""
    st.markdown(f"**{inert(title_of(run))}** with its checkpoints and records will be gone for good.")
    with st.container(horizontal=True):
        if st.button("Delete it", type="primary", key="delete-for-good"):
            try:
                delete_run(run)
            except InputError as error:
                st.error(inert(str(error)))
            else:
                if st.session_state.get("run") == run.id:
                    choose_run(None)
                st.rerun()
        if st.button("Keep it", key="keep"):
            st.rerun()


@st.fragment(run_every=2.0)
def listing(first: int) -> None:
    for run in list_runs(workspace())[first : first + PER_PAGE]:
        run_row(run, key="run", actions=lambda status, run=run: actions(run, status))


def actions(run: Run, status: Status) -> None:
    if status.is_active:
        if st.button("Stop", key=f"stop-{run.id}"):
            do(lambda: launcher().stop(run))
        return
    if status.state != "finished" and st.button("Resume", key=f"resume-{run.id}"):
        do(lambda: launcher().resume(run))
    if st.button("Delete", key=f"delete-{run.id}"):
        st.session_state["doomed"] = run.id
        st.rerun()


st.title("Runs")
runs = list_runs(workspace())
if not runs:
    st.info("There are no runs yet. Each training you start is kept here, with its curves, records and checkpoints.")
    if st.button("Go to training", type="primary", key="go-train"):
        st.switch_page("train.py")
else:
    pages = -(-len(runs) // PER_PAGE)
    page = st.number_input(f"Page of {pages}", 1, pages, key="runs-page", width=160) if pages > 1 else 1
    listing((page - 1) * PER_PAGE)
    if doomed := st.session_state.pop("doomed", None):
        confirm_deletion(next(run for run in runs if run.id == doomed))
