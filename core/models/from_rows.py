"""A network put together from rows of layers: an nn.Sequential, whose shapes follow from what arrives at each row."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from core.errors import InputError
from core.layers import LAYERS, Conv2d, Flatten, Layer, Linear, Pool, Residual, Shape, pair, sides_of
from core.models import residual
from core.wording import counted

MOST_PARAMETERS = 500_000_000  # 2 GB of weights; training takes four times as much

Note = Callable[[int, nn.Module, Shape], None]


@dataclass(frozen=True)
class Mend:
    """What would make a row fit. words: as a button says it. rows: all rows, changed so."""

    words: str
    rows: tuple[Layer, ...]


class Misfit(InputError):
    """What does not fit. row: its number from 1, one more than there are where it is the end. mend: None where there is no easy one."""

    def __init__(self, message: str, hint: str, row: int, mend: Mend | None = None) -> None:
        super().__init__(message, code="model", hint=hint)
        self.row, self.mend = row, mend


@dataclass(frozen=True, kw_only=True)
class RowState:
    """What a row makes: the shape of its output, and how many parameters it has."""

    shape: Shape
    num_parameters: int


def from_rows(rows: Sequence[Layer], shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
    """The network for images of shape (C, H, W), its first weights drawn from torch's global generator.

    Raises Misfit that names the row at which something does not fit, or is too much, and what would fit.
    """
    _, misfit = examine(rows, shape, num_classes)  # before any memory is taken
    if misfit:
        raise misfit
    return _Rows(rows, num_classes, lambda number, layer, leaving: None).network(shape)


def examine(rows: Sequence[Layer], shape: tuple[int, int, int], num_classes: int) -> tuple[dict[int, RowState], Misfit | None]:
    """What the rows make of images of shape (C, H, W), by their numbers from 1 up to the first that does not fit; and why that does not.

    Costs no memory for weights.
    """
    found: dict[int, RowState] = {}

    def note(number: int, layer: nn.Module, leaving: Shape) -> None:
        inside = 0 if isinstance(layer, residual.Residual) else sum(p.numel() for p in layer.parameters())
        found[number] = RowState(shape=leaving, num_parameters=inside)

    try:
        with torch.device("meta"):
            _Rows(rows, num_classes, note).network(shape)
    except Misfit as misfit:
        return found, misfit
    return found, None


class _Rows:
    def __init__(self, rows: Sequence[Layer], num_classes: int, note: Note) -> None:
        self.rows, self.num_classes, self.note = tuple(rows), num_classes, note
        self.num_parameters = 0

    def network(self, shape: tuple[int, int, int]) -> nn.Sequential:
        layers, leaving = self._layers(0, len(self.rows), tuple(shape))
        if leaving != (self.num_classes,):
            raise Misfit(
                f"model.rows: found an output of {in_words(leaving)}, expected {self.num_classes} values, one for each class.",
                "End with flatten and a linear row whose features are left empty.",
                len(self.rows) + 1,
                self._mended_end(leaving),
            )
        return nn.Sequential(*layers)

    def _layers(self, first: int, end: int, arriving: Shape) -> tuple[list[nn.Module], Shape]:
        """Of the rows from one place on, up to another."""
        layers, place = [], first
        while place < end:
            row = self.rows[place]
            if isinstance(row, Residual):
                layer, leaving, after = self._shortcut(place, end, arriving, row)
            else:
                layer, leaving = self._layer(place, arriving)
                after = place + 1
                self._count(place, layer)
            self.note(place + 1, layer, leaving)
            layers.append(layer)
            arriving, place = leaving, after
        return layers, arriving

    def _count(self, place: int, layer: nn.Module) -> None:
        self.num_parameters += sum(parameter.numel() for parameter in layer.parameters())
        if self.num_parameters > MOST_PARAMETERS:
            raise self._misfit(
                place,
                f"found {self.num_parameters:,} parameters up to here, expected at most {MOST_PARAMETERS:,}",
                "Use fewer channels or features, or pool more before it.",
                None,
            )

    def _shortcut(self, place: int, end: int, arriving: Shape, row: Residual) -> tuple[nn.Module, Shape, int]:
        after = place + 1 + row.over
        remaining = end - place - 1
        if after > end:
            raise self._misfit(
                place,
                f"found a shortcut over {row.over} rows, expected at most the {remaining} that come after it",
                "Make it shorter, or move it up.",
                self._with(place, {"over": remaining}, f"Let it pass over {remaining}") if remaining else self._without(place),
            )
        inside, leaving = self._layers(place + 1, after, arriving)
        if leaving != arriving:
            raise self._misfit(
                place,
                f"found {in_words(leaving)} after the {row.over} rows that it passes, expected {in_words(arriving)} as before them",
                "Give their last convolution as many channels, stride 1, and padding that keeps the size.",
                self._kept_alike(place, after, arriving) or self._without(place),
            )
        return residual.Residual(*inside), leaving, after

    def _layer(self, place: int, arriving: Shape) -> tuple[nn.Module, Shape]:
        row = self.rows[place]
        try:
            return layer_of(row, arriving, self.num_classes, f"model.rows, row {place + 1} ({row.layer})")
        except InputError as error:
            raise Misfit(error.message, error.hint, place + 1, self._mend(place, arriving)) from None

    def _mend(self, place: int, arriving: Shape) -> Mend | None:
        """The first change of the row that makes it fit; where there is none, that it goes."""
        row = self.rows[place]
        if len(arriving) not in LAYERS[row.layer].takes:
            if len(arriving) == 1:
                return self._before_flatten(place) or self._without(place)
            return Mend("Put a Flatten before it", (*self.rows[:place], Flatten(), *self.rows[place:]))
        for words, changes in _changes(row, arriving):
            try:
                layer_of(row.model_copy(update=changes), arriving, self.num_classes, "")
            except InputError:
                continue
            return self._with(place, changes, words)
        return self._without(place)

    def _before_flatten(self, place: int) -> Mend | None:
        """The row moved to where images still arrive."""
        flatten = next((p for p in reversed(range(place)) if isinstance(self.rows[p], Flatten)), None)
        if flatten is None or isinstance(self.rows[place], Flatten):
            return None
        rest = (*self.rows[:place], *self.rows[place + 1 :])
        return Mend("Put it before the Flatten", (*rest[:flatten], self.rows[place], *rest[flatten:]))

    def _kept_alike(self, place: int, after: int, arriving: Shape) -> Mend | None:
        """The convolutions that a shortcut passes made to keep the size, the last of them the channels too, if that is enough."""
        rows, places = list(self.rows), [p for p in range(place + 1, after) if isinstance(self.rows[p], Conv2d)]
        for p in places:
            row = rows[p]
            assert isinstance(row, Conv2d)
            kernel, dilation = pair(row.kernel), pair(row.dilation)
            kernel = tuple(side - 1 + side % 2 for side in kernel)  # an even one can't keep the size
            padding = tuple(d * (side - 1) // 2 for d, side in zip(dilation, kernel, strict=True))
            changes: dict[str, Any] = {"stride": 1, "kernel": _plain(kernel), "padding": _plain(padding)}
            if p == places[-1]:
                changes |= {"channels": arriving[0], "groups": 1}
            rows[p] = row.model_copy(update=changes)
        try:
            _, leaving = _Rows(rows, self.num_classes, lambda *_: None)._layers(place + 1, after, arriving)
        except InputError:
            return None
        return Mend("Let its convolutions keep channels and size", tuple(rows)) if places and leaving == arriving else None

    def _misfit(self, place: int, found: str, hint: str, mend: Mend | None) -> Misfit:
        return Misfit(f"model.rows, row {place + 1} ({self.rows[place].layer}): {found}.", hint, place + 1, mend)

    def _with(self, place: int, changes: dict[str, Any], words: str) -> Mend:
        changed = self.rows[place].model_copy(update=changes)
        return Mend(words, (*self.rows[:place], changed, *self.rows[place + 1 :]))

    def _without(self, place: int) -> Mend | None:
        rest = (*self.rows[:place], *self.rows[place + 1 :])
        return Mend("Remove it", rest) if rest else None

    def _mended_end(self, leaving: Shape) -> Mend:
        if len(leaving) == 3:
            return Mend("Add Flatten and Linear", (*self.rows, Flatten(), Linear()))
        last = self.rows[-1]
        if isinstance(last, Linear):
            return self._with(len(self.rows) - 1, {"features": None}, "Give the last Linear one output for each class")
        return Mend("Add a Linear", (*self.rows, Linear()))


def _plain(sides: tuple[int, ...]) -> int | tuple[int, ...]:
    return sides[0] if len(set(sides)) == 1 else sides


def _changes(row: Layer, arriving: Shape) -> Iterator[tuple[str, dict[str, Any]]]:
    """What might make a row fit, in words and by setting, the least first."""
    if isinstance(row, Conv2d):
        yield "Use 1 group", {"groups": 1}
        yield "Pad with zeros", {"padding_mode": "zeros"}
    if isinstance(row, Conv2d | Pool):
        sides, paddings = pair(row.kernel), pair(row.padding)
        kernel = tuple(
            min(side, max(1, (size + 2 * padding - 1) // dilation + 1))
            for side, size, padding, dilation in zip(
                sides, arriving[1:], paddings, pair(getattr(row, "dilation", 1)), strict=True
            )
        )
        if isinstance(row, Pool):
            paddings = tuple(min(padding, side // 2) for padding, side in zip(paddings, kernel, strict=True))
        shown = _plain(kernel)
        words = f"Use kernel {shown}" if isinstance(shown, int) else f"Use kernel {kernel[0]} × {kernel[1]}"
        yield words, {"kernel": shown, "padding": _plain(paddings)}


USUAL_SIDES = (16, 28, 32, 48, 64, 96, 128, 224)


def fitting_side(rows: Sequence[Layer], channels: int, num_classes: int) -> int | None:
    """The smallest usual side of square images that the rows fit; None where there is none."""
    return next((side for side in USUAL_SIDES if examine(rows, (channels, side, side), num_classes)[1] is None), None)


def in_words(shape: Shape) -> str:
    return counted(shape[0], "value") if len(shape) == 1 else " × ".join(map(str, shape))


def layer_of(row: Layer, arriving: Shape, num_classes: int, where: str) -> tuple[nn.Module, Shape]:
    """The layer of a row, and the shape of what leaves it. where: how sentences begin that say what does not fit.

    arriving: (C, H, W) or (features,). Raises InputError.
    """
    _need_dimensions(row, arriving, where)
    if isinstance(row, Conv2d | Pool):
        _need_room(row, arriving, where)
    if isinstance(row, Conv2d):
        _need_groups(row, arriving, where)
        _need_padding(row, arriving, where)
    entry = LAYERS[row.layer]
    return entry.build(row, arriving, num_classes), entry.leaving(row, arriving, num_classes)


def _need_dimensions(row: Layer, arriving: Shape, where: str) -> None:
    takes = LAYERS[row.layer].takes
    if len(arriving) in takes:
        return
    wanted, hint = (
        ("a row of values", "Put a flatten row before it.")
        if takes == (1,)
        else ("images (channels × height × width)", "Put it before the flatten row.")
    )
    raise InputError(f"{where}: found {in_words(arriving)}, expected {wanted}.", code="model", hint=hint)


def _need_room(row: Conv2d | Pool, arriving: Shape, where: str) -> None:
    """A window reaches over what arrives and its padding at most."""
    if min(sides_of(row, arriving)) >= 1:
        return
    paddings, dilations = pair(row.padding), pair(getattr(row, "dilation", 1))
    reaches = [dilation * (kernel - 1) + 1 for dilation, kernel in zip(dilations, pair(row.kernel), strict=True)]
    reach, size, padding = max(
        zip(reaches, arriving[1:], paddings, strict=True), key=lambda side: side[0] - side[1] - 2 * side[2]
    )
    raise InputError(
        f"{where}: found a kernel that reaches over {reach} px, expected at most the {size} px that arrive"
        f"{f' and {2 * padding} px of padding' if padding else ''}.",
        code="model",
        hint="Make the kernel smaller, pool less before it, or use larger images.",
    )


def _need_groups(row: Conv2d, arriving: Shape, where: str) -> None:
    """Groups divide the channels that arrive and those that leave."""
    for channels, which in ((arriving[0], "that arrive"), (row.channels, "of its output")):
        if channels % row.groups:
            common = math.gcd(arriving[0], row.channels)
            fitting = [str(groups) for groups in range(1, common + 1) if common % groups == 0]
            raise InputError(
                f"{where}: found {row.groups} groups, expected a number that divides the {counted(channels, 'channel')} {which}.",
                code="model",
                hint=f"Choose {_any_of(fitting)} group{'s' * (common > 1)}, or other channels.",
            )


def _need_padding(row: Conv2d, arriving: Shape, where: str) -> None:
    """An image can be mirrored or repeated only as far as it goes."""
    for padding, size in zip(pair(row.padding), arriving[1:], strict=True):
        most = {"reflect": size - 1, "circular": size}.get(row.padding_mode, padding)
        if padding > most:
            raise InputError(
                f"{where}: found a padding of {padding} px, expected at most {most} px: {row.padding_mode} takes it from the "
                f"{size} px that arrive.",
                code="model",
                hint="Use less padding, or the mode zeros.",
            )


def _any_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
