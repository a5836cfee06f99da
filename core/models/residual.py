"""A residual network of our own choosing that is good on small pictures, within minutes even on a CPU."""

from torch import Tensor, nn

from core.models.reference import need_side, scaled


def convolution(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


class ResidualCNN(nn.Module):
    """Placeholder-free first version: ResNet-9 shape."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: float) -> None:
        super().__init__()
        need_side("residual-cnn", shape, 8)
        c1, c2, c3 = (scaled(c, width) for c in (64, 128, 256))
        self.stem = nn.Sequential(nn.Conv2d(shape[0], c1, 2, stride=2), nn.BatchNorm2d(c1), nn.ReLU())
        self.first = nn.Sequential(convolution(c1, c2), nn.MaxPool2d(2))
        self.residual = nn.Sequential(convolution(c2, c2), convolution(c2, c2))
        self.second = nn.Sequential(convolution(c2, c3), nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.head = nn.Linear(c3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        images = self.first(self.stem(images))
        return self.head(self.second(images + self.residual(images)))
