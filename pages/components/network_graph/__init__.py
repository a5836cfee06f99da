"""A drawing of a network to zoom, move, fold and save."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

_js = (Path(__file__).parent / "network_graph.js").read_text(encoding="utf-8")
_graph = st.components.v2.component("trainscope.network_graph", js=_js, isolate_styles=False)


def network_graph(svg: str, *, key: str, name: str, on_toggle: Callable[[str], None]) -> None:
    """svg: our own drawing (core/figures/network_graph.py). name: of the file it is saved as, without its ending.

    on_toggle: called with the path of a block that was clicked.
    """

    def toggled() -> None:
        if (block := st.session_state[key].get("toggled")) is not None:
            on_toggle(str(block))

    _graph(data={"svg": svg, "name": name}, key=key, on_toggled_change=toggled)
