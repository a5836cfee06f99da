"""What a chain of layers begins with: typed numbers, an image, or ones of a given shape."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.config import Preprocessing
from core.data.transforms.preprocessing import image_to_array
from core.errors import InputError
from core.layer_lab.typed_numbers import matrices, number_rows

MOST_ONES = 4_000_000  # values of one image of them
MOST_PX = 224
COLOURS = ("red", "green", "blue")
CHANNELS = {"all": "All three", "red": "Red", "green": "Green", "blue": "Blue", "grey": "Grey: their mean"}
TUTORIAL = "1 2 0 3 1\n0 1 2 3 1\n1 2 1 0 0\n5 2 3 1 1\n2 1 0 1 1"  # a 5 × 5 that many tutorials begin with


@dataclass(frozen=True, kw_only=True)
class LabInput:
    """values: (1, C, H, W) or (1, D) float32. names: of its channels, where they have some.

    code: the same in Python, with torch imported. batch: so many alike are meant; the first is worked out.
    """

    values: Tensor
    code: str
    names: tuple[str, ...] = ()
    batch: int = 1

    @property
    def is_colour(self) -> bool:
        return self.names == COLOURS


def typed_input(text: str) -> LabInput:
    """A matrix, or several divided by empty lines, one a channel; one row alone is a row of values. Raises InputError."""
    array = matrices(text, "The matrix")
    values = torch.from_numpy(array)[None]
    if array.shape[:2] == (1, 1):
        values = values.reshape(1, -1)
    return LabInput(values=values, code=f"torch.tensor({_literal(values.tolist())})")


def image_input(image: np.ndarray, channels: str = "all") -> LabInput:
    """A (C, H, W) uint8 image with pixels from 0 to 1, or one of its channels (see CHANNELS). A grey one has but one."""
    values = torch.from_numpy(image.copy()).float() / 255
    if len(image) == 1:
        return LabInput(values=values[None], code="ToTensor()(image)[None]", names=("grey",))
    if channels == "all":
        return LabInput(values=values[None], code="ToTensor()(image)[None]", names=COLOURS)
    if channels == "grey":
        return LabInput(values=values.mean(0, keepdim=True)[None], code="ToTensor()(image).mean(0)[None, None]", names=("grey",))
    index = COLOURS.index(channels)
    code = f"ToTensor()(image)[{index}:{index + 1}][None]"
    return LabInput(values=values[index : index + 1][None], code=code, names=(channels,))


def as_lab_image(image: Image.Image) -> np.ndarray:
    """(C, H, W) uint8 of an image from outside, its longer side brought to 224 px where it is longer."""
    scale = min(1.0, MOST_PX / max(image.size))
    size = (max(1, round(image.height * scale)), max(1, round(image.width * scale)))
    return image_to_array(image, (1 if image.mode in ("1", "L") else 3, *size), Preprocessing(fit="stretch"))


def ones_input(text: str) -> LabInput:
    """Ones of a shape such as "64, 3, 32, 32": images × channels × height × width, or images × values. Raises InputError."""
    rows = number_rows(text, "The shape")
    shape = [int(value) for row in rows for value in row if value == int(value) and value >= 1]
    if len(shape) not in (2, 4) or len(shape) != sum(map(len, rows)):
        raise InputError(
            f"The shape: found '{text[:40]}', expected four whole numbers from 1, images × channels × height × width, "
            "or two, images × values.",
            code="numbers",
            hint="For example: 64, 3, 32, 32.",
        )
    if math.prod(shape[1:]) > MOST_ONES:
        raise InputError(
            f"The shape: an image of it has {math.prod(shape[1:]):,} values, expected at most {MOST_ONES:,}.", code="numbers"
        )
    return LabInput(values=torch.ones(1, *shape[1:]), code=f"torch.ones({tuple(shape)})", batch=shape[0])


def _literal(values: list) -> str:
    return str(values).replace(".0,", ".,").replace(".0]", ".]")
