"""How large a layer's output is and how many weights it learns: PyTorch's formulas with the numbers filled in."""

import math

from torch import nn

from core.layer_lab.chain import Step
from core.layers import AdaptiveAvgPool2d, Conv2d, Flatten, MaxPool2d, Pool, pair, sides_of
from core.wording import counted


def size_formula(step: Step) -> list[str]:
    """A line for each side of the output, or one for all of it."""
    row = step.row.layer
    match row:
        case Conv2d() | Pool():
            return _window_sides(row, tuple(step.before.shape[1:]))
        case AdaptiveAvgPool2d():
            height, width = pair(row.side)
            return [f"Height {height}, width {width}, whatever arrives"]
        case Flatten():
            shape = step.before.shape[1:]
            return [f"{' × '.join(map(str, shape))} = {math.prod(shape):,} values"]
    if isinstance(step.module, nn.Linear):
        return [f"{step.module.in_features:,} values → {step.module.out_features:,} values"]
    return ["The size stays as it is"]


def weights_formula(step: Step) -> str:
    """How many numbers the layer learns; nothing for a layer without any."""
    module = step.module
    if isinstance(module, nn.Conv2d):
        filters, inputs, height, width = module.weight.shape
        bias = filters if module.bias is not None else 0
        each = f"{counted(filters, 'filter')} × {inputs} × {height} × {width}"
    elif isinstance(module, nn.Linear):
        bias = module.out_features if module.bias is not None else 0
        each = f"{module.out_features:,} × {module.in_features:,}"
    elif isinstance(module, nn.BatchNorm2d):
        return f"{module.num_features} scales + {module.num_features} shifts = {2 * module.num_features} weights to learn"
    else:
        return ""
    total = sum(parameter.numel() for parameter in module.parameters())
    biases = f" + {bias:,} {'bias' if bias == 1 else 'biases'}" if bias else ""
    return f"{each}{biases} = {total:,} weights to learn"


def _window_sides(row: Conv2d | Pool, arriving: tuple[int, ...]) -> list[str]:
    """⌊(size + 2 · padding − dilation · (kernel − 1) − 1) / stride⌋ + 1; mean pooling has no dilation."""
    lines = []
    is_up = bool(getattr(row, "ceil_mode", False))
    opening, closing = "⌈⌉" if is_up else "⌊⌋"
    for which, name in enumerate(("Height", "Width")):
        kernel, stride, padding = (pair(size)[which] for size in (row.kernel, row.stride, row.padding))
        size, side = arriving[1 + which], sides_of(row, arriving)[which]
        reach = f"{pair(row.dilation)[which]} · ({kernel} − 1) − 1" if isinstance(row, Conv2d | MaxPool2d) else f"{kernel}"
        full = -(-_reached(row, which, size) // stride) + 1
        dropped = " − 1 (no window begins beyond the image)" if is_up and full != side else ""
        lines.append(f"{name} = {opening}({size} + 2 · {padding} − {reach}) / {stride}{closing} + 1{dropped} = {side}")
    return lines


def _reached(row: Conv2d | Pool, which: int, size: int) -> int:
    dilation = pair(getattr(row, "dilation", 1))[which]
    return size + 2 * pair(row.padding)[which] - dilation * (pair(row.kernel)[which] - 1) - 1
