"""The four networks of the tutorials that docs/architecture.md names, and a multilayer perceptron to compare them with.

Each returns logits, and takes any number of channels and classes and any image size that its layers allow.
Shapes in the comments are those of the original; `width` multiplies channels and hidden units.
"""

from torch import Tensor, nn

from core.errors import InputError


def scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def after_convolution(side: int, kernel: int, padding: int = 0) -> int:
    return side - kernel + 2 * padding + 1


def need_side(title: str, shape: tuple[int, int, int], minimum: int) -> None:
    """Raises InputError if an image is smaller than the network can take."""
    _, height, width = shape
    if min(height, width) < minimum:
        raise InputError(
            f"{title} needs images of at least {minimum} × {minimum} pixels, these have {height} × {width}.",
            code="model",
            hint=f"Set preprocessing.size_px to {minimum} or more, or choose another model.",
            mended_by={"preprocessing.size_px": minimum},
        )


class MnistFirstCNN(nn.Module):
    """Source: nextjournal.com/gkoehler/pytorch-mnist. Ours leaves the log-softmax to the loss."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("mnist-first-cnn", shape, 16)
        channels, *sides = shape
        c1, c2, hidden = scaled(10, width), scaled(20, width), scaled(50, width)
        height, breadth = (after_convolution(after_convolution(side, 5) // 2, 5) // 2 for side in sides)
        self.features = nn.Sequential(
            nn.Conv2d(channels, c1, 5),  # (N, 10, 24, 24)
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(c1, c2, 5),  # (N, 20, 8, 8)
            nn.Dropout2d(0.5),
            nn.MaxPool2d(2),  # (N, 20, 4, 4)
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Flatten(),  # (N, 320)
            nn.Linear(c2 * height * breadth, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class Cifar10Quick(nn.Module):
    """Three blocks without an activation between them (docs/architecture.md 2); after Caffe's cifar10_quick."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("cifar10-quick", shape, 8)
        channels, height, breadth = shape
        c1, c2, c3, hidden = (scaled(c, width) for c in (32, 32, 64, 64))
        self.features = nn.Sequential(
            nn.Conv2d(channels, c1, 5, padding=2),  # (N, 32, 32, 32)
            nn.MaxPool2d(2),
            nn.Conv2d(c1, c2, 5, padding=2),  # (N, 32, 16, 16)
            nn.MaxPool2d(2),
            nn.Conv2d(c2, c3, 5, padding=2),  # (N, 64, 8, 8)
            nn.MaxPool2d(2),  # (N, 64, 4, 4)
        )
        self.head = nn.Sequential(
            nn.Flatten(),  # (N, 1024)
            nn.Linear(c3 * (height // 8) * (breadth // 8), hidden),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class MnistBatchnormCNN(nn.Module):
    """The batch norm network of docs/architecture.md 3. Ours returns logits: the tutorial's softmax before cross-entropy is left out."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("mnist-batchnorm-cnn", shape, 2)
        channels, height, breadth = shape
        c1, c2 = scaled(8, width), scaled(16, width)
        self.features = nn.Sequential(
            nn.Conv2d(channels, c1, 3, padding=1),  # (N, 8, 28, 28)
            nn.AvgPool2d(2),  # (N, 8, 14, 14)
            nn.BatchNorm2d(c1),
            nn.ReLU(),
            nn.Conv2d(c1, c2, 3, padding=1),  # (N, 16, 14, 14)
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(c2 * (height // 2) * (breadth // 2), num_classes))  # (N, 3136)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class Cifar10Blitz(nn.Module):
    """Source: pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html. After LeNet-5 (LeCun et al., 1998)."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("cifar10-blitz", shape, 16)
        channels, *sides = shape
        c1, c2, h1, h2 = (scaled(c, width) for c in (6, 16, 120, 84))
        height, breadth = (after_convolution(after_convolution(side, 5) // 2, 5) // 2 for side in sides)
        self.features = nn.Sequential(
            nn.Conv2d(channels, c1, 5),  # (N, 6, 28, 28)
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(c1, c2, 5),  # (N, 16, 10, 10)
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 16, 5, 5)
        )
        self.head = nn.Sequential(
            nn.Flatten(),  # (N, 400)
            nn.Linear(c2 * height * breadth, h1),
            nn.ReLU(),
            nn.Linear(h1, h2),
            nn.ReLU(),
            nn.Linear(h2, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class MultilayerPerceptron(nn.Module):
    """Two hidden layers of 256 units: knows nothing of neighbouring pixels, which shows what convolutions are for."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        channels, height, breadth = shape
        hidden = scaled(256, width)
        self.layers = nn.Sequential(
            nn.Flatten(),  # (N, C * H * W)
            nn.Linear(channels * height * breadth, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
