"""The visitor's workspace and queue, and the run that is chosen: in the address and in the session, so that it survives a refresh and a link."""

import streamlit as st

from core.errors import InputError
from core.runs.directory import Run, find_run
from core.serving.launcher import Launcher, launcher_for
from core.workspace import Workspace, open_workspace
from pages.shared.text import escaped


def workspace() -> Workspace:
    return open_workspace()


def launcher() -> Launcher:
    return launcher_for(workspace())


def choose_run(run: Run | None) -> None:
    """Makes this the chosen run on every page, also after a refresh."""
    if run is None:
        st.session_state.pop("run", None)
        st.query_params.pop("run", None)
    else:
        st.session_state["run"] = run.id
        st.query_params["run"] = run.id


def chosen_run() -> Run | None:
    """The run from the address, else the one chosen before; None if there is none or it is gone."""
    run_id = st.query_params.get("run") or st.session_state.get("run")
    if not run_id:
        return None
    try:
        run = find_run(workspace(), run_id)
        _ = run.config  # a damaged one is said here, not met on the page
    except InputError as error:
        choose_run(None)
        st.warning(f"{escaped(str(error))} It may have been deleted; the Runs page has all there are.")
        return None
    choose_run(run)
    return run


def go_to(page: str, run: Run) -> None:
    """Opens a page for a run."""
    st.session_state["run"] = run.id
    st.switch_page(page, query_params={"run": run.id})
