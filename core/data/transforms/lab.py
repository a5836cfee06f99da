"""The transforms one by one: what each is called, which settings drive it, and what it does to an image.

Nothing is computed here but by preprocessing.py and augmentation.py: after a step an image is as those make it while every
later step is off. So what is looked at is what training, evaluation and prediction use.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.augmentations import AUGMENTATIONS, RandomChange
from core.config import Augmentation, Preprocessing
from core.data.store.image_store import ImageStore
from core.data.store.originals import original_image, stored_image
from core.data.transforms.augmentation import Draws, applied, augment, draw, recoloured
from core.data.transforms.preprocessing import STORED_FIELDS, array_to_image, image_to_array
from core.errors import InputError

MEASURED_ON = 128  # images, where mean and deviation of a set in another form are estimated
MAX_BETWEEN = 4_000_000  # pixels of an image between resizing and cropping; a longer and thinner one is not shown


@dataclass(frozen=True)
class Composition:
    """What a lab composes and a training uses: how every image is prepared, and how training images are changed."""

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def changes(self) -> dict[str, Any]:
        """Its settings by path, as a configuration takes them."""
        return {
            f"{section}.{name}": value
            for section, part in (("preprocessing", self.preprocessing), ("augmentation", self.augmentation))
            for name, value in part.model_dump(mode="json").items()
        }


@dataclass(frozen=True)
class Look:
    """An image between two steps. values: (C, H, W) as they are then; unit: what they count; shown: (C, H, W) uint8, for eyes."""

    values: np.ndarray
    unit: str
    shown: np.ndarray

    @property
    def size(self) -> str:
        channels, height, width = self.values.shape
        return f"{width} × {height} × {channels}"

    def ranges(self) -> list[tuple[float, float, float]]:
        """(least, mean, most) of each channel."""
        return [(float(c.min()), float(c.mean(dtype=np.float64)), float(c.max())) for c in self.values]

    def pixel(self, row: float, column: float) -> list[float]:
        """The channels' values at a place given as shares of height and width."""
        _, height, width = self.values.shape
        return [float(v) for v in self.values[:, int(row * height), int(column * width)]]


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One image under examination: decoded as it came, the shape that the network gets, and what was drawn for it."""

    image: Image.Image
    shape: tuple[int, int, int]
    composition: Composition
    mean: tuple[float, ...]
    std: tuple[float, ...]
    draws: Draws

    @cached_property
    def stored(self) -> Tensor:
        """(1, C, H, W) uint8, as an image store holds it."""
        return torch.from_numpy(image_to_array(self.image, self.shape, self.composition.preprocessing))[None]


def specimen(
    image: Image.Image,
    shape: tuple[int, int, int],
    composition: Composition,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
) -> Specimen:
    """An image ready to be walked through the steps. Another seed draws other random changes."""
    draws = draw(composition.augmentation, 1, shape[1:], torch.Generator().manual_seed(seed))
    return Specimen(image=image, shape=shape, composition=composition, mean=tuple(mean), std=tuple(std), draws=draws)


@dataclass(frozen=True, kw_only=True)
class Transform:
    """One transform. settings: the paths that drive it; look: the image once this step and all before it are done."""

    name: str
    title: str
    explanation: str
    settings: tuple[str, ...]
    is_random: bool
    is_active: Callable[[Specimen], bool]
    look: Callable[[Specimen], Look]
    drawn: Callable[[Draws], str] = lambda draws: ""

    @property
    def short_title(self) -> str:
        """Without torchvision's name."""
        return self.title.partition(" (")[0]


@dataclass(frozen=True, kw_only=True)
class Stage:
    transform: Transform
    before: Look
    after: Look
    drawn: str  # what chance decided for this image, in words


# --- looks


def _of_bytes(array: np.ndarray) -> Look:
    return Look(array, "0 to 255", array)


def _original(specimen: Specimen) -> Look:
    channels = 1 if specimen.image.mode == "L" else 3
    return _of_bytes(image_to_array(specimen.image, (channels, specimen.image.height, specimen.image.width), Preprocessing()))


def _in_colours(specimen: Specimen) -> Look:
    size = specimen.image.height, specimen.image.width
    return _of_bytes(image_to_array(specimen.image, (specimen.shape[0], *size), Preprocessing()))


def _resized_px(specimen: Specimen) -> tuple[int, int]:
    """Height and width once the image is resized, before its middle is cut out."""
    size, target = (specimen.image.height, specimen.image.width), specimen.shape[1:]
    preprocessing = specimen.composition.preprocessing
    if preprocessing.short_side_px:
        scale = min(size) / preprocessing.short_side_px
    elif preprocessing.fit == "crop":
        scale = min(size[0] / target[0], size[1] / target[1])
    else:
        return target
    return max(1, round(size[0] / scale)), max(1, round(size[1] / scale))


def _resized(specimen: Specimen) -> Look:
    if _is_cropped(specimen):
        return _of_bytes(
            image_to_array(specimen.image, (specimen.shape[0], *_resized_px(specimen)), Preprocessing(fit="stretch"))
        )
    return _fitted(specimen)


def _fitted(specimen: Specimen) -> Look:
    plain = specimen.composition.preprocessing.model_copy(update={"invert": False})
    return _of_bytes(image_to_array(specimen.image, specimen.shape, plain))


def _stored(specimen: Specimen) -> Look:
    return _of_bytes(specimen.stored[0].numpy())


def _recoloured(specimen: Specimen, last: str = "") -> Look:
    """Before normalisation: pixel values from 0 to 1."""
    values = recoloured(specimen.stored, _up_to(specimen.draws, last))[0].numpy() / np.float32(255)
    return Look(values, "0 to 1", _for_eyes(values[None])[0])


def _normalised(specimen: Specimen, last: str = "") -> Look:
    mean, std = torch.tensor(specimen.mean), torch.tensor(specimen.std)
    values = applied(specimen.stored, _up_to(specimen.draws, last), mean, std)
    return Look(values[0].numpy(), "normalised", _denormalised(values, mean, std)[0])


def _for_eyes(values: np.ndarray) -> np.ndarray:
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def _denormalised(images: Tensor, mean: Tensor, std: Tensor) -> np.ndarray:
    """(N, C, H, W) uint8, as pixels were before they were normalised."""
    return _for_eyes((images.float() * std.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1)).numpy())


# --- which are done


def _is_resized(specimen: Specimen) -> bool:
    return (
        _resized_px(specimen) != (specimen.image.height, specimen.image.width) and math.prod(_resized_px(specimen)) <= MAX_BETWEEN
    )


def _is_cropped(specimen: Specimen) -> bool:
    return _resized_px(specimen) != tuple(specimen.shape[1:])


def _is_on(setting: str, specimen: Specimen) -> bool:
    section, name = setting.split(".")
    part = getattr(specimen.composition, section)
    return getattr(part, name) != type(part).model_fields[name].default


# --- random changes up to one of them: the later ones as if nothing had been drawn


def _up_to(draws: Draws, last: str) -> Draws:
    """The draws of all steps up to this one; of none for an empty name."""
    names = [transform.name for transform in TRANSFORMS]
    later = names[names.index(last) + 1 :] if last else names
    return replace(draws, **{drawn: None for name in later if name in AUGMENTATIONS for drawn in AUGMENTATIONS[name].drawn})


def _random(change: RandomChange) -> Transform:
    return Transform(
        name=change.name,
        title=change.title,
        explanation=change.explanation,
        settings=tuple(f"augmentation.{name}" for name in change.settings),
        is_random=True,
        is_active=lambda specimen: change.is_on(specimen.composition.augmentation),
        look=partial(_recoloured if change.recolour else _normalised, last=change.name),
        drawn=change.in_words,
    )


# In the order in which they are done. Titles name torchvision's transform where there is one.
TRANSFORMS = (
    Transform(
        name="colour",
        title="Channels (Grayscale)",
        explanation="One grey channel, or red, green and blue.",
        settings=("preprocessing.colour",),
        is_random=False,
        is_active=lambda specimen: specimen.shape[0] != (1 if specimen.image.mode == "L" else 3),
        look=_in_colours,
    ),
    Transform(
        name="resize",
        title="New size (Resize)",
        explanation="Brought to its new size; by the short side where a square is cut out afterwards.",
        settings=("preprocessing.size_px", "preprocessing.short_side_px", "preprocessing.fit"),
        is_random=False,
        is_active=_is_resized,
        look=_resized,
    ),
    Transform(
        name="crop",
        title="Cut out the middle (CenterCrop)",
        explanation="What lies beside the middle square is left out.",
        settings=("preprocessing.size_px", "preprocessing.fit"),
        is_random=False,
        is_active=_is_cropped,
        look=_fitted,
    ),
    Transform(
        name="invert",
        title="Invert (RandomInvert, always)",
        explanation="Light and dark change places.",
        settings=("preprocessing.invert",),
        is_random=False,
        is_active=partial(_is_on, "preprocessing.invert"),
        look=_stored,
    ),
    Transform(
        name="to-tensor",
        title="To numbers (ToTensor)",
        explanation="Bytes from 0 to 255 become numbers from 0 to 1; nothing changes for the eye.",
        settings=(),
        is_random=False,
        is_active=lambda specimen: True,
        look=_recoloured,
    ),
    *(_random(change) for change in AUGMENTATIONS.values() if change.recolour),
    Transform(
        name="normalise",
        title="Normalise (Normalize)",
        explanation="The mean is subtracted, then divided by the standard deviation: numbers around 0, as networks like them.",
        settings=("preprocessing.mean", "preprocessing.std"),
        is_random=False,
        is_active=lambda specimen: True,
        look=partial(_normalised, last="normalise"),
    ),
    *(_random(change) for change in AUGMENTATIONS.values() if not change.recolour),
)


def walk(specimen: Specimen) -> list[Stage]:
    """The active steps in order, each with the image before and after it."""
    stages, before = [], _original(specimen)
    for transform in TRANSFORMS:
        if transform.is_active(specimen):
            after = transform.look(specimen)
            stages.append(Stage(transform=transform, before=before, after=after, drawn=transform.drawn(specimen.draws)))
            before = after
    return stages


def draws_of(specimen: Specimen, transform: Transform, seed: int, n: int = 10) -> list[np.ndarray]:
    """The prepared image under n draws of this one random step: (C, H, W) uint8 each."""
    names = [path.partition(".")[2] for path in transform.settings]
    alone = Augmentation(**{name: getattr(specimen.composition.augmentation, name) for name in names})
    return as_trained(specimen.stored.numpy().repeat(n, axis=0), alone, specimen.mean, specimen.std, seed)


def as_trained(
    images: np.ndarray, augmentation: Augmentation, mean: Sequence[float], std: Sequence[float], seed: int
) -> list[np.ndarray]:
    """A batch (N, C, H, W) uint8 as training gets it, de-normalised for eyes: (C, H, W) uint8 each."""
    means, stds = torch.tensor(mean), torch.tensor(std)
    batch = augment(torch.from_numpy(images), augmentation, torch.Generator().manual_seed(seed), means, stds)
    return list(_denormalised(batch, means, stds))


# --- about a set


def shape_for(store: ImageStore, preprocessing: Preprocessing) -> tuple[int, int, int]:
    """(C, H, W) that the network gets of this set, whose store may be of another size or colour."""
    channels = {"grey": 1, "rgb": 3}.get(preprocessing.colour, store.meta.shape[0])
    side = preprocessing.size_px
    return (channels, side, side) if side else (channels, *store.meta.shape[1:])


def is_stored_alike(one: Preprocessing, other: Preprocessing) -> bool:
    """Whether an image store of the one would hold the same images as that of the other."""
    return all(getattr(one, name) == getattr(other, name) for name in STORED_FIELDS)


def measured(
    store: ImageStore, stored_as: Preprocessing, preprocessing: Preprocessing
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of the training images once they are prepared so, pixels 0..1.

    Exact where the store holds them so already; else estimated on some of its images. A training measures all of them.
    """
    if is_stored_alike(stored_as, preprocessing):
        return tuple(store.meta.mean), tuple(store.meta.std)
    shape = shape_for(store, preprocessing)
    first, end = store.meta.splits["train"]
    chosen = np.linspace(first, end - 1, min(MEASURED_ON, end - first)).astype(int)
    arrays = np.stack([image_to_array(array_to_image(store.images[i]), shape, preprocessing) for i in chosen])
    values = arrays.astype(np.float32) / 255
    mean, std = values.mean((0, 2, 3), dtype=np.float64), values.std((0, 2, 3), dtype=np.float64)
    return tuple(round(float(v), 4) for v in mean), tuple(round(max(float(v), 1e-3), 4) for v in std)


def normalisation(
    preprocessing: Preprocessing, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and deviation to look through: the composition's own where they fit the channels, else those measured."""
    own = (preprocessing.mean, preprocessing.std)
    first, second = (
        given if given and len(given) == len(found) else found for given, found in zip(own, (mean, std), strict=True)
    )
    return first, second


def sample(store: ImageStore, stored_as: Preprocessing, preprocessing: Preprocessing, n: int = 16) -> np.ndarray:
    """(n, C, H, W) uint8: training images from all over the set, prepared so; fewer where the set has fewer.

    From their files where another form than the store's is asked for; from the store where a set came without files.
    """
    first, end = store.meta.splits["train"]
    chosen = np.linspace(first, end - 1, min(n, end - first)).astype(int)
    if is_stored_alike(stored_as, preprocessing):
        return store.images[chosen]
    shape = shape_for(store, preprocessing)
    return np.stack([image_to_array(_as_it_came(store, int(i)), shape, preprocessing) for i in chosen])


def _as_it_came(store: ImageStore, index: int) -> Image.Image:
    try:
        return original_image(store, index)
    except InputError:  # moved since: what the store has of it is next best, for a look
        return stored_image(store, index)
