"""The commands of the command line: arguments in, one JSON document or readable text out. All work is done elsewhere."""

import argparse
import json
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.config import SECTIONS, TrainConfig, all_settings, changed, config_from_json, parse_assignment
from core.errors import InputError
from core.wording import duration, large, percent, speed
from core.workspace import Workspace, open_workspace

Result = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status 0, or 2 for what a person caused, with the error on standard output as JSON if asked."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(arguments)
        result = options.command(open_workspace(getattr(options, "home", None)), options)
    except InputError as error:
        if as_json:
            print(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, ensure_ascii=False))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        options.show(result)
    return 0


def say(text: str) -> None:
    """Progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)


class _Parser(argparse.ArgumentParser):
    """Tells wrong arguments as everything else that a person can mend is told."""

    def error(self, message: str) -> None:
        raise InputError(
            f"{message[0].upper()}{message[1:]}.", code="arguments", hint=f"'{self.prog} --help' says what there is."
        )


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--home",
        metavar="FOLDER",
        default=argparse.SUPPRESS,
        help="the workspace (default: TRAINSCOPE_HOME, or ./workspace)",
    )
    shared.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="one JSON document on standard output, progress on standard error",
    )
    parser = _Parser(
        prog="python -m core", parents=[shared], formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Trainscope without a browser: train image classifiers, judge them and use them.",
        epilog=textwrap.dedent("""\
            a first training:
              python -m core train --recipe digits-quickstart
              python -m core evaluate last
              python -m core predict last digit.png

            your own pictures, one folder per class:
              python -m core import ~/pictures/flowers
              python -m core train --recipe cifar10-quick --set data.dataset=flowers --set epochs=20

            RUN is an id as `runs` lists them, or "last". Each command has a --help of its own."""),
    )  # fmt: skip
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable, show: Callable, summary: str, **extra: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            parents=[shared],
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **extra,
        )
        sub.set_defaults(command=command, show=show)
        return sub

    add("datasets", list_datasets, show_datasets, "List the data sets: built-in ones and imported folders.")
    add("models", list_models, show_models, "List the networks.")
    add("recipes", list_recipes, show_recipes, "List the recipes: complete configurations to start from.")
    add("runs", list_all_runs, show_runs, "List the runs, the newest first.")

    sub = add(
        "import",
        import_pictures,
        show_import,
        "Read a folder of pictures (train/ and test/ or val/, or one folder per class) as a data set.",
    )
    sub.add_argument("path", metavar="PATH", help="the folder; nothing in it is changed")
    sub.add_argument("--name", default="", help="the data set's name (default: the folder's)")
    sub.add_argument("--size", type=int, metavar="PX", help="side of the square that photographs are stored at")

    sub = add(
        "train",
        train,
        show_training,
        "Train a network to the end. Ctrl-C saves and pauses; resume goes on.",
        epilog=_settings_help(),
    )
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--recipe", metavar="NAME", help="start from a recipe")
    source.add_argument("--config", metavar="FILE", help="start from a JSON file, such as a run's config.json")
    sub.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="change a setting (see below); may be repeated"
    )

    sub = add(
        "resume",
        resume,
        show_training,
        "Go on with a run that was paused, stopped or interrupted, from its last checkpoint.",
    )
    sub.add_argument("run", metavar="RUN")
    sub = add("stop", stop, show_stop, "Stop a run that is training, wherever it trains. Best and last checkpoint are kept.")
    sub.add_argument("run", metavar="RUN")

    sub = add("evaluate", evaluate, show_evaluation, "Judge a checkpoint on a split of the set it was trained on.")
    sub.add_argument("run", metavar="RUN")
    sub.add_argument("--checkpoint", default="last", metavar="NAME", help="best, last (default) or one such as epoch-0003")
    sub.add_argument("--split", choices=("train", "validation", "test"), help="default: the one the run was evaluated on")

    sub = add("predict", predict, show_predictions, "Classify picture files.")
    sub.add_argument("run", metavar="RUN")
    sub.add_argument("files", metavar="FILE", nargs="+")
    sub.add_argument("--checkpoint", default="last", metavar="NAME", help="best, last (default) or one such as epoch-0003")
    sub.add_argument("--top-k", type=int, default=5, metavar="K", help="classes to report for each picture (default 5)")
    return parser


def _settings_help() -> str:
    lines = ["settings, for --set:"]
    section = None
    for item in all_settings():
        if item.section != section:
            section = item.section
            lines.append(f"\n  {SECTIONS[section]}")
            if section in ("optimizer", "schedule"):
                from core.config import VARIANTS

                lines.append(f"    {section + '.name':32} one of {', '.join(VARIANTS[section])}")
        if item.path == "recipe":
            continue
        default = (
            "" if item.default is None else f" [{str(item.default).lower() if isinstance(item.default, bool) else item.default}]"
        )
        words = f"{item.explanation}{' In ' + item.unit + '.' if item.unit and item.unit != '×' else ''} ({item.bounds or item.kind}){default}"
        lines += textwrap.wrap(words, 110, initial_indent=f"    {item.path:32} ", subsequent_indent=" " * 37)
    return "\n".join(lines)


# --- lists


def list_datasets(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.config import Preprocessing
    from core.data.catalogue import DATASETS, find_store, imported_sets

    rows = [
        {
            "name": r.name, "kind": "built-in", "title": r.title, "summary": r.summary, "shape": list(r.shape),
            "num_classes": r.num_classes, "num_train": r.num_train, "num_test": r.num_test, "download_mb": r.download_mb,
            "is_ready": find_store(workspace, r.name, Preprocessing()) is not None,
        }
        for r in DATASETS.values()
    ]  # fmt: skip
    rows += [{"name": name, "kind": "folder", "path": path} for name, path in imported_sets(workspace).items()]
    return {"datasets": rows}


def show_datasets(result: Result) -> None:
    for row in result["datasets"]:
        if row["kind"] == "folder":
            print(f"{row['name']:16} a folder: {row['path']}")
        else:
            there = "here" if row["is_ready"] or not row["download_mb"] else f"{row['download_mb']} MB to download"
            print(f"{row['name']:16} {row['summary']} ({there})")


def list_models(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.models.catalogue import MODELS

    return {"models": [{"name": r.name, "title": r.title, "summary": r.summary} for r in MODELS.values()]}


def show_models(result: Result) -> None:
    for row in result["models"]:
        print(f"{row['name']:22} {row['summary']}")


def list_recipes(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.recipes import RECIPES

    rows = [
        {
            "name": r.name,
            "title": r.title,
            "summary": r.summary,
            "published": r.published,
            "config": r.config.model_dump(mode="json"),
        }
        for r in RECIPES.values()
    ]
    return {"recipes": rows}


def show_recipes(result: Result) -> None:
    for row in result["recipes"]:
        published = f" Published: {row['published']}." if row["published"] else ""
        print(f"{row['name']:22} {row['summary']}{published}")


def list_all_runs(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.runs.directory import list_runs
    from core.runs.status import status_of

    rows = []
    for run in list_runs(workspace):
        status = status_of(run)
        rows.append({
            "run": run.id, "status": status.state, "message": status.message, "recipe": run.config.recipe,
            "dataset": run.config.data.dataset, "model": run.config.model.name, "epoch": status.epoch, "epochs": run.config.epochs,
            "accuracy": status.accuracy, "seconds": status.seconds,
        })  # fmt: skip
    return {"runs": rows}


def show_runs(result: Result) -> None:
    if not result["runs"]:
        print("There are no runs yet. A first one: python -m core train --recipe digits-quickstart")
    for row in result["runs"]:
        print(
            f"{row['run']:48} {row['status']:12} {row['epoch']:>3}/{row['epochs']:<4} {percent(row['accuracy']):>8} "
            f"{duration(row['seconds']):>12}  {row['model']} on {row['dataset']}"
        )


# --- data


def import_pictures(workspace: Workspace, options: argparse.Namespace) -> Result:
    import numpy as np

    from core.config import Preprocessing, config_from
    from core.data.catalogue import import_folder, prepare_store

    preprocessing = Preprocessing()
    if options.size is not None:
        preprocessing = config_from({"preprocessing": {"size_px": options.size}}).preprocessing
    name = import_folder(workspace, options.path, options.name)
    store = prepare_store(workspace, name, preprocessing, _progress())
    counts = {
        split: dict(
            zip(
                store.meta.class_names,
                np.bincount(store.labels[first:end], minlength=store.num_classes).tolist(),
                strict=True,
            )
        )
        for split, (first, end) in store.meta.splits.items()
    }
    empty = [f"'{c}' has no pictures in {split}." for split, classes in counts.items() for c, n in classes.items() if n == 0]
    return {
        "dataset": name, "path": store.meta.origin, "shape": list(store.meta.shape), "class_names": store.meta.class_names,
        "splits": counts, "skipped": store.meta.skipped, "warnings": empty,
    }  # fmt: skip


def show_import(result: Result) -> None:
    channels, height, width = result["shape"]
    print(
        f"{result['dataset']}: {height} × {width} pixels, {'colour' if channels == 3 else 'grey'}, {len(result['class_names'])} classes"
    )
    for split, classes in result["splits"].items():
        print(f"  {split}: {sum(classes.values()):,} pictures")
    for warning in result["warnings"]:
        print(f"  warning: {warning}")
    for skipped in result["skipped"][:20]:
        print(f"  skipped {skipped['file']!r}: {skipped['reason']}")
    if len(result["skipped"]) > 20:
        print(f"  … and {len(result['skipped']) - 20:,} more files")


# --- training


def train(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.catalogue import prepare_store, settled
    from core.runs.directory import create_run
    from core.runs.plan import plan_run

    config = settled(workspace, changed(_starting_point(options), dict(parse_assignment(text) for text in options.set)))
    prepare_store(workspace, config.data.dataset, config.preprocessing, _progress())
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
    from core.runs.directory import find_run
    from core.runs.status import status_of

    run = find_run(workspace, options.run)
    status = status_of(run)
    if status.state == "finished":
        raise InputError(f"{run.id} is finished: it has trained all of its {run.config.epochs} epochs.", code="finished")
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
        "final": _figures(last, started["class_names"]) if last else None,
        "seconds": status.seconds,
        "images_per_s": _mean_speed(steps),
    }  # fmt: skip


def _mean_speed(steps: dict[str, list]) -> float | None:
    """Training pictures per second, evaluation left out: the harmonic mean over equal windows."""
    speeds = [value for value in steps["images_per_s"] if value]
    return len(speeds) / sum(1 / value for value in speeds) if speeds else None


def _figures(row: dict[str, Any], class_names: Sequence[str]) -> Result:
    per_class = [
        {"class": name, "accuracy": right / support if support else None, "correct": right, "support": support}
        for name, right, support in zip(class_names, row["correct"], row["support"], strict=True)
    ]
    return {"split": row["split"], "accuracy": row["accuracy"], "loss": row["loss"], "per_class": per_class}


def show_training(result: Result) -> None:
    print(f"{result['run']}: {result['status']}. {result['message']}")
    if final := result["final"]:
        print(
            f"{final['split']} accuracy {percent(final['accuracy'], 2)}, {duration(result['seconds'])}, {speed(result['images_per_s'])}"
        )
        _show_classes(final)


def _show_classes(figures: Result) -> None:
    width = max(len(row["class"]) for row in figures["per_class"])
    for row in figures["per_class"]:
        print(f"  {row['class']:{width}}  {percent(row['accuracy']):>8}  {row['correct']:>6,} of {row['support']:,}")


def stop(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.runs.control import send
    from core.runs.directory import find_run
    from core.runs.event_log import append_event
    from core.runs.status import status_of
    from core.training.events import Ended

    run = find_run(workspace, options.run)
    status = status_of(run)
    if not status.is_active:
        raise InputError(f"{run.id} is not training: it is {status.state}.", code="not-running")
    send(run, "stop")
    deadline = time.monotonic() + 30
    while (status := status_of(run)).is_active and time.monotonic() < deadline:
        if status.state == "queued" and not run.is_held():
            append_event(run.events, Ended("stopped", "Taken out of the queue before it began."))
        time.sleep(0.05)
    return {"run": run.id, "status": status.state, "message": status.message}


def show_stop(result: Result) -> None:
    print(f"{result['run']}: {result['status']}. {result['message']}")


# --- results


def evaluate(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.runs.checkpoints import find_checkpoint
    from core.runs.directory import find_run
    from core.runs.judge import judge
    from core.training.events import to_row

    run = find_run(workspace, options.run)
    checkpoint = find_checkpoint(run, options.checkpoint)
    judgement = judge(workspace, run, checkpoint, options.split or run.config.data.evaluate_on, _progress())
    return {"run": run.id, "checkpoint": checkpoint.name, **_figures(to_row(judgement.result), judgement.class_names)}


def show_evaluation(result: Result) -> None:
    print(
        f"{result['run']} {result['checkpoint']}: {result['split']} accuracy {percent(result['accuracy'], 2)}, loss {result['loss']:.4f}"
    )
    _show_classes(result)


def predict(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.decoding import decode_picture
    from core.inference.predictor import predict as predict_picture
    from core.runs.checkpoints import find_checkpoint
    from core.runs.directory import find_run

    if options.top_k < 1:
        raise InputError(f"--top-k: found {options.top_k}, expected 1 or more.", code="arguments")
    run = find_run(workspace, options.run)
    checkpoint = find_checkpoint(run, options.checkpoint)
    rows = []
    for file in options.files:
        try:
            prediction = predict_picture(checkpoint, decode_picture(Path(file)))
        except InputError as error:
            if error.code == "checkpoint":
                raise
            rows.append({"file": file, "error": error.message})
            continue
        classes = [{"class": name, "probability": probability} for name, probability in prediction.top(options.top_k)]
        rows.append({"file": file, "classes": classes, "prepared": prediction.done})
    return {"run": run.id, "checkpoint": checkpoint.name, "pictures": rows}


def show_predictions(result: Result) -> None:
    for row in result["pictures"]:
        if "error" in row:
            print(f"{row['file']}: {row['error']}")
        else:
            print(f"{row['file']}: " + ", ".join(f"{c['class']} {percent(c['probability'])}" for c in row["classes"]))


def _progress() -> Callable[[str, int, int], None]:
    told = 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 1:
            told = time.monotonic()
            say(f"{what} …" + (f" {done:,} of {total:,}" if total else ""))

    return progress
