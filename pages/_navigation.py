"""What every page has in common: the title, the list of pages, and the look of the whole. Runs before each page."""

from contextlib import suppress
from pathlib import Path

import streamlit as st

from core.errors import InputError
from core.runs.directory import find_run
from core.workspace import open_workspace
from pages.components.live_chart import load_charts_early
from pages.components.quiet_address import quiet_address
from pages.shared.actions import show_messages
from pages.shared.run_row import title_of


def title_of_page(page: str) -> str:
    """What the browser's tab is called: the page, and the run or the set that it is about."""
    about = st.query_params.get("set", "")
    if run_id := st.query_params.get("run"):
        with suppress(InputError):
            about = title_of(find_run(open_workspace(), run_id)).partition(" · ")[0].strip("\u2068\u2069")
    return " · ".join(filter(None, (about[:60], page, "Trainscope")))


st.set_page_config(page_title="Trainscope", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")

page = st.navigation(
    [
        st.Page("home/home.py", title="Home", default=True),
        st.Page("data/catalogue.py", title="Data", url_path="data"),
        st.Page("train/train.py", title="Train"),
        st.Page("networks/networks.py", title="Networks"),
        st.Page("results/results.py", title="Results"),
        st.Page("compare/compare.py", title="Compare"),
        st.Page("predict/predict.py", title="Predict"),
        st.Page("runs/runs.py", title="Runs"),
        st.Page("activity/activity.py", title="Activity"),
        st.Page("data/one_set.py", title="Data set", url_path="set", visibility="hidden"),
        st.Page("run/run.py", title="Run", visibility="hidden"),
    ],
    position="top",
)
st.set_page_config(page_title=title_of_page(page.title))
st.session_state["has-arrived"] = st.session_state.get("current-page") != page.title  # from another page
st.session_state["current-page"] = page.title
st.html(Path(__file__).parent / "style.css")
show_messages()
page.run()
with st.container(height=1, border=False):
    load_charts_early()
    quiet_address()
