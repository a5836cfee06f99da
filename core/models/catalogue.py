"""The networks there are. A new one is a record here and a class beside it; forms, lists and tests follow from the record."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from core.config import CatalogueNetwork, ModelConfig
from core.errors import InputError
from core.models.from_rows import from_rows
from core.models.reference import Cifar10Blitz, Cifar10Quick, MnistBatchnormCNN, MnistFirstCNN, MultilayerPerceptron
from core.models.residual import LightResidualCNN, ResidualCNN
from core.models.torchvision_families import from_torchvision


@dataclass(frozen=True)
class ModelEntry:
    """build(shape, num_classes, width) returns the network, or raises InputError where the pictures are too small."""

    name: str
    title: str
    summary: str
    build: Callable[[tuple[int, int, int], int, float], nn.Module]


MODELS = {
    record.name: record
    for record in (
        ModelEntry(
            "mnist-first-cnn", "First CNN", "Two convolutions with dropout: the classic first network for MNIST.", MnistFirstCNN
        ),
        ModelEntry(
            "mnist-batchnorm-cnn",
            "Batch norm CNN",
            "Two small convolutions with batch norm and average pooling.",
            MnistBatchnormCNN,
        ),
        ModelEntry(
            "cifar10-quick",
            "Quick CNN",
            "Three convolutions and nothing between them: for small colour photographs.",
            Cifar10Quick,
        ),
        ModelEntry("cifar10-blitz", "Blitz CNN", "LeNet for colour: the network of PyTorch's own tutorial.", Cifar10Blitz),
        ModelEntry(
            "residual-light", "Light residual CNN", "Shortcuts and batch norm, for small grey pictures.", LightResidualCNN
        ),
        ModelEntry("residual-cnn", "Residual CNN", "Shortcuts and batch norm, for colour photographs.", ResidualCNN),
        ModelEntry(
            "resnet18",
            "ResNet-18",
            "For photographs of 64 pixels and more; there are pretrained weights.",
            partial(from_torchvision, "resnet18", 32),
        ),
        ModelEntry(
            "mobilenet-v3-small",
            "MobileNet v3, small",
            "For photographs, quick on a CPU; there are pretrained weights.",
            partial(from_torchvision, "mobilenet_v3_small", 32),
        ),
        ModelEntry(
            "mlp", "Perceptron", "Two hidden layers, no convolution: to see what convolutions are for.", MultilayerPerceptron
        ),
    )
}


def model_record(name: str) -> ModelEntry:
    if name not in MODELS:
        raise InputError(f"model.name: found '{name}', expected one of {', '.join(MODELS)}.", code="model")
    return MODELS[name]


def build_model(config: ModelConfig, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """The network for images of shape (C, H, W), its first weights drawn from torch's global generator."""
    if isinstance(config, CatalogueNetwork):
        return model_record(config.name).build(shape, num_classes, config.width)
    return from_rows(config.rows, shape, num_classes)


def model_title(config: ModelConfig) -> str:
    """What people call the network."""
    return MODELS[config.name].title if isinstance(config, CatalogueNetwork) and config.name in MODELS else config.name


def model_summary(config: ModelConfig) -> str:
    """A sentence about it."""
    if isinstance(config, CatalogueNetwork):
        return model_record(config.name).summary
    return f"Put together of {len(config.rows)} {'row' if len(config.rows) == 1 else 'rows'} of layers."


@dataclass(frozen=True)
class ModelDescription:
    num_parameters: int
    num_bytes: int
    has_batch_norm: bool


def describe_model(config: ModelConfig, shape: tuple[int, int, int], num_classes: int) -> ModelDescription:
    """Size and kind of a network, without memory for its weights. Raises InputError if it does not fit the pictures."""
    with torch.device("meta"):
        model = build_model(config, shape, num_classes)
    tensors = [*model.parameters(), *model.buffers()]
    return ModelDescription(
        sum(p.numel() for p in model.parameters()),
        sum(t.numel() * t.element_size() for t in tensors),
        any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()),
    )
