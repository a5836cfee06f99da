"""What a set of weights needs to become a network again and to be used rightly; kept as JSON beside every weights file."""

from torch import nn

from core.config import ModelConfig, Preprocessing
from core.models.catalogue import build_model
from core.sections import Section


class NetworkSpec(Section):
    """Architecture, input shape (C, H, W), what the outputs stand for, and how an image becomes an input."""

    model: ModelConfig
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing

    def build(self) -> nn.Module:
        return build_model(self.model, self.shape, len(self.class_names))
