"""A map of images by what a network makes of them: the features before its last layer, brought to two dimensions.

PCA by the leading singular vectors; t-SNE (van der Maaten and Hinton, 2008) by openTSNE, which tells how far it is. What was
worked out before is in kept_maps.py.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.data.store.image_store import Progress, no_progress
from core.errors import InputError
from core.inference.layers import as_input, watched
from core.models.head import head_of
from core.models.network_spec import NetworkSpec
from core.runs.records import spread

MOST_POINTS = 5_000
MOST_FEATURES = 4_096  # a layer of more is thinned: 5,000 × 4,096 floats are 80 MB
MOST_COMPONENTS = 50  # kept of PCA; t-SNE begins from these, as its authors do
FEWEST_POINTS = 5
EXACT_SIDE = 1_024  # up to here all eigenvectors are worked out; beyond, the leading ones alone
MAX_BATCH_FLOATS = 2_000_000  # of images in one pass
STEP = 10  # iterations of t-SNE between two reports
ITERATIONS = (250, 500)  # of t-SNE, with early exaggeration and without


@dataclass(frozen=True, kw_only=True)
class Points:
    """scores: (n, d) float32, principal components, those of the most variance first. explained: (d,) shares of the variance, 0..1.

    positions: (n,) which of the evaluated images they are. predicted: (n,) classes, said in the same pass.
    num_features: that the last layer gets; num_used of them count, evenly taken.
    """

    positions: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    explained: np.ndarray
    num_features: int
    num_used: int


def points_of(
    model: nn.Module, spec: NetworkSpec, images: np.ndarray, indices: np.ndarray, most: int, progress: Progress = no_progress
) -> Points:
    """Of the images at these indices of a store's images (N, C, H, W), or of an even sample of at most so many.

    Raises InputError for fewer than five images, and for a network that gives numbers that are not finite.
    """
    positions = np.array(spread(len(indices), most), np.int64)
    if len(positions) < FEWEST_POINTS:
        raise InputError(f"A map needs at least {FEWEST_POINTS} evaluated images, there are {len(positions)}.", code="dataset")
    if images.shape[1:] != spec.shape:
        raise InputError(
            f"The images are stored as {' × '.join(map(str, images.shape[1:]))}, the network takes {' × '.join(map(str, spec.shape))}.",
            code="dataset",
        )
    values, predicted, num_features = features(model, spec, images, indices[positions], progress)
    if not np.isfinite(values).all():
        raise InputError("The network gives numbers that are not finite; there is no map of them.", code="checkpoint")
    progress("Looking for the main directions", 0, 0)
    scores, explained = principal_components(values)
    return Points(
        positions=positions,
        predicted=predicted,
        scores=scores,
        explained=explained,
        num_features=num_features,
        num_used=values.shape[1],
    )


def features(
    model: nn.Module, spec: NetworkSpec, images: np.ndarray, indices: np.ndarray, progress: Progress = no_progress
) -> tuple[np.ndarray, np.ndarray, int]:
    """((n, D) float32: what the last layer gets, (n,) int64: predicted classes, features before thinning)."""
    taken: list[Tensor] = []

    def take(module: nn.Module, inputs: tuple[Tensor]) -> None:
        features = inputs[0].mean(dim=(2, 3)) if inputs[0].dim() == 4 else inputs[0]  # a convolution over places as last layer
        taken.append(features.flatten(1).float())

    own = watched(model, {})
    own.get_submodule(head_of(list(model.state_dict()))[0].rpartition(".")[0]).register_forward_pre_hook(take)
    batch = max(1, min(256, MAX_BATCH_FLOATS // int(np.prod(spec.shape))))
    parts, predicted, num_features = [], [], 0
    with torch.inference_mode():
        for first in range(0, len(indices), batch):
            progress("Images", first, len(indices))
            logits = own(as_input(np.ascontiguousarray(images[indices[first : first + batch]]), spec))
            values = taken.pop()
            num_features = values.shape[1]
            parts.append(values[:, spread(num_features, MOST_FEATURES)].numpy())
            predicted.append(logits.argmax(dim=1).numpy())
    progress("Images", len(indices), len(indices))
    return np.concatenate(parts), np.concatenate(predicted), num_features


def principal_components(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((n, d) float32 scores, (d,) shares of the variance) of (n, D) values, d at least 2 and at most 50.

    The sign of each direction is such that its largest loading is positive.
    """
    centred = values.astype(np.float64)
    centred -= centred.mean(axis=0)
    n, width = centred.shape
    d = min(MOST_COMPONENTS, n, width)
    if min(n, width) <= EXACT_SIDE:
        side = centred.T @ centred if width <= n else centred @ centred.T
        squares, vectors = np.linalg.eigh(side)
        squares, vectors = squares[::-1][:d].clip(0), vectors[:, ::-1][:, :d]
        directions = vectors.T if width <= n else (centred.T @ vectors).T
    else:
        from scipy.sparse.linalg import svds  # a third of a second, which other pages needn't wait for

        _, singular, directions = svds(centred, k=d, v0=np.ones(min(n, width)), random_state=0)  # pyright: ignore[reportCallIssue] scipy takes it
        directions, squares = directions[::-1], singular[::-1] ** 2
    directions = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.where(directions[np.arange(d), largest] < 0, -1.0, 1.0)[:, None]
    scores = centred @ directions.T
    total = float(np.square(centred).sum())
    explained = squares / total if total > 0 else np.zeros(d)
    if d < 2:  # a last layer of one feature has a line, no plane
        scores, explained = np.pad(scores, ((0, 0), (0, 2 - d))), np.pad(explained, (0, 2 - d))
    return scores.astype(np.float32), explained.astype(np.float32)


def tsne(scores: np.ndarray, seed: int = 0, progress: Progress = no_progress) -> np.ndarray:
    """(n, 2) float32: near points are near in (n, d) scores. The same for the same scores and seed.

    Stops where progress raises. Begins with the two main directions, so that the whole keeps something of their order.
    """
    from openTSNE import TSNE  # brings scikit-learn: over a second, which other pages needn't wait for

    before, after = ITERATIONS
    done = {"iterations": 0}

    def tell(iteration: int, error: float, embedding: object) -> None:
        done["iterations"] += STEP
        progress("t-SNE, iterations", min(done["iterations"], before + after), before + after)

    progress("t-SNE, iterations", 0, before + after)
    start = scores[:, :2] / max(float(scores[:, 0].std()), 1e-12) * 1e-4
    method = TSNE(
        perplexity=min(30.0, (len(scores) - 1) / 3),  # pyright: ignore[reportArgumentType] any number
        early_exaggeration_iter=before,
        n_iter=after,
        initialization=start.astype(np.float64),  # pyright: ignore[reportArgumentType] a name or an array
        negative_gradient_method="fft" if len(scores) > 2_000 else "bh",
        neighbors="exact",
        n_jobs=1,
        random_state=seed,
        callbacks=[tell],
        callbacks_every_iters=STEP,
    )
    fitted = method.fit(scores.astype(np.float64))
    return np.asarray(fitted, dtype=np.float32)
