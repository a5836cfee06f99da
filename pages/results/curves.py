"""Results over the run: its curves, and some of the images it is evaluated on."""

import streamlit as st

from core.figures import runs as figures
from core.insight.run_results import samples
from core.recipes import published_for
from core.runs.directory import Run
from core.runs.history import History
from core.wording import percent
from pages.components.live_chart import live_chart
from pages.shared.enlarged import enlarged
from pages.shared.session import workspace
from pages.shared.text import escaped


def curves(run: Run, history: History) -> None:
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss**")
        figure = figures.loss_curve(history, published=published_for(run.config))
        live_chart(figure, key=f"results-loss-{run.id}", alt="Loss over the training images seen")
    with right:
        st.markdown("**Accuracy**")
        live_chart(
            figures.accuracy_curve(history), key=f"results-accuracy-{run.id}", alt="Accuracy over the training images seen"
        )


def sample_images(run: Run, epoch: int, names: list[str]) -> None:
    found = samples(workspace(), run, epoch)
    if not found:
        return
    st.header("Images it was evaluated on")
    with st.container(horizontal=True, gap="medium"):
        for sample in found:
            with st.container(width=150, gap="small"):
                st.image(enlarged(sample.image), width=132, output_format="PNG", alt=f"An image of class {names[sample.true]}")
                mark = "✓" if sample.predicted == sample.true else "✗"
                st.caption(
                    f"{mark} {escaped(names[sample.predicted])} ({percent(sample.confidence, 0)})  \ntrue class: {escaped(names[sample.true])}"
                )
