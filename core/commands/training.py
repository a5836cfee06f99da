"""train, resume, stop, pause, change."""

import argparse
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.commands.output import Result, progress, say
from core.commands.results import figures_by_class, show_classes
from core.commands.starting import config_of
from core.config import TrainConfig
from core.errors import InputError
from core.settings import changed, parse_assignment
from core.wording import duration, large, percent, speed
from core.workspace import Workspace


def train(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.sets import prepare_store
    from core.running.branch import begun_from
    from core.running.plan import plan_run
    from core.running.recipe_start import suited_to
    from core.runs.directory import find_run
    from core.serving.new_run import new_run

    changes = dict(parse_assignment(text) for text in options.set)
    config = _starting_point(workspace, options)
    dataset = changes.get("data.dataset", config.data.dataset)
    if dataset != config.data.dataset:  # what suits the other set, but for what is asked for
        changes = {**suited_to(workspace, config, dataset), **changes}
    config = changed(config, changes)
    if options.from_run:
        config = begun_from(config, find_run(workspace, options.from_run), options.checkpoint or "best")
    plan = plan_run(workspace, config)  # what can't work is refused before anything is downloaded
    if plan.model.adapted:
        say(plan.model.adapted)
    prepare_store(workspace, plan.config.data.dataset, plan.config.preprocessing, progress())  # with its progress told here
    return _run_here(workspace, new_run(workspace, plan, progress()))


def _starting_point(workspace: Workspace, options: argparse.Namespace) -> TrainConfig:
    from core.running.branch import config_to_branch
    from core.runs.directory import find_run

    if options.checkpoint and not options.from_run:
        raise InputError("--checkpoint says which one of a run's, and needs --from.", code="arguments")
    if config := config_of(workspace, options):
        return config
    if options.from_run:
        return config_to_branch(find_run(workspace, options.from_run))
    raise InputError(
        "One of --recipe, --config and --from is needed.", code="arguments", hint="'python -m core recipes' lists the recipes."
    )


def resume(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.running.actions import make_ready
    from core.runs.directory import find_run

    run = find_run(workspace, options.run)
    settings = dict(parse_assignment(text) for text in options.set)
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    return _run_here(workspace, run, options.checkpoint, lambda: make_ready(run, settings, options.checkpoint))


def _run_here(workspace: Workspace, run, from_checkpoint: str = "last", check: Callable[[], None] = lambda: None) -> Result:
    from core.running.session import run_session

    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    say(f"run {run.id}")
    run_session(workspace, run, interrupted.is_set, _narrate, from_checkpoint, check)
    return training_result(run)


def _narrate(event: Any) -> None:
    from core.training.events import Evaluated, Preparing, Started

    match event:
        case Preparing():
            say(f"{event.what} …" + (f" {event.done:,} of {event.total:,}" if event.total else ""))
        case Started():
            say(
                f"{event.dataset}: {event.num_train:,} training images, evaluated on {event.num_evaluated:,} of {event.evaluated_split}; "
                f"{large(event.num_parameters)} parameters; {event.device} ({event.device_reason}) {event.precision} ({event.precision_reason})"
            )
        case Evaluated():
            say(
                f"epoch {event.epoch:>3}  {event.split} accuracy {percent(event.accuracy, 2):>8}  loss {event.loss:.4f}  {duration(event.seconds)}"
            )


def training_result(run) -> Result:
    """What `train` reports: status, per-epoch history, final figures per class, seconds, images per second."""
    from core.runs.history import history_of
    from core.runs.status import status_of

    status, history = status_of(run), history_of(run)
    steps, last = history.steps, history.last_evaluation
    last_of_epoch = {epoch: i for i, epoch in enumerate(steps["epoch"])}
    epochs = []
    for event in history.evaluations:
        i = last_of_epoch.get(event.epoch)
        epochs.append(
            {
                "epoch": event.epoch,
                "step": event.step,
                "examples": event.examples,
                "seconds": event.seconds,
                "loss": event.loss,
                "accuracy": event.accuracy,
                "split": event.split,
                "train_loss": _finite(steps["loss"], i),
                "train_accuracy": _finite(steps["accuracy"], i),
            }
        )
    started = history.started
    return {
        "run": run.id,
        "path": str(run.path),
        "status": status.state,
        "message": status.message,
        "device": started.device if started else None,
        "precision": started.precision if started else None,
        "history": epochs,
        "final": figures_by_class(last, started.class_names) if last and started else None,
        "seconds": status.seconds,
        "images_per_s": _mean_speed(steps),
    }


def _finite(values: Sequence[float], i: int | None) -> float | None:
    return None if i is None or not math.isfinite(values[i]) else values[i]


def _mean_speed(steps: Mapping[str, Sequence[float]]) -> float | None:
    """Training images per second, evaluation left out: the harmonic mean over equal windows."""
    speeds = [value for value in steps["images_per_s"] if value > 0]
    return len(speeds) / sum(1 / value for value in speeds) if speeds else None


def show_training(result: Result) -> None:
    print(f"{result['run']}: {result['status']}. {result['message']}")
    if final := result["final"]:
        print(
            f"{final['split']} accuracy {percent(final['accuracy'], 2)}, {duration(result['seconds'])}, {speed(result['images_per_s'])}"
        )
        show_classes(final)


def stop(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.running.actions import stop_run

    return _end(workspace, options.run, stop_run)


def pause(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.running.actions import pause_run

    return _end(workspace, options.run, pause_run)


def _end(workspace: Workspace, run_id: str, action: Callable) -> Result:
    from core.runs.directory import find_run
    from core.runs.status import status_of

    run = find_run(workspace, run_id)
    action(run)
    deadline = time.monotonic() + 30
    while (status := status_of(run)).is_active and time.monotonic() < deadline:
        time.sleep(0.05)
    return {"run": run.id, "status": status.state, "message": status.message}


def show_stop(result: Result) -> None:
    print(f"{result['run']}: {result['status']}. {result['message']}")


def change(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.running.actions import change_run
    from core.runs.directory import find_run
    from core.runs.status import status_of

    run = find_run(workspace, options.run)
    settings = dict(parse_assignment(text) for text in options.set)
    change_run(run, settings)
    return {"run": run.id, "status": status_of(run).state, "changes": settings}


def show_change(result: Result) -> None:
    when = "from its next step on" if result["status"] == "running" else "when it goes on"
    words = ", ".join(f"{setting} = {value}" for setting, value in result["changes"].items())
    print(f"{result['run']}: {words}, {when}.")
