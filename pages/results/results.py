"""Results of any run, live or ended: its figures in a line, an overview, then everything in views of their own."""

import streamlit as st

from core.data.edits import edits_at
from core.errors import InputError
from core.insight.run_results import class_names_of, evaluated_after
from core.recipes import published_for
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
from pages.results.overview import overview
from pages.results.robustness import robustness
from pages.shared.again import again_button
from pages.shared.export import made_export
from pages.shared.run_row import badge, titles_of
from pages.shared.session import choose_run, chosen_run, workspace
from pages.shared.text import escaped

# beside the curves of the whole run; in groups: how it went, its mistakes, why, and how far it can be trusted
VIEWS = {
    "Overview": overview,
    "Epochs": epoch_machine,
    "Confusion": confusion,
    "Classes": class_table,
    "Images": gallery,
    "Explain": inside,
    "Embedding map": embedding_map,
    "Calibration": calibration,
    "Robustness": robustness,
}
EARLIER_NAMES = {"Pictures": "Images", "Inside": "Explain", "Map": "Embedding map"}  # in the addresses of earlier versions
AT_THE_END = ("Overview", "Curves")  # show the last evaluation, whatever the slider of the others says
# the others would be disturbed in what is open or at work
UPDATES_S = {"Overview": 2.0, "Curves": 2.0, "Epochs": 5.0, "Classes": 5.0, "Confusion": 5.0}
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
    picked = st.selectbox(
        "Run",
        ids,
        index=ids.index(chosen.id),
        format_func=titles.get,
        key=f"run-of-results-{chosen.id}",
        label_visibility="collapsed",
    )
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
    kept = shown_evaluation(run)
    if not kept and not (history.evaluations and history.started):
        st.markdown(f"{badge(status)} {escaped(status.message)}")
        st.info(nothing_yet(run, status))
        return
    try:
        names = class_names_of(run)
    except InputError as error:  # of a run from a file, whose only checkpoint is damaged
        st.error(escaped(str(error)))
        return
    head = st.container(key="head", gap="small")
    view = view_choice(bool(history.evaluations), bool(kept))
    if kept or view in AT_THE_END:
        epoch = history.evaluations[-1].epoch if history.evaluations else 0
    else:
        epoch = chosen_epoch(run, [row.epoch for row in history.evaluations])
    with head:
        if history.evaluations:
            figures_line(run, history, status, epoch)
        else:
            st.markdown(f"{badge(status)} {escaped(status.message)}")
        if kept:
            st.markdown(said_of(kept.evaluation))
    if view == "Curves":
        curves(run, history)
        sample_images(run, epoch, names)
        return
    evaluated = kept or evaluated_after(run, epoch)
    if evaluated is None:
        st.warning("The record of this evaluation is missing from the run's folder; its classes and images can't be shown.")
    else:
        VIEWS[view](run, evaluated, names)


def view_choice(has_course: bool, is_of_one_moment: bool) -> str:
    """The view that is chosen, which the address names too."""
    views = [*VIEWS]
    if has_course:
        views.insert(1, "Curves")
    if is_of_one_moment:
        views.remove("Epochs")
    state, asked = st.session_state, st.query_params.get("view", "").capitalize()
    asked = EARLIER_NAMES.get(asked, asked)
    if "result-view" not in state and asked in views:  # from a link, or a page loaded anew
        state["result-view"] = asked
    if state.get("result-view") not in views:
        state["result-view"] = views[0]
    with st.container(key="views-all" if len(views) == len(VIEWS) + 1 else "views-some"):
        view = st.segmented_control(
            "View", views, key="result-view", label_visibility="collapsed", required=True, persist_state="session"
        )
    if st.query_params.get("view") != view.lower():
        st.query_params["view"] = view.lower()
    return view


def nothing_yet(run: Run, status: Status) -> str:
    if status.is_active:
        return "The network has not been evaluated yet."
    if has_checkpoint(run):
        return "The network has not been evaluated yet. Evaluate it on a split of its data, or on another set, above."
    return "The run ended before the network was evaluated."


def figures_line(run: Run, history: History, status: Status, epoch: int) -> None:
    """The run in a line, as it was after this epoch."""
    shown = next(row for row in history.evaluations if row.epoch == epoch)
    best, published = history.best_evaluation, published_for(run.config)
    facts = [
        f"loss {shown.loss:.4f}" if shown.loss is not None else "",
        f"best {percent(best.accuracy, 2)}, epoch {best.epoch}" if best else "",
        f"published {published.words}" if published else "",
        f"{history.started.num_evaluated:,} images of the {shown.split} split",
        duration(status.seconds),
    ]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.metric(
            f"{shown.split.capitalize()} accuracy after epoch {epoch:,} of {history.config(run.config).epochs:,}",
            percent(shown.accuracy, 2),
            width="content",
        )
        st.markdown(badge(status), width="content")
        st.caption(" · ".join(fact for fact in facts if fact), width="stretch")
        again_button(run)
    words = edits_of_run(run)
    if status.state != "finished":
        words = f"{status.message} {words}"
    if words.strip():
        st.caption(escaped(words.strip()))


def edits_of_run(run: Run) -> str:
    """What had been changed by hand about the set that the run learned from, as a sentence."""
    data = run.config.data
    try:
        summary = edits_at(workspace(), data.dataset, data.edits).summary
    except InputError:  # made in another workspace
        summary = f"revision {data.edits}"
    return f"The set was used as edited: {summary}." if summary else ""


with st.container(horizontal=True, vertical_alignment="center", key="page-head"):
    st.title("Results", width="content")
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
    every_s = UPDATES_S.get(st.session_state.get("result-view") or "Overview") if state.is_active else None
    st.fragment(results, run_every=STEP_S if is_playing(run) else every_s)(run, state.state)
