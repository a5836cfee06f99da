"""Networks of torchvision's, fitted to any classes and to grey images; names of weights are torchvision's, so that its files fit.

One record each. Where their pretrained weights lie, and how a network begins with them, is in core/models/pretrained.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import InputError
from core.models.first_layer import first_weighted
from core.models.reference import need_side

Head = Literal["replaced", "appended"]
IMAGENET_CLASSES = 1000
IMAGENET_PX = 224
APPENDED = "add_linear"  # as the tutorials call it
POSITIONS = "encoder.pos_embedding"  # of a ViT: one vector for the class token, then one for each patch


@dataclass(frozen=True)
class PretrainedWeights:
    """A file as torchvision publishes it; its name ends in the first digits of its SHA-256. megabytes: to download."""

    file: str
    megabytes: int

    @property
    def url(self) -> str:
        return f"https://download.pytorch.org/models/{self.file}"

    @property
    def sha256_prefix(self) -> str:
        return self.file.rpartition("-")[2].removesuffix(".pth")


@dataclass(frozen=True, kw_only=True)
class TorchvisionNetwork:
    """builder: its function in torchvision.models. head: the path of its last layer. smallest_px: of an image's side.

    patch_px: of a network that cuts a square image into patches of this side, whose number its weights depend on; else 0.
    """

    name: str
    title: str
    summary: str
    builder: str
    smallest_px: int
    head: str
    pretrained: PretrainedWeights
    patch_px: int = 0


VGG_DEPTHS = {11: "Eleven", 13: "Thirteen", 16: "Sixteen", 19: "Nineteen"}
VGG_FILES = {
    "vgg11": PretrainedWeights("vgg11-8a719046.pth", 507),
    "vgg13": PretrainedWeights("vgg13-19584684.pth", 508),
    "vgg16": PretrainedWeights("vgg16-397923af.pth", 528),
    "vgg19": PretrainedWeights("vgg19-dcbb9e9d.pth", 548),
    "vgg11_bn": PretrainedWeights("vgg11_bn-6002323d.pth", 507),
    "vgg13_bn": PretrainedWeights("vgg13_bn-abd245e5.pth", 508),
    "vgg16_bn": PretrainedWeights("vgg16_bn-6c64b313.pth", 528),
    "vgg19_bn": PretrainedWeights("vgg19_bn-c79401a0.pth", 548),
}


def _vgg(depth: int, has_norm: bool) -> TorchvisionNetwork:
    builder = f"vgg{depth}{'_bn' if has_norm else ''}"
    return TorchvisionNetwork(
        name=builder.replace("_", "-"),
        title=f"VGG-{depth}{' with batch norm' if has_norm else ''}",
        summary=f"{VGG_DEPTHS[depth]} layers of plain 3 × 3 convolutions{' with batch norm' if has_norm else ''} and dense "
        "layers: large, slow without a GPU; there are pretrained weights.",
        builder=builder,
        smallest_px=32,  # halved five times
        head="classifier.6",
        pretrained=VGG_FILES[builder],
    )


FAMILIES = {
    record.name: record
    for record in (
        TorchvisionNetwork(
            name="resnet18",
            title="ResNet-18",
            summary="For photographs of 64 pixels and more; there are pretrained weights.",
            builder="resnet18",
            smallest_px=32,
            head="fc",
            pretrained=PretrainedWeights("resnet18-f37072fd.pth", 45),
        ),
        TorchvisionNetwork(
            name="resnet34",
            title="ResNet-34",
            summary="ResNet-18 with twice as many blocks; there are pretrained weights.",
            builder="resnet34",
            smallest_px=32,
            head="fc",
            pretrained=PretrainedWeights("resnet34-b627a593.pth", 83),
        ),
        TorchvisionNetwork(
            name="resnet50",
            title="ResNet-50",
            summary="The residual network that most papers compare with; there are pretrained weights.",
            builder="resnet50",
            smallest_px=32,
            head="fc",
            pretrained=PretrainedWeights("resnet50-11ad3fa6.pth", 98),
        ),
        TorchvisionNetwork(
            name="mobilenet-v3-small",
            title="MobileNet v3, small",
            summary="For photographs, quick on a CPU; there are pretrained weights.",
            builder="mobilenet_v3_small",
            smallest_px=32,
            head="classifier.3",
            pretrained=PretrainedWeights("mobilenet_v3_small-047dcff4.pth", 10),
        ),
        TorchvisionNetwork(
            name="mobilenet-v3-large",
            title="MobileNet v3, large",
            summary="More accurate than the small one and still light; there are pretrained weights.",
            builder="mobilenet_v3_large",
            smallest_px=32,
            head="classifier.3",
            pretrained=PretrainedWeights("mobilenet_v3_large-5c1a4163.pth", 21),
        ),
        TorchvisionNetwork(
            name="efficientnet-b0",
            title="EfficientNet-B0",
            summary="Depth, width and resolution in balance: accurate for its size; there are pretrained weights.",
            builder="efficientnet_b0",
            smallest_px=32,
            head="classifier.1",
            pretrained=PretrainedWeights("efficientnet_b0_rwightman-7f5810bc.pth", 20),
        ),
        TorchvisionNetwork(
            name="convnext-tiny",
            title="ConvNeXt, tiny",
            summary="A convolutional network with the manners of a transformer; there are pretrained weights.",
            builder="convnext_tiny",
            smallest_px=32,
            head="classifier.2",
            pretrained=PretrainedWeights("convnext_tiny-983f1562.pth", 109),
        ),
        TorchvisionNetwork(
            name="densenet121",
            title="DenseNet-121",
            summary="Each layer sees the outputs of all before it in its block; there are pretrained weights.",
            builder="densenet121",
            smallest_px=29,
            head="classifier",
            pretrained=PretrainedWeights("densenet121-a639ec97.pth", 31),
        ),
        TorchvisionNetwork(
            name="squeezenet1-0",
            title="SqueezeNet 1.0",
            summary="As accurate as AlexNet with a fiftieth of its weights; there are pretrained weights.",
            builder="squeezenet1_0",
            smallest_px=21,
            head="classifier.1",
            pretrained=PretrainedWeights("squeezenet1_0-b66bff10.pth", 5),
        ),
        TorchvisionNetwork(
            name="squeezenet1-1",
            title="SqueezeNet 1.1",
            summary="SqueezeNet with less than half of the arithmetic; there are pretrained weights.",
            builder="squeezenet1_1",
            smallest_px=17,
            head="classifier.1",
            pretrained=PretrainedWeights("squeezenet1_1-b8a52dc0.pth", 5),
        ),
        TorchvisionNetwork(
            name="vit-b-16",
            title="ViT-B/16",
            summary="A transformer over patches of 16 × 16 pixels: best begun with pretrained weights, which there are.",
            builder="vit_b_16",
            smallest_px=32,
            head="heads.head",
            pretrained=PretrainedWeights("vit_b_16-c867db91.pth", 330),
            patch_px=16,
        ),
        *(_vgg(depth, has_norm) for has_norm in (False, True) for depth in VGG_DEPTHS),
    )
}


def from_torchvision(
    family: TorchvisionNetwork, shape: tuple[int, int, int], num_classes: int, width: float, head: Head = "replaced"
) -> nn.Module:
    """The network for images of shape (C, H, W), grey or colour, with fresh weights.

    head: "replaced" has a last layer of num_classes outputs; "appended" keeps that of ImageNet's 1,000 classes, with a new one behind it.
    Raises InputError for images it does not fit, and another width.
    """
    _check(family, shape, width)
    from torchvision import models

    build: Callable[..., nn.Module] = getattr(models, family.builder)
    options = {"image_size": shape[1]} if family.patch_px else {}
    network = build(weights=None, num_classes=num_classes if head == "replaced" else IMAGENET_CLASSES, **options)
    if shape[0] == 1:
        _take_one_channel(network)
    if head == "appended":
        _append(network, family.head, nn.Linear(IMAGENET_CLASSES, num_classes))
    return network


def _check(family: TorchvisionNetwork, shape: tuple[int, int, int], width: float) -> None:
    channels, height, breadth = shape
    if channels not in (1, 3):
        raise InputError(
            f"{family.name} is made for grey or colour images, these have {channels} channels.",
            code="model",
            hint="Set preprocessing.colour to rgb or grey, or choose another model.",
            mended_by={"preprocessing.colour": "rgb"},
        )
    if width != 1:
        raise InputError(f"model.width: {family.name} comes in one width only, found {width:g}, expected 1.", code="model")
    need_side(family.name, shape, family.smallest_px)
    if family.patch_px and (height != breadth or height % family.patch_px):
        side = max(family.smallest_px, min(height, breadth) // family.patch_px * family.patch_px)
        raise InputError(
            f"{family.name} cuts a square image into patches of {family.patch_px} × {family.patch_px} pixels: found "
            f"{height} × {breadth}, expected a square whose side is a multiple of {family.patch_px}.",
            code="model",
            hint=f"Set preprocessing.size_px to {side}"
            + (f", or to {IMAGENET_PX}, at which its pretrained weights were learned." if side != IMAGENET_PX else "."),
            mended_by={"preprocessing.size_px": side},
        )


def _take_one_channel(network: nn.Module) -> None:
    """The first convolution sees a grey image as it saw three equal channels: its kernels are summed over the colours."""
    convolution = network.get_submodule(first_weighted(network))
    assert isinstance(convolution, nn.Conv2d)
    convolution.in_channels = 1
    convolution.weight = nn.Parameter(convolution.weight.detach().sum(dim=1, keepdim=True))


def _append(network: nn.Module, head: str, layer: nn.Linear) -> None:
    """The layer comes right behind the last one where that ends a Sequential, as tutorials add it, else behind the whole network."""
    parent, _, name = head.rpartition(".")
    container = network.get_submodule(parent)
    if isinstance(container, nn.Sequential) and next(reversed(container._modules)) == name:
        container.add_module(APPENDED, layer)
        return
    network.add_module(APPENDED, layer)
    network.__class__ = _with_layer_behind(type(network))


@cache
def _with_layer_behind(network: type[nn.Module]) -> type[nn.Module]:
    """The network with another forward pass, so that the names of its weights stay."""

    def forward(self: nn.Module, images: Tensor) -> Tensor:
        return self.get_submodule(APPENDED)(network.forward(self, images))

    return type(network.__name__, (network,), {"forward": forward, "__module__": network.__module__})


def fitted(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], head: Sequence[str]) -> dict[str, Tensor]:
    """A colour network's published weights for this one: the head's own, kernels summed for grey, positions interpolated.

    own: the fresh network's state_dict. head: names of its last layer's entries.
    """
    return {name: tensor if name in head else _fit(name, weights[name], tensor) for name, tensor in own.items()}


def _fit(name: str, weight: Tensor, own: Tensor) -> Tensor:
    if weight.shape == own.shape:
        return weight
    if name == POSITIONS:
        return _interpolated(weight, own.shape[1] - 1)
    return weight.sum(dim=1, keepdim=True)


def _interpolated(positions: Tensor, num_patches: int) -> Tensor:
    """(1, 1 + n, D) positional embeddings for another number of patches, as torchvision does it; the class token's stays."""
    token, patches = positions[:, :1], positions[:, 1:]
    before, after = (round(n**0.5) for n in (patches.shape[1], num_patches))
    square = patches.transpose(1, 2).unflatten(2, (before, before))  # (1, D, side, side)
    resized = F.interpolate(square, size=after, mode="bicubic", align_corners=True)
    return torch.cat([token, resized.flatten(2).transpose(1, 2)], dim=1)


def adapted_in_words(
    family: TorchvisionNetwork, network: nn.Module, shape: tuple[int, int, int], head: Head, is_pretrained: bool
) -> str:
    """What is otherwise than in torchvision's own network, as sentences. network: as it was built for images of this shape."""
    state = network.state_dict()
    outputs, inputs = state[next(reversed([name for name in state if name.endswith("weight")]))].shape[:2]
    sentences = [
        f"The last layer is replaced: {inputs:,} → {outputs:,}."
        if head == "replaced"
        else f"A layer is appended behind the last one: {inputs:,} → {outputs:,}."
    ]
    if shape[0] == 1:
        summed = ": its kernels are summed over the colours" if is_pretrained else ""
        sentences.append(f"The first convolution takes one grey channel{summed}.")
    if family.patch_px and is_pretrained and shape[1] != IMAGENET_PX:
        then, now = IMAGENET_PX // family.patch_px, shape[1] // family.patch_px
        sentences.append(f"Its positional embeddings are interpolated from {then} × {then} to {now} × {now} patches.")
    return " ".join(sentences)
