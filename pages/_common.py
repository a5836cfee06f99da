"""What several pages share: the workspace, the launcher, the chosen run, and safe words."""

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.data.store import Progress
from core.errors import InputError
from core.files import disk_error
from core.runs.actions import DamagedCheckpoint
from core.runs.directory import Run, find_run
from core.runs.launcher import Launcher, launcher_for
from core.settings import all_settings
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
        st.warning(f"{inert(str(error))} It may have been deleted; the Runs page has all there are.")
        return None
    choose_run(run)
    return run


def go_to(page: str, run: Run) -> None:
    """Opens a page for a run."""
    st.session_state["run"] = run.id
    st.switch_page(page, query_params={"run": run.id})


def do(action: Callable[[], object], notice: str = "", to: str | None = None) -> None:
    """Does what a button asks for and shows the page anew, or another one, with a notice, or with why it can't be done.

    Said at the top of the page: a message beside its button is gone with the next update of a live part.
    """
    try:
        action()
    except DamagedCheckpoint as error:
        st.session_state["trouble"] = for_people(error)
        st.session_state["offer"] = (error.run.id, error.sound, error.settings)
    except InputError as error:
        st.session_state["trouble"] = for_people(error)
    except OSError as error:
        st.session_state["trouble"] = for_people(disk_error(error))
    else:
        st.session_state["notice"] = notice
        if to:
            st.switch_page(to, query_params={"run": st.session_state["run"]} if st.session_state.get("run") else None)
    st.rerun()


def with_bar(action: Callable[[Progress], object]) -> bool:
    """Does what takes its time behind a bar that moves. Whether it was done; else why not is said where the bar was."""
    bar = st.progress(0.0, "Beginning")

    def show(what: str, done: int, total: int) -> None:
        bar.progress(min(1.0, done / total) if total else 1.0, inert(f"{what}, {done:,} of {total:,}" if total else what))

    try:
        action(show)
    except InputError as error:
        reason = str(error)
    except OSError as error:
        reason = str(disk_error(error))
    else:
        return True
    bar.empty()
    st.error(inert(reason))
    return False


def show_messages() -> None:
    """What the last action has to say."""
    if trouble := st.session_state.pop("trouble", ""):
        st.error(inert(trouble))
        offer = st.session_state.pop("offer", None)
        if offer and offer[1]:
            st.button(f"Resume from {offer[1]}", type="primary", key="resume-from-sound", on_click=_resume_from, args=offer)
    if notice := st.session_state.pop("notice", ""):
        st.toast(inert(notice))


def _resume_from(run_id: str, checkpoint: str, settings: dict[str, Any]) -> None:
    try:
        launcher().resume(find_run(workspace(), run_id), settings, checkpoint)
    except InputError as error:
        st.session_state["trouble"] = for_people(error)


def for_people(error: InputError) -> str:
    """Its sentences, with settings called as the forms call them."""
    return in_words(str(error))


def in_words(text: str) -> str:
    """A text with settings called as the forms call them."""
    for item in all_settings():
        text = text.replace(f"{item.path}:", f"{item.title}:")
        if not item.path.isalpha():  # "epochs" and "seed" are words of their own
            text = re.sub(rf"(?<![\w.]){re.escape(item.path)}(?![\w])", f"'{item.title}'", text)
    return text


def background() -> str:
    """The page's background in the visitor's theme, for figures that shade from it."""
    return st.get_option(f"theme.{st.context.theme.type or 'light'}.backgroundColor")


def inert(text: str) -> str:
    """Text from outside as Markdown that shows it and does nothing: no links, pictures, colours or formulas."""
    text = re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)
    # addresses become links by themselves; an invisible joiner within keeps them text
    return re.sub(r"(?i)(www|ftp|https?|mailto|@)", "\\1\u2060", text)
