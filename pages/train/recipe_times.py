"""How long each recipe takes on this machine, measured one after another once a page with them is there."""

from collections.abc import Sequence

import streamlit as st

from core.errors import InputError
from core.running.forecast import forecast_s
from core.running.plan import plan_run
from core.running.recipe_start import start_from
from core.wording import rough_duration
from pages.shared.session import workspace

EVERY_S = 0.7  # another one


def _times() -> dict[str, str]:
    return st.session_state.setdefault("recipe-times", {})


def time_of(name: str) -> str:
    """In words; empty while it is not known, or can't be."""
    return _times().get(name, "")


def are_known(names: Sequence[str]) -> bool:
    return all(name in _times() for name in names)


def time_another(names: Sequence[str]) -> bool:
    """Measures one of those that are not known yet, but not while a page is drawn first. Whether all are known now."""
    unknown = [name for name in names if name not in _times()]
    if unknown and st.session_state.get("timing") == unknown:
        _times()[unknown[0]] = _measured(unknown[0])
    st.session_state["timing"] = [name for name in names if name not in _times()]
    return not st.session_state["timing"]


def _measured(name: str) -> str:
    try:
        seconds = forecast_s(plan_run(workspace(), start_from(workspace(), name).config))
    except InputError:  # its set or its weights are not here
        return ""
    return rough_duration(seconds) if seconds else ""
