"""The way from a number to its images: what the gallery is asked to show."""

import streamlit as st

ANY = -1  # in place of a class


def show_images(predicted: int | None, true: int | None, choice: str = "all") -> None:
    """Turns to the images of a class, or of one that was taken for another; as a click on a chart says it. None: any."""
    state = st.session_state
    state["result-view"], state["gallery-choice"] = "Images", choice
    state["gallery-true"], state["gallery-predicted"] = (ANY if k is None else k for k in (true, predicted))
