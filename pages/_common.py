"""What several pages share: the workspace, the launcher, the chosen run, and safe words."""

import re
from collections.abc import Callable

import streamlit as st

from core.errors import InputError
from core.files import disk_error
from core.runs.directory import Run, find_run
from core.runs.launcher import Launcher, launcher_for
from core.workspace import Workspace, open_workspace


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
        st.warning(inert(str(error)))
        return None
    choose_run(run)
    return run


def go_to(page: str, run: Run) -> None:
    """Opens a page for a run."""
    st.session_state["run"] = run.id
    st.switch_page(page, query_params={"run": run.id})


def do(action: Callable[[], None]) -> None:
    """Does what a button asks for and shows the page anew, or says why it can't be done."""
    if attempt(action):
        st.rerun()


def attempt(action: Callable[[], None]) -> bool:
    """Whether it could be done; if not, the page says why."""
    try:
        action()
    except InputError as error:
        st.error(inert(str(error)))
    except OSError as error:
        st.error(inert(str(disk_error(error))))
    else:
        return True
    return False


def background() -> str:
    """The page's background in the visitor's theme, for figures that shade from it."""
    return st.get_option(f"theme.{st.context.theme.type or 'light'}.backgroundColor")


def inert(text: str) -> str:
    """Text from outside as Markdown that shows it and does nothing: no links, pictures, colours or formulas."""
    text = re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)
    # addresses become links by themselves; an invisible joiner within keeps them text
    return re.sub(r"(?i)(www|ftp|https?|mailto|@)", "\\1\u2060", text)
