"""Figures of what goes on inside a network: maps and filters as one image, evidence laid over an image, images as points.

Arrays in; out come uint8 images, their gaps transparent so that they stand on light and dark pages, and Plotly figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from core.figures.look import COLOURS, NEUTRAL, base, labels
from core.wording import counted

MOST_TILES = 64
MOST_ROWS, MOST_COLUMNS = 128, 512  # of a table of weights
TILE_PX = 64
GAP_PX = 4
TILES_IN_A_ROW = 8
FOR, AGAINST = (230, 159, 0), (86, 180, 233)  # Okabe and Ito's orange and sky blue
# Okabe and Ito's, readable on light and dark ground; beyond seven classes the same colours come with another symbol
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B5A900")
SYMBOLS = ("circle", "diamond", "square")
MOST_COLOURED = len(PALETTE) * len(SYMBOLS) - 1


def maps_montage(maps: np.ndarray) -> np.ndarray:
    """The first 64 of (C, h, w) activations side by side, each from its lowest value, black, to its highest, white: (H, W, 4) uint8.

    A map that is the same everywhere is black.
    """
    shown = maps[:MOST_TILES].astype(np.float32)
    low = shown.min(axis=(1, 2), keepdims=True)
    span = shown.max(axis=(1, 2), keepdims=True) - low
    return _montage(_bytes((shown - low) / np.where(span > 0, span, 1))[:, None])


def filters_montage(values: np.ndarray) -> np.ndarray:
    """The first 64 of (F, 1 or 3, h, w) weights side by side, on one scale: 0 is mid grey, the largest of all black or white."""
    shown = values[:MOST_TILES].astype(np.float32)
    largest = max(float(np.abs(shown).max(initial=0)), 1e-12)
    return _montage(_bytes(0.5 + 0.5 * shown / largest))


def table_image(table: np.ndarray) -> np.ndarray:
    """The first rows and columns of (rows, columns) numbers as squares, 0 mid grey, the largest black or white: (H, W, 4) uint8."""
    shown = table[:MOST_ROWS, :MOST_COLUMNS].astype(np.float32)
    largest = max(float(np.abs(shown).max(initial=0)), 1e-12)
    grey = _bytes(0.5 + 0.5 * shown / largest)
    return _opaque(_larger(grey[None], max(1, min(16, 640 // max(grey.shape)))))


def in_rows(values: np.ndarray) -> np.ndarray:
    """(D,) numbers in rows of a table about twice as wide as high; what is missing in the last row is 0."""
    columns = min(MOST_COLUMNS, max(1, round(np.sqrt(2 * len(values)))))
    rows = -(-len(values) // columns)
    return np.pad(values, (0, rows * columns - len(values))).reshape(rows, columns)


def overlay(seen: np.ndarray, evidence: np.ndarray) -> Image.Image:
    """The (C, H, W) uint8 image in grey under its (H, W) evidence: orange speaks for the class, blue against it.

    The strongest is opaque, nothing shows the image alone.
    """
    grey = seen[0] if len(seen) == 1 else seen[:3].astype(np.float32).mean(axis=0)
    strength = np.abs(evidence) / max(float(np.abs(evidence).max(initial=0)), 1e-12)
    tint = np.where((evidence >= 0)[..., None], np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    alpha = 0.85 * strength[..., None]
    mixed = (1 - alpha) * (0.75 * np.repeat(grey[..., None], 3, axis=2)) + alpha * tint
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def unit_bars(values: np.ndarray) -> go.Figure:
    """(D,) activations of a dense layer, a bar for each unit."""
    figure = base(height=220)
    figure.add_bar(
        x=np.arange(1, len(values) + 1),
        y=values,
        marker_color=np.where(values >= 0, COLOURS["train"], NEUTRAL).tolist(),
        hovertemplate="unit %{x}: %{y:.3g}<extra></extra>",
    )
    figure.update_xaxes(title_text="Unit", tickformat="d", showgrid=False)
    figure.update_yaxes(title_text="Activation")
    return figure


@dataclass(frozen=True, kw_only=True)
class Group:
    """Points that look alike in a map. members: (n,) bool."""

    name: str
    members: np.ndarray
    colour: str
    symbol: str = "circle"
    has_label: bool = False


def by_class(classes: np.ndarray, names: Sequence[str]) -> list[Group]:
    """A group for each of at most twenty classes that has points, with its name at its middle."""
    present = [int(k) for k in np.unique(classes)]
    assert len(present) <= MOST_COLOURED
    return [
        Group(
            name=names[k],
            members=classes == k,
            colour=PALETTE[i % len(PALETTE)],
            symbol=SYMBOLS[i // len(PALETTE)],
            has_label=True,
        )
        for i, k in enumerate(present)
    ]


def by_outcome(labels_: np.ndarray, predicted: np.ndarray) -> list[Group]:
    right = labels_ == predicted
    return [
        Group(name="right", members=right, colour="#56B4E9"),
        Group(name="wrong", members=~right, colour="#D55E00", symbol="x"),
    ]


def by_one_class(labels_: np.ndarray, predicted: np.ndarray, chosen: int, name: str) -> list[Group]:
    """Points of one class, those that were taken for it, and the rest."""
    own, taken = labels_ == chosen, predicted == chosen
    return [
        Group(name="the others", members=~own & ~taken, colour=NEUTRAL),
        Group(name=f"{name}, recognised", members=own & taken, colour="#0072B2"),
        Group(name=f"{name}, missed", members=own & ~taken, colour="#E69F00", symbol="diamond"),
        Group(name=f"others predicted as {name}", members=~own & taken, colour="#D55E00", symbol="x"),
    ]


def points_map(
    places: np.ndarray, groups: Sequence[Group], ids: np.ndarray, words: Sequence[str], axes: tuple[str, str]
) -> go.Figure:
    """(n, 2) places as points. ids: (n, …) integers that come back with a click. words: of each point, as plain text for the hover card."""
    figure = base(height=560)
    size = 7 if len(places) <= 1000 else 5
    shown = labels([group.name for group in groups])
    for group, name in zip(groups, shown, strict=True):
        inside = np.flatnonzero(group.members)
        if not len(inside):
            continue
        figure.add_scatter(
            x=places[inside, 0],
            y=places[inside, 1],
            mode="markers",
            name=f"{name} ({len(inside):,})",
            uid=name,
            hoverinfo="none",
            marker={
                "color": group.colour,
                "symbol": group.symbol,
                "size": size + 3 * (group.symbol == "x"),
                "opacity": 1 if group.symbol == "x" else 0.7,
            },
            customdata=ids[inside],
            text=[words[i] for i in inside.tolist()],
        )
    figure.update_layout(
        legend={"itemsizing": "constant"},
        modebar={"remove": ["select2d", "lasso2d"], "bgcolor": "rgba(0,0,0,0)", "color": NEUTRAL},
        annotations=[
            {
                "x": float(np.median(places[group.members, 0])),
                "y": float(np.median(places[group.members, 1])),
                "text": f"<b>{name}</b>",
                "showarrow": False,
                "yshift": 14,
                "bgcolor": "rgba(255,255,255,0.75)",
                "font": {"color": "#1E2329", "size": 12},
                "borderpad": 2,
            }
            for group, name in zip(groups, shown, strict=True)
            if group.has_label and group.members.any()
        ],
    )
    figure.update_xaxes(title_text=axes[0], showticklabels=False)
    figure.update_yaxes(title_text=axes[1], showticklabels=False, scaleanchor="x")
    return figure


def dead(maps: np.ndarray) -> str:
    """How many of the maps are the same everywhere, as a sentence; nothing if none is."""
    flat = maps.reshape(len(maps), -1)
    count = int((flat.max(axis=1) == flat.min(axis=1)).sum())
    return f" {counted(count, 'map')} of them the same everywhere, shown black." if count else ""


def _montage(tiles: np.ndarray) -> np.ndarray:
    """(N, 1 or 3, h, w) uint8 in rows, small ones at a whole multiple of their size, with transparent gaps: (H, W, 4)."""
    n, _, height, width = tiles.shape
    side = max(height, width)
    if side > TILE_PX * 1.5:
        part = -(-side // TILE_PX)
        tiles = np.stack([_smaller(tile, part) for tile in tiles])
    else:
        tiles = _larger(tiles, max(1, TILE_PX // side))
    height, width = tiles.shape[2:]
    columns = min(n, TILES_IN_A_ROW)
    rows = -(-n // columns)
    sheet = np.zeros((rows * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, 4), np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // columns * (height + GAP_PX), number % columns * (width + GAP_PX)
        sheet[y : y + height, x : x + width] = _opaque(tile)
    return sheet


def _opaque(tile: np.ndarray) -> np.ndarray:
    """(1 or 3, h, w) as (h, w, 4) without transparency."""
    colours = np.broadcast_to(tile, (3, *tile.shape[1:])).transpose(1, 2, 0)
    return np.concatenate([colours, np.full((*colours.shape[:2], 1), 255, np.uint8)], axis=2)


def _larger(tiles: np.ndarray, times: int) -> np.ndarray:
    return tiles.repeat(times, axis=-2).repeat(times, axis=-1)


def _smaller(tile: np.ndarray, part: int) -> np.ndarray:
    """Means of squares of part × part pixels; what does not fill one at the edge is left out."""
    channels, height, width = tile.shape
    rows, columns = max(1, height // part), max(1, width // part)
    cut = tile[:, : rows * part, : columns * part].astype(np.float32)
    return cut.reshape(channels, rows, part, columns, part).mean(axis=(2, 4)).round().astype(np.uint8)


def _bytes(fractions: np.ndarray) -> np.ndarray:
    """0..1 as 0..255."""
    return (255 * fractions).round().clip(0, 255).astype(np.uint8)
