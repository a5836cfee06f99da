"""The live part of the Train page: one run as it trains, and as it ended. Polls the run's directory; nothing else reruns."""

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.catalogue import DATASETS
from core.figures import runs as figures
from core.insight.run_results import evaluated_after
from core.running.actions import change_run
from core.runs.directory import Run
from core.runs.history import History, history_of
from core.runs.records import spread
from core.runs.status import Status, status_of
from core.runs.timeline import change_in_words, learning_in_words
from core.wording import duration, large, percent, speed
from pages._routes import first_point_url
from pages.components.live_chart import live_chart
from pages.results.strip import strip
from pages.shared.actions import do
from pages.shared.again import again_button
from pages.shared.continue_fields import go_on_fields
from pages.shared.run_row import badge, title_of
from pages.shared.session import choose_run, go_to, launcher
from pages.shared.text import escaped

FAST_S = 0.4  # until there is something to show
CALM_S = 1.0
SHOWN_CHANGES = 10  # Details has them all
STRIP = 12


def live_run(run: Run) -> None:
    """The whole view of a run, kept up to date while it is active."""
    status, history = status_of(run), history_of(run)
    _header(run, status)
    every = _pace(history) if status.is_active else None
    st.fragment(_panel, run_every=every)(run, status.state, every)


def _pace(history: History) -> float:
    """Seconds between updates. Where the training has all cores, drawing takes its time from it: about a fifth of a second
    of one core an update, kept below a twentieth of the machine."""
    if not history.evaluations or not history.steps["step"]:
        return FAST_S
    return max(CALM_S, 10.0 / history.takes_cores) if history.takes_cores else CALM_S


def _is_about_to_begin(run: Run, status: Status, history: History) -> bool:
    """Whether nothing is between Start and the first point but the untrained network's evaluation."""
    return status.is_active and not history.evaluations and not history.preparing and not launcher().place_of(run)


def _header(run: Run, status: Status) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run-head"):
        st.title(escaped(title_of(run)), width="content")
        st.markdown(badge(status), width="stretch")
        has_results = not status.is_active and bool(history_of(run).evaluations)
        is_finished = status.state == "finished"
        if has_results and st.button("See the results", type="primary" if is_finished else "secondary", key="see-results"):
            go_to("results/results.py", run)
        if has_results and st.button(_to_predict(run), key="try-it"):
            go_to("predict/predict.py", run)
        is_resumable = not status.is_active and status.state != "finished"
        if is_resumable and st.button("Resume", type="secondary" if status.cause == "diverged" else "primary", key="resume"):
            do(lambda: launcher().resume(run))
        if status.is_active:
            if st.button("Stop", key="stop"):
                do(lambda: launcher().stop(run))
            if st.button("Pause", key="pause", help="Saved at this step; Resume goes on exactly from there."):
                do(lambda: launcher().pause(run))
            if launcher().place_of(run) > 1 and st.button("Move to the front", key="first"):
                do(lambda: launcher().move(run, 1))
            _change(run, status)
        else:
            _go_on(run, status)
        if st.button("Details", key="details"):
            go_to("run/run.py", run)
        if not status.is_active:
            again_button(run)
        elif st.button("New run", key="another"):
            choose_run(None)
            st.rerun()


def _to_predict(run: Run) -> str:
    record = DATASETS.get(run.config.data.dataset)
    return "Draw a digit" if record and record.drawing in ("mnist", "digits") else "Try an image"


def _change(run: Run, status: Status) -> None:
    """What may be changed while it trains; taken with the next step, and marked on the charts."""
    with _popover("Change", "change"), st.form(f"change-{run.id}", border=False):
        changes = go_on_fields(run)
        if st.form_submit_button("Apply", key="change-now", on_click=_close, args=("change",)):
            when = "Applied from the next step." if status.state == "running" else "Applied when it begins."
            do(lambda: change_run(run, changes), notice=when if changes else "No changes.")


def _popover(label: str, name: str, kind: Literal["primary", "secondary"] = "secondary") -> DeltaGenerator:
    """One that `_close` closes."""
    with st.container(key=name, width="content"):
        return st.popover(label, key=f"{name}-{st.session_state.get(f'{name}-closed', 0)}", type=kind, on_change="rerun")


def _close(name: str) -> None:
    """Another one takes its place, which nobody has opened: an update that the browser asked for just before would open this one again."""
    st.session_state[f"{name}-closed"] = st.session_state.get(f"{name}-closed", 0) + 1


def _go_on(run: Run, status: Status) -> None:
    """More epochs, another learning rate or early stopping for a run that has ended."""
    label = "Train longer" if status.state == "finished" else "Resume with changes"
    kind = "primary" if status.cause == "diverged" else "secondary"
    with _popover(label, "go-on", kind), st.form(f"go-on-{run.id}", border=False):
        changes = go_on_fields(run)
        if st.form_submit_button(label, key="go-on-now", on_click=_close, args=("go-on",)):
            do(lambda: launcher().resume(run, changes))


def _chart_choices() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "Horizontal axis",
            list(figures.X_AXES),
            default="examples",
            key="x-axis",
            label_visibility="collapsed",
            required=True,
            format_func={"examples": "Images seen", "step": "Steps", "epoch": "Epochs", "seconds": "Time"}.get,
            persist_state="session",
        )
        st.toggle("Log scale", key="log-scale", persist_state="session")
        st.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", width=220, persist_state="session")


def _panel(run: Run, shown_state: str, every: float | None) -> None:
    status, history = status_of(run), history_of(run)
    if status.state != shown_state or (every is not None and _pace(history) != every):
        st.rerun()
    is_about_to_begin = _is_about_to_begin(run, status, history)
    with st.container():  # always there, so that what is below stays in its place
        if not is_about_to_begin:
            _sentence(run, status, history)
    if history.evaluations:
        _figures_row(run, status, history)
    elif is_about_to_begin:
        _figures_to_come(run)
    else:
        return
    if history.evaluations and not history.steps["step"] and not status.is_active:  # it will have no curves
        class_accuracy_table(history.evaluations[-1], history.started.class_names)
        return
    # filled last: after Start the first point is what one waits for
    images = st.container(key="learning-now" if status.is_active else "learning")
    state = st.session_state
    x, smoothing, log = state.get("x-axis") or "examples", state.get("smoothing", 0.0), state.get("log-scale", False)
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss**")
        figure = figures.loss_curve(history, x, smoothing, log)
        first = first_point_url(run, "loss", x, log) if is_about_to_begin else ""
        live_chart(figure, key=f"loss-{run.id}", alt="Loss of training and evaluation over the course of the run", first=first)
    with right:
        st.markdown("**Accuracy**")
        figure = figures.accuracy_curve(history, x, smoothing)
        first = first_point_url(run, "accuracy", x) if is_about_to_begin else ""
        alt = "Accuracy of training and evaluation over the course of the run"
        live_chart(figure, key=f"accuracy-{run.id}", alt=alt, first=first)
    if is_about_to_begin:
        with images:
            st.caption("Evaluating the untrained network …" if history.started else "Starting …")
        return
    _chart_choices()
    left, right = st.columns(2)
    with left:
        st.markdown("**Learning rate**")
        live_chart(figures.lr_curve(history, x, log), key=f"lr-{run.id}", alt="Learning rate over the course of the run")
    with right:
        when = f"after epoch {history.evaluations[-1].epoch}" if history.evaluations[-1].epoch else "before training"
        st.markdown(f"**Recall of each class**, {when}")
        class_accuracy_table(history.evaluations[-1], history.started.class_names)
    for number, row in list(enumerate(history.changes, start=1))[-SHOWN_CHANGES:]:
        st.caption(f"**{number}** &nbsp; Step {row.step:,}: {escaped(change_in_words(row))}.")
    for event in history.learning:
        st.caption(f"Step {event.step:,}: {learning_in_words(event)}.")
    st.caption(_computed_on(history))
    with images:
        _learning_images(run, history)


def _learning_images(run: Run, history: History) -> None:
    """The same evaluated images after every epoch: one sees their answers turn right."""
    shown = evaluated_after(run, history.last_evaluation.epoch)
    if shown is None:
        return
    positions = spread(len(shown.labels), STRIP)
    right = int((shown.predictions.predicted[positions] == shown.labels[positions]).sum())
    when = f"after epoch {shown.epoch}" if shown.epoch else "before training"
    st.caption(f"{len(positions)} of the images it is evaluated on, {when}: **{right} correct**")
    strip(run, shown, history.started.class_names, positions, key=f"learning-{run.id}", label="Images it is evaluated on")


def _sentence(run: Run, status: Status, history: History) -> None:
    """The state in words: for every state its own."""
    if status.state == "queued":
        place = launcher().place_of(run)
        st.info(
            f"Waiting: {'next in line' if place <= 1 else f'number {place} in the queue'}. It begins when the training before it ends."
            if place
            else "Going on in a moment …"
        )
    elif status.state == "running" and not history.started and history.preparing:
        preparing = history.preparing
        st.info(f"{preparing.what} …")
        if preparing.total:
            st.progress(min(preparing.done / preparing.total, 1.0))
    elif status.state in ("failed", "interrupted"):
        st.error(escaped(status.message))
    elif not status.is_active:
        best = history.best_evaluation
        found = f" Best {best.split} accuracy: {percent(best.accuracy, 2)}, after epoch {best.epoch}." if best else ""
        if status.state == "finished":
            st.caption(f":green[:material/check_circle:] {escaped(status.message + found)}")
        else:
            st.info(escaped(status.message + found))
    if history.dropped:
        st.warning(f"{history.dropped} lines of the run's history are damaged and were left out.")


def _figures_row(run: Run, status: Status, history: History) -> None:
    config, started, steps, last = history.config(run.config), history.started, history.steps, history.last_evaluation
    step = max(steps["step"][-1] if steps["step"] else 0, last.step, history.ended.step if history.ended else 0)
    total = started.steps_per_epoch * config.epochs
    seconds = steps["seconds"][-1] if steps["step"] else 0.0
    is_within = status.is_active or step % started.steps_per_epoch > 0
    epoch = min(step // started.steps_per_epoch + 1, config.epochs) if is_within else last.epoch
    untrained = ", untrained" if last.epoch == 0 and config.epochs else ""
    facts = [(f"{last.split.capitalize()} accuracy{untrained}", percent(last.accuracy, 2))]
    if (learning := _recent(steps["accuracy"])) is not None:
        facts.append(("Training accuracy", percent(learning, 1)))
    facts.append(("Epoch", f"{epoch:,} of {config.epochs:,}"))
    facts.append(("Step", f"{step:,} of {total:,}"))
    facts.append(("Speed", speed(_recent(steps["images_per_s"]))))
    if status.state == "running":
        facts.append(("Time left", duration((total - step) * seconds / step) if step else "–"))
    if config.early_stopping.patience and last.patience_left is not None:
        left = last.patience_left
        watched = f"{last.split} {config.early_stopping.watch}"
        facts.append((f"Patience left ({watched})", f"{left} {'epoch' if left == 1 else 'epochs'}"))
    facts.append(("Time", duration(status.seconds)))
    with st.container(horizontal=True, gap="medium", key="figures"):
        for label, value in facts:
            st.metric(label, value, width="content")
    st.progress(min(step / total, 1.0) if total else 1.0)


def _figures_to_come(run: Run) -> None:
    """The row of figures before there is any: those of the first evaluation come into the same places."""
    config = run.config
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric(f"{config.data.evaluate_on.capitalize()} accuracy, untrained", "–", width="content")
        st.metric("Epoch", f"1 of {config.epochs:,}", width="content")
        for label in ("Step", "Speed", "Time left", "Time"):
            st.metric(label, "–", width="content")
    st.progress(0.0)


def _computed_on(history: History) -> str:
    started = history.started
    return (
        f"Computed on {started.device} ({escaped(started.device_reason.rstrip('.'))}) in {started.precision} "
        f"({escaped(started.precision_reason.rstrip('.'))}). "
        f"{large(started.num_parameters)} parameters, {started.num_train:,} training images, evaluated on {started.num_evaluated:,} "
        f"images of the {started.evaluated_split} split."
    )


def _recent(values: Sequence[float]) -> float | None:
    """The median of the last few windows: steadier than the last alone."""
    last = sorted(value for value in values[-9:] if value >= 0)  # not the NaN of a value that was not finite
    return last[len(last) // 2] if last else None


def class_accuracy_table(evaluation: dict[str, Any], class_names: Sequence[str]) -> None:
    rows = [
        {"Class": name, "Recall": 100 * right / support if support else None, "Correct": right, "Images": support}
        for name, right, support in zip(class_names, evaluation.correct, evaluation.support, strict=True)
    ]
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 400),
        key="class-accuracy",
        column_config={
            "Recall": st.column_config.ProgressColumn(
                help="Of the images of this class, the share that is recognised.",
                format="%.1f %%",
                min_value=0,
                max_value=100,
                color=figures.COLOURS[evaluation.split],
            )
        },
    )
