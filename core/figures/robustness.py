"""Accuracy over the strength of a corruption."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.data.transforms.corruptions import CORRUPTIONS
from core.figures.look import COLOURS, MARK, NEUTRAL, base, labels
from core.inference.robustness import Robustness

MOST_CLASSES = 20  # lines


def robustness_curve(measured: Robustness, name: str, class_names: Sequence[str], chosen: int | None = None) -> go.Figure:
    """All images as a strong line, classes as faint ones, the chosen class in a colour of its own."""
    corruption = CORRUPTIONS[name]
    x = [f"{strength:g}" for strength in (0, *corruption.strengths)]
    by_class = measured.by_class(name)
    figure = base(height=230)
    names = labels(class_names)
    shown = np.flatnonzero(np.isfinite(by_class[0]))
    falls = (by_class[0] - by_class[1:].mean(axis=0))[shown]
    for k in shown[np.argsort(-falls, kind="stable")[:MOST_CLASSES]].tolist():
        if k != chosen:
            figure.add_scatter(
                x=x,
                y=by_class[:, k],
                mode="lines",
                line={"color": NEUTRAL, "width": 1},
                opacity=0.5,
                name=names[k],
                hovertemplate=f"{names[k]}: %{{y:.1%}}<extra></extra>",
            )
    if chosen is not None:
        figure.add_scatter(
            x=x,
            y=by_class[:, chosen],
            mode="lines+markers",
            line={"color": MARK, "width": 2},
            name=names[chosen],
            hovertemplate=f"{names[chosen]}: %{{y:.1%}}<extra></extra>",
        )
    figure.add_scatter(
        x=x,
        y=measured.accuracy(name),
        mode="lines+markers",
        line={"color": COLOURS["train"], "width": 3},
        name="all",
        hovertemplate="all: %{y:.1%}<extra></extra>",
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text=f"{corruption.title} in {corruption.unit.strip()}", type="category")
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure
