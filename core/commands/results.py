"""predict, and the figures by class that a training and an evaluation share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.commands.output import Result
from core.errors import InputError
from core.wording import percent
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.training.events import Evaluated


def predict(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.data.sources.decoding import decode_image
    from core.inference.predictor import predict as predict_image
    from core.runs.checkpoints import find_checkpoint
    from core.runs.directory import find_run

    if options.top_k < 1:
        raise InputError(f"--top-k: found {options.top_k}, expected 1 or more.", code="arguments")
    run = find_run(workspace, options.run)
    checkpoint = find_checkpoint(run, options.checkpoint)
    rows = []
    for file in options.files:
        try:
            prediction = predict_image(checkpoint, decode_image(Path(file)))
        except InputError as error:
            if error.code == "checkpoint":
                raise
            rows.append({"file": file, "error": error.message})
            continue
        classes = [{"class": name, "probability": probability} for name, probability in prediction.top(options.top_k)]
        rows.append({"file": file, "classes": classes, "is_sure": prediction.is_sure, "prepared": prediction.done})
    return {"run": run.id, "checkpoint": checkpoint.name, "pictures": rows}


def show_predictions(result: Result) -> None:
    for row in result["pictures"]:
        if "error" in row:
            print(f"{row['file']}: {row['error']}")
        else:
            doubt = "" if row["is_sure"] else "not sure; "
            print(f"{row['file']}: {doubt}" + ", ".join(f"{c['class']} {percent(c['probability'])}" for c in row["classes"]))


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
