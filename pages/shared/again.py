"""The way from a run to a new one with its settings."""

import streamlit as st

from core.runs.directory import Run
from pages.shared.session import choose_run
from pages.train.settings_form import begin_with


def again_button(run: Run, key: str = "again", label: str = "New run from these settings") -> None:
    """Has the form of the Train page stand for a new run with this one's settings."""
    if st.button(label, key=key):
        begin_with(run)
        choose_run(None)
        st.switch_page("train/train.py")
