"""One image as large as there is room for, and the way to those before and after it."""

from pathlib import Path

import streamlit as st

from core.data.store.image_store import ImageStore
from pages._routes import image_url

_js = (Path(__file__).parent / "large_image.js").read_text(encoding="utf-8")
_image = st.components.v2.component("trainscope.large_picture", js=_js, isolate_styles=False)
GONE = "Its file is gone or can't be read any more; this is the image as it is stored."


def large_image(store: ImageStore, index: int, *, key: str, alt: str, height_share: float = 0.65) -> None:
    """An image of a store as it came, small ones at whole multiples of their size; as it is stored where its file is gone.

    height_share: of the window that it may take.
    """
    width, height = store.sizes[index].tolist()
    name = store.path.name
    _image(
        data={
            "url": image_url(name, index, "originals"),
            "stored": image_url(name, index),
            "gone": GONE,
            "alt": alt,
            "width": width,
            "height": height,
            "share": height_share,
        },
        key=key,
    )


def one_of(count: int, key: str) -> int:
    """Which of so many the dialog shows, from 0; begin_at says where it begins. Moves by buttons and arrow keys."""
    state = st.session_state
    state[key] = min(max(0, state.get(key, 0)), count - 1)
    at = state[key]
    if count > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Previous", key=f"{key}-previous", shortcut="Left", disabled=at == 0, on_click=begin_at, args=(key, at - 1))
            st.button(
                "Next", key=f"{key}-next", shortcut="Right", disabled=at == count - 1, on_click=begin_at, args=(key, at + 1)
            )
            st.caption(f"{at + 1:,} of {count:,}", width="content")
    return at


def begin_at(key: str, position: int) -> None:
    st.session_state[key] = position
