"""train, resume, stop."""

import argparse
import signal
import threading
import time
from pathlib import Path
from typing import Any

from core.commands.output import Result, progress, say
from core.commands.results import figures_by_class, show_classes
from core.config import TrainConfig
from core.errors import InputError
from core.settings import changed, config_from_json, parse_assignment
from core.wording import duration, large, percent, speed
from core.workspace import Workspace


def train(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.catalogue import prepare_store, settled
    from core.runs.directory import create_run
    from core.runs.plan import plan_run

    config = settled(workspace, changed(_starting_point(options), dict(parse_assignment(text) for text in options.set)))
    prepare_store(workspace, config.data.dataset, config.preprocessing, progress())
    plan_run(workspace, config)
    return _train_here(workspace, create_run(workspace, config))


def _starting_point(options: argparse.Namespace) -> TrainConfig:
    from core.recipes import recipe_named

    if options.recipe:
        return recipe_named(options.recipe).config
    try:
        return config_from_json(Path(options.config).read_bytes())
    except OSError as error:
        raise InputError(f"{options.config} can't be read ({error.strerror}).", code="config") from None


def resume(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.runs.control import Commands
    from core.runs.directory import find_run
    from core.runs.status import status_of

    run = find_run(workspace, options.run)
    status = status_of(run)
    if status.state == "finished":
        raise InputError(f"{run.id} is finished: it has trained all of its {run.config.epochs} epochs.", code="finished")
    Commands(run).new()  # a stop that nobody lived to hear is not meant for what comes
    return _train_here(workspace, run)


def _train_here(workspace: Workspace, run) -> Result:
    from core.runs.session import train_in

    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    say(f"run {run.id}")
    train_in(workspace, run, interrupted.is_set, _narrate)
    return training_result(run)


def _narrate(event: Any) -> None:
    from core.training.events import Evaluated, Preparing, Started

    match event:
        case Preparing():
            say(f"{event.what} …" + (f" {event.done:,} of {event.total:,}" if event.total else ""))
        case Started():
            say(
                f"{event.dataset}: {event.num_train:,} training pictures, judged on {event.num_evaluated:,} of {event.evaluated_split}; "
                f"{large(event.num_parameters)} parameters; {event.device} ({event.device_reason}) {event.precision} ({event.precision_reason})"
            )
        case Evaluated():
            say(
                f"epoch {event.epoch:>3}  {event.split} accuracy {percent(event.accuracy, 2):>8}  loss {event.loss:.4f}  {duration(event.seconds)}"
            )


def training_result(run) -> Result:
    """What `train` reports: status, per-epoch history, final figures per class, seconds, pictures per second."""
    from core.runs.history import history_of
    from core.runs.status import status_of

    status, history = status_of(run), history_of(run)
    steps, last = history.steps, history.last_evaluation
    epochs = []
    for row in history.evaluations:
        train_rows = [i for i, epoch in enumerate(steps["epoch"]) if epoch == row["epoch"]]
        epochs.append({
            "epoch": row["epoch"], "step": row["step"], "examples": row["examples"], "seconds": row["seconds"],
            "loss": row["loss"], "accuracy": row["accuracy"], "split": row["split"],
            "train_loss": steps["loss"][train_rows[-1]] if train_rows else None,
            "train_accuracy": steps["accuracy"][train_rows[-1]] if train_rows else None,
        })  # fmt: skip
    started = history.started or {}
    return {
        "run": run.id, "path": str(run.path), "status": status.state, "message": status.message,
        "device": started.get("device"), "precision": started.get("precision"), "history": epochs,
        "final": figures_by_class(last, started["class_names"]) if last else None,
        "seconds": status.seconds,
        "images_per_s": _mean_speed(steps),
    }  # fmt: skip


def _mean_speed(steps: dict[str, list]) -> float | None:
    """Training pictures per second, evaluation left out: the harmonic mean over equal windows."""
    speeds = [value for value in steps["images_per_s"] if value]
    return len(speeds) / sum(1 / value for value in speeds) if speeds else None


def show_training(result: Result) -> None:
    print(f"{result['run']}: {result['status']}. {result['message']}")
    if final := result["final"]:
        print(
            f"{final['split']} accuracy {percent(final['accuracy'], 2)}, {duration(result['seconds'])}, {speed(result['images_per_s'])}"
        )
        show_classes(final)


def stop(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.runs.directory import find_run
    from core.runs.launcher import stop_run
    from core.runs.status import status_of

    run = find_run(workspace, options.run)
    stop_run(run)
    deadline = time.monotonic() + 30
    while (status := status_of(run)).is_active and time.monotonic() < deadline:
        time.sleep(0.05)
    return {"run": run.id, "status": status.state, "message": status.message}


def show_stop(result: Result) -> None:
    print(f"{result['run']}: {result['status']}. {result['message']}")
