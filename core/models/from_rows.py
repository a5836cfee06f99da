"""A network put together from rows of layers: an nn.Sequential, whose shapes follow from what arrives at each row."""

from collections.abc import Sequence

import torch
from torch import nn

from core.errors import InputError
from core.layers import LAYERS, Layer, Shape


def from_rows(rows: Sequence[Layer], shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
    """The network for images of shape (C, H, W), its first weights drawn from torch's global generator.

    Raises InputError that names the row at which something does not fit, and what would.
    """
    layers, arriving = [], tuple(shape)
    for number, row in enumerate(rows, start=1):
        layer, arriving = _layer(row, number, arriving, num_classes)
        layers.append(layer)
    if arriving != (num_classes,):
        raise InputError(
            f"model.rows: found an output of {in_words(arriving)}, expected {num_classes} values, one for each class.",
            code="model",
            hint="End with flatten and a linear row whose features are left empty.",
        )
    return nn.Sequential(*layers)


def in_words(shape: Shape) -> str:
    return f"{shape[0]:,} values" if len(shape) == 1 else " × ".join(map(str, shape))


def _layer(row: Layer, number: int, arriving: Shape, num_classes: int) -> tuple[nn.Module, Shape]:
    """The layer of a row, and the shape of what leaves it."""
    entry, where = LAYERS[row.layer], f"model.rows, row {number} ({row.layer})"
    if len(arriving) not in entry.takes:
        wanted, hint = (
            ("a row of values", "Put a flatten row before it.")
            if entry.takes == (1,)
            else ("images (channels × height × width)", "Put it before the flatten row.")
        )
        raise InputError(f"{where}: found {in_words(arriving)}, expected {wanted}.", code="model", hint=hint)
    kernel, padding = getattr(row, "kernel", 1), getattr(row, "padding", 0)
    reach = getattr(row, "dilation", 1) * (kernel - 1) + 1
    if len(arriving) == 3 and reach > min(arriving[1:]) + 2 * padding:
        raise InputError(
            f"{where}: found a kernel that reaches over {reach} px, expected at most the {min(arriving[1:])} px that arrive"
            f"{f' and {2 * padding} px of padding' if padding else ''}.",
            code="model",
            hint="Make the kernel smaller, pool less before it, or use larger images.",
        )
    layer = entry.build(row, arriving, num_classes)
    with torch.device("meta"):
        leaving = entry.build(row, arriving, num_classes).eval()(torch.empty(1, *arriving)).shape[1:]
    return layer, tuple(leaving)
