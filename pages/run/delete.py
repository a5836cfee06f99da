"""The button that deletes a run, behind a second question."""

import streamlit as st

from core.errors import InputError
from core.runs.directory import Run, delete_run
from pages.shared.session import choose_run
from pages.shared.text import escaped


def delete_button(run: Run, then: str | None = None) -> None:
    """then: the page to go to afterwards; without it the page is shown anew."""
    with st.popover("Delete", key=f"delete-{run.id}"):
        st.markdown("Its curves, records and checkpoints will be gone for good.")
        if st.button("Delete it", type="primary", key=f"delete-for-good-{run.id}"):
            try:
                delete_run(run)
            except InputError as error:
                st.error(escaped(str(error)))
                return
            if st.session_state.get("run") == run.id:
                choose_run(None)
            if then:
                st.switch_page(then)
            st.rerun()
