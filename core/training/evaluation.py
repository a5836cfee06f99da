"""How good a network is on a split, and what it said of each image."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from core.training.batches import TrainingData, gather
from core.training.events import TICK, Evaluated, Predictions, Tick
from core.training.losses import summed_loss


def evaluate(
    model: nn.Module,
    data: TrainingData,
    batch_size: int,
    num_classes: int,
    logits: list[Tensor] | None = None,
    loss: str = "cross-entropy",
    **position,
) -> Iterator[Tick | Evaluated]:
    """Ticks after each batch, then one Evaluated event with the given position. logits: gets those of each batch, (n, K) float32.

    Always in float32, whatever the training's precision: the figures are those of the network that is saved and exported.
    loss: of core/losses.py; without label smoothing and class weights, the mean over the images.
    """
    was_training = model.training
    model.eval()
    predicted, confidence, true_probability, rank, total = [], [], [], [], 0.0
    for indices in data.evaluated.split(batch_size):
        with torch.inference_mode():  # left before the next yield: whoever iterates must not find himself in it
            images, labels = gather(data, indices)
            answers = model(images).float()  # (n, K)
            probabilities = answers.softmax(dim=1)
            top = probabilities.max(dim=1)
            predicted.append(top.indices.cpu())
            confidence.append(top.values.cpu())
            true_probability.append(probabilities.gather(1, labels[:, None]).squeeze(1).cpu())
            rank.append(_rank(answers, labels).cpu())
            total += float(summed_loss(loss, answers, labels))
        if logits is not None:
            logits.append(answers.cpu())
        yield TICK
    model.train(was_training)
    labels = data.labels.cpu()[data.evaluated].numpy()
    classes = torch.cat(predicted).numpy()
    right = classes == labels
    yield Evaluated(
        loss=total / len(labels),
        accuracy=float(right.mean()),
        correct=np.bincount(labels[right], minlength=num_classes).tolist(),
        support=np.bincount(labels, minlength=num_classes).tolist(),
        predictions=Predictions(
            predicted=classes.astype(np.uint8 if num_classes <= 256 else np.uint16),
            confidence=torch.cat(confidence).half().numpy(),
            true_probability=torch.cat(true_probability).half().numpy(),
            rank=torch.cat(rank).numpy(),
        ),
        **position,
    )


def _rank(logits: Tensor, labels: Tensor) -> Tensor:
    """(n,) uint8: the classes before the true one; of equals the first comes first, as where the largest is sought."""
    true = logits.gather(1, labels[:, None])
    is_earlier = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    return ((logits > true) | ((logits == true) & is_earlier)).sum(dim=1).clamp(max=255).to(torch.uint8)
