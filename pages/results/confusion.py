"""Results by pairs of classes: which is taken for which, with the images behind every cell."""

import numpy as np
import streamlit as st

from core.figures import runs as figures
from core.insight.metrics import confusion_among, most_confused_pairs, most_mistaken, similarity_order
from core.insight.run_results import EvaluatedImages, records_of
from core.runs.directory import Run
from core.runs.history import history_of
from pages.components.live_chart import live_chart
from pages.shared.gallery_choice import show_images
from pages.shared.text import escaped
from pages.shared.theme import background

MOST_CONFUSED = 5
MOST_CLASSES = 100  # in the matrix
FEWER_CLASSES = 20  # in the small one
SHOWS = {"counts": "Counts", "true": "% of the true class", "predicted": "% of the predicted class"}
ORDERS = {"given": "As given", "similar": "Confused classes side by side"}


def confusion(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    """The matrix; a click on a cell shows its images."""
    labels, predicted = evaluated.labels, evaluated.predictions.predicted
    pairs = most_confused_pairs(labels, predicted, MOST_CONFUSED)
    if pairs:
        st.markdown(
            "Most often confused, true → predicted: "
            + "; ".join(f"**{escaped(names[t])}** → **{escaped(names[p])}**: {n:,} ×" for t, p, n in pairs)
            + "."
        )
    else:
        st.markdown("No image was predicted as another class.")
    classes = np.arange(len(names))
    if len(names) > MOST_CLASSES:
        classes = most_mistaken(labels, predicted, len(names), MOST_CLASSES)
        st.caption(f"The {MOST_CLASSES} of {len(names):,} classes with the most mistakes, of them or for them, are shown.")
    counts = confusion_among(labels, predicted, classes)
    with st.container(horizontal=True):
        show = st.selectbox("Cells", list(SHOWS), format_func=SHOWS.get, key="confusion-show", persist_state="session", width=240)
        order = st.selectbox(
            "Order", list(ORDERS), format_func=ORDERS.get, key="confusion-order", persist_state="session", width=280
        )
    places = similarity_order(counts) if order == "similar" else np.arange(len(classes))
    shown_classes = classes[places]
    totals = [np.bincount(of, minlength=len(names))[shown_classes] for of in (labels, predicted)]
    figure = figures.confusion_heatmap(
        counts[np.ix_(places, places)], [names[k] for k in shown_classes], background(), show, *totals, classes=shown_classes
    )

    st.caption(
        "Rows are true classes. Click a cell to see its images, the name of a row or a column for all of it; under Images, both classes are "
        "chosen from lists as well."
    )
    live_chart(
        figure,
        key=f"confusion-{run.id}",
        alt="Confusion matrix: true classes against predicted ones",
        on_click=show_images,
    )


def small_confusion(run: Run, evaluated: EvaluatedImages, names: list[str], key: str) -> None:
    """The matrix of at most twenty classes, beside other things; a click on a cell shows its images."""
    labels, predicted = evaluated.labels, evaluated.predictions.predicted
    classes = classes_in_short(run, evaluated, len(names))
    totals = [np.bincount(of, minlength=len(names))[classes] for of in (labels, predicted)]
    figure = figures.confusion_heatmap(
        confusion_among(labels, predicted, classes), [names[k] for k in classes], background(), "counts", *totals, classes=classes
    )
    live_chart(figure, key=f"{key}-{run.id}", alt="Confusion matrix: true classes against predicted ones", on_click=show_images)


def classes_in_short(run: Run, evaluated: EvaluatedImages, num_classes: int) -> np.ndarray:
    """All, or the twenty with the most mistakes after the last epoch: the same ones at every epoch, so that nothing jumps."""
    if num_classes <= FEWER_CLASSES:
        return np.arange(num_classes)
    said = evaluated.predictions
    if not evaluated.evaluation:
        last = history_of(run).evaluations[-1].epoch
        said = records_of(run, [last]).get(last, said)
    return most_mistaken(evaluated.labels, said.predicted, num_classes, FEWER_CLASSES)
