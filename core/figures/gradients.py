"""The size of each layer's gradient, the first layer at the top."""

import plotly.graph_objects as go

from core.figures.look import COLOURS, MISTAKE, base
from core.inference.gradients import GradientCheck

ROW_PX = 24


def gradient_sizes(check: GradientCheck) -> go.Figure:
    """Bars on a logarithmic axis; layers that stand out have another colour."""
    figure = base(height=80 + ROW_PX * len(check.layers))
    figure.add_bar(
        x=[layer.ratio for layer in check.layers],
        y=[f"{layer.path} · {layer.kind}" for layer in check.layers],
        orientation="h",
        marker_color=[COLOURS["train"] if layer.state == "ok" else MISTAKE for layer in check.layers],
        customdata=[[layer.gradient, layer.weight] for layer in check.layers],
        hovertemplate="%{y}<br>gradient %{customdata[0]:.2~e}, weights %{customdata[1]:.2~e}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(type="log", title_text="Gradient, as a part of the weights", exponentformat="power")
    return figure
