"""A recorded run that plays in a loop: digits with the network's guesses, which turn right while the loss falls."""

from pathlib import Path
from typing import Any

import streamlit as st

_js = (Path(__file__).parent / "learning_demo.js").read_text()
_demo = st.components.v2.component("trainscope.learning_demo", js=_js, isolate_styles=False)


def learning_demo(recorded: dict[str, Any], key: str) -> None:
    """recorded: as benchmarks/record_home.py writes it. Where motion is reduced, the end of the run stands still."""
    _demo(data=recorded, key=key)
