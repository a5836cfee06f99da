"""The layers of which a network can be put together row by row, each one record: its settings, how it is built, its words.

A new one is its settings, how it is built, and a record below. How many values or channels arrive at a row is never written
down: it follows from the rows before it. torch is imported only once something is built: commands and forms read the records
without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field, model_validator

from core.sections import Section, setting

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]  # of one image on its way through the network: (C, H, W), or (features,)


class LayerBase(Section):
    """A row: what PyTorch can't work out by itself."""

    if TYPE_CHECKING:
        layer: str = ""

    def __str__(self) -> str:
        """As a person would write it: Conv2d(32, kernel 3)."""
        given = []
        for name, field in type(self).model_fields.items():
            value, words = getattr(self, name), name.replace("_", " ")
            if isinstance(value, bool):
                given += [] if value == field.default else [words if value else f"no {words}"]
            elif name != "layer" and value is not None:
                given.append(f"{words} {value:g}")
        return f"{LAYERS[self.layer].title}({', '.join(given)})"


class _Window(LayerBase):
    kernel: int = setting(3, "Kernel", "Side of the square that it looks at.", unit="px", ge=1, le=64)
    stride: int = setting(1, "Stride", "How far the square moves from one output pixel to the next.", unit="px", ge=1, le=64)
    padding: int = setting(0, "Padding", "Rows and columns of zeros added on each side.", unit="px", ge=0, le=64)


class Conv2d(_Window):
    layer: Literal["conv2d"] = "conv2d"
    channels: int = setting(16, "Channels", "Filters, and so the channels of its output.", ge=1, le=4096)
    dilation: int = setting(1, "Dilation", "Distance of the pixels that a filter looks at.", unit="px", ge=1, le=16)
    groups: int = setting(1, "Groups", "Parts of the channels that are filtered apart from one another.", ge=1, le=4096)
    bias: bool = setting(True, "Bias", "A number that each filter adds; needless before a batch norm.")


class _Pool(_Window):
    kernel: int = setting(2, "Kernel", "Side of the square that it looks at.", unit="px", ge=1, le=64)
    stride: int = setting(2, "Stride", "How far the square moves from one output pixel to the next.", unit="px", ge=1, le=64)

    @model_validator(mode="after")
    def _padding_is_at_most_half(self) -> "_Pool":
        if self.padding > self.kernel // 2:
            raise ValueError(f"padding {self.padding} is more than half of kernel {self.kernel}, which pooling does not take")
        return self


class MaxPool2d(_Pool):
    layer: Literal["max-pool2d"] = "max-pool2d"
    ceil_mode: bool = setting(False, "Ceil mode", "A square that reaches beyond the edge counts too, instead of being left out.")


class AvgPool2d(_Pool):
    layer: Literal["avg-pool2d"] = "avg-pool2d"


class AdaptiveAvgPool2d(LayerBase):
    layer: Literal["adaptive-avg-pool2d"] = "adaptive-avg-pool2d"
    side: int = setting(1, "Side", "Height and width of its output, whatever arrives.", unit="px", ge=1, le=1024)


class BatchNorm2d(LayerBase):
    layer: Literal["batch-norm2d"] = "batch-norm2d"


class ReLU(LayerBase):
    layer: Literal["relu"] = "relu"


class LeakyReLU(LayerBase):
    layer: Literal["leaky-relu"] = "leaky-relu"
    slope: float = setting(0.01, "Slope", "Of its line below zero.", ge=0, le=1)


class SiLU(LayerBase):
    layer: Literal["silu"] = "silu"


class Sigmoid(LayerBase):
    layer: Literal["sigmoid"] = "sigmoid"


class Tanh(LayerBase):
    layer: Literal["tanh"] = "tanh"


class Dropout(LayerBase):
    layer: Literal["dropout"] = "dropout"
    probability: float = setting(0.5, "Probability", "With which each value is set to zero while it trains.", ge=0, lt=1)


class Dropout2d(LayerBase):
    layer: Literal["dropout2d"] = "dropout2d"
    probability: float = setting(0.5, "Probability", "With which each channel is set to zero while it trains.", ge=0, lt=1)


class Flatten(LayerBase):
    layer: Literal["flatten"] = "flatten"


class Linear(LayerBase):
    layer: Literal["linear"] = "linear"
    features: int | None = setting(None, "Features", "Values of its output. Empty: one for each class.", ge=1, le=65_536)
    bias: bool = setting(True, "Bias", "A number that each output adds.")


class Residual(LayerBase):
    layer: Literal["residual"] = "residual"
    over: int = setting(
        2, "Over rows", "So many of the rows after it: what arrives here is added to what they make of it.", ge=1, le=100
    )


def _conv2d(row: Conv2d, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.Conv2d(arriving[0], row.channels, row.kernel, row.stride, row.padding, row.dilation, row.groups, row.bias)


def _pool(kind: str) -> Callable[[Any, Shape, int], "nn.Module"]:
    def build(row: _Pool, arriving: Shape, num_classes: int) -> "nn.Module":
        from torch import nn

        return getattr(nn, kind)(row.kernel, row.stride, row.padding, ceil_mode=getattr(row, "ceil_mode", False))

    return build


def _plain(kind: str, *names: str) -> Callable[[Any, Shape, int], "nn.Module"]:
    """A layer of torch.nn whose arguments are these settings of the row."""

    def build(row: LayerBase, arriving: Shape, num_classes: int) -> "nn.Module":
        from torch import nn

        return getattr(nn, kind)(*(getattr(row, name) for name in names))

    return build


def _batch_norm(row: BatchNorm2d, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.BatchNorm2d(arriving[0])


def _linear(row: Linear, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.Linear(arriving[0], row.features or num_classes, row.bias)


def _residual(row: Residual, arriving: Shape, num_classes: int) -> "nn.Module":
    raise AssertionError("made of the rows after it, by core/models/from_rows.py")


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """title: torch's own name; summary: a sentence; build(row, arriving, num_classes) returns the layer.

    takes: the dimensions of what it can take: 3 for images (C, H, W), 1 for a row of values.
    """

    title: str
    summary: str
    settings: type[LayerBase]
    build: Callable[[Any, Shape, int], "nn.Module"]
    takes: tuple[int, ...] = (1, 3)

    @property
    def name(self) -> str:
        return self.settings.model_fields["layer"].default


IMAGES, VALUES = (3,), (1,)

LAYERS = {
    record.name: record
    for record in (
        LayerEntry(
            title="Conv2d",
            summary="Filters that look for the same small pattern all over the image.",
            settings=Conv2d,
            build=_conv2d,
            takes=IMAGES,
        ),
        LayerEntry(
            title="MaxPool2d",
            summary="The largest value of each square.",
            settings=MaxPool2d,
            build=_pool("MaxPool2d"),
            takes=IMAGES,
        ),
        LayerEntry(
            title="AvgPool2d",
            summary="The mean of each square.",
            settings=AvgPool2d,
            build=_pool("AvgPool2d"),
            takes=IMAGES,
        ),
        LayerEntry(
            title="AdaptiveAvgPool2d",
            summary="Means over as many squares as the output is to have.",
            settings=AdaptiveAvgPool2d,
            build=_plain("AdaptiveAvgPool2d", "side"),
            takes=IMAGES,
        ),
        LayerEntry(
            title="BatchNorm2d",
            summary="Each channel brought to mean 0 and deviation 1 over the batch, then scaled as it learns.",
            settings=BatchNorm2d,
            build=_batch_norm,
            takes=IMAGES,
        ),
        LayerEntry(title="ReLU", summary="Negative values become zero.", settings=ReLU, build=_plain("ReLU")),
        LayerEntry(
            title="LeakyReLU",
            summary="Negative values are made small.",
            settings=LeakyReLU,
            build=_plain("LeakyReLU", "slope"),
        ),
        LayerEntry(title="SiLU", summary="A smooth ReLU: x times its sigmoid.", settings=SiLU, build=_plain("SiLU")),
        LayerEntry(title="Sigmoid", summary="Squeezes values between 0 and 1.", settings=Sigmoid, build=_plain("Sigmoid")),
        LayerEntry(title="Tanh", summary="Squeezes values between -1 and 1.", settings=Tanh, build=_plain("Tanh")),
        LayerEntry(
            title="Dropout",
            summary="Sets values to zero at random while it trains, so that none is relied on.",
            settings=Dropout,
            build=_plain("Dropout", "probability"),
        ),
        LayerEntry(
            title="Dropout2d",
            summary="Sets whole channels to zero at random while it trains.",
            settings=Dropout2d,
            build=_plain("Dropout2d", "probability"),
            takes=IMAGES,
        ),
        LayerEntry(
            title="Flatten",
            summary="Channels, rows and columns in one row of values, as a linear layer takes them.",
            settings=Flatten,
            build=_plain("Flatten"),
            takes=IMAGES,
        ),
        LayerEntry(
            title="Linear",
            summary="Each output is a weighted sum of all values.",
            settings=Linear,
            build=_linear,
            takes=VALUES,
        ),
        LayerEntry(
            title="Residual",
            summary="A shortcut past the next rows: what arrives is added to what they make of it.",
            settings=Residual,
            build=_residual,
        ),
    )
}

if TYPE_CHECKING:
    Layer = LayerBase
else:
    Layer = Annotated[Union[tuple(record.settings for record in LAYERS.values())], Field(discriminator="layer")]
