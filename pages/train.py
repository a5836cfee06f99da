"""Train: set a training up, start it, watch it."""

import streamlit as st

from core import figures
from core.config import Preprocessing, TrainConfig
from core.data.catalogue import import_folder, prepare_store
from core.errors import InputError
from core.models.catalogue import MODELS
from core.runs.branch import branch, check_fit
from core.runs.directory import Run, list_runs
from core.runs.forecast import forecast_s
from core.runs.plan import Plan, plan_run
from core.runs.status import status_of
from core.wording import large, rough_duration
from pages._common import choose_run, chosen_run, do, inert, launcher, workspace
from pages._live import live_run
from pages._run_row import title_of
from pages._settings_form import choose_dataset, parent_of_new_run, settings_form


def run_to_watch() -> Run | None:
    """The run in the address; without one, the run chosen before if it is still at work. Else there is a training to set up."""
    if "run" in st.query_params:
        return chosen_run()
    chosen = st.session_state.get("run")
    active = next((run for run in list_runs(workspace())[:20] if run.id == chosen and status_of(run).is_active), None)
    if active:
        choose_run(active)
    return active


def set_up() -> None:
    training = next((run for run in list_runs(workspace())[:20] if status_of(run).is_active), None)
    if training:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{inert(title_of(training))} is training.", width="content")
            if st.button("Show it", key="show-running"):
                choose_run(training)
                st.rerun()
    form, outlook = st.columns([3, 2], gap="large")
    with form:
        config = settings_form()
        own_pictures()
    with outlook:
        if config:
            preview(config, is_busy=training is not None)


def preview(config: TrainConfig, is_busy: bool) -> None:
    """What will happen, the schedule, and the button that makes it happen."""
    try:
        plan = plan_run(workspace(), config)
    except InputError as error:
        st.error(inert(str(error)))
        return
    st.markdown(what_will_happen(config, plan, is_busy))
    if parent := parent_of_new_run():
        try:
            renewed = check_fit(config, plan.spec.shape, plan.spec.num_classes, *parent)
        except InputError as error:
            st.error(inert(str(error)))
            return
        st.markdown(f"It begins with the chosen weights. {inert(renewed)}")
    if st.button("Start training", type="primary", key="start"):
        do(lambda: choose_run(begin(config)))
    st.caption("The learning rate over the epochs")
    st.plotly_chart(figures.schedule_curve(config, plan.steps_per_epoch), key="schedule", config={"displayModeBar": False})


def begin(config: TrainConfig) -> Run:
    """A new run in line, with fresh weights or with those of the chosen parent."""
    parent = parent_of_new_run()
    if parent is None:
        return launcher().submit(config)
    with st.spinner("Taking over the weights"):
        run = branch(workspace(), config, *parent)
    launcher().enqueue(run)
    del st.session_state["start-from"]
    return run


def what_will_happen(config: TrainConfig, plan: Plan, is_busy: bool) -> str:
    spec = plan.spec
    _, height, width = spec.shape
    words = [
        f"**{MODELS[config.model.name].title}** with {large(plan.model.num_parameters)} parameters learns {spec.num_classes} classes",
        f"from **{plan.num_train:,} pictures** of {inert(spec.title)} ({height} × {width} pixels),",
        f"{config.epochs} epochs of {plan.steps_per_epoch:,} steps.",
        f"After each epoch it is judged on {plan.num_evaluated:,} pictures of the **{config.data.evaluate_on}** split.",
    ]
    if not spec.is_ready:
        words.append("The pictures are downloaded or read first.")
    if is_busy:
        words.append("It waits until the training before it has ended.")
    else:
        seconds = forecast_s(config, plan)
        words.append(
            f"It will take **{rough_duration(seconds)}**." if seconds else "The time it takes shows after the first steps."
        )
    words.append(
        f"Computed on {plan.compute.device} ({inert(plan.compute.device_reason.rstrip('.'))}) in {plan.compute.precision}."
    )
    return " ".join(words)


def own_pictures() -> None:
    with st.expander("Use a folder of your own pictures", key="own-pictures"):
        st.caption(
            "A folder on this machine with train/ and test/ or val/ and a folder per class in each, or just one folder per class. "
            "Nothing in it is changed."
        )
        path = st.text_input("Path of the folder", key="folder-path", placeholder="/home/me/pictures/flowers")
        if st.button("Read the folder", key="read-folder", disabled=not path.strip()):
            bar = st.progress(0.0, "Reading the pictures")
            try:
                name = import_folder(workspace(), path.strip())
                store = prepare_store(
                    workspace(),
                    name,
                    Preprocessing(),
                    lambda what, done, total: bar.progress(done / total if total else 0.0, what),
                )
            except InputError as error:
                bar.empty()
                st.error(inert(str(error)))
                return
            bar.empty()
            skipped = f" {len(store.meta.skipped):,} files were skipped." if store.meta.skipped else ""
            st.success(
                f"{inert(name)}: {len(store.labels):,} pictures in {store.num_classes} classes.{skipped} Choose it above as data set."
            )
            if store.meta.skipped:
                st.dataframe(store.meta.skipped, hide_index=True, key="skipped-files")
            st.button("Choose it now", key="choose-folder", on_click=choose_dataset, args=(name,))


st.title("Train")
if run := run_to_watch():
    live_run(run)
else:
    set_up()
