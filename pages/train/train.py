"""Train: set a training up, start it, watch it."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import streamlit as st

from core.config import TrainConfig
from core.data.browse import Browser
from core.data.catalogue import DATASETS
from core.data.edits import edits_at
from core.data.imports import imported_sets
from core.data.sets import divide, find_store, lacking_in, own_store
from core.data.transforms.doubts import doubts_about
from core.errors import InputError
from core.figures import runs as figures
from core.models.catalogue import model_title
from core.models.pretrained import PRETRAINED, are_at_hand, missing
from core.running.branch import check_fit
from core.running.forecast import forecast_s
from core.running.plan import Plan, plan_run
from core.runs.directory import Run, list_runs
from core.runs.status import status_of
from core.settings import all_settings
from core.wording import counted, large, rough_duration
from pages.components.image_grid import Tile, image_grid
from pages.data.report import report_of
from pages.shared.actions import do
from pages.shared.network_choice import look_inside
from pages.shared.run_row import title_of
from pages.shared.session import choose_run, chosen_run, launcher, workspace
from pages.shared.text import escaped, for_people, in_words
from pages.shared.thumbnails import thumbnails
from pages.train.live import live_run
from pages.train.settings_form import change, forget_earlier_run, get_weights, settings_form


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
            st.markdown(f"{escaped(title_of(training))} is training.", width="content")
            if st.button("Show it", key="show-running"):
                choose_run(training)
                st.rerun()
    outlook, form = st.columns([2, 3], gap="large")  # Start is a few stops of the Tab key away; seen at the right of the form
    with form:
        config = settings_form()
        if st.button("Use your own images", key="own-pictures"):
            st.switch_page("data/catalogue.py")
    with outlook, st.container(key="outlook"):
        if config:
            preview(config, is_busy=training is not None)
        else:
            start_button(None)


def preview(config: TrainConfig, is_busy: bool) -> None:
    """What will happen, the schedule, and the button that makes it happen."""
    try:
        plan = plan_run(workspace(), config)
        config = plan.config
        fits = (plan.dataset.shape, plan.dataset.num_classes)
        renewed = check_fit(workspace(), config, *fits) if config.origin else ""
    except InputError as error:
        st.error(escaped(for_people(error)))
        if error.mended_by:
            st.button(mend_in_words(error.mended_by), key="mend", on_click=change, args=(error.mended_by,))
        start_button(None)
        return
    about_the_set(config)
    if config.model.is_pretrained and not config.origin and not are_at_hand(workspace(), config.model.name):
        st.warning(escaped(str(missing(workspace(), config.model.name))))
        if config.model.name in PRETRAINED:
            get_weights(config.model.name, key="get-weights-now")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="large", key="figures"):
        seconds = forecast_s(plan)
        time = rough_duration(seconds) if seconds else "not known yet"
        st.metric("Time, once it is its turn" if is_busy else "Time it will take", time, width="content")
        start_button(plan)
    facts(plan)
    if config.origin:
        st.markdown(f"It begins with the chosen weights. {escaped(renewed)}")
    images_of_the_set(config.data.dataset)
    st.caption("The learning rate over the epochs")
    st.plotly_chart(figures.schedule_curve(config, plan.steps_per_epoch), key="schedule", config={"displayModeBar": False})


def mend_in_words(settings: Mapping[str, Any]) -> str:
    """{"preprocessing.size_px": 32} as "Set 'Image size' to 32"."""
    titles = {item.path: item.title for item in all_settings() if item.path in settings}
    return "Set " + " and ".join(f"'{titles[path]}' to {value}" for path, value in settings.items())


def start_button(plan: Plan | None) -> None:
    """None: there is nothing yet that could be started."""
    if plan is None:
        st.button("Start training", type="primary", key="start", disabled=True)
        st.caption("Start waits until what is marked in red is put right.")
    elif st.button("Start training", type="primary", key="start"):
        do(lambda: choose_run(begin_training(plan)))


def begin_training(plan: Plan) -> Run:
    """A new run in line."""
    with st.spinner("Taking over the weights") if plan.config.origin else nullcontext():
        run = launcher().submit(plan)
    forget_earlier_run()
    return run


def facts(plan: Plan) -> None:
    """What will happen, with a label each."""
    config, spec, compute = plan.config, plan.dataset, plan.compute
    _, height, width = spec.shape
    learns = f"{plan.num_train:,} images of {escaped(spec.title)}, {width} × {height} pixels, {spec.num_classes:,} classes"
    rows = [
        ("hub", "Network", f"{escaped(model_title(config.model))}, {large(plan.model.num_parameters)} parameters"),
        ("photo_library", "Learns from", learns),
        (
            "fact_check",
            "Evaluated on",
            f"{plan.num_evaluated:,} images of the **{config.data.evaluate_on}** split, each epoch",
        ),
        ("repeat", "Duration", f"{counted(config.epochs, 'epoch')} of {counted(plan.steps_per_epoch, 'step')}"),
        ("memory", "Runs on", f"{compute.device} in {compute.precision} ({escaped(compute.device_reason.rstrip('.'))})"),
    ]
    if plan.model.adapted:
        rows.insert(1, ("tune", "Adapted", escaped(plan.model.adapted)))
    if spec.edits:
        rows.append(("edit", "Your edits", escaped(spec.edits)))
    if not spec.is_ready:
        rows.append(("download", "First", "the images are downloaded or read at this size"))
    st.markdown("  \n".join(f":material/{icon}: :gray[{label}:] {words}" for icon, label, words in rows))
    if st.button("Look inside the network", key="look-inside", help="Its layers, what each costs, and how they hang together."):
        look_inside(config.model, spec.shape, spec.num_classes)


def images_of_the_set(name: str) -> None:
    """Nine of them, so that one sees what is learned."""
    image_grid(
        [Tile(id=number, urls=(url,), lines=()) for number, url in enumerate(thumbnails(name, 9))],
        key=f"some-of-{name}",
        label="Some images of the set",
        side_px=38,
        is_strip=True,
    )


def about_the_set(config: TrainConfig) -> None:
    """What the report on the set says, in a line, and the way to it."""
    name = config.data.dataset
    if name not in DATASETS and name not in imported_sets(workspace()):
        return
    sentences = []
    with st.container(horizontal=True, vertical_alignment="center", key="about-the-set"):
        try:
            store = find_store(workspace(), name, config.preprocessing) or own_store(workspace(), name)
            if store:
                browser = Browser(store, edits_at(workspace(), name, config.data.edits))
                is_delivered = config.data.split_by == "delivered"  # else copies are drawn to one side together
                st.caption(escaped(report_of(browser).headline(with_leaks=is_delivered)), width="stretch")
                missing = lacking_in(store, divide(workspace(), store, config.data), config.data)
                sentences = missing + [doubt.sentence for doubt in doubts_about(config, store)]
        except InputError as error:
            st.caption(escaped(str(error)), width="stretch")
        if st.button("Explore data", key="look-at-data"):
            st.switch_page("data/one_set.py", query_params={"set": name})
    for sentence in sentences:
        st.warning(escaped(in_words(sentence)))


if run := run_to_watch():
    live_run(run)
else:
    st.title("Train")
    set_up()
