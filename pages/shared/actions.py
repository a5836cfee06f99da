"""What a button asks for is done, and said: a notice, why it can't be done, or a bar while it takes its time."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import InputError
from core.files import disk_error
from core.running.actions import DamagedCheckpoint
from core.runs.directory import find_run
from pages.shared.session import launcher, workspace
from pages.shared.text import escaped, for_people


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


def show_messages() -> None:
    """What the last action has to say."""
    if trouble := st.session_state.pop("trouble", ""):
        st.error(escaped(trouble))
        offer = st.session_state.pop("offer", None)
        if offer and offer[1]:
            st.button(f"Resume from {offer[1]}", type="primary", key="resume-from-sound", on_click=_resume_from, args=offer)
    if notice := st.session_state.pop("notice", ""):
        st.toast(escaped(notice))


def _resume_from(run_id: str, checkpoint: str, settings: dict[str, Any]) -> None:
    try:
        launcher().resume(find_run(workspace(), run_id), settings, checkpoint)
    except InputError as error:
        st.session_state["trouble"] = for_people(error)
