"""A step as a browser needs it to draw every output value worked out without asking again: arrays and small tables.

What it says of a value is what worked.py says; the browser only looks it up, multiplies and adds.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from core.layer_lab.chain import Step
from core.layer_lab.windows import Axis, axes_of
from core.layer_lab.worked import first_channels, formulas_of, linear_terms
from core.layers import MaxPool2d, Softmax

MOST_ARRIVING = 1_500_000  # values of an input that are sent: more, and nothing is worked out
MOST_LEAVING = 300_000  # of an output: a slider is to answer at once
MOST_CHANNELS = 16
MOST_UNITS = 1024
ROW_OF_VALUES = 10  # that many still stand in one row


@dataclass(frozen=True, kw_only=True)
class Drawable:
    """arriving, leaving: (c, h, w) float32 of the first channels; a row of values is laid out as a grid, its end filled with 0.

    num_values: of a row of values, else 0. axes: where windows lie. work: how a value is worked out, by its "kind"; arrays in it
    are float32. is_whole: whether all that arrives is there, without which nothing is worked out.
    """

    arriving: np.ndarray
    leaving: np.ndarray
    num_arriving: int
    num_leaving: int
    channels: tuple[int, int]  # of what arrives and what leaves, all of them
    axes: tuple[Axis, Axis] | None
    work: dict[str, Any]


def drawable(step: Step) -> Drawable:
    arriving, num_arriving = _as_maps(step.before[0])
    leaving, num_leaving = _as_maps(step.after[0])
    channels = len(arriving), len(leaving)
    shown = max(1, min(MOST_CHANNELS, len(leaving), MOST_LEAVING // leaving[0].size))
    is_whole = arriving.size <= MOST_ARRIVING
    if not is_whole:
        arriving = arriving[: max(1, MOST_ARRIVING // arriving[0].size)]
    return Drawable(
        arriving=arriving,
        leaving=leaving[:shown],
        num_arriving=num_arriving,
        num_leaving=num_leaving,
        channels=channels,
        axes=axes_of(step.row.layer, tuple(step.before.shape[1:])),
        work=_work(step, shown) if is_whole else {"kind": "too much"},
    )


def _as_maps(values: torch.Tensor) -> tuple[np.ndarray, int]:
    """(C, H, W) as it is; a row of values as one map, and how many they are."""
    array = values.detach().numpy()
    if array.ndim == 3:
        return array, 0
    columns = columns_for(len(array))
    rows = -(-len(array) // columns)
    return np.pad(array, (0, rows * columns - len(array))).reshape(1, rows, columns), len(array)


def columns_for(count: int) -> int:
    """How many of a row of values stand beside each other."""
    return count if count <= ROW_OF_VALUES else max(ROW_OF_VALUES, math.ceil(math.sqrt(count)))


def _work(step: Step, shown: int) -> dict[str, Any]:
    """How the first output channels are worked out."""
    module = step.module
    if isinstance(module, nn.Conv2d):
        bias = None if module.bias is None else module.bias[:shown].tolist()
        weights = module.weight[:shown].detach().numpy()
        return {"kind": "sum", "weights": weights, "bias": bias, "first": first_channels(module)[:shown]}
    if isinstance(module, nn.Linear):
        terms = linear_terms(step, min(MOST_UNITS, module.out_features))
        return {"kind": "terms", "terms": [[term.largest, term.rest, term.num_rest, term.bias] for term in terms]}
    if isinstance(step.row.layer, Softmax):
        return {"kind": "softmax"}
    if formulas := formulas_of(step):
        return {"kind": "formula", "formulas": [[f.words, f.when, f.otherwise] for f in formulas]}
    return {"kind": "max" if isinstance(step.row.layer, MaxPool2d) else "mean"}
