"""A run as a card: how accurate it is and became, and what it gets wrong."""

import streamlit as st

from core.errors import InputError
from core.insight.gallery import Wanted, select
from core.insight.run_results import evaluated_after
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.status import status_of
from core.wording import duration, percent
from pages.results.strip import strip
from pages.shared.again import again_button
from pages.shared.run_row import badge, subject_of, title_of
from pages.shared.session import go_to
from pages.shared.sparkline import sparkline
from pages.shared.text import escaped

MISTAKES = 3


def run_card(run: Run) -> None:
    status = status_of(run)
    with st.container(border=True, height="stretch", key=f"recent-{run.id}"):
        try:
            st.markdown(f"**{escaped(title_of(run))}** {badge(status)}  \n:small[:gray[{escaped(subject_of(run))}]]")
            history = history_of(run)
        except (InputError, OSError) as error:
            st.caption(f"damaged: {escaped(str(error)[:200])}")
            return
        label = f"{run.config.data.evaluate_on.capitalize()} accuracy, {duration(status.seconds)}"
        st.metric(label, percent(status.accuracy))
        if len(history.evaluations) > 1:
            sparkline([row.accuracy for row in history.evaluations], run.config.data.evaluate_on)
        _mistakes(run)
        with st.container(horizontal=True, gap="small"):
            if st.button("Open", key=f"recent-open-{run.id}"):
                go_to("results/results.py", run)
            again_button(run, key=f"recent-again-{run.id}")


def _mistakes(run: Run) -> None:
    history = history_of(run)
    evaluated = evaluated_after(run, history.last_evaluation.epoch) if history.last_evaluation else None
    if evaluated is None or history.started is None:
        return
    worst = select(Wanted("mistakes"), evaluated.predictions, evaluated.labels)[:MISTAKES].tolist()
    if worst:
        strip(run, evaluated, history.started.class_names, worst, key=f"mistakes-{run.id}", label="Worst mistakes")
