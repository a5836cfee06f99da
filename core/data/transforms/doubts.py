"""Which composition of transforms suits a set, and what is doubtful about one. Doubts are told, never refused."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.config import Augmentation, Fit, Preprocessing, TrainConfig
from core.data.store.image_store import ImageStore
from core.data.transforms.lab import Composition
from core.wording import percent

FAR_OFF = 1.5  # deviations of the set's mean from the mean that is subtracted; 0.5 and 0.5, or 0 and 1, never reach it
NOTHING_LEFT_PX = 8


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """What doubts rest on. shape: (C, H, W) that the network gets; original_px: height and width as the images came;
    mean: measured on them as they are prepared, pixels 0..1."""

    shows_characters: bool
    shape: tuple[int, int, int]
    original_px: tuple[int, int]
    mean: tuple[float, ...]


@dataclass(frozen=True)
class Doubt:
    setting: str
    sentence: str


def shows_characters(drawing: str, class_names: Sequence[str]) -> bool:
    """Whether the images are digits or letters: by the set's own word, or because every class is named by one."""
    return drawing != "none" or all(len(name.strip()) == 1 and name.strip().isalnum() for name in class_names)


def suitable(characters: bool, shape: tuple[int, int, int], size_px: int | None = None, fit: Fit = "crop") -> Composition:
    """A good start: small moves for digits and letters, mirroring beside moves for everything else."""
    shift_px = min(shape[1:]) // (14 if characters else 8)
    augmentation = Augmentation(shift_px=min(64, max(1, shift_px)), flip=not characters)
    return Composition(Preprocessing(size_px=size_px, fit=fit), augmentation)


def doubts(composition: Composition, facts: SetFacts) -> list[Doubt]:
    """What a person should know before training with this on such a set."""
    return [
        *_of_preparation(composition.preprocessing, facts),
        *(_of_characters(composition.augmentation) if facts.shows_characters else _of_photographs(composition.augmentation)),
        *_of_colour(composition.augmentation, facts),
        *_of_strength(composition.augmentation, facts),
    ]


def doubts_about(config: TrainConfig, store: ImageStore) -> list[Doubt]:
    """The same for a training on a set, of which this store holds the images at whatever size."""
    chosen, channels = config.preprocessing, store.meta.shape[0]
    channels = {"grey": 1, "rgb": 3}.get(chosen.colour, channels)
    side_px = chosen.size_px
    shape = (channels, side_px, side_px) if side_px else (channels, *store.meta.shape[1:])
    width, height = np.median(store.sizes, axis=0).astype(int).tolist()
    mean = tuple(store.meta.mean) if channels == len(store.meta.mean) else (float(np.mean(store.meta.mean)),) * channels
    facts = SetFacts(
        shows_characters=shows_characters(store.meta.drawing, store.meta.class_names),
        shape=shape,
        original_px=(height, width),
        mean=mean,
    )
    return doubts(Composition(chosen, config.augmentation), facts)


def _of_preparation(settings: Preprocessing, facts: SetFacts) -> list[Doubt]:
    found = []
    channels, height, width = facts.shape
    if settings.size_px and settings.size_px > max(facts.original_px):
        found.append(
            Doubt(
                "preprocessing.size_px",
                f"Images of {facts.original_px[1]} × {facts.original_px[0]} pixels are enlarged to {width} × {height}: "
                "that costs time and memory and shows nothing new, unless the network was trained at this size.",
            )
        )
    if settings.short_side_px and settings.size_px and settings.size_px < 0.6 * settings.short_side_px:
        share = (settings.size_px / settings.short_side_px) ** 2
        found.append(
            Doubt(
                "preprocessing.short_side_px", f"At most {percent(share, 0)} of each image is left after the middle is cut out."
            )
        )
    for name in ("mean", "std"):
        values = getattr(settings, name)
        if values is not None and len(values) != channels:
            found.append(
                Doubt(
                    f"preprocessing.{name}",
                    f"{'Mean' if name == 'mean' else 'Standard deviation'} has {len(values)} "
                    f"{'number' if len(values) == 1 else 'numbers'}, the images have {channels} "
                    f"{'channel' if channels == 1 else 'channels'}: training refuses this.",
                )
            )
    if settings.mean is not None and any(not 0 <= v <= 1 for v in settings.mean):
        found.append(
            Doubt("preprocessing.mean", "Pixels run from 0 to 1 here; a mean for pixels from 0 to 255 is divided by 255 first.")
        )
    elif settings.mean and settings.std and len(settings.mean) == len(settings.std) == len(facts.mean):
        away = max(abs(own - given) / std for own, given, std in zip(facts.mean, settings.mean, settings.std, strict=True))
        if away > FAR_OFF:
            found.append(
                Doubt(
                    "preprocessing.mean",
                    f"These images have the mean {', '.join(f'{v:.2f}' for v in facts.mean)}; "
                    f"normalised like this it lies {away:.1f} away from 0. Were the values made for another set?",
                )
            )
    if facts.shows_characters and settings.invert:
        found.append(
            Doubt(
                "preprocessing.invert",
                "Digits and letters are light on dark here, with 0 around them; inverting them brings nothing.",
            )
        )
    return found


def _of_characters(settings: Augmentation) -> list[Doubt]:
    found = []
    if settings.flip:
        found.append(Doubt("augmentation.flip", "A mirrored digit or letter is another one, or none: turn Horizontal flip off."))
    if settings.flip_vertical:
        found.append(Doubt("augmentation.flip_vertical", "Upside down, a digit or letter is another one, or none."))
    if settings.rotate_deg > 45:
        found.append(
            Doubt("augmentation.rotate_deg", f"Turned by up to {settings.rotate_deg:g}°, a 6 can become a 9. Up to 15° is usual.")
        )
    if settings.invert_probability:
        found.append(
            Doubt(
                "augmentation.invert_probability",
                "Drawings are always brought to light on dark before a prediction, so inverted ones are never met.",
            )
        )
    if settings.crop_area < 0.5:
        found.append(Doubt("augmentation.crop_area", "So small a part of a digit or letter may look like another one."))
    return found


def _of_photographs(settings: Augmentation) -> list[Doubt]:
    found = []
    if settings.flip_vertical:
        found.append(
            Doubt("augmentation.flip_vertical", "Most photographs have an up and a down. Upside down suits images from above.")
        )
    if settings.rotate_deg > 90:
        found.append(
            Doubt(
                "augmentation.rotate_deg", "Most photographs have an up and a down. Turning all around suits images from above."
            )
        )
    return found


def _of_colour(settings: Augmentation, facts: SetFacts) -> list[Doubt]:
    found = []
    useless = {"saturation": "Saturation", "hue": "Hue", "grey_probability": "Random grayscale"}
    if facts.shape[0] == 1 and (names := [title for name, title in useless.items() if getattr(settings, name)]):
        verb = "changes" if len(names) == 1 else "change"
        first = next(name for name in useless if getattr(settings, name))
        found.append(Doubt(f"augmentation.{first}", f"The images are grey: {' and '.join(names)} {verb} nothing."))
    elif settings.hue > 0.2:
        found.append(Doubt("augmentation.hue", "So large a change of hue makes grass red and skin green; up to 0.1 is usual."))
    if settings.brightness > 0.8:
        found.append(Doubt("augmentation.brightness", "Some images become almost black; up to 0.4 is usual."))
    if settings.contrast > 0.8:
        found.append(Doubt("augmentation.contrast", "Some images become almost plain grey; up to 0.4 is usual."))
    return found


def _of_strength(settings: Augmentation, facts: SetFacts) -> list[Doubt]:
    found = []
    side = min(facts.shape[1:])
    if settings.erase_px >= side:
        found.append(
            Doubt("augmentation.erase_px", f"The erased square is as large as the image ({side} pixels): some become blank.")
        )
    elif settings.erase_px > 0.6 * side:
        found.append(
            Doubt("augmentation.erase_px", "More than a third of an image is erased; half of its side is usual at most.")
        )
    if settings.shift_px >= side:
        found.append(Doubt("augmentation.shift_px", "Some images are moved out of sight altogether."))
    elif settings.shift_px > side / 4:
        found.append(Doubt("augmentation.shift_px", "Moved by more than a quarter of the image; an eighth is usual."))
    if settings.crop_area < 1 and math.sqrt(settings.crop_area) * side < NOTHING_LEFT_PX:
        found.append(
            Doubt(
                "augmentation.crop_area",
                f"A crop may be as small as {math.sqrt(settings.crop_area) * side:.0f} pixels wide: hardly anything can be seen in it.",
            )
        )
    elif settings.crop_area < 0.08:
        found.append(Doubt("augmentation.crop_area", "Smaller crops than 0.08 often miss what the image shows."))
    if settings.scale > 0.5:
        found.append(Doubt("augmentation.scale", "Some images become less than half as large."))
    return found
