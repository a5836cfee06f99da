"""Networks as something to look into, put together and try out."""

import streamlit as st

from pages.networks.builder import builder_view
from pages.networks.layer_lab import layer_lab
from pages.networks.losses import losses
from pages.networks.model_card import model_card_view

VIEWS = {"Look inside": model_card_view, "Builder": builder_view, "Layer lab": layer_lab, "Losses": losses}


def view_choice() -> str:
    """The view that is chosen, which the address names too."""
    state, asked = st.session_state, st.query_params.get("view", "").capitalize()
    if asked in VIEWS and asked != state.get("networks-view-shown"):  # a link, Back, or a page loaded anew
        state["networks-view"] = asked
    state.setdefault("networks-view", next(iter(VIEWS)))
    view = st.segmented_control(
        "View", list(VIEWS), key="networks-view", label_visibility="collapsed", required=True, persist_state="session"
    )
    state["networks-view-shown"] = view
    if st.query_params.get("view") != view.lower():
        st.query_params["view"] = view.lower()
    return view


with st.container(horizontal=True, vertical_alignment="center", key="page-head"):
    st.title("Networks", width="content")
    view = view_choice()
VIEWS[view]()
