"""Which of torchvision's networks a file of weights is of, with which last layer and for how many classes, where its names and shapes tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from core.intake.contract import COUNTER
from core.intake.sandbox import describe

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """model: its name in the catalogue. channels: of its images. side_px: of those, where the weights tell it, else None.

    is_beside: whether an appended layer stands beside the network in the file, where torchvision's forward pass never comes to it;
    of a network whose last layer ends no Sequential, that can't be told.
    """

    model: str
    title: str
    head: Literal["replaced", "appended"]
    num_classes: int
    channels: int
    side_px: int | None = None
    is_beside: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What a configuration has to say for it, by path."""
        size = {"preprocessing.size_px": self.side_px} if self.side_px else {}
        return {"model.kind": "network", "model.name": self.model, "model.head": self.head, **size}

    def __str__(self) -> str:
        appended = " with a layer appended" if self.head == "appended" else ""
        return f"{self.title}{appended}, for {self.num_classes:,} classes and {'grey' if self.channels == 1 else 'colour'} images"

    @property
    def notes(self) -> list[str]:
        if not self.is_beside:
            return []
        return [
            "The appended layer stands beside the network in the file, where torchvision's forward pass never comes to it: it has "
            "probably not been trained. Here it stands behind the last layer."
        ]


def recognised_in(path: Path, kind: Literal["torch", "safetensors"]) -> Recognised | None:
    """None where it can't be told, or the file can't be read; why not is for whoever takes it over."""
    try:
        return recognise(describe(path, kind))
    except InputError:
        return None


def recognise(shapes: Shapes) -> Recognised | None:
    """Of a state_dict's names and shapes."""
    shapes = {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}
    return next((found for model in _published() if (found := _as(model, shapes))), None)


def _as(model: str, shapes: Shapes) -> Recognised | None:
    from core.models.torchvision_families import FAMILIES, IMAGENET_CLASSES, POSITIONS

    family, own = FAMILIES[model], _published()[model]
    added = {name: shape for name, shape in shapes.items() if name not in own}
    if len(shapes) - len(added) != len(own) or len(added) not in (0, 2):
        return None
    last = f"{family.head}.weight"
    weight = next((name for name in added if name.endswith(".weight")), "") if added else last
    num_classes = shapes[weight][0] if weight and shapes[weight] else 0
    if added:
        expected = {weight: (num_classes, IMAGENET_CLASSES), f"{weight.removesuffix('weight')}bias": (num_classes,)}
        if added != expected:
            return None
    for name, shape in own.items():
        found = shapes[name]
        is_own_head = not added and name.startswith(f"{family.head}.")
        if found == shape or (is_own_head and found[1:] == shape[1:] and found[:1] == (num_classes,)):
            continue
        if name == POSITIONS and found[::2] == shape[::2]:
            continue
        if len(shape) == 4 and shape[1] == 3 and found == (shape[0], 1, *shape[2:]):
            continue
        return None
    return Recognised(
        model=model,
        title=family.title,
        head="appended" if added else "replaced",
        num_classes=num_classes,
        channels=shapes[_first_convolution(own)][1],
        side_px=round((shapes[POSITIONS][1] - 1) ** 0.5) * family.patch_px if family.patch_px else None,
        is_beside=bool(added) and "." not in weight.removesuffix(".weight") and _place_of_appended(model) != "",
    )


@cache
def _place_of_appended(model: str) -> str:
    """The module that an appended layer lies in; empty for the network itself."""
    import torch

    from core.models.head import head_of
    from core.models.torchvision_families import FAMILIES, IMAGENET_PX, from_torchvision

    with torch.device("meta"):
        network = from_torchvision(FAMILIES[model], (3, IMAGENET_PX, IMAGENET_PX), 1, 1, "appended")
    return head_of(list(network.state_dict()))[0].rpartition(".")[0].rpartition(".")[0]


def _first_convolution(own: Shapes) -> str:
    return next(name for name, shape in own.items() if len(shape) == 4 and shape[1] == 3)


@cache
def _published() -> dict[str, dict[str, tuple[int, ...]]]:
    """Names and shapes of each network as torchvision publishes it, counters left out."""
    import torch

    from core.models.torchvision_families import FAMILIES, IMAGENET_CLASSES, IMAGENET_PX, from_torchvision

    with torch.device("meta"):
        networks = {
            name: from_torchvision(family, (3, IMAGENET_PX, IMAGENET_PX), IMAGENET_CLASSES, 1)
            for name, family in FAMILIES.items()
        }
    return {
        name: {entry: tuple(t.shape) for entry, t in network.state_dict().items() if not entry.endswith(COUNTER)}
        for name, network in networks.items()
    }
