"""What the layer lab remembers: plain values in the session, and the keys of the widgets that show them."""

from typing import Any

import streamlit as st

from core.layer_lab import inputs
from core.layer_lab.chain import LabRow, plain_row
from core.layer_lab.examples import EXAMPLES

USUAL_INPUT = {
    "source": "typed",
    "text": inputs.TUTORIAL,
    "dataset": "",
    "index": 0,
    "channels": "all",
    "shape": "64, 3, 32, 32",
}


def lab_state() -> dict[str, Any]:
    """input: as USUAL_INPUT; rows: plain rows; at: the place of the one looked at; good: input and rows that last worked.

    form: renews the widgets.
    """
    if "layer-lab" not in st.session_state:
        st.session_state["layer-lab"] = {"form": 0, "good": None}
        take_example(next(iter(EXAMPLES)))
    return st.session_state["layer-lab"]


def take_example(name: str) -> None:
    """Has the lab stand for one of the examples."""
    example, state = EXAMPLES[name], st.session_state["layer-lab"]
    state["input"] = USUAL_INPUT | example.given
    state["rows"] = [plain_row(row) for row in example.rows]
    state["at"] = 0
    renew()


def renew() -> None:
    """New widgets, which show what is remembered."""
    st.session_state["layer-lab"]["form"] += 1


def key_of(*parts: object) -> str:
    """Of a widget in the form as it is now."""
    return "-".join(map(str, ("layer-lab", lab_state()["form"], *parts)))


def row_key(name: str) -> str:
    """Of a widget that belongs to the row looked at."""
    return key_of("row", lab_state()["at"], name)


def is_current(key: str) -> bool:
    """Whether a widget is one of those shown now: a late update brings back those that are gone, too, as if just changed."""
    state = lab_state()
    return key.startswith((f"layer-lab-{state['form']}-row-{state['at']}-", f"layer-lab-{state['form']}-input-"))


def chosen_row() -> dict[str, Any]:
    """The plain row looked at."""
    state = lab_state()
    return state["rows"][state["at"]]


def new_row(layer: Any) -> dict[str, Any]:
    return plain_row(LabRow(layer))
