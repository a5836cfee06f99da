"""Results by class: figures with their uncertainty, alone or against an earlier epoch or another run."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.errors import InputError
from core.figures.look import colour_of
from core.insight.class_report import ClassReport, Means, as_csv, class_report, top_accuracy
from core.insight.run_results import EvaluatedImages, are_of_the_same_images, class_names_of, evaluated_after
from core.recipes import published_for
from core.runs.directory import Run, find_run
from core.runs.history import history_of
from core.runs.index import entries
from core.wording import percent
from pages.shared.gallery_choice import show_images
from pages.shared.run_row import titles_of
from pages.shared.session import workspace
from pages.shared.text import escaped

MOST_RUNS = 100  # offered to compare with; more at once under Compare


def class_table(run: Run, evaluated: EvaluatedImages, names: list[str]) -> None:
    report = class_report(evaluated.labels, evaluated.predictions.predicted, names)
    say_overall(report, evaluated, names)
    before = against(run, evaluated, names)
    key = f"class-table-{bool(before)}"

    def open_class() -> None:
        if rows := st.session_state[key].selection.rows:
            show_images(None, rows[0])

    st.caption("Choose a row by its box, or under Images from a list, to see the images of the class.")
    st.dataframe(
        table_rows(report, before, published.recall if (published := published_for(run.config)) else ()),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(report.rows), 600),
        key=key,
        on_select=open_class,
        selection_mode="single-row",
        column_config={
            "Recall": st.column_config.ProgressColumn(
                format="%.1f %%",
                min_value=0,
                max_value=100,
                color=colour_of(evaluated.split),
                help="Of the images of this class, the share that is recognised.",
            ),
            "Recall ±": st.column_config.NumberColumn(
                format="%+.1f", help="Percentage points above or below the one compared with."
            ),
            "Precision": st.column_config.ProgressColumn(
                format="%.1f %%",
                min_value=0,
                max_value=100,
                color=colour_of(evaluated.split),
                help="Of the images predicted as this class, the share that belongs to it.",
            ),
            "Precision ±": st.column_config.NumberColumn(
                format="%+.1f", help="Percentage points above or below the one compared with."
            ),
            "Published recall": st.column_config.NumberColumn(format="%.1f %%", help="What the tutorial of this recipe reports."),
            "F1": st.column_config.NumberColumn(format="%.1f %%", help="The harmonic mean of recall and precision."),
            "F1 ±": st.column_config.NumberColumn(format="%+.1f", help="Percentage points above or below the one compared with."),
            "Images": st.column_config.NumberColumn(format="localized"),
            "Recall, 95 % CI": st.column_config.TextColumn(
                help="95 % confidence interval of the recall (Wilson): few images say little."
            ),
            "Precision, 95 % CI": st.column_config.TextColumn(help="95 % confidence interval of the precision (Wilson)."),
        },
    )
    st.caption(f"Mean of the classes: {_means(report.macro)}. Weighted by their images: {_means(report.weighted)}.")
    st.download_button("Download as CSV", as_csv(report), "classes.csv", "text/csv", key="classes-csv", on_click="ignore")


def say_overall(report: ClassReport, evaluated: EvaluatedImages, names: list[str]) -> None:
    accuracy, top = report.accuracy, top_accuracy(evaluated.predictions.rank, len(names))
    among = ""
    if top:
        among = f" Top-3 accuracy **{percent(top.value, 2)}**: the true class is among the three likeliest."
    st.markdown(
        f"**{percent(accuracy.value, 2)}** accuracy (95 % confidence interval {percent(accuracy.low, 1)} to {percent(accuracy.high, 1)}).{among}"
    )


def against(run: Run, evaluated: EvaluatedImages, names: list[str]) -> ClassReport | None:
    """The figures of another epoch or run to compare with, classes matched by name."""
    epochs = [row.epoch for row in history_of(run).evaluations if evaluated.evaluation or row.epoch != evaluated.epoch]
    titles = titles_of([entry for entry in entries(workspace())[:MOST_RUNS] if entry.run.id != run.id])
    options = ["", *(f"epoch {epoch}" for epoch in reversed(epochs)), *titles]
    key = f"against-{run.id}"
    if st.session_state.get(key, "") not in options:
        st.session_state[key] = ""
    chosen = st.selectbox(
        "Compare with",
        options,
        key=key,
        persist_state="session",
        width=420,
        format_func=lambda name: titles.get(name) or name or "none",
        help="Shows the difference to an earlier epoch of this run, or to the last one of another run.",
    )
    if not chosen:
        return None
    other = find_run(workspace(), chosen) if chosen in titles else run
    epoch = int(chosen.removeprefix("epoch ")) if chosen not in titles else None
    try:
        found, their_names = _evaluated(other, epoch), class_names_of(other)
    except InputError as error:
        st.caption(escaped(str(error)))
        return None
    if found is None or not set(their_names) & set(names):
        st.caption("It was not evaluated yet." if found is None else "It knows none of these classes.")
        return None
    if not are_of_the_same_images(run, evaluated, other, found):
        st.caption(
            f"It was evaluated on other images ({len(found.labels):,}, here {len(evaluated.labels):,}): some of the difference may be theirs."
        )
    return class_report(found.labels, found.predictions.predicted, their_names)


def _evaluated(run: Run, epoch: int | None) -> EvaluatedImages | None:
    evaluations = history_of(run).evaluations
    if epoch is None and not evaluations:
        return None
    return evaluated_after(run, evaluations[-1].epoch if epoch is None else epoch)


def table_rows(report: ClassReport, before: ClassReport | None, published: Sequence[float] = ()) -> list[dict]:
    """One a class, in per cent. published: the recall of each class that a tutorial reports."""
    earlier = {row.name: row for row in before.rows} if before else {}
    rows = []
    for number, row in enumerate(report.rows):
        was = earlier.get(row.name)
        figures = {
            "Recall": (row.recall.value, was and was.recall.value),
            "Precision": (row.precision.value, was and was.precision.value),
            "F1": (row.f1, was and was.f1),
        }
        cells = {"Class": row.name}
        for name, (now, then) in figures.items():
            cells[name] = 100 * now
            if before:
                cells[f"{name} ±"] = None if then is None else round(100 * (now - then), 6)
        if len(published) == len(report.rows):
            cells["Published recall"] = 100 * published[number]
        share = {"Recall": row.recall, "Precision": row.precision}
        cells |= {f"{name}, 95 % CI": _between(of.low, of.high) for name, of in share.items()}
        rows.append(cells | {"Images": row.support})
    return rows


def _between(low: float, high: float) -> str:
    return "–" if np.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f} %"


def _means(means: Means) -> str:
    return f"recall {percent(means.recall)}, precision {percent(means.precision)}, F1 {percent(means.f1)}"
