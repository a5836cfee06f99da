"""Results: of any run, live or ended: overall figures, curves, classes, confusion, and evaluated images."""

import streamlit as st

from core.data.edits import edits_at
from core.errors import InputError
from core.insight.run_results import class_names_of, evaluated_after
from core.runs.checkpoints import has_checkpoint
from core.runs.directory import Run
from core.runs.history import History, history_of
from core.runs.index import entries
from core.runs.status import Status, status_of
from core.wording import duration, percent
from pages.compare.choice import compare_runs
from pages.results.calibration import calibration
from pages.results.classes import class_table
from pages.results.confusion import confusion
from pages.results.curves import curves, sample_images
from pages.results.epoch_slider import STEP_S, chosen_epoch, is_playing
from pages.results.epochs import epoch_machine
from pages.results.evaluate import carry_out, evaluation_choice, said_of, shown_evaluation
from pages.results.gallery import gallery
from pages.results.inside import inside
from pages.results.map import embedding_map
from pages.results.robustness import robustness
from pages.shared.export import made_export
from pages.shared.run_row import badge, titles_of
from pages.shared.session import choose_run, chosen_run, workspace
from pages.shared.text import escaped

# what is shown of an evaluation, beside the curves of the whole run
VIEWS = {
    "Epochs": epoch_machine,
    "Classes": class_table,
    "Confusion": confusion,
    "Images": gallery,
    "Calibration": calibration,
    "Explain": inside,
    "Embedding map": embedding_map,
    "Robustness": robustness,
}
# the others would be disturbed in what is open or at work
UPDATES_S = {"Curves": 2.0, "Epochs": 5.0, "Classes": 5.0, "Confusion": 5.0}
MOST_RUNS = 500  # offered in the list; older ones are opened from the Runs page


def run_choice() -> Run | None:
    listed = {entry.run.id: entry for entry in entries(workspace())}
    if not listed:
        st.info("There is nothing to see yet. Train a network first; its results stand here while it is still learning.")
        if st.button("Go to training", type="primary", key="go-train"):
            st.switch_page("train/train.py")
        return None
    was_named = "run" in st.query_params
    chosen = chosen_run()
    if chosen is None and was_named:
        return None  # said by now; another run's results would be taken for its own
    chosen = chosen or next(iter(listed.values())).run
    ids = list(dict.fromkeys([*list(listed)[:MOST_RUNS], chosen.id]))
    titles = titles_of([listed[id] for id in ids])
    picked = st.selectbox("Run", ids, index=ids.index(chosen.id), format_func=titles.get, key=f"run-of-results-{chosen.id}")
    if picked != chosen.id:
        choose_run(listed[picked].run)
        st.rerun()
    return chosen


def results(run: Run, shown_state: str) -> None:
    if not run.path.exists():
        st.warning("This run was deleted meanwhile. Choose another one above.")
        return
    status, history = status_of(run), history_of(run)
    if status.state != shown_state:
        st.rerun()
    st.markdown(f"{badge(status)} {escaped(status.message)}")
    kept = shown_evaluation(run)
    if not kept and not (history.evaluations and history.started):
        st.info(nothing_yet(run, status))
        return
    try:
        names = class_names_of(run)
    except InputError as error:  # of a run from a file, whose only checkpoint is damaged
        st.error(escaped(str(error)))
        return
    if history.evaluations:
        overview(run, history, status)
    if kept:
        st.markdown(said_of(kept.evaluation))
    views = ["Curves", *VIEWS] if history.evaluations else [*VIEWS]
    if kept:  # one moment, not a course
        views.remove("Epochs")
    state, asked = st.session_state, st.query_params.get("view", "").capitalize()
    if "result-view" not in state and asked in views:  # from a link, or a page loaded anew
        state["result-view"] = asked
    if state.get("result-view") not in views:
        state["result-view"] = views[0]
    view = st.segmented_control(
        "View", views, key="result-view", label_visibility="collapsed", required=True, persist_state="session"
    )
    if st.query_params.get("view") != view.lower():
        st.query_params["view"] = view.lower()
    if view == "Curves":
        curves(run, history)
        sample_images(run, history.last_evaluation.epoch, names)
        return
    evaluated = kept or evaluated_after(run, chosen_epoch(run, [row.epoch for row in history.evaluations]))
    if evaluated is None:
        st.warning("The record of this evaluation is missing from the run's folder; its classes and images can't be shown.")
    else:
        VIEWS[view](run, evaluated, names)


def nothing_yet(run: Run, status: Status) -> str:
    if status.is_active:
        return "The network has not been evaluated yet."
    if has_checkpoint(run):
        return "The network has not been evaluated yet. Evaluate it on a split of its data, or on another set, above."
    return "The run ended before the network was evaluated."


def overview(run: Run, history: History, status: Status) -> None:
    last, best = history.last_evaluation, history.best_evaluation
    with st.container(horizontal=True, gap="large"):
        st.metric(f"{last.split.capitalize()} accuracy", percent(last.accuracy, 2), width="content")
        st.metric("Loss", f"{last.loss:.4f}" if last.loss is not None else "–", width="content")
        if best:
            st.metric(
                "Best accuracy",
                percent(best.accuracy, 2),
                f"epoch {best.epoch}",
                delta_color="off",
                delta_arrow="off",
                width="content",
            )
        st.metric("Epochs", f"{last.epoch:,} of {history.config(run.config).epochs:,}", width="content")
        st.metric("Time", duration(status.seconds), width="content")
    st.caption(
        f"Evaluated on {history.started.num_evaluated:,} images of the {last.split} split of "
        f"{escaped(history.started.dataset)}, after epoch {last.epoch}.{edits_of_run(run)}"
    )


def edits_of_run(run: Run) -> str:
    """What had been changed by hand about the set that the run learned from, as a sentence."""
    data = run.config.data
    try:
        summary = edits_at(workspace(), data.dataset, data.edits).summary
    except InputError:  # made in another workspace
        summary = f"revision {data.edits}"
    return f" The set was used as edited: {escaped(summary)}." if summary else ""


st.title("Results")
with st.container(horizontal=True, vertical_alignment="bottom"):
    run = run_choice()
    if run:
        evaluation_choice(run)
        if st.button("Compare with…", key="compare-this"):
            compare_runs([run.id])
        about = "All of it as one HTML file, which needs no server."
        made_export(run, "report.html", "Report", "Download the report", key="report", help=about)
if run:
    carry_out(run)
    state = status_of(run)
    every_s = UPDATES_S.get(st.session_state.get("result-view") or "Curves") if state.is_active else None
    st.fragment(results, run_every=STEP_S if is_playing(run) else every_s)(run, state.state)
