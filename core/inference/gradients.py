"""How large the gradient of each layer is after one step backwards on one batch: where a fresh network learns, and where it can't."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from torchvision.transforms.v2.functional import resize, rgb_to_grayscale

from core.config import ModelConfig
from core.data.store.image_store import ImageStore
from core.data.transforms.preprocessing import normalise
from core.models.card import model_card
from core.models.catalogue import build_model
from core.runs.records import spread

State = Literal["ok", "dead", "small", "large", "not finite"]
MOST_IMAGES, FEWEST_IMAGES = 64, 4
AFFORDABLE = 2e9  # multiply-adds forwards: about a second with the way back
FAR = 100.0  # times the median of all layers: a layer that stands out


@dataclass(frozen=True, kw_only=True)
class LayerGradient:
    """Of a layer's parameters. gradient, weight: root mean squares. ratio: of the first to the second, NaN where the weights are zero."""

    path: str
    kind: str
    gradient: float
    weight: float
    ratio: float
    state: State


@dataclass(frozen=True, kw_only=True)
class GradientCheck:
    """loss: of the batch, in nats; uniform: what guessing all classes alike costs. num_images: in the batch."""

    layers: tuple[LayerGradient, ...]
    loss: float
    uniform: float
    num_images: int


def gradient_check(config: ModelConfig, store: ImageStore, seed: int, shape: tuple[int, int, int] | None = None) -> GradientCheck:
    """Of a network with fresh weights drawn from the seed, on training images of a set from all over it, with their cross-entropy.

    shape: (C, H, W) to which the images are brought first; as the set has them where None. Raises InputError where the network
    does not fit them.
    """
    num_classes = len(store.meta.class_names)
    shape = shape or store.meta.shape
    card = model_card(config, shape, num_classes)
    count = int(min(MOST_IMAGES, max(FEWEST_IMAGES, AFFORDABLE / max(1, card.num_multiply_adds))))
    first, end = store.meta.splits["train"]
    indices = first + np.array(spread(end - first, count))
    pixels = _brought_to(torch.from_numpy(np.asarray(store.images[indices])), shape)
    labels = torch.from_numpy(np.asarray(store.labels[indices])).long()
    scaled = pixels.float() / 255
    mean, std = scaled.mean(dim=(0, 2, 3)), scaled.std(dim=(0, 2, 3)).clamp(min=1e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config, shape, num_classes).train()
        loss = nn.functional.cross_entropy(model(normalise(pixels, mean, std)), labels)
    loss.backward()
    found = [
        (path, type(module).__name__, own)
        for path, module in model.named_modules()
        if (own := [p for p in module.parameters(recurse=False) if p.grad is not None])
    ]
    sizes = [(_rms([p.grad for p in own if p.grad is not None]), _rms([p.detach() for p in own])) for _, _, own in found]
    ratios = [gradient / weight if weight else math.nan for gradient, weight in sizes]
    known = sorted(ratio for ratio in ratios if ratio > 0 and math.isfinite(ratio))
    median = known[len(known) // 2] if known else math.nan
    return GradientCheck(
        layers=tuple(
            LayerGradient(path=path or "network", kind=kind, gradient=g, weight=w, ratio=ratio, state=_state(g, ratio, median))
            for (path, kind, _), (g, w), ratio in zip(found, sizes, ratios, strict=True)
        ),
        loss=float(loss.detach()),
        uniform=math.log(num_classes),
        num_images=len(indices),
    )


def _brought_to(pixels: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """(N, C, H, W) uint8 in other colours and at another size."""
    channels, height, width = shape
    if pixels.shape[1] == 3 and channels == 1:
        pixels = rgb_to_grayscale(pixels)
    if pixels.shape[2:] != (height, width):
        pixels = resize(pixels, [height, width], antialias=True)
    return pixels.expand(-1, channels, -1, -1)


def _rms(tensors: list[torch.Tensor]) -> float:
    values = torch.cat([tensor.flatten() for tensor in tensors])
    return float(values.square().mean().sqrt())


def _state(gradient: float, ratio: float, median: float) -> State:
    if not math.isfinite(gradient):
        return "not finite"
    if gradient == 0:
        return "dead"
    if ratio > FAR * median:
        return "large"
    return "small" if ratio < median / FAR else "ok"
