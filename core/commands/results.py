"""predict, and the figures by class that a training and an evaluation share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.commands.output import Result, progress
from core.errors import InputError
from core.files import write_bytes_atomically
from core.wording import percent
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.inference.many import Figures
    from core.training.events import Evaluated


def add_predict_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("files", metavar="PATH", nargs="+", help="image files; folders and zips, of which all images are taken")
    sub.add_argument("--checkpoint", default="last", metavar="NAME", help="best, last (default) or one such as epoch-0003")
    sub.add_argument("--top-k", type=int, default=5, metavar="K", help="classes to report for each image (default 5)")
    sub.add_argument("--csv", metavar="FILE", help="a table to write: a row an image, with its two likeliest classes")


def predict(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.sources.containers import typed_path
    from core.data.store.image_store import no_progress
    from core.inference.many import answer_of, as_csv, figures_of, images_at, predictions_of
    from core.inference.predictor import network_of
    from core.runs.checkpoints import find_checkpoint
    from core.runs.directory import find_run

    if options.top_k < 1:
        raise InputError(f"--top-k: found {options.top_k}, expected 1 or more.", code="arguments")
    if options.csv and not Path(options.csv).expanduser().resolve().parent.is_dir():
        raise InputError(f"--csv: there is no folder for {options.csv[:200]!r}.", code="file", hint="Choose one that is there.")
    run = find_run(workspace, options.run)
    checkpoint = find_checkpoint(run, options.checkpoint)
    sources = images_at([typed_path(file) if Path(file).expanduser().is_dir() else Path(file) for file in options.files])
    rows, answers = [], []
    for source, said in predictions_of(checkpoint, sources, progress() if len(sources) > len(options.files) else no_progress):
        answers.append(answer_of(source, said))
        true = {"true": source.true} if source.true else {}
        if isinstance(said, InputError):
            rows.append({"file": source.file, **true, "error": said.message})
            continue
        classes = [{"class": name, "probability": probability} for name, probability in said.top(options.top_k)]
        rows.append({"file": source.file, **true, "classes": classes, "is_sure": said.is_sure, "prepared": said.done})
    if options.csv:
        write_bytes_atomically(Path(options.csv).expanduser(), as_csv(answers).encode("utf-8-sig"))
    figures = figures_of(answers, network_of(checkpoint)[1].class_names)
    return {"run": run.id, "checkpoint": checkpoint.name, "pictures": rows, "labelled": _labelled(figures)}


def _labelled(figures: "Figures | None") -> Result | None:
    """How right the answers are, where folders or a table name the classes."""
    if figures is None:
        return None
    per_class = [
        {"class": row.name, "accuracy": None if row.support == 0 else row.recall.value, "support": row.support}
        for row in figures.report.rows
    ]
    accuracy = figures.report.accuracy
    return {
        "count": len(figures.labels),
        "left_out": figures.left_out,
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "per_class": per_class,
    }


def show_predictions(result: Result) -> None:
    for row in result["pictures"]:
        if "error" in row:
            print(f"{row['file']}: {row['error']}")
        else:
            doubt = "" if row["is_sure"] else "not sure; "
            true = f" (true class: {row['true']})" if "true" in row else ""
            print(
                f"{row['file']}: {doubt}" + ", ".join(f"{c['class']} {percent(c['probability'])}" for c in row["classes"]) + true
            )
    if found := result["labelled"]:
        low, high = percent(found["accuracy_low"]), percent(found["accuracy_high"])
        print(f"{percent(found['accuracy'])} of {found['count']:,} labelled images are right (95 % CI {low} to {high})")


def figures_by_class(evaluated: "Evaluated", class_names: Sequence[str]) -> Result:
    per_class = [
        {"class": name, "accuracy": right / support if support else None, "correct": right, "support": support}
        for name, right, support in zip(class_names, evaluated.correct, evaluated.support, strict=True)
    ]
    return {"split": evaluated.split, "accuracy": evaluated.accuracy, "loss": evaluated.loss, "per_class": per_class}


def show_classes(figures: Result) -> None:
    width = max(len(row["class"]) for row in figures["per_class"])
    for row in figures["per_class"]:
        print(f"  {row['class']:{width}}  {percent(row['accuracy']):>8}  {row['correct']:>6,} of {row['support']:,}")
