"""Every output value worked out: the window, the kernel and the sum that make it, or the formula with its number filled in.

As data, so that a page can draw it while the mouse moves. The tests hold it to what PyTorch's layers answer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.layer_lab.chain import Step
from core.layer_lab.typed_numbers import written
from core.layer_lab.windows import NOTHING, PADDING, axes_of
from core.layers import LeakyReLU, MaxPool2d

MOST_EXPONENT = 80
MOST_TERMS = 8  # of a linear layer's sum, the largest


@dataclass(frozen=True, kw_only=True)
class Window:
    """An output pixel's window. values: (c, kh, kw) of the channels that it looks at, NaN where there is nothing.

    weights: alike, for a convolution; None for pooling. sums: (c,) of their products. bias: None without one. counted: by
    how many a mean is divided. winner: (row, column) within the window of the largest. total: what comes out.
    """

    values: np.ndarray
    weights: np.ndarray | None = None
    sums: np.ndarray | None = None
    bias: float | None = None
    counted: int = 0
    winner: tuple[int, int] | None = None
    total: float


@dataclass(frozen=True, kw_only=True)
class Terms:
    """A linear layer's output. largest: (input, value, weight, product) of the largest products; rest: the sum of all others."""

    largest: tuple[tuple[int, float, float, float], ...]
    rest: float
    num_rest: int
    bias: float | None
    total: float


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A function of one number in words, with {x}, {n} for −x, and {y} for what comes out; otherwise: where `when` holds.

    when: "" for never, "x<0" or "y=0". function: the same in Python.
    """

    words: str
    function: Callable[[float], float]
    when: str = ""
    otherwise: str = ""

    def filled(self, x: float, y: float) -> str:
        is_other = (self.when == "x<0" and x < 0) or (self.when == "y=0" and y == 0)
        text = self.otherwise if is_other else self.words
        return text.format(x=written(x), n=written(-x), y=written(y))


def window_at(step: Step, channel: int, row: int, column: int) -> Window:
    """What makes one output pixel of a convolution or a pooling."""
    axes = axes_of(step.row.layer, tuple(step.before.shape[1:]))
    assert axes is not None, "a layer with windows"
    rows, columns = ([axis.pixels[place] for place in axis.windows[at]] for axis, at in zip(axes, (row, column), strict=True))
    arriving = step.before[0].double().numpy()
    if isinstance(step.module, nn.Conv2d):
        weights = step.module.weight[channel].detach().double().numpy()
        first = first_channels(step.module)[channel]
        values = _cut(arriving[first : first + len(weights)], rows, columns)
        sums = (values * weights).sum(axis=(1, 2))
        bias = None if step.module.bias is None else float(step.module.bias[channel].detach())
        return Window(values=values, weights=weights, sums=sums, bias=bias, total=float(sums.sum()) + (bias or 0))
    values = _cut(arriving[channel : channel + 1], rows, columns)
    if isinstance(step.row.layer, MaxPool2d):
        values[0][~_is_pixel(rows, columns)] = np.nan  # padding never wins
        if np.isnan(values).all():
            return Window(values=values, total=-math.inf)
        at = np.unravel_index(np.nanargmax(values[0]), values[0].shape)
        return Window(values=values, winner=(int(at[0]), int(at[1])), total=float(values[0][at]))
    counted = axes[0].counted[row] * axes[1].counted[column]
    return Window(values=values, counted=counted, total=float(np.nansum(values)) / counted)


def first_channels(layer: nn.Conv2d) -> list[int]:
    """The first of the input channels that each filter looks at: another for each group."""
    per_group, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    return [channel // per_group * inputs for channel in range(layer.out_channels)]


def _cut(values: np.ndarray, rows: list[int], columns: list[int]) -> np.ndarray:
    """(c, kh, kw): 0 where there is padding, NaN where there is nothing."""
    found = values[:, np.maximum(rows, 0)][:, :, np.maximum(columns, 0)]
    found[:, ~_is_pixel(rows, columns)] = 0
    found[:, [row == NOTHING for row in rows]] = np.nan
    found[:, :, [column == NOTHING for column in columns]] = np.nan
    return found


def _is_pixel(rows: list[int], columns: list[int]) -> np.ndarray:
    return (np.array(rows) > PADDING)[:, None] & (np.array(columns) > PADDING)


def linear_terms(step: Step, count: int) -> list[Terms]:
    """What makes each of the first so many outputs of a linear layer."""
    layer = step.module
    assert isinstance(layer, nn.Linear)
    values, found = step.before[0].double(), []
    for weights, bias in zip(
        layer.weight[:count].detach().double(),
        [None] * count if layer.bias is None else layer.bias[:count].tolist(),
        strict=False,
    ):
        products = values * weights
        largest = products.abs().topk(min(MOST_TERMS, len(products))).indices.tolist()
        chosen = tuple((i, float(values[i]), float(weights[i]), float(products[i])) for i in largest)
        total = float(products.sum())
        rest = total - sum(term[3] for term in chosen)
        found.append(Terms(largest=chosen, rest=rest, num_rest=len(products) - len(chosen), bias=bias, total=total + (bias or 0)))
    return found


def formulas_of(step: Step) -> list[Formula]:
    """One for all channels, or one each, of a layer that works on each number by itself; none for other layers."""
    name = step.row.layer.layer
    if name in POINTWISE:
        return [POINTWISE[name]]
    if isinstance(step.row.layer, LeakyReLU):
        slope = step.row.layer.slope
        return [
            Formula(
                words="{x} is not below 0, so it stays {y}",
                when="x<0",
                otherwise=f"{written(slope)} · ({{x}}) = {{y}}",
                function=lambda x: x if x >= 0 else slope * x,
            )
        ]
    if name in ("dropout", "dropout2d"):
        kept = 1 - step.row.layer.model_dump()["probability"]
        which = "Its channel" if name == "dropout2d" else "It"
        return [
            Formula(
                words=f"{which} was kept: {{x}} / (1 − {written(1 - kept)}) = {{y}}",
                when="y=0",
                otherwise=f"{which} was set to 0 at random",
                function=lambda x: x / kept,
            )
        ]
    if isinstance(step.module, nn.BatchNorm2d):
        return [_normalised(step, channel) for channel in range(step.before.shape[1])]
    return []


def _normalised(step: Step, channel: int) -> Formula:
    assert isinstance(step.module, nn.BatchNorm2d)
    values, eps = step.before[0, channel].double(), step.module.eps
    mean, variance = float(values.mean()), float(values.var(correction=0))
    return Formula(
        words=f"({{x}} − mean {written(mean)}) / √(variance {written(variance)} + {eps:g}) · 1 + 0 = {{y}}",
        function=lambda x: (x - mean) / math.sqrt(variance + eps),
    )


def softmax_at(step: Step, row: int = 0, column: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(exp(x), exp(x) / their sum) of all values of a vector, or of all channels at a pixel: (n,) each."""
    values = step.before[0].double()
    values = values if values.dim() == 1 else values[:, row, column]
    powers = (values - softmax_shift(values.numpy())).exp().numpy()
    return powers, powers / powers.sum()


def softmax_shift(values: np.ndarray) -> float:
    """What is subtracted first, which changes nothing but keeps large numbers finite."""
    return float(values.max()) if values.max() > MOST_EXPONENT else 0.0


def _sigmoid(x: float) -> float:
    return float(torch.sigmoid(torch.tensor(x, dtype=torch.float64)))


POINTWISE = {
    "relu": Formula(words="max(0, {x}) = {y}", function=lambda x: max(0.0, x)),
    "silu": Formula(words="{x} / (1 + exp({n})) = {y}", function=lambda x: x * _sigmoid(x)),
    "sigmoid": Formula(words="1 / (1 + exp({n})) = {y}", function=_sigmoid),
    "tanh": Formula(words="(exp({x}) − exp({n})) / (exp({x}) + exp({n})) = {y}", function=math.tanh),
    "flatten": Formula(words="{x} stays {y}", function=lambda x: x),
}
