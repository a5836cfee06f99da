"""A checkpoint at work on images from outside: through the same preprocessing as training, in float32 on the CPU."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import nn

from core.data.transforms.preprocessing import normalise, prepare
from core.errors import InputError
from core.models.network_spec import NetworkSpec
from core.runs.calibration import PLAIN, Calibration, calibration_of
from core.runs.checkpoints import Checkpoint, load_network


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """probabilities: (K,) float32, sums to 1. seen: (C, H, W) uint8, the image as the network got it. done: how it became so.

    calibration: what is kept with the run for this checkpoint; its temperature is in the probabilities.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray
    seen: np.ndarray
    done: str
    calibration: Calibration = PLAIN

    @property
    def is_sure(self) -> bool:
        """Whether the likeliest class reaches the threshold below which no answer is given."""
        return float(self.probabilities.max()) >= self.calibration.threshold

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k likeliest classes with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.class_names[i], float(self.probabilities[i])) for i in order]


def predict(checkpoint: Checkpoint, image: Image.Image) -> Prediction:
    """What the checkpoint's network says of a decoded image. Raises InputError if the checkpoint is unusable."""
    model, spec = network_of(checkpoint)
    seen, done = prepare(image, spec.preprocessing, spec.shape[0], spec.shape[1:])
    mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
    with torch.inference_mode():
        logits = model(normalise(torch.from_numpy(seen)[None], mean, std))
    calibration = calibration_of(checkpoint)
    probabilities = (logits[0].float() / calibration.temperature).softmax(dim=0).numpy()
    return Prediction(class_names=spec.class_names, probabilities=probabilities, seen=seen, done=done, calibration=calibration)


def network_of(checkpoint: Checkpoint) -> tuple[nn.Module, NetworkSpec]:
    """The network that predicts, the same object for all who ask: to be read, not changed. Raises InputError if it is unusable."""
    manifest = checkpoint.path / "manifest.json"  # a checkpoint may be replaced by another of its name
    return _network(checkpoint, manifest.stat().st_mtime_ns if manifest.exists() else 0)


@lru_cache(maxsize=4)
def _network(checkpoint: Checkpoint, written_ns: int) -> tuple[nn.Module, NetworkSpec]:
    model, spec = load_network(checkpoint)
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        raise InputError(
            f"Checkpoint {checkpoint.name} holds numbers that are not finite; it can't predict.",
            code="checkpoint",
            hint="Choose an earlier one.",
        )
    return model.to(memory_format=torch.channels_last), spec
