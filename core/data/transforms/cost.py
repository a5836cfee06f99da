"""What random changes cost, measured on the spot on one batch with this process's threads."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from core.config import Augmentation
from core.data.transforms.augmentation import augment

ROUNDS = 3
PIXELS = 100_000  # enough for a figure, little enough for a slider


def augmentation_cost(images: np.ndarray, settings: Augmentation, mean: Sequence[float], std: Sequence[float]) -> float:
    """Seconds for each 1,000 images like these (N, C, H, W) uint8 beyond normalising them; the best of three."""
    if not settings.is_active:
        return 0.0
    wanted = max(4, min(64, PIXELS // (images.shape[2] * images.shape[3])))
    batch = torch.from_numpy(np.resize(images, (wanted, *images.shape[1:])))
    means, stds = torch.tensor(mean), torch.tensor(std)

    def best(of: Augmentation) -> float:
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            augment(batch, of, torch.Generator().manual_seed(0), means, stds)
            times.append(time.perf_counter() - began)
        return min(times)

    return max(0.0, best(settings) - best(Augmentation())) / wanted * 1000
