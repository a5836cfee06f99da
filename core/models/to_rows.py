"""A network of the catalogue written as rows of layers, to begin one's own with."""

from typing import Any

from torch import nn

from core.config import CatalogueNetwork, LayerNetwork
from core.errors import InputError
from core.layers import LAYERS, Layer, Linear, Residual
from core.models import residual
from core.models.catalogue import MODELS, build_model

# what the rows of the tutorials' networks are made of; the others scale their outputs or have branches, which rows have not
REFERENCES = ("mnist-first-cnn", "mnist-batchnorm-cnn", "cifar10-quick", "cifar10-blitz", "mlp")


def as_rows(name: str, shape: tuple[int, int, int], num_classes: int) -> LayerNetwork:
    """The catalogue's network for images of shape (C, H, W), as rows. Raises InputError where it does not fit them, or has no rows."""
    if name not in REFERENCES:
        raise InputError(
            f"{name} can't be written as rows of layers.", code="model", hint=f"Begin with one of {', '.join(REFERENCES)}."
        )
    network = build_model(CatalogueNetwork(name=name), shape, num_classes)
    rows = [row for module in network.children() for row in _rows(module)]
    last = rows[-1]
    assert isinstance(last, Linear) and last.features == num_classes
    return LayerNetwork(name=MODELS[name].title, rows=(*rows[:-1], last.model_copy(update={"features": None})))


def _rows(module: nn.Module) -> list[Layer]:
    if isinstance(module, residual.Residual):
        inside = [row for child in module.children() for row in _rows(child)]
        return [Residual(over=len(inside)), *inside]
    if isinstance(module, nn.Sequential):
        return [row for child in module.children() for row in _rows(child)]
    kinds = {entry.title: entry.settings for entry in LAYERS.values()}
    return [kinds[type(module).__name__](**_settings(module))]


def _settings(module: nn.Module) -> dict[str, Any]:
    match module:
        case nn.Conv2d():
            return {
                "channels": module.out_channels,
                "kernel": module.kernel_size,
                "stride": module.stride,
                "padding": module.padding,
                "dilation": module.dilation,
                "groups": module.groups,
                "bias": module.bias is not None,
                "padding_mode": module.padding_mode,
            }
        case nn.MaxPool2d():
            return {
                "kernel": module.kernel_size,
                "stride": module.stride,
                "padding": module.padding,
                "dilation": module.dilation,
                "ceil_mode": module.ceil_mode,
            }
        case nn.AvgPool2d():
            return {
                "kernel": module.kernel_size,
                "stride": module.stride,
                "padding": module.padding,
                "ceil_mode": module.ceil_mode,
            }
        case nn.Linear():
            return {"features": module.out_features, "bias": module.bias is not None}
        case nn.Dropout() | nn.Dropout2d():
            return {"probability": module.p}
    return {}
