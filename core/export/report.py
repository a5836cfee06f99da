"""The whole result of a run as one HTML file that needs no server, no network and nothing beside it."""

import base64
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import plotly
import plotly.graph_objects as go
from markupsafe import Markup

from core.data.sources.containers import readable
from core.data.store.image_store import ImageStore
from core.data.store.originals import stored_image
from core.figures import runs as figures
from core.figures.calibration import reliability_diagram
from core.figures.epochs import learning_histogram
from core.figures.look import COLOURS, colour_of
from core.figures.robustness import robustness_curve
from core.inference.robustness import last_robustness
from core.insight.calibration import reliability
from core.insight.class_report import ClassReport, class_report, top_accuracy
from core.insight.gallery import Choice, Wanted, select
from core.insight.learning import learning_of
from core.insight.metrics import confusion_among, most_confused_pairs, most_mistaken
from core.insight.run_results import EvaluatedImages, evaluated_after, images_of, records_of
from core.insight.setting_differences import in_words
from core.runs.calibration import PLAIN, calibration_of
from core.runs.checkpoints import list_checkpoints
from core.runs.directory import Run
from core.runs.evaluations import list_evaluations
from core.runs.history import History, history_of
from core.runs.index import label_of
from core.runs.notes import read_notes
from core.runs.status import status_of
from core.runs.timeline import exactness, timeline
from core.settings import get, sections
from core.training.events import Started
from core.wording import duration, percent
from core.workspace import Workspace

MOST_IMAGES = 24  # of each gallery
MOST_CLASSES = 100  # in the matrix
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
GALLERIES: tuple[tuple[Choice, str, str], ...] = (
    ("certain and wrong", "Surest mistakes", "Wrong, and most certain of it; often these are wrong labels."),
    ("never", "Never right", "Wrong after every epoch; likely label errors first."),
    ("least certain", "Least certain", "Where the network knew least."),
)


class _Charts:
    """Figures with the elements that they are drawn into."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}

    def place(self, figure: go.Figure) -> Markup:
        name = f"chart-{len(self.figures)}"
        self.figures[name] = json.loads(str(figure.to_json()))
        return Markup('<div id="{}" style="height: {}px"></div>').format(name, int(figure.layout.height))

    def as_script(self) -> Markup:
        """JSON that can't end the script it stands in."""
        return Markup(json.dumps(self.figures).replace("<", "\\u003c"))


def report(workspace: Workspace, run: Run) -> str:
    """The page. Of a run that trains, as far as it has got; what is not there is left out."""
    history, charts = history_of(run), _Charts()
    content = _head(run, history) | _settings(run, history)
    if history.evaluations and history.started:
        content |= _evaluated(workspace, run, history, history.started, charts)
    template = jinja2.Environment(autoescape=True).from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.render(**content, charts=charts.as_script(), plotly=Markup(PLOTLY_JS.read_text(encoding="utf-8")))


def _head(run: Run, history: History) -> dict[str, Any]:
    notes, status = read_notes(run), status_of(run)
    last, best = history.last_evaluation, history.best_evaluation
    overview = [("Time", duration(status.seconds))]
    if last:
        overview = [
            (f"{last.split.capitalize()} accuracy", percent(last.accuracy, 2)),
            ("Loss", "–" if last.loss is None else f"{last.loss:.4f}"),
            *([("Best accuracy", f"{percent(best.accuracy, 2)}, epoch {best.epoch}")] if best else []),
            ("Epochs", f"{last.epoch} of {history.config(run.config).epochs}"),
            *overview,
        ]
    date = run.id.split("-")[0]
    started = history.started
    versions = ", ".join(f"{name} {version}" for name, version in (started.versions if started else {}).items())
    return {
        "title": notes.name or label_of(run),
        "note": notes.note,
        "state": f"{status.state}: {status.message}",
        "subject": f"{run.config.model.name} on {started.dataset if started else readable(run.config.data.dataset)}",
        "when": f"{date[:4]}-{date[4:6]}-{date[6:]}",
        "overview": overview,
        "evaluated_on": "Not evaluated yet.",
        "colour": COLOURS["test"],
        "story": timeline(history),
        "versions": f"{run.id}, {f'{started.device} {started.precision}' if started else ''}. {versions}. {exactness(history)} "
        f"Made on {time.strftime('%Y-%m-%d %H:%M')} by Trainscope.",
    }


def _settings(run: Run, history: History) -> dict[str, Any]:
    config = history.config(run.config)
    parts = [
        {"title": title, "rows": [(item.title, in_words(get(config, item.path), item)) for item in items]}
        for _, title, items in sections(config)
    ]
    return {"settings": [part for part in parts if part["rows"]]}


def _evaluated(workspace: Workspace, run: Run, history: History, started: Started, charts: _Charts) -> dict[str, Any]:
    last, names = history.evaluations[-1], started.class_names
    content: dict[str, Any] = {
        "evaluated_on": f"Evaluated on {started.num_evaluated:,} images of the {last.split} split after epoch {last.epoch}.",
        "colour": colour_of(last.split),
        "curves": [charts.place(figures.loss_curve(history)), charts.place(figures.accuracy_curve(history))],
        "evaluations": [
            {
                "checkpoint": about.checkpoint,
                "split": about.split,
                "title": about.title,
                "number": f"{about.num_pictures:,}",
                "accuracy": percent(about.accuracy, 2),
                "loss": f"{about.loss:.4f}",
            }
            for about in (kept.about for kept in list_evaluations(run))
        ],
    }
    evaluated = evaluated_after(run, last.epoch)
    if evaluated is None:
        return content
    learning = learning_of(records_of(run, [row.epoch for row in history.evaluations]), evaluated.labels)
    content |= _classes(evaluated, names) | _confusions(evaluated, names, charts) | _calibration(run, evaluated, charts)
    if measured := last_robustness(run):
        content["robustness"] = {
            "words": f"{measured.checkpoint} on {measured.num_pictures:,} images, made worse step by step; faint lines are classes.",
            "curves": [charts.place(robustness_curve(measured, name, names)) for name in measured.right],
        }
    if learning.epochs:
        content["learned"] = charts.place(learning_histogram(learning))
    if store := images_of(workspace, run, evaluated):
        content["galleries"] = [
            {"title": title, "words": words, "images": [_image(store, evaluated, names, place) for place in found.tolist()]}
            for choice, title, words in GALLERIES
            if choice != "never" or learning.epochs
            if (found := select(Wanted(choice), evaluated.predictions, evaluated.labels, learning)[:MOST_IMAGES]).size
        ]
    return content


def _classes(evaluated: EvaluatedImages, names: Sequence[str]) -> dict[str, Any]:
    found = class_report(evaluated.labels, evaluated.predictions.predicted, names)
    rows = [
        {
            "name": row.name,
            "accuracy": percent(row.recall.value),
            "width": f"{100 * np.nan_to_num(row.recall.value):.1f}",
            "interval": f"{percent(row.recall.low)} to {percent(row.recall.high)}" if row.support else "–",
            "precision": percent(row.precision.value),
            "f1": percent(row.f1),
            "support": f"{row.support:,}",
        }
        for row in found.rows
    ]
    macro = found.macro
    means = f"Mean of the classes: recall {percent(macro.recall)}, precision {percent(macro.precision)}, F1 {percent(macro.f1)}."
    return {"classes": rows, "overall": _overall(found, evaluated, len(names)), "means": means}


def _overall(found: ClassReport, evaluated: EvaluatedImages, num_classes: int) -> str:
    accuracy, top = found.accuracy, top_accuracy(evaluated.predictions.rank, num_classes)
    among = f" In {percent(top.value, 2)} the true class is among the three likeliest." if top else ""
    return f"{percent(accuracy.value, 2)} accuracy, 95 % CI {percent(accuracy.low)} to {percent(accuracy.high)}.{among}"


def _confusions(evaluated: EvaluatedImages, names: Sequence[str], charts: _Charts) -> dict[str, Any]:
    labels, predicted = evaluated.labels, evaluated.predictions.predicted
    pairs = most_confused_pairs(labels, predicted, 5)
    times = "; ".join(f"{names[true]} → {names[other]}: {count:,} ×" for true, other, count in pairs)
    classes, fewer = np.arange(len(names)), ""
    if len(names) > MOST_CLASSES:
        classes = most_mistaken(labels, predicted, len(names), MOST_CLASSES)
        fewer = f" The {MOST_CLASSES} of {len(names):,} classes with the most mistakes are shown."
    counts = confusion_among(labels, predicted, classes)
    chart = figures.confusion_heatmap(counts, [names[k] for k in classes.tolist()], "rgba(0, 114, 178, 0)")
    return {
        "confused": f"Most often confused, true → predicted: {times}.{fewer}"
        if pairs
        else "No image was predicted as another class.",
        "confusion": charts.place(chart),
    }


def _calibration(run: Run, evaluated: EvaluatedImages, charts: _Charts) -> dict[str, Any]:
    found = reliability(evaluated.predictions.confidence, evaluated.predictions.predicted == evaluated.labels)
    sentences = [f"Expected calibration error: {percent(found.ece, 2)}. Bars on the line are as sure as they are right."]
    for checkpoint in list_checkpoints(run):
        if (kept := calibration_of(checkpoint)) != PLAIN:
            sentences.append(
                f"Predictions with {checkpoint.name} use a temperature of {kept.temperature:.3f} and answer from {percent(kept.threshold)} on "
                f"(fitted on {kept.fitted_on}). The bars are without them."
            )
    return {"calibration": sentences, "reliability": charts.place(reliability_diagram(found, colour_of(evaluated.split)))}


def _image(store: ImageStore, evaluated: EvaluatedImages, names: Sequence[str], place: int) -> dict[str, str]:
    """As it is stored, within the page."""
    content = io.BytesIO()
    index, predicted = int(evaluated.indices[place]), int(evaluated.predictions.predicted[place])
    stored_image(store, index).save(content, "PNG")
    true = names[evaluated.labels[place]]
    return {
        "source": f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}",
        "alt": f"An image of the class {true}",
        "predicted": f"{names[predicted]} ({percent(float(evaluated.predictions.confidence[place]), 0)})",
        "true": f"true: {true}",
        "file": readable(store.key(index)).rpartition("/")[2],
    }
