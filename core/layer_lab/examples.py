"""What the lab can begin with: the small examples of the tutorials, each an input and the rows that work on it."""

from dataclasses import dataclass
from typing import Any

from core.layer_lab import inputs
from core.layer_lab.chain import LabRow
from core.layer_lab.weights import Weights
from core.layers import AvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sigmoid, Softmax

SIGNED = "1 -0.5\n-1 3"


@dataclass(frozen=True, kw_only=True)
class Example:
    """given: what differs from an input's usual settings (see pages/networks/lab_input.py)."""

    title: str
    given: dict[str, Any]
    rows: tuple[LabRow, ...]


def _typed(text: str) -> dict[str, Any]:
    return {"source": "typed", "text": text}


EXAMPLES = {
    "convolution": Example(
        title="A kernel moves over 5 × 5",
        given=_typed(inputs.TUTORIAL),
        rows=(LabRow(Conv2d(channels=1, bias=False), Weights(kind="typed")),),
    ),
    "stride": Example(
        title="The same with stride 2 and padding 1",
        given=_typed(inputs.TUTORIAL),
        rows=(LabRow(Conv2d(channels=1, bias=False, stride=2, padding=1), Weights(kind="typed")),),
    ),
    "pooling": Example(
        title="Max pooling in ceil mode",
        given=_typed(inputs.TUTORIAL),
        rows=(LabRow(MaxPool2d(kernel=3, stride=3, ceil_mode=True)),),
    ),
    "activation": Example(
        title="ReLU, then sigmoid",
        given=_typed(SIGNED),
        rows=(LabRow(ReLU()), LabRow(Sigmoid())),
    ),
    "softmax": Example(
        title="Softmax of three scores",
        given=_typed("1 2 3"),
        rows=(LabRow(Softmax()),),
    ),
    "block": Example(
        title="A block: convolution, batch norm, ReLU, pooling",
        given=_typed(inputs.TUTORIAL),
        rows=(LabRow(Conv2d(channels=4, padding=1)), LabRow(BatchNorm2d()), LabRow(ReLU()), LabRow(AvgPool2d())),
    ),
    "network": Example(
        title="A network for CIFAR-10 on 64 images of ones",
        given={"source": "ones", "shape": "64, 3, 32, 32"},
        rows=(
            LabRow(Conv2d(channels=32, kernel=5, padding=2)),
            LabRow(MaxPool2d()),
            LabRow(Conv2d(channels=32, kernel=5, padding=2)),
            LabRow(MaxPool2d()),
            LabRow(Conv2d(channels=64, kernel=5, padding=2)),
            LabRow(MaxPool2d()),
            LabRow(Flatten()),
            LabRow(Linear(features=64)),
            LabRow(Linear(features=10)),
        ),
    ),
}
