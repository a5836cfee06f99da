"""First-layer filters: the only weights that can be seen as images."""

import math

import numpy as np
import torch.nn.functional as F
from torch import nn

MOST = 32  # filters kept of each epoch
MOST_PX = 64  # of a filter's side; of a dense layer on larger images the means of squares are kept


def first_filters(model: nn.Module, shape: tuple[int, int, int]) -> np.ndarray | None:
    """(F, C, h, w) float16, at most 32 of at most 64 px: kernels of the first convolution, or a first dense layer's weights in the
    images' shape.

    shape: (C, H, W) of the images. None where the first layer with weights does not look at them.
    """
    weight = model.get_parameter(f"{first_weighted(model)}.weight").detach()[:MOST].float().cpu()
    if weight[0].numel() == math.prod(shape):
        weight = weight.reshape(-1, *shape)
    if weight.dim() != 4 or weight.shape[1] != shape[0]:
        return None
    part = math.ceil(max(weight.shape[2:]) / MOST_PX)
    return F.avg_pool2d(weight, part).half().numpy() if part > 1 else weight.half().numpy()


def first_weighted(model: nn.Module) -> str:
    """The path of the first layer with weights of its own, which looks at the image itself."""
    return next(path for path, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear))
