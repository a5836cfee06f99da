"""The layers of which a network can be put together row by row, each one record: its settings, how it is built, its words.

A new one is its settings, how it is built, and a record below. How many values or channels arrive at a row is never written
down: it follows from the rows before it. torch is imported only once something is built: commands and forms read the records
without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from annotated_types import Ge, Le
from pydantic import AfterValidator, Field, model_validator

from core.sections import Section, setting

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]  # of one image on its way through the network: (C, H, W), or (features,)


def _one_if_alike(size: "int | tuple[int, int]") -> "int | tuple[int, int]":
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


def pair(size: "int | tuple[int, int]") -> tuple[int, int]:
    """A size as height and width."""
    return size if isinstance(size, tuple) else (size, size)


# a number for both sides, or height and width
_From1 = Annotated[int, Ge(1), Le(64)]
_From0 = Annotated[int, Ge(0), Le(64)]
_To16 = Annotated[int, Ge(1), Le(16)]
_To1024 = Annotated[int, Ge(1), Le(1024)]
Size = Annotated[_From1 | tuple[_From1, _From1], AfterValidator(_one_if_alike)]
Padding = Annotated[_From0 | tuple[_From0, _From0], AfterValidator(_one_if_alike)]
Dilation = Annotated[_To16 | tuple[_To16, _To16], AfterValidator(_one_if_alike)]
Side = Annotated[_To1024 | tuple[_To1024, _To1024], AfterValidator(_one_if_alike)]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
ALWAYS_SAID = (
    "channels",
    "kernel",
    "stride",
    "side",
    "slope",
    "probability",
    "features",
    "over",
)  # others where they are not the usual


class LayerBase(Section):
    """A row: what PyTorch can't work out by itself."""

    if TYPE_CHECKING:
        layer: str = ""

    def __str__(self) -> str:
        """As a person would write it: Conv2d(channels 32, kernel 3 × 5, stride 1)."""
        given = [
            f"{name.replace('_', ' ')} {_in_words(getattr(self, name))}"
            for name, field in type(self).model_fields.items()
            if name != "layer"
            and getattr(self, name) is not None
            and (name in ALWAYS_SAID or getattr(self, name) != field.default)
        ]
        return f"{LAYERS[self.layer].title}({', '.join(given)})"


def _in_words(value: Any) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case int() | float():
            return f"{value:g}"
        case (height, width):
            return f"{height} × {width}"
        case _:
            return str(value)


class Conv2d(LayerBase):
    layer: Literal["conv2d"] = "conv2d"
    channels: int = setting(16, "Channels", "Filters, and so the channels of its output.", ge=1, le=4096)
    kernel: Size = setting(3, "Kernel", "Height and width of the window that a filter looks at.", unit="px")
    stride: Size = setting(1, "Stride", "How far the window moves from one output pixel to the next.", unit="px")
    padding: Padding = setting(0, "Padding", "Rows and columns added on each side.", unit="px")
    dilation: Dilation = setting(1, "Dilation", "Distance of the pixels that a filter looks at.", unit="px")
    padding_mode: PaddingMode = setting(
        "zeros",
        "Padding mode",
        "What the added rows and columns hold. Zeros; reflect: the image mirrored at its edge; replicate: its edge again; "
        "circular: its other side.",
    )
    groups: int = setting(
        1,
        "Groups",
        "Input and output channels are divided into so many groups, and each filter sees its own group alone. As many as input "
        "channels: a depthwise convolution.",
        ge=1,
        le=4096,
    )
    bias: bool = setting(True, "Bias", "A number that each filter adds to its sums.")


class Pool(LayerBase):
    kernel: Size = setting(2, "Kernel", "Height and width of the window that it looks at.", unit="px")
    stride: Size = setting(2, "Stride", "How far the window moves from one output pixel to the next.", unit="px")
    padding: Padding = setting(0, "Padding", "Rows and columns added on each side; at most half of the kernel.", unit="px")

    @model_validator(mode="after")
    def _padding_is_at_most_half(self) -> "Pool":
        if any(padding > kernel // 2 for padding, kernel in zip(pair(self.padding), pair(self.kernel), strict=True)):
            raise ValueError(
                f"padding {_in_words(self.padding)} is more than half of kernel {_in_words(self.kernel)}, which pooling does not take"
            )
        return self


_ceil_mode = setting(
    False, "Ceil mode", "The size of the output is rounded up: windows that reach over the edge of the image count too."
)


class MaxPool2d(Pool):
    layer: Literal["max-pool2d"] = "max-pool2d"
    dilation: Dilation = setting(1, "Dilation", "Distance of the pixels that a window looks at.", unit="px")
    ceil_mode: bool = _ceil_mode


class AvgPool2d(Pool):
    layer: Literal["avg-pool2d"] = "avg-pool2d"
    ceil_mode: bool = _ceil_mode
    count_include_pad: bool = setting(True, "Count padding", "The zeros of the padding count in the mean.")


class AdaptiveAvgPool2d(LayerBase):
    layer: Literal["adaptive-avg-pool2d"] = "adaptive-avg-pool2d"
    side: Side = setting(1, "Side", "Height and width of its output, whatever arrives.", unit="px")


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


class Softmax(LayerBase):
    layer: Literal["softmax"] = "softmax"


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
    bias: bool = setting(True, "Bias", "A number that is added to each output.")


class Residual(LayerBase):
    layer: Literal["residual"] = "residual"
    over: int = setting(
        2, "Over rows", "So many of the rows after it: what arrives here is added to what they make of it.", ge=1, le=100
    )


def _conv2d(row: Conv2d, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.Conv2d(
        arriving[0],
        row.channels,
        row.kernel,
        row.stride,
        row.padding,
        row.dilation,
        row.groups,
        row.bias,
        row.padding_mode,
    )


def sides_of(row: LayerBase, arriving: Shape) -> tuple[int, int]:
    """Height and width of what leaves a row with a window, by the formula of PyTorch; below 1 where the window does not fit."""
    height, width = (
        _side(size, kernel, stride, padding, dilation, bool(getattr(row, "ceil_mode", False)))
        for size, kernel, stride, padding, dilation in zip(
            arriving[1:], *(pair(getattr(row, name, 1)) for name in ("kernel", "stride", "padding", "dilation")), strict=True
        )
    )
    return height, width


def _side(size: int, kernel: int, stride: int, padding: int, dilation: int, is_rounded_up: bool) -> int:
    reached = size + 2 * padding - dilation * (kernel - 1) - 1
    if not is_rounded_up:
        return reached // stride + 1
    side = -(-reached // stride) + 1
    return side - 1 if (side - 1) * stride >= size + padding else side  # no window begins beyond the image


def _same(row: LayerBase, arriving: Shape, num_classes: int) -> Shape:
    return arriving


def _pooled(row: Pool, arriving: Shape, num_classes: int) -> Shape:
    return (arriving[0], *sides_of(row, arriving))


def _plain(kind: str, **arguments: str) -> Callable[[Any, Shape, int], "nn.Module"]:
    """A layer of torch.nn: its arguments, and which settings of the row they are."""

    def build(row: LayerBase, arriving: Shape, num_classes: int) -> "nn.Module":
        from torch import nn

        return getattr(nn, kind)(**{argument: getattr(row, name) for argument, name in arguments.items()})

    return build


def _batch_norm(row: BatchNorm2d, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.BatchNorm2d(arriving[0])


def _linear(row: Linear, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.Linear(arriving[0], row.features or num_classes, row.bias)


def _softmax(row: Softmax, arriving: Shape, num_classes: int) -> "nn.Module":
    from torch import nn

    return nn.Softmax(dim=1)


def _residual(row: Residual, arriving: Shape, num_classes: int) -> "nn.Module":
    raise AssertionError("made of the rows after it, by core/models/from_rows.py")


WINDOW = {"kernel_size": "kernel", "stride": "stride", "padding": "padding"}


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """title: torch's own name; summary: a sentence; build(row, arriving, num_classes) returns the layer.

    leaving(row, arriving, num_classes): the shape of its output for one image. takes: the dimensions of what it can take: 3
    for images (C, H, W), 1 for a row of values.
    """

    title: str
    summary: str
    settings: type[LayerBase]
    build: Callable[[Any, Shape, int], "nn.Module"]
    leaving: Callable[[Any, Shape, int], Shape] = _same
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
            leaving=lambda row, arriving, num_classes: (row.channels, *sides_of(row, arriving)),
            takes=IMAGES,
        ),
        LayerEntry(
            title="MaxPool2d",
            summary="The largest value of each window.",
            settings=MaxPool2d,
            build=_plain("MaxPool2d", **WINDOW, dilation="dilation", ceil_mode="ceil_mode"),
            leaving=_pooled,
            takes=IMAGES,
        ),
        LayerEntry(
            title="AvgPool2d",
            summary="The mean of each window.",
            settings=AvgPool2d,
            build=_plain("AvgPool2d", **WINDOW, ceil_mode="ceil_mode", count_include_pad="count_include_pad"),
            leaving=_pooled,
            takes=IMAGES,
        ),
        LayerEntry(
            title="AdaptiveAvgPool2d",
            summary="Means over as many windows as the output is to have.",
            settings=AdaptiveAvgPool2d,
            build=_plain("AdaptiveAvgPool2d", output_size="side"),
            leaving=lambda row, arriving, num_classes: (arriving[0], *pair(row.side)),
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
            build=_plain("LeakyReLU", negative_slope="slope"),
        ),
        LayerEntry(title="SiLU", summary="A smooth ReLU: x times its sigmoid.", settings=SiLU, build=_plain("SiLU")),
        LayerEntry(title="Sigmoid", summary="Squeezes values between 0 and 1.", settings=Sigmoid, build=_plain("Sigmoid")),
        LayerEntry(title="Tanh", summary="Squeezes values between -1 and 1.", settings=Tanh, build=_plain("Tanh")),
        LayerEntry(
            title="Softmax",
            summary="Makes values, or the channels at each pixel, shares that sum to 1. Cross-entropy does so itself: none is needed at the end.",
            settings=Softmax,
            build=_softmax,
        ),
        LayerEntry(
            title="Dropout",
            summary="Sets values to zero at random while it trains, so that none is relied on.",
            settings=Dropout,
            build=_plain("Dropout", p="probability"),
        ),
        LayerEntry(
            title="Dropout2d",
            summary="Sets whole channels to zero at random while it trains.",
            settings=Dropout2d,
            build=_plain("Dropout2d", p="probability"),
            takes=IMAGES,
        ),
        LayerEntry(
            title="Flatten",
            summary="Channels, rows and columns in one row of values, as a linear layer takes them.",
            settings=Flatten,
            build=_plain("Flatten"),
            leaving=lambda row, arriving, num_classes: (prod(arriving),),
            takes=IMAGES,
        ),
        LayerEntry(
            title="Linear",
            summary="Each output is a weighted sum of all values.",
            settings=Linear,
            build=_linear,
            leaving=lambda row, arriving, num_classes: (row.features or num_classes,),
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
