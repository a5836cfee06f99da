"""A layer at work: input, window, kernel and output, with every output value worked out under the pointer, in the browser."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.layer_lab.drawable import Drawable

_js = (Path(__file__).parent / "layer_view.js").read_text(encoding="utf-8")
_view = st.components.v2.component("trainscope.layer_view", js=_js, isolate_styles=False)


def layer_view(shown: Drawable, *, key: str, title: str, names: tuple[str, ...] = (), is_colour: bool = False) -> None:
    """Shows the layer; the pixel that was pointed at stays while its settings move.

    names: of the channels that arrive, where they have some. is_colour: whether they are red, green and blue.
    """
    work = {name: _packed(value) if isinstance(value, np.ndarray) else value for name, value in shown.work.items()}
    axes = [{"pixels": a.pixels, "windows": a.windows, "before": a.before, "counted": a.counted} for a in shown.axes or ()]
    _view(
        data={
            "title": title,
            "arriving": _side(shown.arriving, shown.num_arriving, shown.channels[0]),
            "leaving": _side(shown.leaving, shown.num_leaving, shown.channels[1]),
            "names": list(names),
            "isColour": is_colour,
            "axes": axes,
            "work": work,
        },
        key=key,
    )


def _side(maps: np.ndarray, count: int, channels: int) -> dict[str, Any]:
    return {"values": _packed(maps), "shape": list(maps.shape), "count": count, "channels": channels}


def _packed(array: np.ndarray) -> dict[str, Any]:
    """Numbers as text that the browser takes apart at once."""
    return {"shape": list(array.shape), "float32": b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()}
