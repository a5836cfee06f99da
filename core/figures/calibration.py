"""Figures of certainty: perfectly calibrated, and what is answered at which threshold."""

import numpy as np
import plotly.graph_objects as go

from core.figures.look import NEUTRAL, base
from core.insight.calibration import Reliability


def reliability_diagram(now: Reliability, colour: str, before: Reliability | None = None) -> go.Figure:
    """Accuracy over confidence as bars, beside the line on which both are equal. before: as points, without the temperature."""
    bins = len(now.counts)
    middles = (np.arange(bins) + 0.5) / bins
    figure = base(height=340)
    figure.add_bar(
        x=middles,
        y=now.accuracy,
        width=0.94 / bins,
        marker={"color": colour, "opacity": 0.75},
        name="right",
        customdata=np.stack([np.nan_to_num(now.confidence), now.counts], axis=1),
        hovertemplate="sure %{customdata[0]:.1%}, right %{y:.1%}: %{customdata[1]:,} images<extra></extra>",
    )
    wrong = (now.counts > 0) & (now.accuracy == 0)  # a bar without height
    if wrong.any():
        figure.add_scatter(
            x=middles[wrong],
            y=now.accuracy[wrong],
            mode="markers",
            name="all wrong",
            marker={"color": colour, "size": 9, "symbol": "x"},
            customdata=now.counts[wrong],
            cliponaxis=False,
            hovertemplate="all %{customdata:,} images wrong<extra></extra>",
        )
    if before is not None:
        shown = before.counts > 0
        figure.add_scatter(
            x=middles[shown],
            y=before.accuracy[shown],
            mode="markers",
            name="right, before",
            marker={"color": NEUTRAL, "size": 9, "symbol": "diamond-open"},
            customdata=before.counts[shown],
            cliponaxis=False,
            hovertemplate="before: right %{y:.1%}, %{customdata:,} images<extra></extra>",
        )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="perfectly calibrated",
        line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.update_xaxes(title_text="Probability of the predicted class", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title_text="Accuracy", range=[0, 1.02], tickformat=".0%")
    return figure


def coverage_chart(
    thresholds: np.ndarray, coverage: np.ndarray, accuracy: np.ndarray, chosen: tuple[float, float], colour: str
) -> go.Figure:
    """Accuracy of what is answered over the share that is answered; chosen: (coverage, accuracy) at the threshold."""
    places = np.unique(np.linspace(0, len(coverage) - 1, min(len(coverage), 500)).astype(int)) if len(coverage) else []
    figure = base(height=340)
    figure.add_scatter(
        x=coverage[places],
        y=accuracy[places],
        mode="lines",
        customdata=thresholds[places],
        line={"color": colour, "width": 2},
        name="threshold",
        hovertemplate="threshold %{customdata:.1%}: coverage %{x:.1%}, accuracy %{y:.1%}<extra></extra>",
    )
    if np.isfinite(chosen[1]):
        figure.add_scatter(
            x=[chosen[0]], y=[chosen[1]], mode="markers", marker={"color": colour, "size": 12}, name="chosen", hoverinfo="skip"
        )
    figure.update_xaxes(title_text="Coverage", range=[0, 1.02], tickformat=".0%")
    figure.update_yaxes(title_text="Accuracy", tickformat=".1%", minallowed=-0.01, maxallowed=1.01)
    figure.update_layout(showlegend=False)
    return figure
