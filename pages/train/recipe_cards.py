"""The recipes as cards: what they learn from, how long that takes on this machine, and how far it gets."""

import streamlit as st

from core.errors import InputError
from core.recipes import RECIPES
from core.running.forecast import forecast_s
from core.running.plan import plan_run
from core.running.recipe_start import start_from
from core.wording import rough_duration
from pages.components.image_grid import Tile, image_grid
from pages.shared.session import workspace
from pages.shared.thumbnails import thumbnails

SIDE_PX = 148
EVERY_S = 0.7  # another recipe is timed


def recipe_cards(chosen: str) -> str | None:
    """Shows them; the name of one that was clicked. Times are measured one after another, after the page is there."""
    times = st.session_state.setdefault("recipe-times", {})
    unknown = [name for name in RECIPES if name not in times]
    st.fragment(_cards, run_every=EVERY_S if unknown else None)(chosen, bool(unknown))
    return st.session_state.pop("recipe-clicked", None)


def _cards(chosen: str, is_timing: bool) -> None:
    state, names = st.session_state, list(RECIPES)
    times = state["recipe-times"]
    image_grid(
        [_tile(number, name, times.get(name, "")) for number, name in enumerate(names)],
        key="recipes",
        label="Recipes",
        side_px=SIDE_PX,
        on_open=lambda number: state.update({"recipe-clicked": names[number]}),
        chosen=names.index(chosen),
    )
    if "recipe-clicked" in state:
        st.rerun()
    if unknown := [name for name in names if name not in times]:
        if state.get("cards-are-there"):  # the first drawing waits for no measurement
            times[unknown[0]] = _time_of(unknown[0])
        state["cards-are-there"] = True
    elif is_timing:
        st.rerun()  # no further updates are needed


def _tile(number: int, name: str, time: str) -> Tile:
    recipe = RECIPES[name]
    published = f"published {recipe.published.accuracy:.0%}".replace("%", " %") if recipe.published else ""
    facts = [time, recipe.reaches or published]
    return Tile(
        id=number,
        urls=thumbnails(start_from(workspace(), name).config.data.dataset),
        lines=(recipe.title, " · ".join(filter(None, facts)) or "\u00a0"),
    )


def _time_of(name: str) -> str:
    try:
        seconds = forecast_s(plan_run(workspace(), start_from(workspace(), name).config))
    except InputError:  # its set or its weights are not here
        return ""
    return rough_duration(seconds) if seconds else ""
