"""Figures of several runs laid over one another. Rows in, Plotly figures out."""

from collections.abc import Sequence

import plotly.graph_objects as go

from core.figures.look import base, labels
from core.figures.runs import X_AXES, apart_from_the_first, thin
from core.insight.prediction_history import PredictionHistory
from core.runs.history import History

# Four colours that stay apart (0.18 in OKLab) for every kind of colour blindness, 2.7 : 1 against white and 3 : 1 against the dark
# ground, none of them a split's; runs five to eight have them again, dashed and with open points.
RUN_COLOURS = ("#A84860", "#48A8D8", "#C09000", "#9018F0")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
MOST_RUNS = 2 * len(RUN_COLOURS)
MAX_POINTS = 400  # a trace: sixteen of them are drawn


def overlaid(
    histories: Sequence[tuple[str, str, History]], what: str, x: str = "epoch", log: bool = False, with_train: bool = True
) -> go.Figure:
    """What: "loss" or "accuracy". Of each (letter, name, history) the evaluated split as a strong line, training as a thin one.

    At most MOST_RUNS of them. Letters go into the legend, names appear when a line is pointed at.
    """
    assert len(histories) <= MOST_RUNS
    figure = base(height=340)
    figure.update_xaxes(title_text=X_AXES[x])
    figure.update_yaxes(title_text=what.capitalize())
    if what == "accuracy":
        figure.update_yaxes(tickformat=".2~%")
    else:
        figure.update_yaxes(type="log" if log else "linear", rangemode="normal" if log else "tozero")
    names = labels([name for _, name, _ in histories])
    value = "%{y:.2%}" if what == "accuracy" else "%{y:.4f}"
    for place, ((letter, _, history), name) in enumerate(zip(histories, names, strict=True)):
        colour, dash, symbol = look_of(place)
        split = history.started.evaluated_split if history.started else "evaluated"
        if with_train:
            points = thin(*history.points(what, x), MAX_POINTS)
            figure.add_scatter(
                x=points[0],
                y=points[1],
                mode="lines",
                legendgroup=letter,
                showlegend=False,
                opacity=0.55,
                line={"color": colour, "width": 1, "dash": dash},
                name=f"{letter} train",
                hovertemplate=_hover(letter, name, "train", value),
            )
        points = apart_from_the_first(history, thin(*history.evaluated_points(what, x), MAX_POINTS))
        figure.add_scatter(
            x=points[0],
            y=points[1],
            mode="lines+markers",
            legendgroup=letter,
            name=letter,
            line={"color": colour, "width": 2.5, "dash": dash},
            marker={"color": colour, "size": 8 if len(points[0]) <= 60 else 4, "symbol": symbol},
            hovertemplate=_hover(letter, name, split, value),
        )
    return figure


def look_of(place: int) -> tuple[str, str, str]:
    """(colour, dash, symbol) of the run at this place, counted from 0."""
    again, of = divmod(place, len(RUN_COLOURS))
    return RUN_COLOURS[of], ("solid", "dash")[again], SYMBOLS[of] + ("", "-open")[again]


def two_prediction_histories(prediction_histories: Sequence[tuple[str, int, PredictionHistory]]) -> go.Figure:
    """The probability of an image's true class after each epoch; of each run its letter, its place and the image's course."""
    figure = base(height=230)
    for letter, place, prediction_history in prediction_histories:
        colour, dash, _ = look_of(place)
        figure.add_scatter(
            x=prediction_history.epochs,
            y=prediction_history.probability,
            mode="lines+markers",
            name=letter,
            line={"color": colour, "width": 2, "dash": dash},
            marker={
                "color": colour,
                "size": 9,
                "symbol": ["circle" if right else "circle-open" for right in prediction_history.is_right],
            },
            hovertemplate=f"{letter}, epoch %{{x}}: %{{y:.1%}}<extra></extra>",
            showlegend=True,
        )
    longest = max((len(prediction_history.epochs) for _, _, prediction_history in prediction_histories), default=0)
    figure.update_xaxes(title_text="Epoch", tickformat="d", dtick=1 if longest < 12 else None)
    figure.update_yaxes(title_text="True class", range=[-0.03, 1.03], tickformat=".0%")
    return figure


def _hover(letter: str, name: str, split: str, value: str) -> str:
    return f"{letter} · {_untemplated(name)}<br>{split} {value} at %{{x:,.6~g}}<extra></extra>"


def _untemplated(name: str) -> str:
    """A name in which Plotly finds no placeholder to fill in."""
    return name.replace("%{", "%\u2060{")
