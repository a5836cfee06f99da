"""A network put together from rows of layers: an nn.Sequential, whose shapes follow from what arrives at each row."""

import math
from collections.abc import Sequence

from torch import nn

from core.errors import InputError
from core.layers import LAYERS, Conv2d, Layer, Pool, Shape, pair, sides_of
from core.wording import counted


def from_rows(rows: Sequence[Layer], shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
    """The network for images of shape (C, H, W), its first weights drawn from torch's global generator.

    Raises InputError that names the row at which something does not fit, and what would.
    """
    layers, arriving = [], tuple(shape)
    for number, row in enumerate(rows, start=1):
        layer, arriving = layer_of(row, arriving, num_classes, f"model.rows, row {number} ({row.layer})")
        layers.append(layer)
    if arriving != (num_classes,):
        raise InputError(
            f"model.rows: found an output of {in_words(arriving)}, expected {num_classes} values, one for each class.",
            code="model",
            hint="End with flatten and a linear row whose features are left empty.",
        )
    return nn.Sequential(*layers)


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
