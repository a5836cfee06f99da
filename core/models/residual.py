"""Two residual networks of our own choosing: good on small images within minutes, even on a CPU.

After David Page's ResNet-9 (DAWNBench: stages of convolution, pooling and a residual, global max pooling, scaled logits)
and Keller Jordan's airbench94 (2×2 patch stem, pooling before the norm, Dirac initialisation).
"""

import math

import torch
from torch import Tensor, nn

from core.models.reference import need_side, scaled

LOGIT_SCALE = 0.125


class ResidualCNN(nn.Module):
    """For colour photographs. Shapes for 3×32×32.

    airbench whitens the first patches with statistics of the data. Ours starts its stem as a signed cosine transform over
    channels, rows and columns, which is close to the principal components of natural patches without looking at any.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("residual-cnn", shape, 9)
        basis = signed_cosine_basis(shape[0], size=2)
        stem = nn.Conv2d(shape[0], len(basis), 2, bias=False)
        stem.weight.data.copy_(basis)
        c1, c2, c3 = (scaled(c, width) for c in (64, 128, 256))
        self.features = nn.Sequential(
            stem,  # (N, 24, 31, 31)
            nn.BatchNorm2d(len(basis)),
            nn.SiLU(),
            *stage(len(basis), c1, nn.SiLU, depth=1),  # (N, 64, 15, 15)
            *stage(c1, c2, nn.SiLU, depth=1),  # (N, 128, 7, 7)
            *stage(c2, c3, nn.SiLU, depth=1),  # (N, 256, 3, 3)
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(c3, num_classes, bias=False)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d) and module is not stem:
                nn.init.dirac_(module.weight.data[: module.in_channels])

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)) * LOGIT_SCALE


class LightResidualCNN(nn.Module):
    """For small grey images: a strided stem makes it several times faster. Shapes for 1×28×28."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("residual-light", shape, 8)
        c0, c1, c2 = (scaled(c, width) for c in (32, 64, 128))
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], c0, 4, stride=2, padding=1, bias=False),  # (N, 32, 14, 14)
            nn.BatchNorm2d(c0),
            nn.ReLU(),
            *stage(c0, c1, nn.ReLU, depth=2),  # (N, 64, 7, 7)
            *stage(c1, c2, nn.ReLU, depth=2),  # (N, 128, 3, 3)
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(c2, num_classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)) * LOGIT_SCALE


class Residual(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        return images + super().forward(images)


def stage(c_in: int, c_out: int, activation: type[nn.Module], depth: int) -> list[nn.Module]:
    """Half the size, c_out channels, then `depth` convolutions bridged by a shortcut."""
    bridged = [layer for _ in range(depth) for layer in convolution(c_out, c_out, activation)]
    return [*convolution(c_in, c_out, activation, nn.MaxPool2d(2)), Residual(*bridged)]


def convolution(c_in: int, c_out: int, activation: type[nn.Module], *pooling: nn.Module) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), *pooling, nn.BatchNorm2d(c_out), activation()]


def signed_cosine_basis(channels: int, size: int) -> Tensor:
    """(2 C s², C, s, s): the orthonormal cosine transform of a patch of s × s pixels, each vector and its negative."""

    def cosines(n: int) -> Tensor:
        k = torch.arange(n)
        return torch.cos(math.pi / n * k[:, None] * (k + 0.5))

    basis = torch.einsum("ac,by,dx->abdcyx", cosines(channels), cosines(size), cosines(size)).flatten(0, 2)
    basis = basis / basis.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return torch.cat([basis, -basis])
