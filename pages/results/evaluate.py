"""Evaluations of a run: those after each epoch, and those made here of any checkpoint on other splits and sets, which are kept."""

import streamlit as st

from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import splits_of, title_of
from core.errors import InputError
from core.inference.evaluation import ALL
from core.inference.kept_evaluations import evaluation_request
from core.insight.run_results import EvaluatedImages, evaluated_by
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run
from core.runs.evaluations import Evaluation, list_evaluations, remove_evaluation
from core.runs.records import load_division
from core.wording import percent
from pages.results.checkpoint_choice import checkpoint_titles
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.work import begin, going_on_for, is_going_on, work_on


def evaluation_choice(run: Run) -> None:
    """Which evaluation the views show, and a way to make others."""
    kept = {evaluation.name: evaluation for evaluation in list_evaluations(run)}
    key = _key(run)
    if made := st.session_state.pop("evaluation-made", None):
        st.session_state[made[0]] = made[1]
    if st.session_state.get(key, "") not in ("", *kept):
        st.session_state[key] = ""
    if kept:
        own = f"After each epoch, {run.config.data.evaluate_on}"
        st.selectbox(
            "Evaluation",
            ["", *kept],
            format_func=lambda name: in_short(kept[name]) if name else own,
            key=key,
            persist_state="session",
        )
    with st.popover("Evaluate on…", key=f"evaluate-on-{st.session_state.get('evaluations-made', 0)}"):
        evaluate_form(run, key="evaluate")
        if (chosen := kept.get(st.session_state.get(key, ""))) and st.button(
            "Remove the evaluation shown", key="remove-evaluation"
        ):
            do(lambda: remove_evaluation(chosen))


def evaluate_form(run: Run, key: str) -> None:
    """Checkpoint, set and split to evaluate. Done at the top of the page by its next run."""
    titles = checkpoint_titles(run)
    if not titles:
        st.caption("There is no checkpoint yet to evaluate.")
        return
    checkpoint = st.selectbox("Checkpoint", list(titles), format_func=titles.get, key=f"{key}-checkpoint-{run.id}")
    own = run.config.data.dataset
    others = [name for name in [*DATASETS, *imported_sets(workspace())] if name != own]
    dataset = st.selectbox(
        "Data set",
        ["", *others],
        format_func=lambda name: _title(name or own),
        key=f"{key}-dataset-{run.id}",
        help="Another set can be used if the network knows its classes: they are matched by name, and its images brought to the network's size.",
    )
    splits = _splits(run, dataset)
    split = st.selectbox(
        "Split",
        splits,
        index=splits.index("validation") if "validation" in splits else max(0, len(splits) - 2),
        format_func=lambda name: "all images" if name == ALL else name,
        key=f"{key}-split-{dataset}-{run.id}",
    )
    if st.button("Evaluate", key=f"{key}-now"):
        st.session_state["to-evaluate"] = (run.id, checkpoint, split, dataset)
        st.rerun()


def shown_evaluation(run: Run) -> EvaluatedImages | None:
    """The kept evaluation that was chosen, None for those after each epoch."""
    name = st.session_state.get(_key(run), "")
    kept = next((kept for kept in list_evaluations(run) if kept.name == name), None) if name else None
    try:
        return evaluated_by(kept) if kept else None
    except InputError as error:
        st.error(escaped(str(error)))
        return None


def in_short(evaluation: Evaluation) -> str:
    about = evaluation.about
    return f"{about.checkpoint} on {about.title}, {about.split}: {percent(about.accuracy, 2)}"


def said_of(evaluation: Evaluation) -> str:
    """In a sentence, as Markdown."""
    about = evaluation.about
    left_out = f" {about.left_out:,} images of classes that it does not know were left out." if about.left_out else ""
    return (
        f"{about.checkpoint} on {about.num_pictures:,} images, {about.split} of {escaped(about.title)}: **{percent(about.accuracy, 2)}** right, "
        f"loss {about.loss:.4f}.{left_out}"
    )


def carry_out(run: Run) -> None:
    """Has the evaluation made that was asked for, and shows the one that is being made, also to who comes later."""
    state = st.session_state
    if (asked := state.pop("to-evaluate", None)) and asked[0] == run.id:
        _, name, split, dataset = asked
        request = evaluation_request(run, find_checkpoint(run, name).name, split, dataset)
        state["evaluating"] = {"run": run.id, "checkpoint": request.inputs["checkpoint"], "split": split, "dataset": dataset}
        do(lambda: begin(request))
    wanted = state.get("evaluating")
    if wanted and wanted["run"] == run.id:
        ended = work_on(evaluation_request(run, wanted["checkpoint"], wanted["split"], wanted["dataset"]))
        if is_going_on(ended):
            return
        state.pop("evaluating")
        if ended and ended.state == "finished" and ended.result:
            _show(run, str(ended.result["evaluation"]))
        return
    if at_work := going_on_for("evaluate", run):
        state["evaluating"] = at_work.inputs
        work_on(at_work)


def _show(run: Run, name: str) -> None:
    made = next((kept for kept in list_evaluations(run) if kept.name == name), None)
    st.session_state["evaluation-made"] = (_key(run), name)  # chosen before its list is drawn anew
    st.session_state["evaluations-made"] = st.session_state.get("evaluations-made", 0) + 1  # a new one stands closed
    do(lambda: None, notice=f"Kept: {in_short(made)}." if made else "")


def _splits(run: Run, dataset: str) -> list[str]:
    if not dataset and (division := load_division(run)):
        return [*division.splits, ALL]
    try:
        return [*splits_of(workspace(), dataset or run.config.data.dataset), ALL]
    except InputError:
        return [ALL]


def _title(dataset: str) -> str:
    try:
        return title_of(workspace(), dataset)
    except InputError:
        return dataset


def _key(run: Run) -> str:
    return f"evaluation-of-{run.id}"
