"""The recipes as cards: what they learn from, how long that takes on this machine, and how far it gets."""

import streamlit as st

from core.recipes import RECIPES
from core.running.recipe_start import start_from
from pages.components.image_grid import Tile, image_grid
from pages.shared.session import workspace
from pages.shared.thumbnails import thumbnails
from pages.train.recipe_times import kept_timing, time_of

SIDE_PX = 148
NAMES = list(RECIPES)


def recipe_cards(chosen: str) -> str | None:
    """Shows them; the name of one that was clicked."""
    if clicked := st.session_state.pop("recipe-clicked", None):
        return clicked
    kept_timing(lambda: _cards(chosen), NAMES)
    return None


def _cards(chosen: str) -> None:
    image_grid(
        [_tile(number, name) for number, name in enumerate(NAMES)],
        key="recipes",
        label="Recipes",
        side_px=SIDE_PX,
        on_open=lambda number: st.session_state.update({"recipe-clicked": NAMES[number]}),
        chosen=NAMES.index(chosen),
    )
    if "recipe-clicked" in st.session_state:
        st.rerun()


def _tile(number: int, name: str) -> Tile:
    recipe = RECIPES[name]
    published = f"published {100 * recipe.published.accuracy:.0f} %" if recipe.published else ""
    facts = (time_of(name), recipe.reaches or published)
    return Tile(
        id=number,
        urls=thumbnails(start_from(workspace(), name).config.data.dataset),
        lines=(recipe.title, " · ".join(filter(None, facts)) or "\u00a0"),
    )
