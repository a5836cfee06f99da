"""A network drawn: its operations from top to bottom, what flows between them with its shape, blocks that fold, as SVG."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from core.models.card import ModelCard, Operation
from core.wording import counted, large

MOST_BOXES = 40  # blocks are opened, the outer ones first, as long as there are no more
WIDTH, HEIGHT, GAP, SIDE = 236, 46, 36, 40  # px: of a box, and between them
TITLE = 16  # px that the name of an open block takes
LETTERS = 38  # that fit into a box

STYLE = """
svg { font-family: var(--st-font, sans-serif); }
.box rect { fill: var(--st-secondary-background-color, #f2f3f6); stroke: var(--st-text-color, #1f2328); stroke-opacity: 0.35; rx: 6px; }
.box.folded rect { stroke: var(--st-primary-color, #6d3fc0); stroke-opacity: 1; stroke-width: 1.5px; }
.block rect { fill: none; stroke: var(--st-text-color, #1f2328); stroke-opacity: 0.3; stroke-dasharray: 4 3; rx: 8px; }
.name { font-size: 13px; font-weight: 600; fill: var(--st-text-color, #1f2328); }
.words, .shape, .title { font-size: 11px; fill: var(--st-text-color, #1f2328); }
.title { font-weight: 600; }
.shape, .title { paint-order: stroke; stroke: var(--st-background-color, #ffffff); stroke-width: 4px; stroke-linejoin: round; }
.edge { fill: none; stroke: var(--st-text-color, #1f2328); stroke-opacity: 0.55; stroke-width: 1.3px; }
.arrow { fill: var(--st-text-color, #1f2328); fill-opacity: 0.7; }
"""


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is drawn as one: an operation, or a block that is folded, by its path then. operations: their places in the card.

    rank: its row, from the top; column: its place in the row. inside: open blocks around it, the outermost first.
    """

    block: str
    operations: tuple[int, ...]
    rank: int
    column: int
    inside: tuple[str, ...]


def open_at_first(card: ModelCard) -> frozenset[str]:
    """The blocks that are open to begin with: level by level, as long as the whole can be taken in."""
    opened: frozenset[str] = frozenset()
    while True:
        shown = {block for number in range(len(card.operations)) if (block := _folded(card, number, opened))}
        further = opened | shown
        if not shown or len(set(_box_keys(card, further))) > MOST_BOXES:
            return opened
        opened = further


def boxes(card: ModelCard, opened: Collection[str]) -> list[Box]:
    """What is drawn while these blocks are open, in the order of the work."""
    keys = _box_keys(card, opened)
    members: dict[object, list[int]] = {}
    for number, key in enumerate(keys):
        members.setdefault(key, []).append(number)
    ranks, columns, taken = {}, {}, set()
    for key, operations in members.items():
        sources = list(dict.fromkeys(keys[s] for n in operations for s in card.operations[n].takes if keys[s] != key))
        known = [source for source in sources if source in ranks]
        ranks[key] = 1 + max((ranks[source] for source in known), default=-1)
        wanted = min((columns[source] for source in known), default=0)
        columns[key] = next(column for column in range(wanted, len(members) + 1) if (ranks[key], column) not in taken)
        taken.add((ranks[key], columns[key]))
    return [
        Box(
            block=key if isinstance(key, str) else "",
            operations=tuple(operations),
            rank=ranks[key],
            column=columns[key],
            inside=tuple(block for block in _blocks_of(card, operations[0]) if block in opened),
        )
        for key, operations in members.items()
    ]


def edges(card: ModelCard, drawn: Sequence[Box]) -> dict[tuple[int, int], tuple[int, ...]]:
    """From box to box, by their places among those drawn, with the shape of what flows."""
    box_of = {number: place for place, box in enumerate(drawn) for number in box.operations}
    return {
        (box_of[source], box_of[number]): card.operations[source].shape
        for number, operation in enumerate(card.operations)
        for source in operation.takes
        if box_of[source] != box_of[number]
    }


def network_svg(card: ModelCard, opened: Collection[str]) -> str:
    """The drawing. Folded and open blocks carry their path in data-block, and are what can be clicked."""
    drawn = boxes(card, opened)
    flows = edges(card, drawn)
    at = _positions(drawn)
    columns = 1 + max(box.column for box in drawn)
    lanes = _lanes(drawn, flows)
    width = SIDE + columns * (WIDTH + SIDE) + 14 * (1 + max(lanes.values(), default=0)) + 90
    height = max(y for _, y in at.values()) + HEIGHT + SIDE
    about = escape(f"Graph of {card.title}, {counted(len(card.operations), 'operation')}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="group" '
        f'aria-label="{about}">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="arrow" d="M0 0 L8 4 L0 8 z"/></marker></defs>',
        *_open_blocks(card, drawn, at, opened),
        *(_edge(at, drawn, edge, shape, columns, lanes) for edge, shape in flows.items()),
        *(_box(card, box, at[place]) for place, box in enumerate(drawn)),
        "</svg>",
    ]
    return "".join(parts)


def _positions(drawn: Sequence[Box]) -> dict[int, tuple[float, float]]:
    """The upper left corner of each box; above a row there is room for the names of the blocks that begin in it."""
    begins = _first_ranks(drawn)
    names = [
        max((sum(begins[block] == rank for block in box.inside) for box in drawn if box.rank == rank), default=0)
        for rank in range(1 + max(box.rank for box in drawn))
    ]
    tops = [SIDE + rank * (HEIGHT + GAP) + TITLE * sum(names[: rank + 1]) for rank in range(len(names))]
    return {place: (SIDE + box.column * (WIDTH + SIDE), tops[box.rank]) for place, box in enumerate(drawn)}


def _first_ranks(drawn: Sequence[Box]) -> dict[str, int]:
    """Of each open block, the row in which it begins."""
    begins: dict[str, int] = {}
    for box in drawn:
        for block in box.inside:
            begins[block] = min(box.rank, begins.get(block, box.rank))
    return begins


def _blocks_of(card: ModelCard, number: int) -> list[str]:
    """The blocks in which an operation is, the outermost first. A function belongs to the module that calls it."""
    operation = card.operations[number]
    parts = operation.path.split(".")
    paths = [".".join(parts[: n + 1]) for n in range(len(parts) - int(operation.is_layer))]
    return [path for path in paths if path in card.blocks]


def _folded(card: ModelCard, number: int, opened: Collection[str]) -> str:
    """The block as a part of which an operation is drawn; empty where it is drawn by itself."""
    return next((block for block in _blocks_of(card, number) if block not in opened), "")


def _box_keys(card: ModelCard, opened: Collection[str]) -> list[str | int]:
    return [_folded(card, number, opened) or number for number in range(len(card.operations))]


def _lanes(drawn: Sequence[Box], flows: Mapping[tuple[int, int], object]) -> dict[tuple[int, int], int]:
    """For edges that pass boxes by: which lane at the right they take, the shorter ones the inner lanes."""
    long = sorted(
        (e for e in flows if drawn[e[1]].rank - drawn[e[0]].rank > 1), key=lambda e: drawn[e[1]].rank - drawn[e[0]].rank
    )
    lanes: dict[tuple[int, int], int] = {}
    for edge in long:
        first, last = drawn[edge[0]].rank, drawn[edge[1]].rank
        busy = {lanes[other] for other in lanes if drawn[other[0]].rank < last and drawn[other[1]].rank > first}
        lanes[edge] = next(lane for lane in range(len(long) + 1) if lane not in busy)
    return lanes


def _edge(
    at: Mapping[int, tuple[float, float]],
    drawn: Sequence[Box],
    edge: tuple[int, int],
    shape: Sequence[int],
    columns: int,
    lanes: Mapping[tuple[int, int], int],
) -> str:
    (x0, y0), (x1, y1) = at[edge[0]], at[edge[1]]
    start, end = (x0 + WIDTH / 2, y0 + HEIGHT), (x1 + WIDTH / 2, y1)
    words = escape(in_words(shape))
    if edge in lanes:
        column = max(box.column for box in drawn if drawn[edge[0]].rank <= box.rank <= drawn[edge[1]].rank)
        lane = SIDE + (column + 1) * (WIDTH + SIDE) - SIDE + 22 + 12 * lanes[edge]
        right0, right1 = x0 + WIDTH, x1 + WIDTH
        path = (
            f"M{right0} {y0 + HEIGHT / 2} C{lane} {y0 + HEIGHT / 2} {lane} {y0 + HEIGHT / 2} {lane} {y0 + HEIGHT} "
            f"L{lane} {y1} C{lane} {y1 + HEIGHT / 2} {lane} {y1 + HEIGHT / 2} {right1} {y1 + HEIGHT / 2}"
        )
        label = f'<text class="shape" x="{right0 + 5}" y="{y0 + HEIGHT / 2 - 5}">{words}</text>'
        return f'<path class="edge" d="{path}" marker-end="url(#arrow)"/>{label}'
    middle = (start[1] + end[1]) / 2
    path = f"M{start[0]} {start[1]} C{start[0]} {middle} {end[0]} {middle} {end[0]} {end[1]}"
    label = f'<text class="shape" x="{start[0] + 6}" y="{start[1] + 15}">{words}</text>'
    return f'<path class="edge" d="{path}" marker-end="url(#arrow)"/>{label}'


def _box(card: ModelCard, box: Box, at: tuple[float, float]) -> str:
    x, y = at
    name, words = _words(card, box)
    block = escape(box.block)
    folded = f' folded" data-block="{block}" role="button" aria-label="Unfold {block}' if block else ""
    return (
        f'<g class="box{folded}"><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/>'
        f'<text class="name" x="{x + 10}" y="{y + (19 if words else 28)}">{escape(_cut(name))}</text>'
        f'<text class="words" x="{x + 10}" y="{y + 36}">{escape(_cut(words))}</text></g>'
    )


def _words(card: ModelCard, box: Box) -> tuple[str, str]:
    found = [card.operations[number] for number in box.operations]
    parameters = sum(operation.num_parameters for operation in found)
    weights = f", {large(parameters)} parameters" if parameters else ""
    if box.block:
        layers = counted(sum(operation.is_layer for operation in found), "layer")
        return f"▸ {box.block} · {card.blocks[box.block]}", f"{layers}{weights}"
    (operation,) = found
    if operation.kind == "image":
        return "Image", in_words(operation.shape)
    name = f"{operation.kind} · {operation.name}" if operation.is_layer else operation.kind
    return name, _short(operation) if operation.is_layer else weights.removeprefix(", ")


def _short(operation: Operation) -> str:
    """Of a layer's settings what tells it from others of its kind."""
    given = dict(re.findall(r"(\w+)=(\([^)]*\)|[^,]+)", operation.settings))
    first, *rest = operation.settings.split(", ")
    match operation.kind:
        case "Conv2d":
            parts = [f"{first} → {rest[0]}", f"kernel {_side(given['kernel_size'])}"]
        case "Linear":
            return f"{given['in_features']} → {given['out_features']}"
        case "MaxPool2d" | "AvgPool2d":
            parts = [f"kernel {_side(given['kernel_size'])}"]
        case "BatchNorm2d":
            return f"{first} channels"
        case _:
            return operation.settings.replace("inplace=True", "").replace("inplace=False", "").strip(", ")
    usual = {"stride": "1", "padding": "0", "dilation": "1", "groups": "1"}
    parts += [f"{name} {_side(given[name])}" for name, value in usual.items() if _side(given.get(name, value)) != value]
    return ", ".join(parts)


def _side(value: str) -> str:
    """Of a size as PyTorch prints it: 3 or (3, 5)."""
    sides = value.strip("()").split(", ")
    return sides[0] if len(set(sides)) == 1 else " × ".join(sides)


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"


def _open_blocks(
    card: ModelCard, drawn: Sequence[Box], at: Mapping[int, tuple[float, float]], opened: Collection[str]
) -> list[str]:
    """A frame around what is in each open block."""
    parts, begins = [], _first_ranks(drawn)
    for block in sorted(opened):
        inside = [place for place, box in enumerate(drawn) if block in box.inside]
        if not inside:
            continue
        within = {other for place in inside for other in drawn[place].inside if other.startswith(f"{block}.")}
        deepest = max((other.count(".") - block.count(".") for other in within), default=0)
        margin = 6 + 4 * deepest
        names_within = max(
            (sum(begins[other] == begins[block] and other in within for other in drawn[place].inside) for place in inside),
            default=0,
        )
        left = min(at[place][0] for place in inside) - margin
        top = min(at[place][1] for place in inside) - 6 - TITLE * names_within
        right = max(at[place][0] for place in inside) + WIDTH + margin
        bottom = max(at[place][1] for place in inside) + HEIGHT + margin
        title, path = escape(_cut(f"▾ {block} · {card.blocks[block]}")), escape(block)
        parts.append(
            f'<g class="block" data-block="{path}" role="button" aria-label="Fold {path}">'
            f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
            f'<text class="title" x="{left + 8}" y="{top - 4}">{title}</text></g>'
        )
    return parts


def in_words(shape: Sequence[int]) -> str:
    """Of an output for one image."""
    return f"{shape[0]:,} values" if len(shape) == 1 else " × ".join(map(str, shape))
