"""What the first layer looks for: the only weights that can be seen as pictures."""

import numpy as np
from torch import nn

MOST = 32  # filters kept of each epoch


def first_filters(model: nn.Module, shape: tuple[int, int, int]) -> np.ndarray | None:
    """(F, C, h, w) float16, at most 32: kernels of the first convolution, or the weights of the first dense layer in the pictures' shape.

    shape: (C, H, W) of the pictures. None where the first layer with weights is neither.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == shape[0]:
            return _narrow(module)
        if isinstance(module, nn.Linear) and module.in_features == np.prod(shape):
            return _narrow(module).reshape(-1, *shape)
        if list(module.parameters(recurse=False)):
            return None
    return None


def _narrow(module: nn.Conv2d | nn.Linear) -> np.ndarray:
    return module.weight.detach()[:MOST].float().cpu().contiguous().half().numpy()
