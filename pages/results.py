"""Results: of any run, live or ended: overall figures, curves, classes, confusion, and evaluated pictures."""

import streamlit as st

from core.data.edits import edits_at
from core.errors import InputError
from core.insight.run_results import judged_after
from core.runs.directory import Run, list_runs
from core.runs.history import history_of
from core.runs.status import status_of
from core.wording import duration, percent
from pages._common import choose_run, chosen_run, inert, workspace
from pages._result_classes import class_table
from pages._result_confusion import confusion
from pages._result_curves import curves, sample_pictures
from pages._result_pictures import gallery
from pages._run_row import badge, title_of

# what is shown of an evaluation, beside the curves of the whole run
VIEWS = {"Classes": class_table, "Confusion": confusion, "Pictures": gallery}
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
        f"{inert(history.started['dataset'])}, after epoch {last['epoch']}.{edits_of_run(run)}"
    )

    st.session_state.setdefault("result-view", "Curves")
    view = st.segmented_control("View", ["Curves", *VIEWS], key="result-view", label_visibility="collapsed", required=True)
    if view == "Curves":
        curves(run, history)
        sample_pictures(run, last["epoch"], names)
        return
    judged = judged_after(run, chosen_epoch(run, [row["epoch"] for row in history.evaluations]))
    if judged is None:
        st.warning("The record of this evaluation is missing from the run's folder; its classes and pictures can't be shown.")
    else:
        VIEWS[view](run, judged, names)


def edits_of_run(run: Run) -> str:
    """What had been changed by hand about the set that the run learned from, as a sentence."""
    data = run.config.data
    try:
        summary = edits_at(workspace(), data.dataset, data.edits).summary
    except InputError:  # made in another workspace
        summary = f"revision {data.edits}"
    return f" The set was used as edited: {summary}." if summary else ""


def chosen_epoch(run: Run, epochs: list[int]) -> int:
    """One slider for classes, confusion and pictures; it follows a run that trains until it is moved."""
    if len(epochs) < 2:
        return epochs[-1]
    state, key, last = st.session_state, f"epoch-of-{run.id}", f"last-epoch-of-{run.id}"
    if state.get(key) not in epochs or state[key] == state.get(last):
        state[key] = epochs[-1]
    state[last] = epochs[-1]
    return st.select_slider("After epoch", epochs, key=key, help="0 is the network before its training.")


st.title("Results")
if run := run_choice():
    state = status_of(run)
    # a picture that is open would be closed by the next update
    updates_s = {"Pictures": None, "Curves": 2.0}.get(st.session_state.get("result-view") or "Curves", 5.0)
    st.fragment(results, run_every=updates_s if state.is_active else None)(run, state.state)
