"""evaluate: all that the Results page says of an evaluation, in figures."""

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.commands.output import Result, progress
from core.commands.results import figures_by_class
from core.wording import percent
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.inference.evaluation import CheckpointEvaluation
    from core.insight.class_report import ClassReport, Means, Share
    from core.runs.calibration import Calibration

SHOWN_CLASSES = 20  # whose confusion matrix fits a terminal


def evaluate(workspace: Workspace, options: argparse.Namespace) -> Result:
    from core.inference.evaluation import evaluate_checkpoint, to_evaluate
    from core.inference.kept_evaluations import evaluation_request
    from core.insight.class_report import class_report, top_accuracy
    from core.insight.metrics import confusion_matrix
    from core.jobs.worker import told_as_a_job
    from core.runs.calibration import calibration_of
    from core.runs.checkpoints import find_checkpoint
    from core.runs.directory import find_run

    run = find_run(workspace, options.run)
    checkpoint = find_checkpoint(run, options.checkpoint)
    split = options.split or run.config.data.evaluate_on
    with told_as_a_job(workspace, evaluation_request(run, checkpoint.name, split, options.dataset or ""), progress()) as tell:
        of = to_evaluate(workspace, run, checkpoint, split, tell, options.dataset)
        evaluation = evaluate_checkpoint(of, tell)
    said, labels, names = evaluation.result.predictions, of.labels[of.indices], of.spec.class_names
    assert said, "only one that was read again has none"
    report = class_report(labels, said.predicted, names)
    figures = figures_by_class(evaluation.result, names)
    return {
        "run": run.id,
        "checkpoint": checkpoint.name,
        "dataset": of.store.meta.title,
        "left_out": of.left_out,
        **figures,
        **_ends("accuracy", report.accuracy),
        "per_class": [{**row, **more} for row, more in zip(figures["per_class"], _by_class(report), strict=True)],
        "macro": _means(report.macro),
        "weighted": _means(report.weighted),
        "top_3": _share(top_accuracy(said.rank, len(names))),
        "confusion": confusion_matrix(labels, said.predicted, len(names)).tolist(),
        "calibration": _calibration(evaluation, labels, calibration_of(checkpoint)),
    }


def _by_class(report: "ClassReport") -> list[Result]:
    return [
        {
            "recall": _number(row.recall.value),
            **_ends("recall", row.recall),
            "precision": _number(row.precision.value),
            **_ends("precision", row.precision),
            "f1": _number(row.f1),
        }
        for row in report.rows
    ]


def _means(means: "Means") -> Result:
    return {"recall": means.recall, "precision": means.precision, "f1": means.f1}


def _share(share: "Share | None") -> Result | None:
    return None if share is None else {"accuracy": _number(share.value), **_ends("accuracy", share)}


def _ends(name: str, share: "Share") -> Result:
    return {f"{name}_low": _number(share.low), f"{name}_high": _number(share.high)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _calibration(evaluation: "CheckpointEvaluation", labels: np.ndarray, kept: "Calibration") -> Result:
    """The network's own certainty, that at the temperature kept with the checkpoint, and what could be fitted on these images."""
    from core.insight.calibration import answered, at_temperature, reliability, scale

    said, logits = evaluation.result.predictions, evaluation.logits
    assert said
    is_right = said.predicted == labels
    own = said.confidence.astype(np.float64)
    in_use = own if kept.temperature == 1 else None
    if in_use is None and logits is not None:
        in_use = at_temperature(logits, kept.temperature).max(axis=1)
    sure = None if in_use is None else answered(in_use, is_right, kept.threshold)
    fit = None if logits is None else scale(logits, labels)
    return {
        "ece": reliability(own, is_right).ece,
        "temperature": kept.temperature,
        "threshold": kept.threshold,
        "fitted_on": kept.fitted_on,
        "ece_in_use": None if in_use is None else reliability(in_use, is_right).ece,
        "sure": None if sure is None else {"share": sure.coverage.value, "accuracy": _number(sure.accuracy.value)},
        "fit": fit and {"temperature": fit.temperature, "ece_before": fit.before.ece, "ece_after": fit.after.ece},
    }


def show_evaluation(result: Result) -> None:
    what = f"{result['run']} {result['checkpoint']} on {result['dataset']}"
    between = f"{percent(result['accuracy_low'], 2)} to {percent(result['accuracy_high'], 2)}"
    print(f"{what}: {result['split']} accuracy {percent(result['accuracy'], 2)} ({between}), loss {result['loss']:.4f}")
    if result["top_3"]:
        print(f"The true class is among the three likeliest: {percent(result['top_3']['accuracy'], 2)}")
    for name in ("macro", "weighted"):
        means = result[name]
        print(
            f"Mean ({name}): recall {percent(means['recall'])}, precision {percent(means['precision'])}, F1 {percent(means['f1'])}"
        )
    _show_calibration(result["calibration"])
    _show_classes(result["per_class"])
    _show_confusion(result["confusion"], [row["class"] for row in result["per_class"]])


def _show_calibration(found: dict[str, Any]) -> None:
    print(f"Expected calibration error: {percent(found['ece'], 2)}")
    if found["fitted_on"]:
        after = "" if found["ece_in_use"] is None else f"; with them {percent(found['ece_in_use'], 2)}"
        print(
            f"In use: temperature {found['temperature']:.3f}, threshold {percent(found['threshold'])}, fitted on {found['fitted_on']}{after}"
        )
    if found["threshold"] and (sure := found["sure"]):
        print(f"Sure of {percent(sure['share'])} of the images, right in {percent(sure['accuracy'])} of them")


def _show_classes(rows: Sequence[Result]) -> None:
    width = max(5, *(len(row["class"]) for row in rows))
    print(f"  {'class':{width}}  {'recall':>8} {'95 % CI':>18}  {'precision':>9} {'95 % CI':>18}  {'F1':>8}  images")
    for row in rows:
        between = {name: _between(row[f"{name}_low"], row[f"{name}_high"]) for name in ("recall", "precision")}
        print(
            f"  {row['class']:{width}}  {percent(row['recall']):>8} {between['recall']:>18}  {percent(row['precision']):>9} "
            f"{between['precision']:>18}  {percent(row['f1']):>8}  {row['support']:,}"
        )


def _between(low: float | None, high: float | None) -> str:
    return "–" if low is None else f"{percent(low)} to {percent(high)}"


def _show_confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    if len(names) > SHOWN_CLASSES:
        print(f"The confusion matrix of {len(names):,} classes is in the answer of --json.")
        return
    shown = [name[:12] for name in names]
    left = max(map(len, shown))
    widths = [max(len(name), len(f"{max(row[k] for row in counts):,}")) for k, name in enumerate(shown)]
    print("Confusion matrix: rows are true classes, columns what was predicted")
    print(f"  {'':{left}}  " + " ".join(f"{name:>{width}}" for name, width in zip(shown, widths, strict=True)))
    for name, row in zip(shown, counts, strict=True):
        print(f"  {name:{left}}  " + " ".join(f"{n:>{width},}" for n, width in zip(row, widths, strict=True)))
