"""A grid of pictures to open and to mark, by mouse, touch and keyboard; the browser fetches each picture from our own route."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_js = (Path(__file__).parent / "picture_grid.js").read_text()
_grid = st.components.v2.component("trainscope.picture_grid", js=_js, isolate_styles=False)


@dataclass(frozen=True)
class Tile:
    """urls: of a picture, or of several to be seen side by side. lines: texts under them, shown as they are. dimmed: not in use."""

    id: int
    urls: tuple[str, ...]
    lines: tuple[str, ...]
    dimmed: bool = False


def picture_grid(
    tiles: Sequence[Tile], *, key: str, label: str, side_px: int = 96, ratio: float = 1.0, on_open: Callable[[int], None] | None = None,
    can_mark: bool = False,
) -> list[int]:  # fmt: skip
    """Shows the tiles; returns the ids of those that are marked. on_open: called with the id of one that was clicked.

    label: what they are, for screen readers. ratio: width to height of the pictures.
    """

    def opened() -> None:
        number = st.session_state[key].get("opened")
        if on_open and number is not None:
            on_open(int(number))

    shown = {tile.id for tile in tiles}
    marked = [n for n in (st.session_state.get(key) or {}).get("marked") or [] if n in shown]
    result = _grid(
        data={
            "tiles": [asdict(tile) for tile in tiles], "label": label, "side": side_px, "ratio": ratio, "canMark": can_mark,
            "marked": marked,
        },
        key=key, default={"marked": []}, on_opened_change=opened, on_marked_change=lambda: None,
    )  # fmt: skip
    return [n for n in (result.marked or []) if n in shown]
