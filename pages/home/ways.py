"""Ways to begin, as cards with images and the time each takes on this machine."""

from dataclasses import dataclass

import streamlit as st

from core.recipes import RECIPES
from pages.components.image_grid import Tile, image_grid
from pages.shared.thumbnails import thumbnails
from pages.train.recipe_times import kept_timing, time_of
from pages.train.settings_form import take_recipe

SIDE_PX = 190


@dataclass(frozen=True, kw_only=True)
class Way:
    """page: where it leads. images: of this set. recipe: what the Train page begins with; else `words` say what it takes."""

    title: str
    page: str
    images: str
    recipe: str = ""
    words: str = ""


WAYS = (
    Way(title="Digits", page="train/train.py", images="digits", recipe="digits-quickstart"),
    Way(title="MNIST", page="train/train.py", images="mnist", recipe="mnist-first-cnn"),
    Way(title="CIFAR-10", page="train/train.py", images="cifar10", recipe="cifar10-blitz"),
    Way(title="Your own photographs", page="data/catalogue.py", images="", words="a folder or a zip"),
    Way(title="A model file", page="runs/runs.py", images="file", words=".pt, .safetensors or a run's zip"),
)
NAMES = [way.recipe for way in WAYS if way.recipe]


def ways_to_begin() -> None:
    st.header("Ways to begin")
    kept_timing(_cards, NAMES)


def _cards() -> None:
    image_grid(
        [Tile(id=number, urls=thumbnails(way.images), lines=(way.title, _facts(way))) for number, way in enumerate(WAYS)],
        key="ways",
        label="Ways to begin",
        side_px=SIDE_PX,
        on_open=lambda number: st.session_state.update({"way": number}),
        chosen=-1,
    )
    if (number := st.session_state.pop("way", None)) is not None:
        way = WAYS[number]
        st.session_state.pop("run", None)
        if way.recipe:
            take_recipe(way.recipe)
        if way.page == "runs/runs.py":
            st.session_state["show-load-file"] = True
        st.switch_page(way.page)


def _facts(way: Way) -> str:
    if not way.recipe:
        return way.words
    return " · ".join(filter(None, (time_of(way.recipe), RECIPES[way.recipe].reaches))) or "\u00a0"
