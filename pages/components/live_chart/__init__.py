"""A chart that changes in place: zoom, hidden traces and the page around it stay as they are while points arrive.

st.plotly_chart rebuilds its chart at every change (pull request 16052 upstream may mend that); this one calls Plotly.react.
"""

from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

_js = (Path(__file__).parent / "live_chart.js").read_text(encoding="utf-8")
_chart = st.components.v2.component("trainscope.live_chart", js=_js, isolate_styles=False)


def live_chart(
    figure: go.Figure,
    *,
    key: str,
    alt: str,
    on_click: Callable[[int | None, int | None], None] | None = None,
    on_pick: Callable[[int], None] | None = None,
    images: str = "",
    first: str = "",
) -> None:
    """Shows the figure; later calls with the same key change it in place. alt: what it shows, for screen readers.

    on_click: called with the class numbers of x and y: of a cell or bar that was clicked, the last of its customdata, or of a name on an
    axis, by its place in the layout's meta.classes; None for the other one. on_pick: called with the last number of the point's
    customdata. images: where the images of points lie; beside a point that is pointed at, that of the first number of its customdata
    is shown, with the point's text as it is. first: where the browser itself asks for the figure with the first point, of a chart
    that is empty yet: that is sooner there than an update of the page.
    """

    def clicked() -> None:
        place = st.session_state[key].get("clicked")
        if on_click and place:
            on_click(*(None if number is None else int(number) for number in place))

    def picked() -> None:
        number = st.session_state[key].get("picked")
        if on_pick and number is not None:
            on_pick(int(number))

    _chart(
        data={
            "figure": figure.to_json(),
            "alt": alt,
            "height": figure.layout.height,
            "canClick": on_click is not None,
            "canPick": on_pick is not None,
            "pictures": images,
            "first": first,
        },
        key=key,
        height=figure.layout.height,
        on_clicked_change=clicked,
        on_picked_change=picked,
    )


def load_charts_early() -> None:
    """Has the browser fetch and parse plotly.js (5 MB) on a page without charts, so that the first chart needn't wait for it."""
    _chart(data={"figure": None}, key="load-charts-early", height=1)
