"""Networks: what they are made of, and how to put one together."""

import streamlit as st

from pages.networks.builder import builder_view
from pages.networks.model_card import model_card_view

VIEWS = {"Look inside": model_card_view, "Builder": builder_view}

st.title("Networks")
asked = st.query_params.get("view", "")
st.session_state.setdefault("networks-view", asked if asked in VIEWS else next(iter(VIEWS)))
view = st.segmented_control("View", list(VIEWS), key="networks-view", label_visibility="collapsed", required=True)
st.query_params["view"] = view
VIEWS[view]()
