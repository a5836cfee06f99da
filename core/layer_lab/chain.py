"""Rows of layers at work on one input, one after another: what arrives at each, and what leaves it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from core.errors import InputError
from core.layer_lab.inputs import LabInput
from core.layer_lab.weights import Weights, fill, settled
from core.layers import LAYERS, Conv2d, Dropout, Dropout2d, Layer, Residual
from core.models.from_rows import in_words, layer_of

LAB_LAYERS = {name: record for name, record in LAYERS.items() if record.settings is not Residual}  # those that work alone
NUM_CLASSES = 10  # outputs of a linear row whose features are left empty
MOST_VALUES = 20_000_000  # of an output, or of a row's weights
MOST_WORK = 2_000_000_000  # products of a row: about a second

Trained = Callable[[Weights], nn.Conv2d]


@dataclass(frozen=True)
class LabRow:
    """A row with the weights that it works with."""

    layer: Layer
    weights: Weights = field(default_factory=Weights)


def lab_row(plain: Mapping[str, Any], number: int) -> LabRow:
    """A row from plain values, {"layer": …, "weights": …} as their records dump them. Raises InputError for what can't be."""
    where = f"Layer {number} ({LAYERS[plain['layer']['layer']].title})"
    try:
        return LabRow(LAYERS[plain["layer"]["layer"]].settings(**plain["layer"]), Weights(**plain["weights"]))
    except ValidationError as error:
        problem = error.errors()[0]
        name = f", {problem['loc'][0]}" if problem["loc"] else ""
        said = (
            problem.get("ctx", {})["error"]
            if problem["type"] == "value_error"
            else f"found {problem['input']!r:.40}: {problem['msg']}"
        )
        raise InputError(f"{where}{name}: {said}.", code="model") from None


def plain_row(row: LabRow) -> dict[str, Any]:
    """The other way round."""
    return {"layer": row.layer.model_dump(mode="json"), "weights": row.weights.model_dump(mode="json")}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A row at work. number: from 1. before, after: (1, C, H, W) or (1, D) float32. batch: images that are meant."""

    number: int
    row: LabRow
    module: nn.Module
    before: Tensor
    after: Tensor
    batch: int = 1

    @property
    def title(self) -> str:
        return LAYERS[self.row.layer.layer].title

    @property
    def shape(self) -> str:
        """Of its output, as people write it."""
        return written_shape(self.after, self.batch)


def written_shape(values: Tensor, batch: int = 1) -> str:
    """(1, 3, 32, 32) as "3 × 32 × 32", of a batch with its size first."""
    return (f"{batch} × " if batch > 1 else "") + in_words(tuple(values.shape[1:]))


def walk(rows: Sequence[LabRow], given: LabInput, trained: Trained) -> list[Step]:
    """Every row at work, in order, as in training: batch norm measures this one input, dropout draws.

    trained: finds the convolution of a run. Raises InputError that names the row at which something does not fit.
    """
    steps, values = [], given.values
    for number, row in enumerate(rows, start=1):
        step = _step(number, row, values, trained, given.batch)
        steps.append(step)
        values = step.after
    return steps


def _step(number: int, row: LabRow, before: Tensor, trained: Trained, batch: int) -> Step:
    where = f"Layer {number} ({LAYERS[row.layer.layer].title})"
    source = None
    if isinstance(row.layer, Conv2d):
        source = trained(row.weights) if row.weights.kind == "run" else None
        row = LabRow(settled(row.layer, row.weights, source), row.weights)
    with torch.device("meta"):
        module, leaving = layer_of(row.layer, tuple(before.shape[1:]), NUM_CLASSES, where)
    _affordable(module, leaving, where)
    module = module.to_empty(device="cpu").train()
    if isinstance(module, nn.Conv2d | nn.Linear):
        fill(module, row.weights, source, where)
    elif isinstance(module, nn.BatchNorm2d):
        if before[0, 0].numel() == 1:
            raise InputError(
                f"{where}: found one value in each channel, expected several: their mean would be the value itself.",
                code="model",
                hint="Put it where channels have more pixels.",
            )
        module.reset_parameters()
    with torch.no_grad():
        after = _dropped(row, before) if isinstance(row.layer, Dropout | Dropout2d) else module(before)
    return Step(number=number, row=row, module=module, before=before, after=after, batch=batch)


def _affordable(module: nn.Module, leaving: tuple[int, ...], where: str) -> None:
    """Refuses what would take memory or time that a lab should not."""
    weights = sum(parameter.numel() for parameter in module.parameters())
    per_output = module.weight[0].numel() if isinstance(module, nn.Conv2d | nn.Linear) else 1
    for count, most, what in (
        (math.prod(leaving), MOST_VALUES, "values of its output"),
        (weights, MOST_VALUES, "weights"),
        (math.prod(leaving) * per_output, MOST_WORK, "products"),
    ):
        if count > most:
            raise InputError(
                f"{where}: found {count:,} {what}, expected at most {most:,} in the lab.",
                code="model",
                hint="Choose fewer channels or features, or a smaller input.",
            )


def _dropped(row: LabRow, before: Tensor) -> Tensor:
    """As PyTorch's dropout draws it after `torch.manual_seed(seed)`, but from a generator of its own."""
    assert isinstance(row.layer, Dropout | Dropout2d)
    kept = 1 - row.layer.probability
    shape = before.shape if isinstance(row.layer, Dropout) else (*before.shape[:2], 1, 1)
    mask = torch.empty(shape).bernoulli_(kept, generator=torch.Generator().manual_seed(row.weights.seed))
    return before * (mask / kept)
