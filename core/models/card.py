"""What a network is made of: every operation in the order of its work, with shapes, sizes and costs, and what flows between them.

Nothing is computed: the network is followed with tensors that have shapes and no values (torch.fx, device meta).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.utils.flop_counter import FlopCounterMode

from core.config import ModelConfig
from core.models.catalogue import build_model, model_title
from core.models.head import freeze_backbone

BYTES = 4  # of a float32
# their outputs share the memory of what they take
VIEWS = {
    *("flatten", "view", "reshape", "getitem", "permute", "transpose", "expand", "unsqueeze", "squeeze"),
    *("Flatten", "Identity", "Dropout", "Dropout2d", "Permute"),
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step: a layer, a function between layers, or parameters that are used as they are.

    path: of the layer, or of the module that calls the function; kind: its class or the function's name; settings: as PyTorch prints
    them. takes: places of the operations whose outputs it takes. shape: of its output for one image, without the batch.
    num_parameters: at its first use, as num_trainable. num_multiply_adds: of convolutions and matrix products, for one image, as fvcore
    counts them. num_bytes: of its output in float32, 0 where it is a view of what it takes.
    receptive_px: height and width of the square of the image that one value of a map can see, counted through convolutions and pooling;
    None where the output is no map, or is made of the whole image.
    """

    path: str
    kind: str
    settings: str = ""
    takes: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    num_parameters: int = 0
    num_trainable: int = 0
    num_multiply_adds: int = 0
    num_bytes: int = 0
    receptive_px: tuple[int, int] | None = None
    is_layer: bool = False

    @property
    def name(self) -> str:
        """The last part of a layer's path; what a function is called."""
        return self.path.rpartition(".")[2] if self.is_layer else self.kind


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """shape: (C, H, W) of an image. operations: the image first. blocks: the class of each module that holds others, by path.

    num_bytes: of parameters and buffers, as a file of weights holds them. activation_bytes: outputs of all operations, for one image.
    """

    title: str
    shape: tuple[int, int, int]
    num_classes: int
    operations: tuple[Operation, ...]
    blocks: dict[str, str]
    tree: str
    num_parameters: int
    num_trainable: int
    num_bytes: int

    @property
    def num_multiply_adds(self) -> int:
        return sum(operation.num_multiply_adds for operation in self.operations)

    @property
    def activation_bytes(self) -> int:
        return sum(operation.num_bytes for operation in self.operations)

    @property
    def receptive_px(self) -> tuple[int, int] | None:
        """Of the last convolution's maps."""
        found = [o.receptive_px for o in self.operations if o.kind == "Conv2d" and o.receptive_px]
        return max(found) if found else None


def model_card(config: ModelConfig, shape: tuple[int, int, int], num_classes: int) -> ModelCard:
    """Of the network for images of shape (C, H, W). Raises InputError where it does not fit them."""
    return _card(config, shape, num_classes)  # pyright: ignore[reportArgumentType] a frozen section can be hashed


@lru_cache(maxsize=64)
def _card(config: ModelConfig, shape: tuple[int, int, int], num_classes: int) -> ModelCard:
    with torch.device("meta"):
        model = build_model(config, shape, num_classes).eval()
        if config.is_frozen:
            freeze_backbone(model)
        images = torch.empty(1, *shape)
    follower = _Follower(fx.symbolic_trace(model))
    with torch.no_grad(), follower.flops:
        follower.propagate(images)
    tensors = [*model.parameters(), *model.buffers()]
    return ModelCard(
        title=model_title(config),
        shape=shape,
        num_classes=num_classes,
        operations=tuple(follower.operations),
        blocks={path: type(module).__name__ for path, module in model.named_modules() if path and any(module.children())},
        tree=str(model),
        num_parameters=sum(p.numel() for p in model.parameters()),
        num_trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        num_bytes=sum(t.numel() * t.element_size() for t in tensors),
    )


@dataclass(frozen=True)
class _Reach:
    """Of a value in a map: the square of the image that it sees, and how far apart neighbours' squares are; height and width."""

    size: tuple[int, int] = (1, 1)
    step: tuple[int, int] = (1, 1)

    def through(self, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> "_Reach":
        sizes = [size + (k - 1) * d * step for size, k, d, step in zip(self.size, kernel, dilation, self.step, strict=True)]
        steps = [step * s for step, s in zip(self.step, stride, strict=True)]
        return _Reach((sizes[0], sizes[1]), (steps[0], steps[1]))


class _Follower(ShapeProp):
    """Follows one image through the network and notes what happens to it."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.flops = FlopCounterMode(display=False)
        self.operations: list[Operation] = []
        self.places: dict[fx.Node, int] = {}  # of the operation that makes a node's value
        self.reaches: list[_Reach | None] = []
        self.counted: set[int] = set()  # parameters, by identity: a layer that is used twice has them once

    def run_node(self, n: fx.Node) -> Any:
        before = self.flops.get_total_flops()
        result = super().run_node(n)
        value = result[0] if isinstance(result, tuple) and result else result
        if n.op == "output" or not isinstance(value, torch.Tensor):
            return result
        takes = tuple(dict.fromkeys(self.places[source] for source in n.all_input_nodes if source in self.places))
        if "getitem" in n.name and takes and isinstance(self.fetch_args_kwargs_from_env(n)[0][0], tuple):
            self.places[n] = takes[0]  # one of several outputs of what it takes
            return result
        self.places[n] = len(self.operations)
        self.operations.append(self._operation(n, value, takes, (self.flops.get_total_flops() - before) // 2))
        return result

    def _operation(self, node: fx.Node, value: torch.Tensor, takes: tuple[int, ...], multiply_adds: int) -> Operation:
        target = self.module.get_submodule(str(node.target)) if node.op == "call_module" else None
        parameters = self._parameters(node, target)
        kind = type(target).__name__ if target else _function_name(node)
        reach = self._reach(node, target, value, takes)
        self.reaches.append(reach)
        is_view = kind in VIEWS or bool(getattr(target, "inplace", False))
        return Operation(
            path=str(node.target) if target else _caller(node),
            kind=kind,
            settings=target.extra_repr() if target else "",
            takes=takes,
            shape=tuple(value.shape[1:]),
            num_parameters=sum(p.numel() for p in parameters),
            num_trainable=sum(p.numel() for p in parameters if p.requires_grad),
            num_multiply_adds=multiply_adds,
            num_bytes=0 if is_view or node.op in ("placeholder", "get_attr") else value[0].numel() * BYTES,
            receptive_px=reach.size if reach and takes else None,
            is_layer=target is not None,
        )

    def _parameters(self, node: fx.Node, target: nn.Module | None) -> list[nn.Parameter]:
        found = list(target.parameters()) if target else []
        if node.op == "get_attr":
            owner, _, name = str(node.target).rpartition(".")
            attribute = getattr(self.module.get_submodule(owner), name)
            found = [attribute] if isinstance(attribute, nn.Parameter) else []
        new = [parameter for parameter in found if id(parameter) not in self.counted]
        self.counted.update(map(id, new))
        return new

    def _reach(self, node: fx.Node, target: nn.Module | None, value: torch.Tensor, takes: tuple[int, ...]) -> _Reach | None:
        if node.op == "placeholder":
            return _Reach()
        known = [reach for place in takes if (reach := self.reaches[place])]  # a gate made of the whole image counts for nothing
        if not known or value.dim() != 4 or value.shape[2] * value.shape[3] == 1:
            return None
        reach = _Reach(
            (max(r.size[0] for r in known), max(r.size[1] for r in known)),
            (max(r.step[0] for r in known), max(r.step[1] for r in known)),
        )
        if isinstance(target, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            settings = (target.kernel_size, target.stride, getattr(target, "dilation", 1))
        elif node.op == "call_function" and _function_name(node) in ("max_pool2d", "avg_pool2d"):
            args, kwargs = self.fetch_args_kwargs_from_env(node)
            kernel = args[1] if len(args) > 1 else kwargs["kernel_size"]
            stride = (args[2] if len(args) > 2 else kwargs.get("stride")) or kernel
            settings = (kernel, stride, kwargs.get("dilation", 1))
        elif isinstance(target, nn.AdaptiveAvgPool2d) or _function_name(node).startswith("adaptive"):
            return None
        else:
            return reach
        return reach.through(*((s, s) if isinstance(s, int) else s for s in settings))


def _function_name(node: fx.Node) -> str:
    """What a function or method between layers is called; empty for a layer."""
    if node.op == "call_module":
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    return {"placeholder": "image", "get_attr": "parameter"}.get(node.op, name.strip("_").rpartition(".")[2])


def _caller(node: fx.Node) -> str:
    """The path of the innermost module that calls a function."""
    if node.op == "get_attr":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    return str(next(reversed(stack.values()))[0]) if stack else ""
