"""A look into a network: its layers in the order of their work, what each makes of an image, and the weights it does it with.

Numbers only; how they become images is in core/figures/inside.py, which classes they speak for in saliency.py.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from core.data.transforms.preprocessing import normalise
from core.errors import InputError
from core.layers import pair
from core.models.first_layer import first_weighted
from core.models.network_spec import NetworkSpec


@dataclass(frozen=True, kw_only=True)
class Layer:
    """path: the module's name within the network. use: 0 where it is used first in a pass; a shared ReLU is used several times.

    kind: what it is, in the field's words. shape: of its output for one image, (C, H, W), (D,), or (tokens, D) of a transformer.
    is_channels_last: whether the layer itself gives (H, W, C), as in ConvNeXt's blocks.
    """

    path: str
    use: int
    kind: str
    shape: tuple[int, ...]
    is_convolution: bool = False
    is_channels_last: bool = False

    @property
    def is_map(self) -> bool:
        """Whether its output has more than one place in the image."""
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


@lru_cache(maxsize=16)
def layers_of(spec: NetworkSpec) -> tuple[Layer, ...]:
    """Every layer and every block of the network, in the order in which an image passes them; costs no arithmetic."""
    with torch.device("meta"):
        model = spec.build().eval()
        images = torch.zeros(1, *spec.shape)
    found: list[Layer] = []
    uses: dict[str, int] = {}
    is_last = False

    def note(path: str, module: nn.Module, output: Tensor) -> None:
        nonlocal is_last
        use = uses[path] = uses.get(path, -1) + 1
        if isinstance(module, Permute):
            is_last = module.dims == CHANNELS_LAST
        shape = tuple(output.shape[1:])
        found.append(
            Layer(
                path=path,
                use=use,
                kind=kind_of(module),
                shape=(shape[2], *shape[:2]) if is_last else shape,
                is_convolution=isinstance(module, nn.Conv2d),
                is_channels_last=is_last,
            )
        )

    from torchvision.ops import Permute  # a third of a second, which other pages needn't wait for

    with torch.inference_mode():
        watched(model, {path: note for path, module in model.named_modules() if _is_layer(path, module)})(images)
    return tuple(found)


def _is_layer(path: str, module: nn.Module) -> bool:
    """Leaves and blocks; what only passes images from one layer to the next would show the last one's output again."""
    return bool(path) and type(module).forward not in (nn.Sequential.forward, nn.Identity.forward)


def as_input(seen: np.ndarray, spec: NetworkSpec) -> Tensor:
    """(N, C, H, W) uint8 as the network takes it, normalised as in training and prediction."""
    mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
    return normalise(torch.from_numpy(seen), mean, std)


def activations(model: nn.Module, image: Tensor, layer: Layer) -> np.ndarray:
    """A layer's output for one input (1, C, H, W): float32 of the layer's shape."""
    taken: list[np.ndarray] = []

    def take(path: str, module: nn.Module, output: Tensor) -> None:
        values = output[0].float().numpy()
        taken.append(
            (values.transpose(2, 0, 1) if layer.is_channels_last else values).copy()
        )  # a following layer may write into it

    with torch.inference_mode():
        watched(model, {layer.path: take})(image)
    return taken[layer.use]


CHANNELS_LAST = [0, 2, 3, 1]
Watcher = Callable[[str, nn.Module, Tensor], Tensor | None]


def watched(model: nn.Module, watchers: dict[str, Watcher]) -> nn.Module:
    """The network with watchers by path, called with path, module and output of each use; what one returns takes the output's place.

    A copy that shares the weights: the network itself is used by other visitors at the same moment.
    """
    shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    own = copy.deepcopy(model, shared)
    for path, watcher in watchers.items():

        def hook(
            module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, None], path: str = path, watcher: Watcher = watcher
        ) -> Tensor | None:
            return watcher(path, module, output[0] if isinstance(output, tuple) else output)  # attention gives its weights too

        own.get_submodule(path).register_forward_hook(hook)
    return own


@dataclass(frozen=True, kw_only=True)
class Filters:
    """values: (F, c, h, w) with c 1 or 3, a small image for each filter; or (1, 1, rows, columns), all weights as one table.

    shape: of the layer's weights. num_inputs: channels that each filter looks at. is_table: rows are filters, columns their inputs.
    """

    values: np.ndarray
    shape: tuple[int, ...]
    num_inputs: int
    is_table: bool = False
    is_colour: bool = False


def filters(model: nn.Module, spec: NetworkSpec, layer: Layer, channel: int | None = None) -> Filters | None:
    """A layer's weights as images; None for a layer without filters.

    Those that look at the image itself have its colours, or its one grey channel. Of deeper ones `channel` is seen, or for None
    the mean over the input channels. Filters of 1 × 1, and a dense layer that does not look at the image, are one table.
    Raises InputError for a channel that is not there.
    """
    module = model.get_submodule(layer.path)
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return None
    weight = module.weight.detach().float().numpy()
    sees_image = layer.path == first_weighted(model)
    if isinstance(module, nn.Linear):
        if sees_image and weight.shape[1] == math.prod(spec.shape):
            weight = weight.reshape(-1, *spec.shape)
        else:
            return Filters(values=weight[None, None], shape=weight.shape, num_inputs=weight.shape[1], is_table=True)
    inputs = weight.shape[1]
    is_colour = sees_image and inputs == 3
    if inputs == 1 or is_colour:
        return Filters(values=weight, shape=module.weight.shape, num_inputs=inputs, is_colour=is_colour)
    if weight.shape[2:] == (1, 1):
        return Filters(values=weight[:, :, 0, 0][None, None], shape=module.weight.shape, num_inputs=inputs, is_table=True)
    if channel is not None and not 0 <= channel < inputs:
        raise InputError(f"{layer.path} has {inputs} input channels, there is no channel {channel + 1}.", code="layer")
    values = weight.mean(axis=1, keepdims=True) if channel is None else weight[:, channel : channel + 1]
    return Filters(values=values, shape=module.weight.shape, num_inputs=inputs)


def kind_of(module: nn.Module) -> str:
    """A module in the field's words; what has none keeps its class's name."""
    match module:
        case nn.Conv2d():
            grouped = "depthwise convolution" if module.groups > 1 and module.groups == module.in_channels else "convolution"
            stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
            return f"{grouped} {module.kernel_size[0]} × {module.kernel_size[1]}{stride}"
        case nn.MaxPool2d() | nn.AvgPool2d():
            height, width = pair(module.kernel_size)
            return f"{'max' if isinstance(module, nn.MaxPool2d) else 'mean'} pooling {height} × {width}"
    return KINDS.get(type(module).__name__, type(module).__name__)


KINDS = {
    "Linear": "dense",
    "BatchNorm2d": "batch norm",
    "AdaptiveMaxPool2d": "global max pooling",
    "AdaptiveAvgPool2d": "global mean pooling",
    "Dropout": "dropout (only in training)",
    "Dropout2d": "dropout (only in training)",
    "Flatten": "flattened",
    "Softmax": "softmax",
    "Residual": "residual block",
    "BasicBlock": "residual block",
    "Bottleneck": "residual block",
    "InvertedResidual": "inverted residual block",
    "SqueezeExcitation": "squeeze and excitation",
    "MBConv": "inverted residual block",
    "CNBlock": "residual block",
    "_DenseLayer": "densely connected layer",
    "_DenseBlock": "densely connected block",
    "_Transition": "transition between blocks",
    "Fire": "fire module",
    "EncoderBlock": "transformer block",
    "Encoder": "transformer",
    "MultiheadAttention": "multi-head attention",
    "MLPBlock": "dense layers of a block",
    "LayerNorm": "layer norm",
    "LayerNorm2d": "layer norm",
    "Permute": "axes permuted",
    "StochasticDepth": "stochastic depth (only in training)",
    "Hardswish": "hard swish",
    "Hardsigmoid": "hard sigmoid",
    "SiLU": "SiLU",
}
