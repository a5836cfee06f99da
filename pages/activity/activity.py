"""Activity: everything that takes long, whoever asked for it, with what is left of it; and what ended lately."""

import streamlit as st

from core.runs.directory import Run
from core.serving.activity import Activity, activities, cancel
from core.wording import duration
from pages.shared.actions import do
from pages.shared.session import go_to, workspace
from pages.shared.text import escaped
from pages.shared.work import in_words

RECENT = 20
COLOURS = {"running": "blue", "queued": "blue", "failed": "orange", "interrupted": "orange"}


@st.fragment(run_every=1.0)
def listing() -> None:
    found = activities(workspace(), RECENT)
    active = [activity for activity in found if activity.status.is_active]
    ended = [activity for activity in found if not activity.status.is_active]
    if not active:
        st.info("Nothing is going on. Trainings, imports, evaluations and other long work show here while they last.")
    for activity in active:
        row(activity)
    if ended:
        st.header("Ended lately")
        for activity in ended:
            row(activity)


def row(activity: Activity) -> None:
    job, status = activity.job, activity.status
    with st.container(border=True, key=f"activity-{job.id}"), st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch", gap=None):
            badge = f":{COLOURS.get(status.state, 'gray')}-badge[{status.state}]"
            st.markdown(f"**{activity.kind}** &nbsp; {escaped(activity.title)} &nbsp; {badge}")
            if status.is_active:
                st.progress(status.share, escaped(in_words(status)))
            else:
                st.caption(escaped(status.message or (f"Took {duration(status.seconds)}." if status.seconds else "")))
        if job.kind == "train" and st.button("Open", key=f"open-{job.id}"):
            go_to("train/train.py", Run(job.path))
        if status.is_active and st.button("Cancel", key=f"cancel-{job.id}"):
            do(lambda: cancel(workspace(), job.id))


st.title("Activity")
listing()
