"""Losses of typed numbers: the result, and the sum that makes it."""

from typing import Any

import streamlit as st

from core.errors import InputError
from core.layer_lab.losses import LOSSES, Worked, worked_loss
from core.layer_lab.typed_numbers import written
from pages.shared.text import escaped

REDUCTIONS = {"mean": "Mean", "sum": "Sum"}
MOST_LINES = 20


def losses() -> None:
    """Prediction and target are remembered for each loss."""
    if "losses" not in st.session_state:
        st.session_state["losses"] = {"name": next(iter(LOSSES)), "reduction": "mean", "texts": {}, "good": {}}
    _lab()


@st.fragment
def _lab() -> None:
    state = st.session_state["losses"]
    controls, results = st.columns([2, 5], gap="large")
    with controls:
        st.selectbox(
            "Loss",
            list(LOSSES),
            index=list(LOSSES).index(state["name"]),
            format_func=lambda name: LOSSES[name].title,
            key="losses-name",
            on_change=_note,
            args=("name",),
        )
        loss = LOSSES[state["name"]]
        st.caption(escaped(loss.summary))
        texts = state["texts"].setdefault(loss.name, list(loss.example))
        fields = [_field(loss.name, 0, loss.prediction), _field(loss.name, 1, loss.target)]
        st.segmented_control(
            "Of all terms",
            list(REDUCTIONS),
            default=state["reduction"],
            format_func=REDUCTIONS.get,
            required=True,
            key="losses-reduction",
            on_change=_note,
            args=("reduction",),
        )
    worked = _worked(loss.name, texts, fields)
    with results:
        _result(loss.title, loss.formula, worked)


def _field(name: str, which: int, explanation: str) -> Any:
    """A text field, and the place under it for what is wrong with it."""
    title = ("Prediction", "Target")[which]
    key = f"losses-{name}-{title.lower()}"
    text = st.session_state["losses"]["texts"][name][which]
    st.text_area(title, text, key=key, height=80, help=explanation, on_change=_note_text, args=(name, which), max_chars=5000)
    return st.container()


def _worked(name: str, texts: list[str], fields: list[Any]) -> Worked:
    """Of what is typed; of what last worked, where that is impossible."""
    state = st.session_state["losses"]
    is_mean = state["reduction"] == "mean"
    try:
        worked = worked_loss(name, *texts, is_mean=is_mean)
    except InputError as error:
        for field, said in error.fields.items():
            with fields[0 if field == "prediction" else 1]:
                st.error(escaped(said))
                st.caption("What is shown is the last that worked.")
        return worked_loss(name, *state["good"].get(name, LOSSES[name].example), is_mean=is_mean)
    state["good"][name] = list(texts)
    return worked


def _result(title: str, formula: str, worked: Worked) -> None:
    st.metric(title, written(worked.value))
    st.markdown(f"Each term: {escaped(formula)}")
    lines = [f"{number}. {escaped(term)}" for number, term in enumerate(worked.terms[:MOST_LINES], start=1)]
    if len(worked.terms) > MOST_LINES:
        lines.append(f"\nand {len(worked.terms) - MOST_LINES} more")
    st.markdown("\n".join(lines))
    st.markdown(f"**Together:** {escaped(worked.total)}")
    st.code(worked.code, language=None)


def _note(name: str) -> None:
    st.session_state["losses"][name] = st.session_state[f"losses-{name}"]


def _note_text(name: str, which: int) -> None:
    state = st.session_state["losses"]
    if name == state["name"]:  # not a field of another loss that is gone
        state["texts"][name][which] = st.session_state[f"losses-{name}-{('prediction', 'target')[which]}"]
