"""A network put together from rows of layers: an nn.Sequential, whose shapes follow from what arrives at each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from core.errors import InputError
from core.layers import LAYERS, Flatten, Layer, Linear, Residual, Shape
from core.models import residual

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

    Raises Misfit that names the row at which something does not fit, and what would.
    """
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
            self.note(place + 1, layer, leaving)
            layers.append(layer)
            arriving, place = leaving, after
        return layers, arriving

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
                self._without(place),
            )
        return residual.Residual(*inside), leaving, after

    def _layer(self, place: int, arriving: Shape) -> tuple[nn.Module, Shape]:
        """The layer of a row, and the shape of what leaves it."""
        row = self.rows[place]
        entry = LAYERS[row.layer]
        if len(arriving) not in entry.takes:
            if entry.takes == (1,):
                before = Mend("Put a Flatten before it", (*self.rows[:place], Flatten(), *self.rows[place:]))
                raise self._misfit(
                    place, f"found {in_words(arriving)}, expected a row of values", "Put a flatten row before it.", before
                )
            raise self._misfit(
                place,
                f"found {in_words(arriving)}, expected images (channels × height × width)",
                "Put it before the flatten row.",
                self._without(place),
            )
        self._check_window(place, row, arriving)
        groups, channels = getattr(row, "groups", 1), getattr(row, "channels", 1)
        if arriving[0] % groups or channels % groups:
            raise self._misfit(
                place,
                f"found {groups} groups, expected a number that divides the {arriving[0]} channels that arrive and the {channels} of the "
                "output",
                "1 filters all channels together.",
                self._with(place, {"groups": 1}, "Use 1 group"),
            )
        layer = entry.build(row, arriving, self.num_classes)
        with torch.device("meta"):
            leaving = entry.build(row, arriving, self.num_classes).eval()(torch.empty(1, *arriving)).shape[1:]
        return layer, tuple(leaving)

    def _check_window(self, place: int, row: Layer, arriving: Shape) -> None:
        kernel, padding, dilation = getattr(row, "kernel", 1), getattr(row, "padding", 0), getattr(row, "dilation", 1)
        reach = dilation * (kernel - 1) + 1
        if len(arriving) != 3 or reach <= min(arriving[1:]) + 2 * padding:
            return
        least = row.model_copy(update={"kernel": 1, "padding": 0}) if hasattr(row, "kernel") else None
        side = (min(arriving[1:]) + 2 * padding - 1) // dilation + 1
        mend = (
            self._with(place, {"kernel": side}, f"Use kernel {side}") if least and padding <= side // 2 else self._without(place)
        )
        raise self._misfit(
            place,
            f"found a kernel that reaches over {reach} px, expected at most the {min(arriving[1:])} px that arrive"
            f"{f' and {2 * padding} px of padding' if padding else ''}",
            "Make the kernel smaller, pool less before it, or use larger images.",
            mend,
        )

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


def in_words(shape: Shape) -> str:
    return f"{shape[0]:,} values" if len(shape) == 1 else " × ".join(map(str, shape))
