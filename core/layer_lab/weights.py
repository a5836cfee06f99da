"""The weights of a row: drawn from a seed, typed, a filter that has a name, or those of a trained network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.inference.predictor import network_of
from core.layer_lab.typed_numbers import as_text, matrix
from core.layers import Conv2d, pair
from core.runs.checkpoints import Checkpoint, find_checkpoint
from core.runs.directory import find_run
from core.sections import Section
from core.wording import counted
from core.workspace import Workspace

TUTORIAL = "1 2 1\n0 1 0\n2 1 0"  # the kernel that goes with the matrix of inputs.py


@dataclass(frozen=True, kw_only=True)
class NamedKernel:
    """least: the smallest kernel it fits into; build(height, width) returns it, in the middle of a larger one."""

    title: str
    least: int
    build: Callable[[int, int], Tensor]


def _in_the_middle(pattern: list[list[float]]) -> Callable[[int, int], Tensor]:
    def build(height: int, width: int) -> Tensor:
        kernel = torch.zeros(height, width)
        top, left = (height - len(pattern)) // 2, (width - len(pattern[0])) // 2
        kernel[top : top + len(pattern), left : left + len(pattern[0])] = torch.tensor(pattern)
        return kernel

    return build


def _mean(height: int, width: int) -> Tensor:
    return torch.full((height, width), 1 / (height * width))


def _bell(height: int, width: int) -> Tensor:
    """Rows of Pascal's triangle: 1 2 1, 1 4 6 4 1, close to a Gaussian."""
    sides = []
    for length in (height, width):
        row = torch.ones(1)
        for _ in range(length - 1):
            row = torch.nn.functional.pad(row, (0, 1)) + torch.nn.functional.pad(row, (1, 0))
        sides.append(row / row.sum())
    return torch.outer(*sides)


NAMED = {
    "edges": NamedKernel(title="Edges", least=3, build=_in_the_middle([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])),
    "vertical": NamedKernel(title="Vertical edges (Sobel)", least=3, build=_in_the_middle([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])),
    "horizontal": NamedKernel(
        title="Horizontal edges (Sobel)", least=3, build=_in_the_middle([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    ),
    "sharpen": NamedKernel(title="Sharpen", least=3, build=_in_the_middle([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])),
    "emboss": NamedKernel(title="Emboss", least=3, build=_in_the_middle([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])),
    "blur": NamedKernel(title="Blur (mean)", least=1, build=_mean),
    "gauss": NamedKernel(title="Blur (Gaussian)", least=1, build=_bell),
    "identity": NamedKernel(title="Identity", least=1, build=_in_the_middle([[1]])),
}


class Weights(Section):
    """Where a row's weights come from. seed: also of what a dropout draws. bias: with a typed kernel or one that has a name.

    run, checkpoint, layer: of a trained network, the layer by its path.
    """

    kind: Literal["random", "named", "typed", "run"] = "random"
    seed: int = 0
    name: Literal["edges", "vertical", "horizontal", "sharpen", "emboss", "blur", "gauss", "identity"] = "edges"
    text: str = TUTORIAL
    bias: float = 0.0
    run: str = ""
    checkpoint: str = ""
    layer: str = ""


def trained_convolution(workspace: Workspace, weights: Weights) -> nn.Conv2d:
    """The convolution of a run that these weights are of: to be read, not changed. Raises InputError if it is gone."""
    found = dict(convolutions(find_checkpoint(find_run(workspace, weights.run), weights.checkpoint)))
    if weights.layer not in found:
        raise InputError(
            f"Its network has no convolution '{weights.layer[:100]}'.", code="layer", hint="Choose one of its layers."
        )
    return found[weights.layer]


def convolutions(checkpoint: Checkpoint) -> list[tuple[str, nn.Conv2d]]:
    """The convolutions of a checkpoint's network by path, in its order. Raises InputError if it is unusable."""
    model, _ = network_of(checkpoint)
    return [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d)]


def row_like(layer: nn.Conv2d) -> Conv2d:
    """The row with the settings of a layer."""
    assert isinstance(layer.padding, tuple)
    settings: dict[str, Any] = {
        "channels": layer.out_channels,
        "kernel": layer.kernel_size,
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "padding_mode": layer.padding_mode,
        "groups": layer.groups,
        "bias": layer.bias is not None,
    }
    return Conv2d(**settings)


def settled(row: Conv2d, weights: Weights, trained: nn.Conv2d | None) -> Conv2d:
    """The row with the settings that its weights decide: of a typed kernel its size, of a trained layer its filters too."""
    if weights.kind == "typed":
        return row.model_copy(update={"kernel": _size(matrix(weights.text, "The kernel"))})
    if trained is not None:
        like = row_like(trained)
        return row.model_copy(update={name: getattr(like, name) for name in ("channels", "kernel", "groups", "bias")})
    return row


def fill(layer: nn.Conv2d | nn.Linear, weights: Weights, trained: nn.Conv2d | None, where: str) -> None:
    """Gives an empty layer its weights. Raises InputError where they do not fit.

    Random ones are those that PyTorch draws after `torch.manual_seed(seed)`, but from a generator of their own.
    """
    with torch.no_grad():
        if trained is not None:
            _take(layer, trained, where)
        elif isinstance(layer, nn.Linear) or weights.kind == "random":
            _draw(layer, weights.seed)
        else:
            _repeat(layer, weights, where)


def _take(layer: nn.Module, trained: nn.Conv2d, where: str) -> None:
    assert isinstance(layer, nn.Conv2d)
    if layer.in_channels != trained.in_channels:
        raise InputError(
            f"{where}: found {counted(layer.in_channels, 'channel')}, expected {trained.in_channels}, which the trained filters look at.",
            code="model",
            hint="Choose another input, another layer of the run, or a row before it that has as many channels.",
        )
    layer.load_state_dict({name: value.detach().float() for name, value in trained.state_dict().items()})


def _draw(layer: nn.Conv2d | nn.Linear, seed: int) -> None:
    """As their reset_parameters: uniform within 1 / √(values that each output looks at)."""
    generator = torch.Generator().manual_seed(seed)
    bound = layer.weight[0].numel() ** -0.5
    for tensor in (layer.weight, layer.bias):
        if tensor is not None:
            tensor.uniform_(-bound, bound, generator=generator)


def _repeat(layer: nn.Conv2d, weights: Weights, where: str) -> None:
    """One kernel for every filter: the mean of its answers over the channels that it looks at."""
    if weights.kind == "typed":
        kernel = torch.from_numpy(matrix(weights.text, "The kernel"))
    else:
        named, (height, width) = NAMED[weights.name], layer.kernel_size
        if min(height, width) < named.least:
            raise InputError(
                f"{where}: found a kernel of {height} × {width}, expected at least {named.least} × {named.least} for "
                f"'{named.title}'.",
                code="model",
                hint="Make the kernel larger, or choose other weights.",
            )
        kernel = named.build(height, width)
    layer.weight.copy_((kernel / layer.weight.shape[1]).expand_as(layer.weight))
    if layer.bias is not None:
        layer.bias.fill_(weights.bias)


def kernel_text(weights: Weights, kernel: int | tuple[int, int]) -> str:
    """The kernel that weights stand for as a person would type it; the tutorials' where they are many."""
    height, width = pair(kernel)
    if weights.kind != "named" or min(height, width) < NAMED[weights.name].least:
        return weights.text
    return as_text(NAMED[weights.name].build(height, width).numpy())


def _size(kernel: Any) -> int | tuple[int, int]:
    height, width = kernel.shape
    return height if height == width else (height, width)
