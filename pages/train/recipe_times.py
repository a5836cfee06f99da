"""How long each recipe takes on this machine, measured one after another once a page with them is there."""

from collections.abc import Callable, Sequence

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


def kept_timing(cards: Callable[[], None], names: Sequence[str]) -> None:
    """Draws the cards; as long as a time is missing they are drawn again, with one more of them measured each time.

    Nothing is measured, and no page shown anew, while the page itself runs: that would delay it, and lose what was pressed.
    """
    state = st.session_state
    is_missing = not all(name in _times() for name in names)
    state["page-runs"] = True

    def draw() -> None:
        is_update = not state.pop("page-runs", False)
        unknown = [name for name in names if name not in _times()]
        if is_update and unknown:
            _times()[unknown[0]] = _measured(unknown[0])
        cards()
        if is_update and is_missing and len(unknown) <= 1:
            st.rerun()  # no further updates are needed

    st.fragment(draw, run_every=EVERY_S if is_missing else None)()


def _measured(name: str) -> str:
    try:
        seconds = forecast_s(plan_run(workspace(), start_from(workspace(), name).config))
    except InputError:  # its set or its weights are not here
        return ""
    return rough_duration(seconds) if seconds else ""
