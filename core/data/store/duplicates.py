"""Images that a set holds more than once: the same pixels, or the same image resized or recompressed.

What to do about them is decided elsewhere; mirrored, turned, cut or recoloured images are not looked for.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from PIL import Image

BLOCK_BYTES = 16_000_000  # of pixels or hashes, as float32, at a time
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's "L"

# Hashes
SIDE = 8
HASH_BYTES = SIDE * SIDE
HASHED_PX = 64  # larger images are squeezed to this first
ROW, COLUMN = np.indices((SIDE, SIDE), np.float32)
WEIGHT = np.hypot(ROW, COLUMN) ** 0.5  # fine detail is fainter in most images; 0 for the mean
BEYOND_SLOPE = ROW + COLUMN > 2
FLAT_LEVELS = 3  # grey levels, root mean square
FLAT_SHARE = 0.03  # of the variance; a straight slope from black to white has 0.013 beyond

# Search
PASSES = 10
WINDOW = 8
ALIKE = 0.9  # cosine of two hashes
NUM_AXES = 20

# Confirmation. Measured: see benchmarks/duplicates.py
SMALLEST_PX = 16
FINEST = 0.4  # of the highest frequency that a stored image can hold
MOST_WAVES = 26  # half waves a side: what 64 px give
BLURS = (0, 0.5, 1, 2, 3, 4.5, 6.5, 9)  # exponents at the highest frequency; half size and back is about 5
LITTLE_BLUR = 2
CLOSE = 0.06  # of the contrast. The closest two digits of MNIST have 0.064 and 3.3 grey levels, two faces of ORL 0.12
CLOSE_LEVELS = 2.4  # JPEG rounds to steps of grey levels, whatever the contrast
FARTHEST = 0.2  # of the contrast, in any case


@dataclass(frozen=True)
class Duplicates:
    """Which images of a set are one image.

    pairs: (M, 2) int32, i < j, sorted; for a group of k images the k - 1 closest pairs that hold it together, so M < N.
    is_exact: (M,) bool, whether the digests are equal.
    groups: (N,) int32, the smallest index of the image's group, its own where it has no duplicate.
    """

    pairs: np.ndarray
    is_exact: np.ndarray
    groups: np.ndarray


def pixel_digest(image: Image.Image) -> bytes:
    """16 bytes of an image in mode L or RGB, equal for equal sizes and pixels. RGB with equal channels counts as grey."""
    return _digest(np.asarray(image))


def pixel_digests(images: np.ndarray) -> np.ndarray:
    """(n, 16) uint8, the pixel_digest of each of (n, C, H, W) uint8 images, C 1 or 3."""
    pixels = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    return np.frombuffer(b"".join(map(_digest, pixels)), np.uint8).reshape(-1, 16)


def _digest(pixels: np.ndarray) -> bytes:
    """pixels: (H, W) or (H, W, 3)."""
    # the first row shows most coloured images to be so, at a fraction of the cost
    if pixels.ndim == 3 and all((part == part[..., :1]).all() for part in (pixels[0], pixels)):
        pixels = pixels[..., 0]
    digest = blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """(HASH_BYTES,) uint8 of an image of any size and shape, as perceptual_hashes gives it up to rounding."""
    size = (min(image.width, HASHED_PX), min(image.height, HASHED_PX))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return perceptual_hashes(np.asarray(image.convert("L"))[None, None])[0]


def perceptual_hashes(images: np.ndarray) -> np.ndarray:
    """(n, HASH_BYTES) uint8 of (n, C, H, W) uint8 images, C 1 or 3, near each other for images that look the same.

    The bytes are int8: the coarsest cosine waves of the grey image squeezed to a square, weighted, brought to a length
    of 127. All are zero for an image without structure, such as one colour or a slope.
    """
    hashes = np.zeros((len(images), HASH_BYTES), np.uint8)
    for part in _blocks(len(images), 4 * math.prod(images.shape[1:])):
        waves = _waves(images[part], SIDE, SIDE)
        waves[:, 0, 0] = 0
        energy = np.square(waves)
        structure = (energy * BEYOND_SLOPE).sum(axis=(1, 2))
        waves *= WEIGHT
        waves *= 127 / np.maximum(np.linalg.norm(waves, axis=(1, 2), keepdims=True), 1e-6)
        waves[structure < np.maximum(FLAT_LEVELS**2, FLAT_SHARE * energy.sum(axis=(1, 2)))] = 0
        hashes[part] = np.rint(waves).astype(np.int8).view(np.uint8).reshape(-1, HASH_BYTES)
    return hashes


def find_duplicates(digests: np.ndarray, hashes: np.ndarray, images: np.ndarray) -> Duplicates:
    """Equal images by their digests, all of them; near ones by their hashes, each confirmed on the stored images.

    digests: (N, 16), hashes: (N, HASH_BYTES), images: (N, C, H, W), all uint8. Images without structure, and all where
    a side has fewer than 16 pixels, are found only where they are equal.

    Near ones are sought in ten orders of the hashes: in each, an image is compared with the eight that follow it and at
    most one of them is looked at. So the cost is that of ten sorts whatever the images, and a near pair is lost where
    no order brings the two within eight places with nothing likelier between: 1 in 70 among a million at a distance of
    0.12 of a hash's length, fewer in smaller sets.
    """
    _, first, which = np.unique(np.ascontiguousarray(digests).view("V16").ravel(), return_index=True, return_inverse=True)
    original = first[which]
    copies = np.flatnonzero(original != np.arange(len(digests)))
    pairs, weights = np.stack([original[copies], copies], axis=1), np.ones(len(copies))
    members = np.sort(first)
    members = members[hashes[members].any(axis=1)]
    if min(images.shape[2:]) >= SMALLEST_PX and len(members) > 1:
        near = _candidates(hashes, members)
        differences = _differences(images, near, _likest_others(images, members))
        pairs = np.concatenate([pairs, near[differences < 1]])
        weights = np.concatenate([weights, 2 + differences[differences < 1]])
    return _grouped(pairs, weights, len(digests))


def _grouped(pairs: np.ndarray, weights: np.ndarray, count: int) -> Duplicates:
    """weights: (M,), 1 for an exact pair, more for a near one."""
    if not len(pairs):
        return Duplicates(np.empty((0, 2), np.int32), np.empty(0, bool), np.arange(count, dtype=np.int32))
    from scipy.sparse import coo_array  # takes a third of a second, which only the building of a store needs
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    graph = coo_array((weights, tuple(pairs.T)), shape=(count, count)).tocsr()
    _, labels = connected_components(graph, directed=False)
    _, first = np.unique(labels, return_index=True)
    tree = minimum_spanning_tree(graph).tocoo()
    order = np.lexsort((tree.col, tree.row))
    pairs = np.stack([tree.row, tree.col], axis=1)[order].astype(np.int32)
    return Duplicates(pairs, tree.data[order] == 1, first[labels].astype(np.int32))


def _candidates(hashes: np.ndarray, members: np.ndarray) -> np.ndarray:
    """(M, 2) int64 pairs i < j of members, each once, whose hashes are alike; M < PASSES * len(members).

    An order goes by the signs along some random directions, about 32 images to a combination, and within it by one
    direction more (locality-sensitive hashing: Charikar, 2002). The directions are turned among the set's own main axes
    at equal spread, so that a set of one kind, such as digits, is divided as evenly as any.
    """
    axes = _main_axes(hashes[members[:: len(members) // 20_000 + 1]].view(np.int8))
    places = np.empty((len(members), NUM_AXES), np.float32)
    for part in _blocks(len(members), 4 * HASH_BYTES):
        places[part] = hashes[members[part]].view(np.int8) @ axes
    places -= np.median(places, axis=0)
    num_signs = max(0, int(math.log2(len(members))) - 5)
    powers = 2.0 ** np.arange(num_signs, dtype=np.float32)
    random = np.random.default_rng(0)
    found = np.empty(0, np.int64)
    for _ in range(PASSES):
        directions, _ = np.linalg.qr(random.standard_normal((NUM_AXES, NUM_AXES)))
        turned = places @ directions[:, : num_signs + 1].astype(np.float32)
        signs = (turned[:, :-1] > 0).astype(np.float32) @ powers
        order = members[np.lexsort((turned[:, -1], signs))]
        found = np.union1d(found, _likest_followers(hashes, order))
    return np.stack(np.divmod(found, len(hashes)), axis=1)


def _main_axes(sample: np.ndarray) -> np.ndarray:
    """(HASH_BYTES, NUM_AXES) float32: the axes of most variance of (n, HASH_BYTES) int8 hashes, scaled to equal spread."""
    variance, axes = np.linalg.eigh(np.cov(sample.astype(np.float64), rowvar=False, ddof=0))
    spread = np.sqrt(np.maximum(variance[-NUM_AXES:], 1))
    return (axes[:, -NUM_AXES:] / spread).astype(np.float32)


def _likest_followers(hashes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """i * N + j, i < j, for each image and the likest of the WINDOW images after it in this order, if they are alike."""
    found = []
    for part in _blocks(len(order), 4 * HASH_BYTES):
        rows = hashes[order[part.start : part.stop + WINDOW]].view(np.int8).astype(np.float32)
        likeness = np.zeros((WINDOW, part.stop - part.start), np.float32)
        for step in range(1, WINDOW + 1):
            followers = rows[step : step + likeness.shape[1]]
            likeness[step - 1, : len(followers)] = np.einsum("ij,ij->i", rows[: len(followers)], followers)
        here = np.flatnonzero(likeness.max(axis=0) >= ALIKE * 127**2)
        one = order[part.start + here]
        other = order[part.start + here + 1 + likeness[:, here].argmax(axis=0)]
        found.append(np.minimum(one, other) * len(hashes) + np.maximum(one, other))
    return np.concatenate(found)


def _differences(images: np.ndarray, pairs: np.ndarray, likest: float) -> np.ndarray:
    """(M,) how far apart the two images of each pair are, near ones below 1.

    Grey images are compared without their finest detail, the sharper one blurred until it fits the other best: that and
    a little noise is what resizing and recompressing do. likest: of _likest_others. Where even those are far, as in a set
    of photographs, more difference still means the same image; among digits or portraits it does not.
    """
    kept, frequencies = _compared(images)
    differences = np.full(len(pairs), np.inf)
    for part in _blocks(len(pairs), 8 * math.prod(images.shape[1:])):
        one, other = (_waves(images[pairs[part, side]], *kept.shape)[:, kept] for side in (0, 1))
        contrast = np.minimum(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1))
        is_flat = contrast < FLAT_LEVELS  # the part that is stored, not the whole
        contrast[is_flat] = 1
        for blur in BLURS:
            close = min(max(CLOSE, likest**2 / 2), FARTHEST) if blur <= LITTLE_BLUR else CLOSE
            allowed = np.maximum(close * contrast, np.minimum(CLOSE_LEVELS, FARTHEST * contrast))
            fading = np.exp(-blur * frequencies**2)
            for sharp, soft in ((one, other), (other, one)):
                difference = np.linalg.norm(sharp * fading - soft, axis=1) / allowed
                differences[part] = np.minimum(differences[part], difference)
        differences[part][is_flat] = np.inf
    return differences


def _likest_others(images: np.ndarray, members: np.ndarray) -> float:
    """By what share of its contrast an image differs from the likest of a thousand others: the 2nd percentile.

    0.2 in MNIST and the faces of ORL, 0.6 in CIFAR-10, 0.8 in photographs.
    """
    kept, _ = _compared(images)
    sample = members[:: len(members) // 1000 + 1]
    parts = _blocks(len(sample), 4 * math.prod(images.shape[1:]))
    waves = np.concatenate([_waves(images[sample[part]], *kept.shape)[:, kept] for part in parts])
    energy = np.square(waves).sum(axis=1)
    squares = np.maximum(energy[:, None] + energy - 2 * waves @ waves.T, 0)
    np.fill_diagonal(squares, np.inf)
    shares = np.sqrt(squares / np.maximum(np.minimum(energy[:, None], energy), 1e-6))
    return float(np.percentile(shares.min(axis=1), 2))


def _compared(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the coarsest waves confirmation looks at, (rows, columns) bool, and their frequencies, 1 the highest."""
    height, width = images.shape[2:]
    rows, columns = (min(math.ceil(FINEST * side), MOST_WAVES) for side in (height, width))
    row, column = np.indices((rows, columns), np.float32)
    frequency = np.hypot(row / height, column / width)
    kept = (frequency > 0) & (frequency < FINEST)
    return kept, frequency[kept]


def _waves(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(n, rows, columns) float32: the coarsest cosine waves (DCT-II) of the grey images, in grey levels, root mean square."""
    pixels = images.astype(np.float32)
    grey = pixels[:, 0] if images.shape[1] == 1 else np.einsum("nchw,c->nhw", pixels, GREY)
    height, width = grey.shape[1:]
    return _cosines(height, rows) @ grey @ _cosines(width, columns).T


@lru_cache(maxsize=256)
def _cosines(length: int, count: int) -> np.ndarray:
    """(count, length) float32: the coarsest waves of a side; zero where it is too short for more."""
    cosines = np.zeros((count, length), np.float32)
    waves = np.arange(min(count, length))[:, None]
    cosines[: len(waves)] = np.cos(np.pi * waves * (np.arange(length) + 0.5) / length) * (math.sqrt(2) / length)
    cosines[0] /= math.sqrt(2)
    return cosines


def _blocks(count: int, item_bytes: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // item_bytes)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
