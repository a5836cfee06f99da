"""What all figures have in common: the same thing has the same colour in each of them."""

from collections import Counter
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

# Okabe and Ito's palette, which colour-blind people can tell apart, on light and on dark ground
COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#009E73"}
NEUTRAL = "#8A8F98"
MARK = "#CC79A7"  # what is pointed out among others
MISTAKE = "#D55E00"
LONGEST = 40  # characters of a name
SHARES = {"range": [0, 1.02], "tickformat": ".0%", "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1]}  # an axis from 0 to 100 %


def colour_of(split: str) -> str:
    """That of a split; of all images together, the neutral one."""
    return COLOURS.get(split, NEUTRAL)


def labels(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Names from outside as Plotly shows them unchanged: it makes links and bold type of some HTML. Long ones are cut where they stay distinct."""
    short = [name if len(name) <= longest else name[: longest - 1] + "…" for name in names]
    counts = Counter(short)
    return [escape(s if counts[s] == 1 else name, quote=False) for s, name in zip(short, names, strict=True)]


def base(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 8, "b": 44},
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        # at the left: the buttons that appear when the mouse is over the chart stand at the right
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": NEUTRAL},
        legend={"orientation": "h", "y": 1.02, "x": 0, "xanchor": "left", "yanchor": "bottom"},
    )
    figure.update_xaxes(gridcolor="rgba(138,143,152,0.2)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(138,143,152,0.2)", zeroline=False, automargin=True)
    return figure


def faint(colour: str, opacity: float) -> str:
    """The colour, #RRGGBB, so that its ground shines through."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red}, {green}, {blue}, {opacity})"
