"""Results: of any run, live or ended: overall figures, curves, classes, confusion, and evaluated pictures."""

import numpy as np
import streamlit as st

from core.figures import runs as figures
from core.insight.metrics import class_figures, most_confused
from core.insight.run_results import run_confusion, samples
from core.runs.directory import Run, list_runs
from core.runs.history import history_of
from core.runs.status import status_of
from core.wording import duration, percent
from pages._common import background, choose_run, chosen_run, inert, workspace
from pages._pictures import enlarged
from pages._run_row import badge, title_of
from pages.live_chart import live_chart

MOST_CONFUSED = 5
MOST_RUNS = 500  # offered in the list; older ones are opened from the Runs page


def run_choice() -> Run | None:
    runs = list_runs(workspace())
    if not runs:
        st.info("There is nothing to see yet. Train a network first; its results stand here while it is still learning.")
        if st.button("Go to training", type="primary", key="go-train"):
            st.switch_page("train.py")
        return None
    was_named = "run" in st.query_params
    chosen = chosen_run()
    if chosen is None and was_named:
        return None  # said by now; another run's results would be taken for its own
    chosen = chosen or runs[0]
    by_id = {run.id: run for run in [*runs[:MOST_RUNS], chosen]}
    ids = list(by_id)
    picked = st.selectbox(
        "Run",
        ids,
        index=ids.index(chosen.id),
        format_func=lambda i: title_of(by_id[i]),
        key=f"run-of-results-{chosen.id}",
    )
    if picked != chosen.id:
        choose_run(by_id[picked])
        st.rerun()
    return chosen


def results(run: Run, shown_state: str) -> None:
    status, history = status_of(run), history_of(run)
    if status.state != shown_state:
        st.rerun()
    st.markdown(f"{badge(status)} {inert(status.message)}")
    if not history.evaluations or not history.started:
        st.info("The network has not been judged yet." if status.is_active else "The run ended before the network was judged.")
        return
    last, best, names = history.last_evaluation, history.best_evaluation, history.started["class_names"]
    with st.container(horizontal=True, gap="large"):
        st.metric(f"{last['split'].capitalize()} accuracy", percent(last["accuracy"], 2), width="content")
        st.metric("Loss", f"{last['loss']:.4f}" if last["loss"] is not None else "–", width="content")
        if best:
            st.metric(
                "Best accuracy",
                percent(best["accuracy"], 2),
                f"epoch {best['epoch']}",
                delta_color="off",
                delta_arrow="off",
                width="content",
            )
        st.metric("Epochs", f"{last['epoch']} of {history.config(run.config).epochs}", width="content")
        st.metric("Time", duration(status.seconds), width="content")
    st.caption(
        f"Judged on {history.started['num_evaluated']:,} pictures of the {last['split']} split of "
        f"{inert(history.started['dataset'])}, after epoch {last['epoch']}."
    )

    left, right = st.columns(2)
    with left:
        st.markdown("**Loss**")
        live_chart(figures.loss_curve(history), key=f"results-loss-{run.id}", alt="Loss over the training pictures seen")
    with right:
        st.markdown("**Accuracy**")
        live_chart(
            figures.accuracy_curve(history),
            key=f"results-accuracy-{run.id}",
            alt="Accuracy over the training pictures seen",
        )

    sample_pictures(run, last["epoch"], names)
    confusion = run_confusion(run, last["epoch"], len(names))
    if confusion is None:
        st.warning("The record of this evaluation is missing from the run's folder; classes and confusions can't be shown.")
        return
    left, right = st.columns(2)
    with left:
        st.subheader("Classes")
        class_table(confusion, names, figures.COLOURS[last["split"]])
    with right:
        st.subheader("What is taken for what")
        pairs = most_confused(confusion, MOST_CONFUSED)
        if pairs:
            st.markdown(
                "Most often: "
                + "; ".join(f"**{inert(names[t])}** for **{inert(names[p])}**, {_times(n)}" for t, p, n in pairs)
                + "."
            )
        else:
            st.markdown("No picture was taken for another class.")
        st.plotly_chart(
            figures.confusion_heatmap(confusion, names, background()), key=f"confusion-{run.id}", config={"displayModeBar": False}
        )


def class_table(confusion: np.ndarray, names: list[str], colour: str) -> None:
    by_class = class_figures(confusion)
    rows = [
        {
            "Class": name,
            "Accuracy": 100 * recall,
            "Precision": 100 * precision,
            "F1": 100 * f1,
            "Pictures": int(support),
        }
        for name, recall, precision, f1, support in zip(
            names, by_class.recall, by_class.precision, by_class.f1, by_class.support, strict=True
        )
    ]
    bar = st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100, color=colour)
    st.dataframe(
        rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 600), key="class-table",
        column_config={
            "Accuracy": bar,
            "Precision": st.column_config.NumberColumn(format="%.1f %%", help="Of the pictures taken for this class, the share that belongs to it."),
            "F1": st.column_config.NumberColumn(format="%.1f %%", help="The harmonic mean of accuracy (recall) and precision."),
        },
    )  # fmt: skip


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def sample_pictures(run: Run, epoch: int, names: list[str]) -> None:
    found = samples(workspace(), run, epoch)
    if not found:
        return
    st.subheader("Pictures it was judged on")
    with st.container(horizontal=True, gap="medium"):
        for sample in found:
            with st.container(width=150, gap="small"):
                st.image(enlarged(sample.picture), width=132, output_format="PNG")
                mark = "✓" if sample.predicted == sample.true else "✗"
                st.caption(
                    f"{mark} {inert(names[sample.predicted])} ({percent(sample.confidence, 0)})  \ntrue class: {inert(names[sample.true])}"
                )


st.title("Results")
if run := run_choice():
    state = status_of(run)
    st.fragment(results, run_every=2.0 if state.is_active else None)(run, state.state)
