"""Home: a network that learns, one click to a first training, ways to begin, what is running, the latest runs."""

import json
import time
from pathlib import Path

import streamlit as st

from core.recipes import recipe_named
from core.runs.directory import find_run, list_runs
from core.runs.status import status_of
from pages.components.learning_demo import learning_demo
from pages.home.run_card import run_card
from pages.home.ways import ways_to_begin
from pages.shared.actions import do
from pages.shared.run_row import run_row
from pages.shared.session import choose_run, launcher, workspace

RECENT = 4
DOUBLE_CLICK_S = 2.0


def quick_start() -> None:
    """A first training; one however often the button is pressed at once."""
    run_id, began = st.session_state.get("quick-start", ("", 0.0))
    if time.monotonic() - began > DOUBLE_CLICK_S:
        run_id = launcher().submit(recipe_named("digits-quickstart").config).id
        st.session_state["quick-start"] = (run_id, time.monotonic())
    choose_run(find_run(workspace(), run_id))


@st.fragment(run_every=2.0)
def activity() -> None:
    """What trains now, and the latest runs, kept up to date."""
    latest = list_runs(workspace())[: RECENT * 4]
    latest += [run for run in launcher().active() if run not in latest]
    active = [run for run in latest if status_of(run).is_active]
    active.sort(key=lambda run: status_of(run).state == "queued")  # what trains stands above what waits
    if active:
        st.header("Running now")
        for run in active:
            run_row(run, key="active")
    ended = [run for run in latest if run not in active][:RECENT]
    if ended:
        st.header("Recent runs")
        for column, run in zip(st.columns(RECENT), ended, strict=False):
            with column:
                run_card(run)


runs = list_runs(workspace())
words, moving = st.columns([5, 6], gap="large", vertical_alignment="center")
with words:
    st.title("Trainscope")
    st.markdown(
        "Train image classifiers and watch them learn. See what the network confuses, and draw an image for it to recognise. "
        "Everything stays on this machine."
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Train on digits now", type="primary", key="quickstart"):
            do(quick_start, to="train/train.py")
        if st.button("Choose data and model", key="choose"):
            st.session_state.pop("run", None)
            st.switch_page("train/train.py")
with moving:
    learning_demo(json.loads((Path(__file__).parent / "recorded_run.json").read_text()), key="learning-demo")
if runs:
    activity()
ways_to_begin()
