"""A grid of images to open and to mark, by mouse, touch and keyboard; the browser fetches each image from our own route."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

_js = (Path(__file__).parent / "image_grid.js").read_text(encoding="utf-8")
_grid = st.components.v2.component("trainscope.picture_grid", js=_js, isolate_styles=False)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """urls: of an image, or of several to be seen side by side. lines: texts under them, shown as they are. dimmed: not in use.

    edge: "right" or "wrong" for a coloured one, as a network's answer was.
    """

    id: int
    urls: tuple[str, ...]
    lines: tuple[str, ...]
    dimmed: bool = False
    edge: str = ""


def image_grid(
    tiles: Sequence[Tile],
    *,
    key: str,
    label: str,
    side_px: int = 96,
    ratio: float = 1.0,
    on_open: Callable[[int], None] | None = None,
    can_mark: bool = False,
    is_strip: bool = False,
    chosen: int | None = None,
) -> None:
    """Shows the tiles; tiles that are shown already stay as they are, and marks stay while others are shown under the same key.

    label: what they are, for screen readers. ratio: width to height of the images. on_open: called with the id of one that was clicked.
    is_strip: tiles as wide as side_px, instead of filling the row.
    chosen: the id of one of several to choose from, which then stand as cards.
    """

    def opened() -> None:
        number = st.session_state[key].get("opened")
        if on_open and number is not None:
            on_open(int(number))

    _grid(
        data={
            "tiles": [asdict(tile) for tile in tiles],
            "label": label,
            "side": side_px,
            "ratio": ratio,
            "canOpen": on_open is not None,
            "canMark": can_mark,
            "isStrip": is_strip,
            "chosen": chosen,
            "generation": _generation(key),
            "marked": marks(key),
        },
        key=key,
        on_opened_change=opened,
        on_marked_change=lambda: None,
    )


def marks(key: str) -> list[int]:
    """Ids of all that are marked under this key, also of tiles that are not shown now."""
    said, generation = (st.session_state.get(key) or {}).get("marked"), _generation(key)
    if said and said["generation"] == generation:
        return marks_of(said, generation)
    of, given = st.session_state.get(f"{key}-given", (None, []))
    return given if of == generation else []


def marks_of(said: Any, generation: int) -> list[int]:
    """The ids that the browser says are marked; none if it speaks of marks that have been cleared since."""
    if not said or said["generation"] != generation:
        return []
    return sorted({int(number) for number in said["ids"]})


def clear_marks(key: str) -> None:
    """Nothing is marked any more. The browser, which holds the marks, drops those of an earlier generation."""
    st.session_state[f"{key}-generation"] = _generation(key) + 1


def set_marks(key: str, ids: Sequence[int]) -> None:
    """These are marked, and no others, until the browser says something else."""
    clear_marks(key)
    st.session_state[f"{key}-given"] = (_generation(key), sorted(ids))


def _generation(key: str) -> int:
    return st.session_state.get(f"{key}-generation", 0)
