"""Figures of a run: curves, schedule, confusion, probabilities. Rows in, Plotly figures out."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.config import TrainConfig
from core.figures.look import COLOURS, MARK, MISTAKE, NEUTRAL, SHARES, base, faint, labels
from core.recipes import Published
from core.runs.history import History
from core.runs.timeline import change_in_words
from core.training.optimizers import lr_factor

MAX_POINTS = 1000
MAX_MARKS = 50
MOST_MARKERS = 100  # more would be one thick line
LONGEST_ON_AXIS = 16  # characters of a class's name beside a matrix, which would shrink
HOVER_TITLES = {"examples": "%{x:,} images", "step": "Step %{x:,}", "epoch": "Epoch %{x:.2~f}", "seconds": "%{x:.1f} s"}
X_AXES = {"examples": "Training images seen", "step": "Step", "epoch": "Epoch", "seconds": "Time in seconds"}


def loss_curve(
    history: History, x: str = "examples", smoothing: float = 0.0, log: bool = False, published: Published | None = None
) -> go.Figure:
    """Training loss as a line, that of the evaluated split as points joined; what a tutorial published, as crosses."""
    figure = _curve(history, "loss", x, smoothing)
    if published and published.losses and history.started and x in ("examples", "step", "epoch"):
        per_epoch = history.started.steps_per_epoch
        steps = np.array(
            [per_epoch * n + published.every * k for n, losses in enumerate(published.losses) for k in range(1, len(losses) + 1)]
        )
        scale = {"step": 1.0, "epoch": 1 / per_epoch, "examples": history.started.num_train / per_epoch}[x]
        figure.add_scatter(
            x=steps * scale,
            y=np.concatenate(published.losses),
            mode="markers",
            name="published",
            marker={"color": NEUTRAL, "symbol": "x", "size": 8},
            hovertemplate="published %{y:.3f}<extra></extra>",
        )
    figure.update_yaxes(title_text="Loss", **_scale(log))
    return figure


def accuracy_curve(history: History, x: str = "examples", smoothing: float = 0.0) -> go.Figure:
    figure = _curve(history, "accuracy", x, smoothing)
    figure.update_yaxes(title_text="Accuracy", tickformat=".0%", minallowed=-0.02, maxallowed=1.02)
    return figure


def lr_curve(history: History, x: str = "examples", log: bool = False) -> go.Figure:
    """The learning rate up to now."""
    figure = _empty(x)
    positions, values = thin(*history.points("lr", x))
    figure.add_scatter(
        x=positions,
        y=values,
        mode="lines",
        name="learning rate",
        line={"color": NEUTRAL, "width": 2},
        hovertemplate="%{y:.4~g}<extra></extra>",
    )
    _mark_changes(figure, history, x)
    figure.update_yaxes(title_text="Learning rate", **_scale(log))
    return figure


def schedule_curve(config: TrainConfig, steps_per_epoch: int) -> go.Figure:
    """The learning rate over the epochs to come."""
    total = steps_per_epoch * config.epochs
    steps = np.unique(np.linspace(0, total - 1, min(total, 400)).round().astype(int))
    rates = [config.optimizer.lr * lr_factor(config.schedule, int(step), steps_per_epoch, config.epochs) for step in steps]
    figure = base(height=180)
    figure.add_scatter(
        x=steps / steps_per_epoch, y=rates, mode="lines", line={"color": NEUTRAL, "width": 2}, name="learning rate"
    )
    figure.update_xaxes(title_text="Epoch")
    figure.update_yaxes(title_text="Learning rate", rangemode="tozero")
    return figure


def confusion_heatmap(
    confusion: np.ndarray,
    class_names: Sequence[str],
    background: str = "#FFFFFF",
    show: str = "counts",
    support: np.ndarray | None = None,
    answered: np.ndarray | None = None,
    classes: np.ndarray | None = None,
) -> go.Figure:
    """(K, K) counts as a square of cells shaded by their share of the true class, mistakes in a hue of their own; rows are the true classes.

    show: what is written into the cells of up to 20 classes: "counts", or per cent of the "true" or of the "predicted" class.
    support, answered: (K,) images of each class and those taken for it, where the matrix does not show all classes.
    classes: (K,) their numbers, by which a click names them; 0 to K - 1 by default.
    """
    of_true = confusion / np.maximum(confusion.sum(axis=1) if support is None else support, 1)[:, None]
    of_predicted = confusion / np.maximum(confusion.sum(axis=0) if answered is None else answered, 1)[None, :]
    names = labels(class_names, LONGEST_ON_AXIS)
    numbers = np.arange(len(names)) if classes is None else classes
    written = None
    if len(names) <= 20:
        values = confusion if show == "counts" else np.round(100 * (of_true if show == "true" else of_predicted)).astype(int)
        written = np.where(confusion > 0, values.astype(str), "")
    shades = np.sqrt(of_predicted if show == "predicted" else of_true)  # so that rare confusions are seen beside full classes
    figure = base(height=max(380, min(900, 90 + 30 * len(names))))
    figure.update_layout(meta={"classes": numbers.tolist()})
    figure.add_heatmap(
        z=shades * np.where(np.eye(len(names), dtype=bool), -1, 1),
        x=names,
        y=names,
        zmin=-1,
        zmax=1,
        colorscale=[[0, faint(COLOURS["train"], 0.45)], [0.5, background], [1, MISTAKE]],
        text=written,
        texttemplate=None if written is None else "%{text}",
        customdata=np.dstack([confusion, of_true, of_predicted, *np.meshgrid(numbers, numbers)]),
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="true %{y}, predicted %{x}: %{customdata[0]} images, %{customdata[1]:.1%} of the true class, "
        "%{customdata[2]:.1%} of the predicted one<extra></extra>",
    )
    figure.update_xaxes(title_text="Predicted", type="category", side="bottom", showgrid=False, constrain="domain")
    figure.update_yaxes(
        title_text="True", type="category", autorange="reversed", showgrid=False, scaleanchor="x", constrain="domain"
    )
    return figure


def image_history(epochs: Sequence[int], true_probability: Sequence[float], is_right: Sequence[bool]) -> go.Figure:
    """The probability that an image's true class was given after each epoch; filled points where it was predicted right."""
    figure = base(height=200)
    figure.add_scatter(
        x=list(epochs),
        y=list(true_probability),
        mode="lines+markers",
        line={"color": NEUTRAL, "width": 2},
        marker={"color": COLOURS["train"], "size": 9, "symbol": ["circle" if right else "circle-open" for right in is_right]},
        hovertemplate="epoch %{x}: %{y:.1%}<extra></extra>",
        name="true class",
    )
    figure.update_xaxes(title_text="Epoch", tickformat="d", dtick=1 if len(epochs) < 12 else None)
    figure.update_yaxes(title_text="True class", range=[-0.03, 1.03], tickformat=".0%")
    return figure


def probability_bars(classes: Sequence[tuple[str, float]]) -> go.Figure:
    """The likeliest classes as bars, the likeliest on top."""
    figure = base(height=60 + 34 * len(classes))
    names, values = labels([name for name, _ in classes]), [value for _, value in classes]
    figure.add_bar(
        x=values,
        y=names,
        orientation="h",
        text=[f"{value:.1%}" for value in values],
        textposition="auto",
        cliponaxis=False,
        marker_color=[COLOURS["train"]] + [NEUTRAL] * (len(values) - 1),
        hovertemplate="%{y}: %{x:.2%}<extra></extra>",
    )
    figure.update_xaxes(**SHARES)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def class_probabilities(class_names: Sequence[str], probabilities: np.ndarray) -> go.Figure:
    """All classes in their own order, so that the bars move in place; the likeliest in colour."""
    likeliest = int(np.argmax(probabilities))
    figure = base(height=60 + 30 * len(class_names))
    figure.add_bar(
        x=probabilities.astype(float),
        y=labels(class_names, LONGEST_ON_AXIS),
        orientation="h",
        text=[f"{value:.1%}" if value >= 0.005 else "" for value in probabilities],
        textposition="auto",
        cliponaxis=False,
        marker_color=[COLOURS["train"] if k == likeliest else NEUTRAL for k in range(len(class_names))],
        hovertemplate="%{y}: %{x:.2%}<extra></extra>",
    )
    figure.update_xaxes(**SHARES)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def thin(x: np.ndarray, y: np.ndarray, max_points: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most about max_points of the points: of each bucket the lowest and the highest, in their order, and first and last.

    So no extremum is lost, however long the run. Values that are not finite count as neither.
    """
    if len(x) <= max_points:
        return x, y
    edges = np.linspace(0, len(y), max_points // 2 + 1).astype(int)
    kept = {0, len(y) - 1}
    for first, end in pairwise(edges):
        bucket = np.where(np.isfinite(y[first:end]), y[first:end], np.nan)
        if np.isfinite(bucket).any():
            kept.update((first + int(np.nanargmin(bucket)), first + int(np.nanargmax(bucket))))
    chosen = np.array(sorted(kept))
    return x[chosen], y[chosen]


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
    """An exponential moving mean without bias at the start, as TensorBoard's: weight 0 leaves the values, towards 1 is smoother."""
    if not 0 < weight < 1 or len(values) == 0:
        return values
    series = pd.Series(np.where(np.isfinite(values), values, np.nan))
    means = series.ewm(alpha=1 - weight, ignore_na=True).mean().to_numpy()  # what is no number counts for nothing
    return np.where(np.isnan(means), values, means)


def _curve(history: History, what: str, x: str, smoothing: float) -> go.Figure:
    figure = _empty(x)
    positions, values = history.points(what, x)
    thinned = thin(positions, smooth(values, smoothing))
    value = "%{y:.4f}" if what == "loss" else "%{y:.2%}"
    figure.add_scatter(
        x=thinned[0],
        y=thinned[1],
        mode="lines",
        name="train",
        line={"color": COLOURS["train"], "width": 1.8},
        hovertemplate=f"train {value}<extra></extra>",
    )
    split = history.started.evaluated_split if history.started else "test"
    points = apart_from_the_first(history, thin(*history.evaluated_points(what, x)))
    figure.add_scatter(
        x=points[0],
        y=points[1],
        mode="lines+markers" if len(points[0]) <= MOST_MARKERS else "lines",
        name=split,
        line={"color": COLOURS[split], "width": 1.5, "dash": "dot"},
        marker={"size": 8, "color": COLOURS[split]},
        hovertemplate=f"{split} {value}<extra></extra>",
    )
    _mark_changes(figure, history, x)
    return figure


def apart_from_the_first(history: History, points: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """With a gap after the evaluation before the first step: a line from there would cross what was never measured."""
    if not history.evaluations or history.evaluations[0].epoch > 0 or len(points[0]) < 2:
        return points
    return np.insert(points[0], 1, points[0][0]), np.insert(points[1], 1, np.nan)


def _scale(log: bool) -> dict[str, Any]:
    """A value axis; logarithmic ones have a tick for each power of ten, written 1e-4."""
    if log:
        return {"type": "log", "rangemode": "normal", "dtick": 1, "exponentformat": "e", "tickformat": ".0e"}
    return {"type": "linear", "rangemode": "tozero"}


def _mark_changes(figure: go.Figure, history: History, x: str) -> None:
    """A dotted line where a setting was changed while the run trained, with its number; which one, and what it was, when pointed at."""
    rows = history.changes[-MAX_MARKS:]
    if not rows:
        return
    figure.update_layout(margin_t=36, legend_y=1.09)  # room for the numbers, and the legend above them
    positions = history.positions(rows, x)
    figure.update_layout(
        shapes=[
            {
                "type": "line",
                "x0": at,
                "x1": at,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": NEUTRAL, "width": 1, "dash": "dot"},
            }
            for at in positions
        ],
        annotations=[
            {
                "x": at,
                "y": 1,
                "yref": "paper",
                "text": str(number),
                "showarrow": False,
                "yanchor": "bottom",
                "hovertext": change_in_words(row),
                "font": {"color": MARK, "size": 13},
                "captureevents": True,
            }
            for number, (at, row) in enumerate(zip(positions, rows, strict=True), start=len(history.changes) - len(rows) + 1)
        ],
    )


def _empty(x: str) -> go.Figure:
    figure = base(height=270)
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(title_text=X_AXES[x], minallowed=0, unifiedhovertitle={"text": HOVER_TITLES[x]}, ticklabelstandoff=6)
    return figure
