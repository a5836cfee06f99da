"""One slider over the evaluated epochs for all views, which can be played."""

import time

import streamlit as st

from core.runs.directory import Run

STEP_S = 0.8  # between two epochs


def chosen_epoch(run: Run, epochs: list[int]) -> int:
    """The slider follows a run that trains until it is moved; playing moves it on."""
    if len(epochs) < 2:
        return epochs[-1]
    state, key, last = st.session_state, f"epoch-of-{run.id}", f"last-epoch-of-{run.id}"
    if state.get(key) not in epochs or (state[key] == state.get(last) and not is_playing(run)):
        state[key] = epochs[-1]
    state[last] = epochs[-1]
    _move_on(run, epochs, key)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button(
            "Stop" if is_playing(run) else "Play", key="play-epochs", help="From epoch to epoch, all that is shown below."
        ):
            if is_playing(run):
                state.pop("playing")
            else:
                state["playing"] = (run.id, time.monotonic())
                if state[key] == epochs[-1]:
                    state["epoch-to-show"] = epochs[0]
            st.rerun()
        return st.select_slider("After epoch", epochs, key=key, help="0 is the network before its training.")


def is_playing(run: Run) -> bool:
    return st.session_state.get("playing", ("", 0))[0] == run.id


def _move_on(run: Run, epochs: list[int], key: str) -> None:
    state = st.session_state
    if (first := state.pop("epoch-to-show", None)) in epochs:
        state[key] = first
        return
    if not is_playing(run) or time.monotonic() - state["playing"][1] < 0.9 * STEP_S:
        return  # something else was clicked meanwhile
    later = [epoch for epoch in epochs if epoch > state[key]]
    if not later:
        state.pop("playing")
        st.rerun()
    state["playing"] = (run.id, time.monotonic())
    state[key] = later[0]
