"""The networks there are. A new one is a record here and a class beside it; forms, lists and tests follow from the record."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from core.config import CatalogueNetwork, ModelConfig
from core.errors import InputError
from core.models.from_rows import Misfit, fitting_side, from_rows
from core.models.reference import Cifar10Blitz, Cifar10Quick, MnistBatchnormCNN, MnistFirstCNN, MultilayerPerceptron
from core.models.residual import LightResidualCNN, ResidualCNN
from core.models.torchvision_families import FAMILIES, TorchvisionNetwork, adapted_in_words, from_torchvision


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """build(shape, num_classes, width) returns the network, or raises InputError where the images are too small.

    family: torchvision's record of it, of those that are torchvision's.
    """

    name: str
    title: str
    summary: str
    build: Callable[[tuple[int, int, int], int, float], nn.Module]
    family: TorchvisionNetwork | None = None


MODELS = {
    record.name: record
    for record in (
        ModelEntry(
            name="mnist-first-cnn",
            title="First CNN",
            summary="Two convolutions with dropout: the classic first network for MNIST.",
            build=MnistFirstCNN,
        ),
        ModelEntry(
            name="mnist-batchnorm-cnn",
            title="Batch norm CNN",
            summary="Two small convolutions with batch norm and average pooling.",
            build=MnistBatchnormCNN,
        ),
        ModelEntry(
            name="cifar10-quick",
            title="Quick CNN",
            summary="Three convolutions and nothing between them: for small colour photographs.",
            build=Cifar10Quick,
        ),
        ModelEntry(
            name="cifar10-blitz",
            title="Blitz CNN",
            summary="LeNet for colour: the network of PyTorch's own tutorial.",
            build=Cifar10Blitz,
        ),
        ModelEntry(
            name="residual-light",
            title="Light residual CNN",
            summary="Shortcuts and batch norm, for small grey images.",
            build=LightResidualCNN,
        ),
        ModelEntry(
            name="residual-cnn",
            title="Residual CNN",
            summary="Shortcuts and batch norm, for colour photographs.",
            build=ResidualCNN,
        ),
        ModelEntry(
            name="mlp",
            title="Perceptron",
            summary="Two hidden layers, no convolution: to see what convolutions are for.",
            build=MultilayerPerceptron,
        ),
        *(
            ModelEntry(
                name=family.name,
                title=family.title,
                summary=family.summary,
                build=partial(from_torchvision, family),
                family=family,
            )
            for family in FAMILIES.values()
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
        record = model_record(config.name)
        if config.head == "replaced":
            return record.build(shape, num_classes, config.width)
        if record.family is None:
            raise InputError(
                f"model.head: found appended, expected replaced: {config.name} has no layer for other classes to keep.",
                code="model",
                hint=f"Set model.head to replaced, or choose a network of torchvision's: {', '.join(FAMILIES)}.",
            )
        return from_torchvision(record.family, shape, num_classes, config.width, config.head)
    return from_rows(config.rows, shape, num_classes)


def model_title(config: ModelConfig) -> str:
    """What people call the network."""
    return MODELS[config.name].title if isinstance(config, CatalogueNetwork) and config.name in MODELS else config.name


def model_summary(config: ModelConfig) -> str:
    """A sentence about it."""
    if isinstance(config, CatalogueNetwork):
        return model_record(config.name).summary
    return f"Put together of {len(config.rows)} {'row' if len(config.rows) == 1 else 'rows'} of layers."


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """adapted: how a network of torchvision's is fitted to these images and classes, as sentences; empty for others."""

    num_parameters: int
    num_bytes: int
    has_batch_norm: bool
    adapted: str = ""


def describe_model(config: ModelConfig, shape: tuple[int, int, int], num_classes: int) -> ModelDescription:
    """Size and kind of a network, without memory for its weights. Raises InputError if it does not fit the images."""
    try:
        with torch.device("meta"):
            model = build_model(config, shape, num_classes)
    except Misfit as misfit:
        assert not isinstance(config, CatalogueNetwork), "made of rows"
        if side := fitting_side(config.rows, shape[0], num_classes):
            misfit.mended_by = {"preprocessing.size_px": side}
        raise
    tensors = [*model.parameters(), *model.buffers()]
    return ModelDescription(
        num_parameters=sum(p.numel() for p in model.parameters()),
        num_bytes=sum(t.numel() * t.element_size() for t in tensors),
        has_batch_norm=any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()),
        adapted=_adapted(config, model, shape),
    )


def _adapted(config: ModelConfig, model: nn.Module, shape: tuple[int, int, int]) -> str:
    if not isinstance(config, CatalogueNetwork) or (family := model_record(config.name).family) is None:
        return ""
    return adapted_in_words(family, model, shape, config.head, config.is_pretrained)
