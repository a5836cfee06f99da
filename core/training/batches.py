"""Pictures on the training device, and the batches that an epoch is made of: shuffled, normalised, augmented."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.config import TrainConfig
from core.data.augmentation import augment
from core.data.preprocessing import normalise
from core.data.splits import indices_of, split_indices
from core.data.store import PictureStore

# Several batches are gathered and normalised at once: at batch 64 the overhead of these calls is a fifth of a step.
CHUNK_BYTES = 8_000_000


@dataclass(frozen=True)
class TrainingData:
    """images: (N, C, H, W) uint8, labels: (N,) int64; train, evaluated: indices into them. mean, std: (C,), pixels 0..1."""

    images: Tensor
    labels: Tensor
    train: Tensor
    evaluated: Tensor
    mean: Tensor
    std: Tensor

    @property
    def device(self) -> torch.device:
        return self.mean.device


def load_training_data(
    store: PictureStore, config: TrainConfig, device: torch.device, evaluate_on: str | None = None
) -> TrainingData:
    """The set ready for batches. On a GPU the pictures are kept there where they fit in half of its free memory;
    on a CPU they stay memory-mapped and cost nothing. evaluate_on: another split than the configuration's."""
    splits = split_indices(store.labels, store.meta.splits, config.data)
    images = torch.from_numpy(store.images)
    if device.type == "mps" or (device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2):
        images = images.to(device)
    normalisation = config.preprocessing
    assert normalisation.mean and normalisation.std, "resolved before the start"
    return TrainingData(
        images,
        torch.from_numpy(store.labels).to(images.device),
        torch.from_numpy(splits["train"]),
        torch.from_numpy(indices_of(splits, evaluate_on or config.data.evaluate_on, config.data.dataset)),
        torch.tensor(normalisation.mean, device=device),
        torch.tensor(normalisation.std, device=device),
    )


def steps_per_epoch(num_train: int, config: TrainConfig) -> int:
    full, rest = divmod(num_train, config.batch_size)
    return full + (1 if rest and not config.drop_last else 0)


def seeded(*numbers: int) -> torch.Generator:
    """A CPU generator whose draws depend on these numbers alone."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & 0x7FFF_FFFF_FFFF_FFFF)


def training_batches(
    data: TrainingData, config: TrainConfig, epoch: int, dtype: torch.dtype, skip: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """((n, C, H, W) normalised and augmented, (n,) labels) of one epoch, the first `skip` batches left out.

    Order and random changes depend on (seed, epoch) and the position alone, so a resumed epoch gets the same pictures.
    """
    order = data.train[torch.randperm(len(data.train), generator=seeded(config.seed, epoch, 0))]
    size = config.batch_size
    order = order[: steps_per_epoch(len(order), config) * size]
    bytes_per_batch = size * data.images[0].numel() * 4
    per_chunk = max(1, CHUNK_BYTES // bytes_per_batch)
    for number, chunk in enumerate(order.split(per_chunk * size)):
        first = number * per_chunk
        if first + per_chunk <= skip:
            continue
        images, labels = gather(data, chunk, dtype)
        if config.augmentation.is_active:
            images = augment(images, config.augmentation, seeded(config.seed, epoch, 1, number))
        pairs = zip(images.split(size), labels.split(size), strict=True)
        for position, pair in enumerate(pairs, start=first):
            if position >= skip:
                yield pair


def gather(data: TrainingData, indices: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Normalised pictures and labels at these indices, on the training device."""
    indices = indices.to(data.images.device)
    images = data.images.index_select(0, indices).to(data.device, non_blocking=True)
    labels = data.labels.index_select(0, indices).to(data.device, non_blocking=True)
    return normalise(images, data.mean, data.std, dtype), labels
