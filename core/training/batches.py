"""Images on the training device, and the batches that an epoch is made of: shuffled, normalised, augmented."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.config import TrainConfig
from core.data.splits import Division
from core.data.store.image_store import ImageStore
from core.data.transforms.augmentation import augment
from core.data.transforms.preprocessing import normalise

# Several batches are gathered and normalised at once: at batch 64 the overhead of these calls is a fifth of a step.
CHUNK_BYTES = 8_000_000


@dataclass(frozen=True, kw_only=True)
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
    store: ImageStore, division: Division, config: TrainConfig, device: torch.device, evaluate_on: str | None = None
) -> TrainingData:
    """The set ready for batches, labelled and split as the division says. evaluate_on: another split than the configuration's.

    On a GPU the images are kept there where they fit in half of its free memory; on a CPU they stay memory-mapped and cost nothing.
    """
    images = torch.from_numpy(store.images)
    if device.type == "mps" or (device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2):
        images = images.to(device)
    normalisation = config.preprocessing
    assert normalisation.mean and normalisation.std, "resolved before the start"
    return TrainingData(
        images=images,
        labels=torch.from_numpy(division.labels).to(images.device),
        train=torch.from_numpy(division.indices("train", config.data.dataset)),
        evaluated=torch.from_numpy(division.indices(evaluate_on or config.data.evaluate_on, config.data.dataset)),
        mean=torch.tensor(normalisation.mean, device=device),
        std=torch.tensor(normalisation.std, device=device),
    )


def steps_per_epoch(num_train: int, batch_size: int, drop_last: bool) -> int:
    full, rest = divmod(num_train, batch_size)
    return full + (1 if rest and not drop_last else 0)


def seeded(*numbers: int) -> torch.Generator:
    """A CPU generator whose draws depend on these numbers alone."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & 0x7FFF_FFFF_FFFF_FFFF)


def training_batches(
    data: TrainingData, config: TrainConfig, epoch: int, dtype: torch.dtype, skip: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """((n, C, H, W) normalised and augmented, (n,) labels) of one epoch, the first `skip` batches left out.

    Order and random changes depend on (seed, epoch) and the position alone, so a resumed epoch gets the same images.
    """
    order = _order(data, config, epoch)
    size = config.batch_size
    order = order[: steps_per_epoch(len(order), size, config.drop_last) * size]
    bytes_per_batch = size * data.images[0].numel() * 4
    per_chunk = max(1, CHUNK_BYTES // bytes_per_batch)
    for number, chunk in enumerate(order.split(per_chunk * size)):
        first = number * per_chunk
        if first + per_chunk <= skip:
            continue
        pixels, labels = _stored(data, chunk)
        images = augment(pixels, config.augmentation, seeded(config.seed, epoch, 1, number), data.mean, data.std, dtype)
        pairs = zip(images.split(size), labels.split(size), strict=True)
        for position, pair in enumerate(pairs, start=first):
            if position >= skip:
                yield pair


def _order(data: TrainingData, config: TrainConfig, epoch: int) -> Tensor:
    """Indices of an epoch's images: all of them, shuffled or not, or as many drawn so that each class comes up equally often."""
    if config.data.sampling == "in order":
        return data.train
    generator = seeded(config.seed, epoch, 0)
    if config.data.sampling == "shuffled":
        return data.train[torch.randperm(len(data.train), generator=generator)]
    counts = class_counts(data, 0)
    present = counts.nonzero().squeeze(1)
    drawn = present[torch.randint(len(present), (len(data.train),), generator=generator)]  # a class for each place
    by_class = torch.argsort(data.labels.cpu()[data.train], stable=True)
    first = counts.cumsum(0) - counts
    within = (torch.rand(len(drawn), generator=generator, dtype=torch.float64) * counts[drawn]).long()
    return data.train[by_class[first[drawn] + within]]


def class_counts(data: TrainingData, num_classes: int) -> Tensor:
    """(K,) training images of each class; K is at least num_classes."""
    return torch.bincount(data.labels.cpu()[data.train], minlength=num_classes)


def class_weights(data: TrainingData, num_classes: int) -> Tensor:
    """(K,) for the loss: N / (K n) for a class of n training images, as scikit-learn's "balanced"; 0 for one without any."""
    counts = class_counts(data, num_classes).float()
    weights = counts.sum() / (counts.count_nonzero() * counts.clamp(min=1))
    return torch.where(counts > 0, weights, 0.0).to(data.device)


def gather(data: TrainingData, indices: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Normalised images and labels at these indices, on the training device."""
    pixels, labels = _stored(data, indices)
    return normalise(pixels, data.mean, data.std, dtype), labels


def _stored(data: TrainingData, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Images as they are stored, uint8, and labels at these indices, on the training device."""
    indices = indices.to(data.images.device)
    images = data.images.index_select(0, indices).to(data.device, non_blocking=True)
    return images, data.labels.index_select(0, indices).to(data.device, non_blocking=True)
