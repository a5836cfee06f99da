"""Figures of a data set: how many of each class, how large the images are."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.look import COLOURS, NEUTRAL, base, labels

MOST_SIZES = 2000  # points of the chart of sizes


def class_histogram(counts: dict[str, dict[str, int]]) -> go.Figure:
    """Images of each class, a bar for each split."""
    num_classes = len(next(iter(counts.values())))
    figure = base(height=min(900, max(220, 60 + num_classes * (10 + 12 * len(counts)))))
    for split, classes in counts.items():
        figure.add_bar(
            y=labels(list(classes)),
            x=list(classes.values()),
            orientation="h",
            name=split,
            marker_color=COLOURS[split],
            hovertemplate="%{y}: %{x:,}<extra>" + split + "</extra>",
        )
    figure.update_xaxes(title_text="Images", rangemode="tozero", tickformat=",")
    figure.update_yaxes(type="category", autorange="reversed", ticklabelstep=max(1, num_classes // 40))
    figure.update_layout(barmode="group", bargap=0.25)
    return figure


def size_scatter(sizes: np.ndarray) -> go.Figure:
    """Width against height of the images as they came; one point for each size, larger where there are more. sizes: (N, 2)."""
    distinct, counts = np.unique(sizes, axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:MOST_SIZES]
    distinct, counts = distinct[most], counts[most]
    figure = base(height=320)
    figure.add_scatter(
        x=distinct[:, 0],
        y=distinct[:, 1],
        mode="markers",
        customdata=counts,
        name="images",
        marker={"color": COLOURS["train"], "size": 5 + 15 * np.sqrt(counts / counts.max()), "opacity": 0.55},
        hovertemplate="%{x} × %{y} px: %{customdata:,}<extra></extra>",
    )
    top = float(distinct.max()) * 1.08
    figure.add_scatter(
        x=[0, top], y=[0, top], mode="lines", name="square", line={"color": NEUTRAL, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    figure.update_xaxes(title_text="Width in pixels", range=[0, top])
    figure.update_yaxes(title_text="Height in pixels", range=[0, top])
    figure.update_layout(showlegend=False)
    return figure


def aspect_histogram(sizes: np.ndarray) -> go.Figure:
    """How many images for each ratio of width to height, on a scale where 1:2 and 2:1 are as far from square."""
    ratios = np.log2(sizes[:, 0] / np.maximum(sizes[:, 1], 1))
    edges = np.linspace(-2.125, 2.125, 18)  # a quarter of an octave each
    counts, _ = np.histogram(ratios.clip(-2.12, 2.12), edges)
    middles = (edges[:-1] + edges[1:]) / 2
    figure = base(height=320)
    figure.add_bar(
        x=middles,
        y=counts,
        marker_color=COLOURS["train"],
        customdata=2.0**middles,
        hovertemplate="%{customdata:.2f}: %{y:,}<extra></extra>",
    )
    words: Sequence[str] = ("1:4", "1:2", "1:1", "2:1", "4:1")
    figure.update_xaxes(title_text="Width to height", tickvals=[-2, -1, 0, 1, 2], ticktext=words)
    figure.update_yaxes(title_text="Images", rangemode="tozero", tickformat=",")
    figure.update_layout(showlegend=False)
    return figure
