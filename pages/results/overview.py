"""Results at first sight: the curves, which class is predicted as which, and the worst mistakes, on one screen."""

import streamlit as st

from core.figures import runs as figures
from core.insight.gallery import Wanted, select
from core.insight.run_results import EvaluatedImages
from core.runs.directory import Run
from core.runs.history import History, history_of
from core.wording import counted
from pages.components.live_chart import live_chart
from pages.results.confusion import small_confusion
from pages.results.evaluated_image import open_image
from pages.results.strip import strip
from pages.shared.gallery_choice import show_images

CURVE_PX = 170
MOST_MISTAKES = 12


def overview(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    history = history_of(run)
    course, pairs, mistakes = st.columns([4, 5, 4], gap="medium")
    if history.evaluations:
        with course:
            curve(run, history, "Loss", figures.loss_curve(history))
            curve(run, history, "Accuracy", figures.accuracy_curve(history))
    with pairs:
        st.markdown("**Confusions**")
        small_confusion(run, evaluated, names, key="overview-confusion")
    with mistakes:
        worst_mistakes(run, evaluated, names)


def curve(run: Run, history: History, title: str, figure) -> None:
    """A small one: legend and axis are those of the Curves view."""
    st.markdown(f"**{title}**")
    figure.update_layout(height=CURVE_PX, margin={"l": 40, "r": 8, "t": 4, "b": 24}, showlegend=False)
    figure.update_yaxes(title_text="")
    figure.update_xaxes(title_text="")
    live_chart(figure, key=f"overview-{title.lower()}-{run.id}", alt=f"{title} over the training images seen")


def worst_mistakes(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    """Those whose true class was given the least probability; all of them are a click away."""
    found = select(Wanted("mistakes"), evaluated.predictions, evaluated.labels)
    st.markdown("**Worst mistakes**")
    if not len(found):
        st.caption("None: every image was predicted right.")
        return
    worst = found[:MOST_MISTAKES].tolist()
    strip(
        run,
        evaluated,
        names,
        worst,
        key=f"worst-{run.id}",
        label="Worst mistakes",
        on_open=lambda position: st.session_state.update({"open-evaluated": position}),
    )
    st.button(
        f"See all {counted(len(found), 'mistake')}", key="all-mistakes", on_click=show_images, args=(None, None, "mistakes")
    )
    open_image(run, evaluated, names, worst)
