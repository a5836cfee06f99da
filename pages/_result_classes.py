"""Results by class: figures with their uncertainty."""

import numpy as np
import streamlit as st

from core.figures.look import COLOURS
from core.insight.class_report import Means, as_csv, class_report
from core.insight.run_results import Judged
from core.runs.directory import Run
from core.wording import percent


def class_table(run: Run, judged: Judged, names: list[str]) -> None:
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
                format="%.1f %%", min_value=0, max_value=100, color=COLOURS[judged.split],
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
