"""A setting as a widget: its label with the unit, its explanation as help, its bounds as the widget's own."""

from collections.abc import Callable, Mapping
from math import floor, log10
from typing import Any

import streamlit as st

from core.settings import Setting, all_settings, parse_numbers, parse_size

SEVERAL_NUMBERS = {item.path for item in all_settings() if item.kind == "floats"}


def setting_widget(
    item: Setting,
    value: Any,
    key: str,
    *,
    on_change: Callable[[str, str], None] | None = None,
    label: str = "",
    explanation: str | None = None,
    lower: float | None = None,
    step: float | None = None,
    empty: str = "automatic",
    slider_to: float | None = None,
    words: Mapping[str, str] | None = None,
    is_bounded: bool = True,
) -> Any:
    """Shows the widget and returns what it stands for now, as a configuration takes it.

    on_change(path, key) is called with a new value; `value_of` reads it. label, explanation, lower, step: instead of the
    setting's own. empty: what is said where an optional setting is left out. slider_to: sliders instead of number fields
    and a switch instead of a box; whole numbers go up to this. words: what choices are called. is_bounded: whether a number
    field refuses what lies out of bounds itself, silently keeping the last value; else whoever shows it says what is wrong.
    """
    label = label or (f"{item.title} ({item.unit})" if item.unit else item.title)
    common: dict[str, Any] = {"key": key, "help": item.explanation if explanation is None else explanation or None}
    if on_change:
        common |= {"on_change": on_change, "args": (item.path, key)}
    least = item.lower if lower is None else lower
    match item.kind:
        case "bool":
            return (st.checkbox if slider_to is None else st.toggle)(label, value, **common)
        case "choice":
            index = item.choices.index(value)
            return st.selectbox(label, item.choices, index=index, format_func=(words or {}).get if words else str, **common)
        case "floats":
            text = "" if value is None else ", ".join(v if isinstance(v, str) else f"{v:.10g}" for v in value)
            return parse_numbers(st.text_input(label, text, placeholder=empty, **common))
        case "sizes":
            shown = str(value) if isinstance(value, (int, str)) else " × ".join(map(str, value))
            return parse_size(st.text_input(label, shown, max_chars=20, **common))
        case "rows":
            st.text_input(label, ", ".join(map(str, value)), disabled=True, **common)
            return value
        case "int" if slider_to is not None and not item.optional:
            return st.slider(label, 0, max(value, min(int(item.upper), int(slider_to))), value, **common)
        case "int":
            bounds = (int(least or 0), int(item.upper)) if is_bounded else (None, None)
            return st.number_input(label, *bounds, value, step=1, placeholder=empty, **common)
        case "float" if slider_to is not None:
            look = {"step": 1.0, "format": "%.0f"} if item.unit else {"step": 0.01, "format": "percent"}
            return st.slider(label, float(least), float(item.upper), float(value), **look, **common)
        case "float":
            by = step or _step(value)
            bounds = (float(least), float(item.upper)) if is_bounded else (None, None)
            return st.number_input(label, *bounds, value, step=by, format="%.6g", placeholder=empty, **common)


def value_of(path: str, key: str) -> Any:
    """What the widget of this setting with this key stands for, as a configuration takes it."""
    value = st.session_state[key]
    return parse_numbers(value) if path in SEVERAL_NUMBERS else value


def _step(value: float | None) -> float:
    """A tenth of the value's own magnitude, so that the buttons make sense at 0.001 and at 10."""
    return 10.0 ** (floor(log10(value)) - 1) if value else 0.01
