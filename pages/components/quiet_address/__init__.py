"""A page that names its run or view in its address does so in place, so that Back leaves the page with one press."""

from pathlib import Path

import streamlit as st

_js = (Path(__file__).parent / "quiet_address.js").read_text()
_quiet = st.components.v2.component("trainscope.quiet_address", js=_js, isolate_styles=False)


def quiet_address() -> None:
    """Once on every page."""
    _quiet(key="quiet-address", height=1)
