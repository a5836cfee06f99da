"""The layer lab: layers at work on one input, moved with sliders, every output value worked out under the pointer."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.errors import InputError
from core.figures.inside import in_rows, maps_montage, table_image
from core.layer_lab.chain import LAB_LAYERS, Step, lab_row, walk, written_shape
from core.layer_lab.drawable import drawable
from core.layer_lab.examples import EXAMPLES
from core.layer_lab.formula import size_formula, weights_formula
from core.layer_lab.inputs import LabInput
from core.layer_lab.pytorch_code import code_of
from core.layer_lab.weights import trained_convolution
from core.models.pytorch_code import line_of
from pages.components.layer_view import layer_view
from pages.networks.lab_input import input_fields, remembered_input, sets_here
from pages.networks.lab_state import chosen_row, key_of, lab_state, new_row, renew, row_key, take_example
from pages.networks.row_fields import row_fields
from pages.shared.session import workspace
from pages.shared.text import escaped

MOST_ROWS = 20
IN_ONE_ROW = 32  # values beside each other
MOST_MAPS = 16  # of a row's, in the list of all layers


def layer_lab() -> None:
    """The lab, as it was left."""
    st.html(Path(__file__).parent / "layer_lab.css")
    lab_state()
    _lab(sets_here())


@st.fragment
def _lab(sets: dict[str, str]) -> None:
    """A slider reruns only this."""
    controls, results = st.columns([2, 5], gap="large")
    with controls:
        _example_choice()
        given = input_fields(sets)
        _row_list()
        st.caption(escaped(LAB_LAYERS[chosen_row()["layer"]["layer"]].summary))
        row_fields()
        _add_choice()
    with results, st.container(key="layer-lab-results"):
        if worked := _worked(given):
            _look(*worked)


def _worked(given: LabInput | None) -> tuple[LabInput, list[Step]] | None:
    """The input and the steps of what is chosen; of what last worked, where that is impossible, with the reason above it."""
    state = lab_state()
    if given is not None:
        try:
            steps = _steps(state["rows"], given)
        except InputError as error:
            st.error(escaped(str(error)))
        else:
            state["good"] = {"input": dict(state["input"]), "rows": [_copied(row) for row in state["rows"]]}
            return given, steps
    good = state["good"]
    if good is None or (earlier := remembered_input(good["input"])) is None:
        return None
    st.warning("This can't be. What is shown below is the last that worked.", icon=":material/history:")
    try:
        return earlier, _steps(good["rows"], earlier)
    except InputError:  # its run or its set was deleted meanwhile; what is wrong now is said above
        return None


def _steps(rows: list[dict[str, Any]], given: LabInput) -> list[Step]:
    trained = partial(trained_convolution, workspace())
    return walk([lab_row(row, number) for number, row in enumerate(rows, start=1)], given, trained)


def _copied(row: dict[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in row.items()}


# --- the rows


def _example_choice() -> None:
    key = key_of("input", "example")
    st.selectbox(
        "Begin with",
        list(EXAMPLES),
        index=None,
        format_func=lambda name: EXAMPLES[name].title,
        placeholder="An example of the tutorials",
        key=key,
        on_change=_take_example,
        args=(key,),
    )


def _row_list() -> None:
    """The layers in their order; one of them is looked at."""
    state = lab_state()
    rows, at = state["rows"], state["at"]
    if len(rows) > 1:
        titles = [f"{number}. {_title(row)}" for number, row in enumerate(rows, start=1)]
        key = key_of("input", "at")
        st.radio("Layers", range(len(rows)), index=at, format_func=titles.__getitem__, key=key, on_change=_look_at, args=(key,))
        with st.container(horizontal=True, gap="small"):
            st.button("Up", key="layer-lab-up", disabled=at == 0, on_click=_move, args=(-1,))
            st.button("Down", key="layer-lab-down", disabled=at == len(rows) - 1, on_click=_move, args=(1,))
            st.button("Remove", key="layer-lab-remove", on_click=_remove)
    key = row_key("kind")
    st.selectbox(
        "Layer" if len(rows) == 1 else f"Layer {at + 1}",
        list(LAB_LAYERS),
        index=list(LAB_LAYERS).index(chosen_row()["layer"]["layer"]),
        format_func=lambda name: LAB_LAYERS[name].title,
        key=key,
        on_change=_change_kind,
        args=(key,),
    )


def _add_choice() -> None:
    key = key_of("input", "add")
    st.selectbox(
        "Add a layer after it",
        list(LAB_LAYERS),
        index=None,
        format_func=lambda name: LAB_LAYERS[name].title,
        placeholder="Choose one",
        key=key,
        on_change=_add,
        args=(key,),
        disabled=len(lab_state()["rows"]) >= MOST_ROWS,
    )


def _title(row: dict[str, Any]) -> str:
    return LAB_LAYERS[row["layer"]["layer"]].title


def _take_example(key: str) -> None:
    if key == key_of("input", "example") and (name := st.session_state[key]):
        take_example(name)


def _look_at(key: str) -> None:
    if key == key_of("input", "at"):
        lab_state()["at"] = st.session_state[key]


def _move(by: int) -> None:
    state = lab_state()
    rows, at = state["rows"], state["at"]
    if 0 <= at + by < len(rows):
        rows[at], rows[at + by] = rows[at + by], rows[at]
        state["at"] = at + by
        renew()


def _remove() -> None:
    state = lab_state()
    if len(state["rows"]) > 1:
        del state["rows"][state["at"]]
        state["at"] = max(0, state["at"] - 1)
        renew()


def _add(key: str) -> None:
    state = lab_state()
    if key == key_of("input", "add") and (name := st.session_state[key]):
        state["at"] += 1
        state["rows"].insert(state["at"], new_row(LAB_LAYERS[name].settings()))
        renew()


def _change_kind(key: str) -> None:
    if key == row_key("kind"):
        state = lab_state()
        state["rows"][state["at"]] = new_row(LAB_LAYERS[st.session_state[key]].settings())
        renew()


# --- what they do


def _look(given: LabInput, steps: list[Step]) -> None:
    at = min(lab_state()["at"], len(steps) - 1)
    step = steps[at]
    st.markdown(f"## {step.title}: {written_shape(step.before, step.batch)} → {step.shape}")
    if step.batch > 1 and at == 0:
        st.caption(f"The {step.batch} images are alike; the first one is shown.")
    is_first = at == 0
    layer_view(
        drawable(step),
        key="layer-lab-view",
        title=f"{step.title}, layer {step.number}" if len(steps) > 1 else step.title,
        names=given.names if is_first else (),
        is_colour=is_first and given.is_colour,
    )
    _sizes(step)
    st.code(line_of(step.module), language=None)
    _all_layers(given, steps)
    with st.expander("As a program", key="layer-lab-program"):
        st.code(code_of(given, steps), language=None)


def _sizes(step: Step) -> None:
    lines = [*size_formula(step), weights_formula(step)]
    with st.container(key="layer-lab-sizes"):
        st.markdown("  \n".join(escaped(line) for line in lines if line))


def _all_layers(given: LabInput, steps: list[Step]) -> None:
    """What leaves each layer, as small images."""
    st.markdown("## From layer to layer")
    st.caption("Each map from its lowest value, black, to its highest, white; one that is the same everywhere is black.")
    batch = steps[0].batch
    _maps("Input", written_shape(given.values, batch), given.values[0].numpy(), "input")
    for step in steps:
        _maps(f"{step.number}. {step.title}", step.shape, step.after[0].numpy(), str(step.number))


def _table(values: np.ndarray) -> np.ndarray:
    return values[None] if len(values) <= IN_ONE_ROW else in_rows(values)


def _maps(title: str, shape: str, values: np.ndarray, key: str) -> None:
    shown = maps_montage(values[:MOST_MAPS]) if values.ndim == 3 else table_image(_table(values))
    more = f", the first {MOST_MAPS} channels" if values.ndim == 3 and len(values) > MOST_MAPS else ""
    with st.container(key=f"layer-lab-maps-{key}", gap="small"):
        st.markdown(f"**{title}** &nbsp; {shape}{more}")
        st.image(Image.fromarray(shown), width="content", output_format="PNG", alt=f"{title}: {shape}{more}")
