"""Where in an image the evidence for a class lies: Grad-CAM and occlusion, as maps of the image's size.

Grad-CAM: Selvaraju and others, 2017 (arxiv.org/abs/1610.02391). Occlusion: Zeiler and Fergus, 2014 (arxiv.org/abs/1311.2901).
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.data.store.image_store import Progress, no_progress
from core.errors import InputError
from core.inference.layers import Layer, watched

MAX_BATCH_FLOATS = 4_000_000  # of images with something covered, in one pass: 16 MB
QUICK_PIXELS = 250_000  # of all images with something covered: less than a second on one core


ACTIVATIONS = ("ReLU", "SiLU", "hard swish")


def explaining_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Those that Grad-CAM can speak of: convolutions, activations and blocks whose output still has places."""
    if not any(layer.is_convolution and layer.is_map for layer in layers):
        return []
    return [layer for layer in layers if layer.is_map and (layer.is_convolution or _is_activated(layer))]


def default_layer(layers: Sequence[Layer]) -> Layer:
    """The last activation or block whose output still has places; the last such convolution in a network without activations.

    Maps before their activation are mostly below 0, so that little of them is left of what speaks for a class.
    Raises InputError for a network without a convolution.
    """
    candidates = explaining_layers(layers)
    if not candidates:
        raise InputError("This network has no convolution whose output has positions; Grad-CAM needs one.", code="layer")
    return next(filter(_is_activated, reversed(candidates)), candidates[-1])


def _is_activated(layer: Layer) -> bool:
    return layer.kind in ACTIVATIONS or layer.kind.endswith("residual block")


def grad_cam(model: nn.Module, image: Tensor, layer: Layer, target: int) -> np.ndarray:
    """(h, w) float32 at the layer's own size, 0 or more: its maps weighed by how much each raises the logit of the class, summed.

    image: (1, C, H, W) as the network takes it. What speaks against the class counts as nothing.
    """
    maps: list[Tensor] = []

    def keep(path: str, module: nn.Module, output: Tensor) -> Tensor:
        maps.append(output if output.requires_grad else output.detach().requires_grad_())
        return maps[-1].clone()  # a following layer may write into it

    with torch.inference_mode(False), torch.enable_grad():
        logits = watched(model, {layer.path: keep})(image.clone())
        taken = maps[layer.use]
        (gradient,) = torch.autograd.grad(logits[0, target], taken)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * taken.detach()).sum(dim=1).relu()[0].numpy()


def at_image_size(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A (h, w) map brought to (H, W), linear between its places."""
    return F.interpolate(torch.from_numpy(small)[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()


def patch_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """(patch, stride) in pixels to choose from, for small parts of an image, for middling and for large ones.

    The middle one covers a fifth of the shorter side and moves by about a sixteenth.
    """
    side = min(height, width)
    stride = max(1, round(side / 16))
    patches = dict.fromkeys(max(stride, round(side / parts)) for parts in (10, 5, 3))
    return tuple((patch, stride) for patch in patches)


def num_windows(height: int, width: int, patch: int, stride: int) -> int:
    return len(_starts(height, patch, stride)) * len(_starts(width, patch, stride))


def is_quick(height: int, width: int, patch: int, stride: int) -> bool:
    """Whether occlusion of an image takes less than about a second."""
    return num_windows(height, width, patch, stride) * height * width <= QUICK_PIXELS


def occlusion(
    model: nn.Module,
    image: Tensor,
    target: int,
    patch: int,
    stride: int,
    temperature: float = 1.0,
    progress: Progress = no_progress,
) -> np.ndarray:
    """(H, W) float32, -1..1: by how much the probability of the class falls when a place is covered; below 0, it rises.

    image: (1, C, H, W) as the network takes it. Covered is a square of `patch` pixels, by the mean of the training images, which
    is 0 here. A place takes the mean over the squares that cover it; the last ones in a row or column may be cut off by the edge.
    temperature: by which logits are divided, as in the prediction that is explained.
    """
    _, channels, height, width = image.shape
    windows = [(y, x) for y in _starts(height, patch, stride) for x in _starts(width, patch, stride)]
    fall, times = np.zeros((height, width)), np.zeros((height, width))
    batch = max(1, min(64, MAX_BATCH_FLOATS // (channels * height * width)))
    with torch.inference_mode():
        whole = float((model(image).float() / temperature).softmax(dim=1)[0, target])
        for first in range(0, len(windows), batch):
            progress("Covering parts of the image", first, len(windows))
            part = windows[first : first + batch]
            covered = image.repeat(len(part), 1, 1, 1)
            for number, (y, x) in enumerate(part):
                covered[number, :, y : y + patch, x : x + patch] = 0
            left = (model(covered).float() / temperature).softmax(dim=1)[:, target].tolist()
            for (y, x), probability in zip(part, left, strict=True):
                fall[y : y + patch, x : x + patch] += whole - probability
                times[y : y + patch, x : x + patch] += 1
    progress("Covering parts of the image", len(windows), len(windows))
    return (fall / times).astype(np.float32)


def _starts(side: int, patch: int, stride: int) -> range:
    """First pixels of the squares that together cover a side."""
    return range(0, max(0, side - patch + stride - 1) // stride * stride + 1, stride)
