"""The loss that training makes smaller, and the same of evaluated images; which there are is in core/losses.py."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from core.config import LossConfig
from core.losses import LOSSES

LossFunction = Callable[[Tensor, Tensor], Tensor]


def loss_function(config: LossConfig, class_weights: Tensor | None = None) -> LossFunction:
    """(outputs (N, K), labels (N,)) → the mean loss, each image weighed by its class. class_weights: (K,)."""
    if config.name == "cross-entropy":
        return nn.CrossEntropyLoss(class_weights, label_smoothing=config.label_smoothing)
    of_each = LOSSES[config.name].of_each

    def mean_loss(outputs: Tensor, labels: Tensor) -> Tensor:
        one_hot = F.one_hot(labels, outputs.shape[1])
        targets = one_hot * (1 - config.label_smoothing) + config.label_smoothing / outputs.shape[1]
        losses = of_each(outputs.float(), targets)
        return losses.mean() if class_weights is None else (losses * class_weights[labels]).sum() / class_weights[labels].sum()

    return mean_loss


def summed_loss(name: str, outputs: Tensor, labels: Tensor) -> Tensor:
    """The sum over images, without label smoothing and class weights. outputs: (N, K) float32."""
    if name == "cross-entropy":
        return F.cross_entropy(outputs, labels, reduction="sum")
    return LOSSES[name].of_each(outputs, F.one_hot(labels, outputs.shape[1]).float()).sum()
