"""How good a network is on a split, and what it said of each picture."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.training.batches import TrainingData, gather
from core.training.events import TICK, Evaluated, Predictions, Tick


def evaluate(model: nn.Module, data: TrainingData, batch_size: int, num_classes: int, **position) -> Iterator[Tick | Evaluated]:
    """Ticks after each batch, then one Evaluated event with the given position.

    Always in float32, whatever the training's precision: the figures are those of the network that is saved and exported.
    loss: cross-entropy without label smoothing, the mean over the pictures.
    """
    was_training = model.training
    model.eval()
    predicted, confidence, true_probability, loss = [], [], [], 0.0
    with torch.inference_mode():
        for indices in data.evaluated.split(batch_size):
            images, labels = gather(data, indices)
            probabilities, batch_loss = _judge(model(images), labels)
            top = probabilities.max(dim=1)
            predicted.append(top.indices.cpu())
            confidence.append(top.values.cpu())
            true_probability.append(probabilities.gather(1, labels[:, None]).squeeze(1).cpu())
            loss += float(batch_loss)
            yield TICK
    model.train(was_training)
    labels = data.labels.cpu()[data.evaluated].numpy()
    answers = torch.cat(predicted).numpy()
    right = answers == labels
    yield Evaluated(
        loss=loss / len(labels),
        accuracy=float(right.mean()),
        correct=np.bincount(labels[right], minlength=num_classes).tolist(),
        support=np.bincount(labels, minlength=num_classes).tolist(),
        predictions=Predictions(
            answers.astype(np.uint8 if num_classes <= 256 else np.uint16),
            torch.cat(confidence).half().numpy(),
            torch.cat(true_probability).half().numpy(),
        ),
        **position,
    )


def _judge(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (n, K) and the summed cross-entropy."""
    logits = logits.float()
    return logits.softmax(dim=1), F.cross_entropy(logits, labels, reduction="sum")
