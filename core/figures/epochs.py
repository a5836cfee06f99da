"""Figures that follow the slider over the epochs."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.look import COLOURS, NEUTRAL, SHARES, base, colour_of, labels
from core.figures.runs import LONGEST_ON_AXIS
from core.insight.learning import Learning

MOST_BARS = 25  # of epochs, or of spans of them


def class_bars(true: np.ndarray, predicted: np.ndarray, class_names: Sequence[str], classes: np.ndarray, split: str) -> go.Figure:
    """The accuracy of some classes, in the order given. true, predicted: (N,) class numbers."""
    support = np.bincount(true, minlength=len(class_names))[classes]
    right = np.bincount(true[true == predicted], minlength=len(class_names))[classes]
    accuracy = right / np.maximum(support, 1)
    figure = base(height=max(380, 90 + 30 * len(classes)))
    figure.update_layout(meta={"classes": [int(k) for k in classes]})
    figure.add_bar(
        x=accuracy,
        y=labels([class_names[int(k)] for k in classes], LONGEST_ON_AXIS),
        orientation="h",
        name="accuracy",
        marker_color=colour_of(split),
        customdata=np.stack([support, classes], axis=1),
        textposition="auto",
        text=[f"{value:.1%}" if count else "none" for value, count in zip(accuracy, support, strict=True)],
        hovertemplate="%{y}: %{x:.2%} of %{customdata[0]:,}<extra></extra>",
    )
    figure.update_xaxes(**SHARES)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def learning_histogram(learning: Learning) -> go.Figure:
    """How many images were right first after each epoch: those that stayed right, and those that were forgotten at times; and never."""
    figure = base(height=300)
    lasting = learning.forgotten == 0
    kinds = (("and ever since", lasting, COLOURS["train"]), ("but forgotten at times", ~lasting, COLOURS["validation"]))
    spans = [span.tolist() for span in np.array_split(learning.epochs, min(len(learning.epochs), MOST_BARS))]
    for name, chosen, colour in kinds:
        counts = [int((chosen & np.isin(learning.learned_at, span)).sum()) for span in spans]
        figure.add_bar(
            x=[f"{span[0]}" if len(span) == 1 else f"{span[0]}–{span[-1]}" for span in spans],
            y=counts,
            name=name,
            marker_color=colour,
            hovertemplate="%{y:,}<extra>" + name + "</extra>",
        )
    figure.add_bar(
        x=["never"],
        y=[int((learning.learned_at == 0).sum())],
        name="never right",
        marker_color=NEUTRAL,
        hovertemplate="%{y:,}<extra>never right</extra>",
    )
    figure.update_layout(barmode="group", bargap=0.2)
    figure.update_xaxes(title_text="First correct after epoch", type="category")
    # most are learned at once, and the few that are not are those to look at
    top = max(10, len(learning.learned_at))
    figure.update_yaxes(title_text="Images", type="log", tickformat=",", dtick=1, range=[np.log10(0.7), np.log10(top) + 0.1])
    return figure
