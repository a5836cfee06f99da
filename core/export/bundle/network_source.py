"""A network as a file of plain PyTorch, without any of ours: `build()` returns the module whose state_dict the weights are."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator

import torch
from torch import nn

from core.config import CatalogueNetwork
from core.data.transforms.preprocessing import normalise
from core.export.bundle.carried import carried
from core.models.card import model_card
from core.models.catalogue import MODELS
from core.models.head import head_of
from core.models.network_spec import NetworkSpec
from core.models.pytorch_code import line_of
from core.models.torchvision_families import APPENDED, IMAGENET_CLASSES, TorchvisionNetwork, first_weighted

INDENT = "    "


def network_source(spec: NetworkSpec) -> str:
    """model.py of a bundle."""
    family = _family_of(spec)
    shape = " × ".join(map(str, spec.shape))
    head = f'"""The network, for images of {shape}, as plain PyTorch."""\n\nimport torch\nfrom torch import Tensor, nn'
    head += "\nfrom torchvision import models" if family else ""
    return "\n".join([head, "", "", *network_lines(spec), ""])


def network_lines(spec: NetworkSpec) -> list[str]:
    """build() and normalise(), for a file that has imported torch, Tensor, nn and, for a network of torchvision's, models."""
    with torch.device("meta"):
        network = spec.build()
    family = _family_of(spec)
    body = _from_torchvision(spec, family, network) if family else _written_out(spec, network)
    return [*body, "", "", carried(normalise, is_whole_file=False)]


def _family_of(spec: NetworkSpec) -> TorchvisionNetwork | None:
    return MODELS[spec.model.name].family if isinstance(spec.model, CatalogueNetwork) else None


def _from_torchvision(spec: NetworkSpec, family: TorchvisionNetwork, network: nn.Module) -> list[str]:
    assert isinstance(spec.model, CatalogueNetwork)
    is_appended = spec.model.head == "appended"
    classes = IMAGENET_CLASSES if is_appended else len(spec.class_names)
    size = f", image_size={spec.shape[1]}" if family.patch_px else ""
    lines = [f"network = models.{family.builder}(weights=None, num_classes={classes}{size})"]
    if spec.shape[0] == 1:
        first = first_weighted(network)
        lines.append(f"network{_place(first)} = {line_of(network.get_submodule(first))}  # one grey channel")
    if is_appended:
        parent = head_of(list(network.state_dict()))[0].rpartition(".")[0].rpartition(".")[0]
        layer = line_of(network.get_submodule(f"{parent}.{APPENDED}" if parent else APPENDED))
        lines.append(f'network{_place(parent)}.add_module("{APPENDED}", {layer})')
        if not parent:
            lines.append(f"network.register_forward_hook(lambda module, images, logits: module.{APPENDED}(logits))")
    return ["def build() -> nn.Module:", *(INDENT + line for line in [*lines, "return network"])]


def _place(path: str) -> str:
    """features.0.1 as .features[0][1]."""
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in path.split(".") if part)


def _written_out(spec: NetworkSpec, network: nn.Module) -> list[str]:
    """Layer by layer, with the shape that leaves each."""
    card = model_card(spec.model, spec.shape, len(spec.class_names))
    shapes = {operation.path: operation.shape for operation in card.operations if operation.is_layer}
    lines = []
    for used in _classes_of_ours(network):
        lines += [*textwrap.dedent(inspect.getsource(used)).rstrip().splitlines(), "", ""]
    if type(network) is nn.Sequential:
        return [
            *lines,
            "def build() -> nn.Module:",
            f"{INDENT}return nn.Sequential(",
            *_layers(network, "", shapes, 2),
            f"{INDENT})",
        ]
    forward = textwrap.dedent(inspect.getsource(type(network).forward)).rstrip()
    for name, value in _constants(forward, type(network)):
        lines += [f"{name} = {value!r}", "", ""]
    lines += ["class Network(nn.Module):", f"{INDENT}def __init__(self) -> None:", f"{INDENT * 2}super().__init__()"]
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential):
            lines += [f"{INDENT * 2}self.{name} = nn.Sequential(", *_layers(child, name, shapes, 3), f"{INDENT * 2})"]
        else:
            lines.append(f"{INDENT * 2}self.{name} = {line_of(child)}")
    lines += ["", *textwrap.indent(forward, INDENT).splitlines(), "", ""]
    return [*lines, "def build() -> nn.Module:", f"{INDENT}return Network()"]


def _layers(container: nn.Module, path: str, shapes: dict[str, tuple[int, ...]], depth: int) -> Iterator[str]:
    for name, layer in container.named_children():
        inner = f"{path}.{name}".removeprefix(".")
        if list(layer.children()):
            yield f"{INDENT * depth}{type(layer).__name__}("
            yield from _layers(layer, inner, shapes, depth + 1)
            yield f"{INDENT * depth}),"
        else:
            made = f"  # {' × '.join(map(str, shapes[inner]))}" if inner in shapes else ""
            yield f"{INDENT * depth}{line_of(layer)},{made}"


def _classes_of_ours(network: nn.Module) -> list[type[nn.Module]]:
    """Of the layers within it."""
    inside = [
        type(module) for module in network.modules() if module is not network and type(module).__module__.startswith("core.")
    ]
    return list(dict.fromkeys(inside))


def _constants(source: str, owner: type) -> Iterator[tuple[str, float]]:
    """Numbers that the source names, defined in the owner's module."""
    known = vars(sys.modules[owner.__module__])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(known.get(node.id), int | float):
            yield node.id, known[node.id]
