"""Results by class: figures with their uncertainty, and which class is taken for which, with the pictures behind every cell."""

import numpy as np
import streamlit as st

from core.figures import runs as figures
from core.insight.class_report import Means, as_csv, class_report
from core.insight.metrics import confusion_among, most_confused_pairs, most_mistaken, similarity_order
from core.insight.run_results import Judged
from core.runs.directory import Run
from core.wording import percent
from pages._common import background, inert
from pages.live_chart import live_chart

MOST_CONFUSED = 5
MOST_CLASSES = 100  # in the matrix
SHOWS = {"counts": "Counts", "true": "% of the true class", "predicted": "% of the predicted class"}
ORDERS = {"given": "As given", "similar": "Confused classes side by side"}


def class_table(judged: Judged, names: list[str], colour: str) -> None:
    report = class_report(judged.labels, judged.predictions.predicted, names)
    accuracy = report.accuracy
    st.markdown(
        f"**{percent(accuracy.value, 2)}** right overall; with as many other pictures it would lie between {percent(accuracy.low, 1)} "
        f"and {percent(accuracy.high, 1)} in 95 of 100 cases."
    )
    rows = [
        {
            "Class": row.name, "Accuracy": 100 * row.recall.value, "Accuracy between": _between(row.recall.low, row.recall.high),
            "Precision": 100 * row.precision.value, "Precision between": _between(row.precision.low, row.precision.high),
            "F1": 100 * row.f1, "Pictures": row.support,
        }
        for row in report.rows
    ]  # fmt: skip
    st.dataframe(
        rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 600), key="class-table",
        column_config={
            "Accuracy": st.column_config.ProgressColumn(
                format="%.1f %%", min_value=0, max_value=100, color=colour,
                help="Of the pictures of this class, the share that is recognised (recall).",
            ),
            "Precision": st.column_config.NumberColumn(format="%.1f %%", help="Of the pictures taken for this class, the share that belongs to it."),
            "F1": st.column_config.NumberColumn(format="%.1f %%", help="The harmonic mean of accuracy (recall) and precision."),
            "Accuracy between": st.column_config.TextColumn(help="95 % confidence interval (Wilson): few pictures say little."),
        },
    )  # fmt: skip
    st.caption(f"Mean of the classes: {_means(report.macro)}. Weighted by their pictures: {_means(report.weighted)}.")
    st.download_button("Download as CSV", as_csv(report), "classes.csv", "text/csv", key="classes-csv", on_click="ignore")


def _between(low: float, high: float) -> str:
    return "–" if np.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f} %"


def _means(means: Means) -> str:
    return f"accuracy {percent(means.recall)}, precision {percent(means.precision)}, F1 {percent(means.f1)}"


def confusion(run: Run, judged: Judged, names: list[str]) -> None:
    """The matrix; a click on a cell shows its pictures."""
    labels, predicted = judged.labels, judged.predictions.predicted
    pairs = most_confused_pairs(labels, predicted, MOST_CONFUSED)
    if pairs:
        st.markdown(
            "Most often: " + "; ".join(f"**{inert(names[t])}** for **{inert(names[p])}**, {_times(n)}" for t, p, n in pairs) + "."
        )
    else:
        st.markdown("No picture was taken for another class.")
    classes = np.arange(len(names))
    if len(names) > MOST_CLASSES:
        classes = most_mistaken(labels, predicted, len(names), MOST_CLASSES)
        st.caption(f"The {MOST_CLASSES} of {len(names):,} classes with the most mistakes among one another are shown.")
    counts = confusion_among(labels, predicted, classes)
    with st.container(horizontal=True):
        show = st.selectbox("Cells", list(SHOWS), format_func=SHOWS.get, key="confusion-show", persist_state="session", width=240)
        order = st.selectbox(
            "Order", list(ORDERS), format_func=ORDERS.get, key="confusion-order", persist_state="session", width=280
        )
    places = similarity_order(counts) if order == "similar" else np.arange(len(classes))
    shown_classes = classes[places]
    figure = figures.confusion_heatmap(counts[np.ix_(places, places)], [names[k] for k in shown_classes], background(), show)
    shown = list(figure.data[0].x)

    def open_cell(x: str, y: str) -> None:
        if x in shown and y in shown:
            show_pictures(int(shown_classes[shown.index(y)]), int(shown_classes[shown.index(x)]))

    st.caption(
        "Rows are true classes. Click a cell to see its pictures; under Pictures, true and predicted class are chosen from lists as well."
    )
    live_chart(figure, key=f"confusion-{run.id}", alt="Confusion matrix: true classes against predicted ones", on_click=open_cell)


def show_pictures(true: int | None, predicted: int | None, choice: str = "all") -> None:
    """Turns to the pictures of a cell."""
    state = st.session_state
    state["result-view"], state["gallery-choice"] = "Pictures", choice
    state["gallery-true"], state["gallery-predicted"] = true, predicted


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
