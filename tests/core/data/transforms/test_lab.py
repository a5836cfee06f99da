"""The transform lab's steps: what is looked at is what is trained with; doubts are told where they are due and nowhere else."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as TF

from core.augmentations import AUGMENTATIONS
from core.config import Augmentation, Preprocessing, TrainConfig
from core.data.sets import prepare_store
from core.data.store.image_store import ImageStore, StoreMeta
from core.data.transforms.augmentation import augment
from core.data.transforms.cost import augmentation_cost
from core.data.transforms.doubts import SetFacts, doubts, shows_characters, suitable
from core.data.transforms.lab import (
    TRANSFORMS,
    Composition,
    Specimen,
    as_trained,
    draws_of,
    measured,
    normalisation,
    sample,
    shape_for,
    specimen,
    walk,
)
from core.data.transforms.preprocessing import STORED_FIELDS, image_to_array
from core.recipes import RECIPES
from core.settings import all_settings, changed
from core.workspace import open_workspace
from tests.fixtures.random_changes import is_either_or as has_two_outcomes
from tests.fixtures.random_changes import not_set_by, turned_on

# What came into the catalogue after those that are named here.
NAMED = {
    "shift_px",
    "flip",
    "rotate_deg",
    "scale",
    "erase_px",
    "crop_area",
    "flip_vertical",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "grey_probability",
    "invert_probability",
}
NEWER = {name: value for change in not_set_by(NAMED).values() for name, value in turned_on(change).items()}
EVERYTHING = Composition(
    Preprocessing(size_px=24, short_side_px=30, invert=True, colour="rgb"),
    Augmentation(
        shift_px=3,
        flip=True,
        rotate_deg=20,
        scale=0.2,
        erase_px=6,
        crop_area=0.5,
        flip_vertical=True,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue=0.2,
        grey_probability=0.5,
        invert_probability=0.5,
        **NEWER,
    ),
)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def photograph(size: tuple[int, int] = (60, 44), seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def specimen_with(composition: Composition, image: Image.Image | None = None, seed: int = 0) -> Specimen:
    image = image or photograph()
    side = composition.preprocessing.size_px
    channels = {"grey": 1, "rgb": 3}.get(composition.preprocessing.colour, 1 if image.mode == "L" else 3)
    shape = (channels, side or image.height, side or image.width)
    return specimen(image, shape, composition, MEAN[:channels], STD[:channels], seed)


# --- the steps


def test_every_setting_of_both_sections_drives_a_step_and_every_step_s_settings_exist():
    settings = {item.path for item in all_settings() if item.section in ("preprocessing", "augmentation")}
    driven = {path for transform in TRANSFORMS for path in transform.settings}
    assert driven == settings - {"preprocessing.drawing"}  # for images from outside alone


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "composition",
    [
        EVERYTHING,
        Composition(Preprocessing(size_px=24), Augmentation(shift_px=3, flip=True)),
        Composition(Preprocessing(size_px=24, fit="pad"), Augmentation(rotate_deg=10, flip=True, erase_px=4)),
        Composition(Preprocessing(size_px=32, colour="grey", fit="stretch"), Augmentation(crop_area=0.3, contrast=0.5)),
        Composition(Preprocessing(), Augmentation(brightness=0.5)),
        Composition(),
    ],
    ids=["everything", "shift and flip", "rotate and erase", "grey and crop", "brightness", "nothing"],
)
def test_last_look_is_what_training_gets(composition: Composition, seed: int):
    """The same bits as augment() with the same seed, on the image as a store would hold it."""
    examined = specimen_with(composition, seed=seed)
    stored = torch.from_numpy(image_to_array(examined.image, examined.shape, composition.preprocessing))[None]
    trained = augment(
        stored,
        composition.augmentation,
        torch.Generator().manual_seed(seed),
        torch.tensor(examined.mean),
        torch.tensor(examined.std),
    )
    last = walk(examined)[-1].after
    np.testing.assert_array_equal(last.values, trained[0].numpy())
    np.testing.assert_array_equal(
        last.shown, as_trained(stored.numpy(), composition.augmentation, examined.mean, examined.std, seed)[0]
    )


def test_each_step_begins_where_the_one_before_ended_and_stands_in_the_order_of_the_catalogue():
    stages = walk(specimen_with(EVERYTHING, photograph().convert("L")))
    assert [stage.transform.name for stage in stages] == [transform.name for transform in TRANSFORMS]
    for one, following in pairwise(stages):
        assert following.before is one.after


def test_only_what_is_active_is_shown():
    names = [stage.transform.name for stage in walk(specimen_with(Composition()))]
    assert names == ["to-tensor", "normalise"]
    names = [
        stage.transform.name
        for stage in walk(specimen_with(Composition(Preprocessing(size_px=24, fit="stretch"), Augmentation(flip=True))))
    ]
    assert names == ["resize", "to-tensor", "normalise", "flip"]


def test_changes_of_nothing_but_one_step_are_that_step_alone():
    """Without the others each step does to the image what torchvision's function does."""
    stages = {s.transform.name: s for s in walk(specimen_with(Composition(Preprocessing(size_px=24), Augmentation(hue=0.3))))}
    before, after = (torch.from_numpy(look.values) for look in (stages["hue"].before, stages["hue"].after))
    turn = float(specimen_with(Composition(Preprocessing(size_px=24), Augmentation(hue=0.3))).draws.hue[0])
    torch.testing.assert_close(after, TF.adjust_hue(before, turn), atol=1e-5, rtol=0)


def test_numbers_before_and_after_to_tensor_and_normalise_are_those_of_the_formula():
    examined = specimen_with(Composition(Preprocessing(size_px=24)))
    to_tensor, normalise = walk(examined)[-2:]
    np.testing.assert_allclose(to_tensor.after.values, to_tensor.before.values / 255, rtol=1e-6)
    mean, std = (np.array(v)[:, None, None] for v in (MEAN, STD))
    np.testing.assert_allclose(normalise.after.values, (normalise.before.values - mean) / std, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(normalise.after.shown, to_tensor.before.values)  # for the eye nothing changed
    least, middle, most = normalise.before.ranges()[0]
    channel = examined.stored[0, 0].numpy() / 255
    assert (least, most) == pytest.approx((channel.min(), channel.max()))
    assert middle == pytest.approx(channel.mean())
    assert normalise.before.pixel(0.5, 0.25) == pytest.approx([v / 255 for v in examined.stored[0, :, 12, 6].tolist()])


def test_short_side_then_middle_has_the_sizes_of_torchvision():
    stages = {
        s.transform.name: s
        for s in walk(specimen_with(Composition(Preprocessing(size_px=24, short_side_px=32)), photograph((80, 40))))
    }
    assert stages["resize"].after.size == "64 × 32 × 3"
    assert stages["crop"].after.size == "24 × 24 × 3"


def test_long_thin_picture_is_not_blown_up_to_be_shown():
    image = Image.new("RGB", (100_000, 2), "red")
    stages = walk(specimen_with(Composition(Preprocessing(size_px=224, short_side_px=256)), image))
    assert [s.transform.name for s in stages] == ["crop", "to-tensor", "normalise"]


@pytest.mark.parametrize(
    "transform", [transform for transform in TRANSFORMS if transform.is_random], ids=lambda transform: transform.name
)
def test_ten_draws_of_a_random_step_differ_and_repeat_with_the_seed(transform):
    examined = specimen_with(EVERYTHING)
    ten, again, other = draws_of(examined, transform, 1), draws_of(examined, transform, 1), draws_of(examined, transform, 2)
    assert len(ten) == 10
    assert all(np.array_equal(a, b) for a, b in zip(ten, again, strict=True))
    is_either_or = has_two_outcomes(AUGMENTATIONS[transform.name])
    assert len({one.tobytes() for one in ten}) >= (2 if is_either_or else 6)
    if not is_either_or:
        assert not all(np.array_equal(a, b) for a, b in zip(ten, other, strict=True))


def test_what_was_drawn_is_said_for_every_random_step():
    stages = walk(specimen_with(EVERYTHING))
    assert all(bool(stage.drawn) == stage.transform.is_random for stage in stages)


def test_composition_goes_into_a_configuration_and_back():
    config = changed(TrainConfig(), EVERYTHING.changes())
    assert Composition(config.preprocessing, config.augmentation) == EVERYTHING


@pytest.mark.alone
def test_cost_is_nothing_for_nothing_and_more_for_more():
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 32, 32), np.uint8)
    assert augmentation_cost(images, Augmentation(), MEAN, STD) == 0
    assert 0 < augmentation_cost(images, EVERYTHING.augmentation, MEAN, STD) < 60


# --- about a set


@pytest.fixture
def digits(tmp_path: Path) -> ImageStore:
    return prepare_store(open_workspace(tmp_path), "digits", Preprocessing())


def test_mean_and_deviation_are_the_store_s_own_or_estimated_for_another_form(digits):
    plain = Preprocessing()
    assert measured(digits, plain, plain) == (tuple(digits.meta.mean), tuple(digits.meta.std))
    mean, std = measured(digits, plain, Preprocessing(invert=True))
    assert mean[0] == pytest.approx(1 - digits.meta.mean[0], abs=0.03)
    assert std[0] == pytest.approx(digits.meta.std[0], abs=0.03)
    mean, _ = measured(digits, plain, Preprocessing(colour="rgb", size_px=16))
    assert len(mean) == 3
    assert shape_for(digits, Preprocessing(colour="rgb", size_px=16)) == (3, 16, 16)


def test_estimate_agrees_with_what_a_store_of_that_form_measures(digits, tmp_path):
    asked = Preprocessing(size_px=12, invert=True)
    exact = prepare_store(open_workspace(tmp_path), "digits", asked).meta
    mean, std = measured(digits, Preprocessing(), asked)
    assert mean[0] == pytest.approx(exact.mean[0], abs=0.02)
    assert std[0] == pytest.approx(exact.std[0], abs=0.02)


def test_own_mean_is_used_where_it_fits_and_the_other_value_measured():
    found = (0.4,), (0.5,)
    assert normalisation(Preprocessing(), *found) == found
    assert normalisation(Preprocessing(mean=(0.2,)), *found) == ((0.2,), (0.5,))
    assert normalisation(Preprocessing(mean=(0.2,), std=(0.3,)), *found) == ((0.2,), (0.3,))
    assert normalisation(Preprocessing(mean=(0.2, 0.3, 0.4), std=(0.3,)), *found) == ((0.4,), (0.3,))  # doubts tell of it


def test_stored_fields_are_those_that_change_what_a_store_holds():
    """Every other field of Preprocessing leaves picture_to_array's result as it is."""
    image = photograph()
    plain = image_to_array(image, (3, 24, 24), Preprocessing(size_px=24))
    other = {"mean": (0.1,) * 3, "std": (0.2,) * 3, "drawing": "mnist"}
    assert set(other) | set(STORED_FIELDS) == set(Preprocessing.model_fields)
    np.testing.assert_array_equal(image_to_array(image, (3, 24, 24), Preprocessing(size_px=24, **other)), plain)


def test_sample_is_what_a_training_would_store_of_the_same_pictures(tmp_path):
    """Photographs from their files, not from the smaller ones in the store; and from the store once a file is gone."""
    workspace = open_workspace(tmp_path / "home")
    for number in range(12):
        path = tmp_path / "pets" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph((90 + number, 70), seed=number).save(path)
    plain, asked = Preprocessing(), Preprocessing(size_px=80, short_side_px=88, invert=True)
    store, wanted = (prepare_store(workspace, str(tmp_path / "pets"), form) for form in (plain, asked))
    np.testing.assert_array_equal(sample(store, plain, asked, 12), wanted.images)
    np.testing.assert_array_equal(sample(store, plain, plain, 12), store.images)
    assert len(sample(store, plain, asked)) == 12
    path.unlink()
    assert sample(store, plain, asked, 12).shape == (12, 3, 80, 80)


# --- doubts

PHOTOGRAPHS = SetFacts(shows_characters=False, shape=(3, 64, 64), original_px=(300, 400), mean=(0.45, 0.45, 0.4))
DIGITS = SetFacts(shows_characters=True, shape=(1, 28, 28), original_px=(28, 28), mean=(0.13,))


def told(facts: SetFacts, preprocessing: dict | None = None, **augmentation) -> set[str]:
    found = doubts(Composition(Preprocessing(**(preprocessing or {})), Augmentation(**augmentation)), facts)
    assert all(doubt.sentence.endswith((".", "?")) and doubt.sentence[0].isupper() for doubt in found)
    return {doubt.setting.partition(".")[2] for doubt in found}


@pytest.mark.parametrize(
    ("facts", "preprocessing", "augmentation", "setting"),
    [
        (DIGITS, {}, {"flip": True}, "flip"),
        (DIGITS, {}, {"flip_vertical": True}, "flip_vertical"),
        (DIGITS, {}, {"rotate_deg": 180}, "rotate_deg"),
        (DIGITS, {}, {"invert_probability": 0.5}, "invert_probability"),
        (DIGITS, {"invert": True}, {}, "invert"),
        (DIGITS, {}, {"crop_area": 0.3}, "crop_area"),
        (DIGITS, {}, {"hue": 0.1}, "hue"),
        (DIGITS, {}, {"saturation": 0.1}, "saturation"),
        (DIGITS, {}, {"grey_probability": 0.1}, "grey_probability"),
        (DIGITS, {}, {"erase_px": 28}, "erase_px"),
        (DIGITS, {}, {"shift_px": 10}, "shift_px"),
        (DIGITS, {"size_px": 64}, {}, "size_px"),
        (DIGITS, {"mean": (0.5, 0.5, 0.5)}, {}, "mean"),
        (DIGITS, {"std": (0.5, 0.5, 0.5)}, {}, "std"),
        (DIGITS, {"mean": (0.9,), "std": (0.3,)}, {}, "mean"),
        (PHOTOGRAPHS, {"mean": (90.0, 80.0, 70.0), "std": (58.0, 57.0, 57.0)}, {}, "mean"),
        (PHOTOGRAPHS, {"size_px": 64, "short_side_px": 128}, {}, "short_side_px"),
        (PHOTOGRAPHS, {}, {"flip_vertical": True}, "flip_vertical"),
        (PHOTOGRAPHS, {}, {"rotate_deg": 180}, "rotate_deg"),
        (PHOTOGRAPHS, {}, {"hue": 0.5}, "hue"),
        (PHOTOGRAPHS, {}, {"brightness": 1}, "brightness"),
        (PHOTOGRAPHS, {}, {"contrast": 1}, "contrast"),
        (PHOTOGRAPHS, {}, {"crop_area": 0.01}, "crop_area"),
        (PHOTOGRAPHS, {}, {"scale": 0.8}, "scale"),
    ],
    ids=str,
)
def test_doubtful_choice_is_told(facts, preprocessing, augmentation, setting):
    assert setting in told(facts, preprocessing, **augmentation)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_raise_no_doubt(recipe):
    config = RECIPES[recipe].config
    facts = {
        "cifar10": SetFacts(shows_characters=False, shape=(3, 32, 32), original_px=(32, 32), mean=(0.49, 0.48, 0.45)),
        "mnist": DIGITS,
        "digits": SetFacts(shows_characters=True, shape=(1, 8, 8), original_px=(8, 8), mean=(0.3,)),
    }.get(config.data.dataset, PHOTOGRAPHS)
    assert not doubts(Composition(config.preprocessing, config.augmentation), facts)


def test_usual_choices_for_photographs_raise_no_doubt():
    assert not told(
        PHOTOGRAPHS,
        {"size_px": 64, "short_side_px": 73, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        flip=True,
        crop_area=0.08,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        grey_probability=0.2,
        erase_px=16,
        rotate_deg=15,
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 1024, 1024)])
@pytest.mark.parametrize("characters", [True, False])
def test_what_is_suggested_raises_no_doubt_and_never_mirrors_a_digit(characters, shape):
    composition = suitable(characters, shape)
    assert composition.augmentation.flip != characters
    assert not doubts(
        composition, SetFacts(shows_characters=characters, shape=shape, original_px=shape[1:], mean=(0.4,) * shape[0])
    )


@pytest.mark.parametrize(
    ("drawing", "names", "expected"),
    [
        ("mnist", ["one", "two"], True),
        ("none", ["0", "1"], True),
        ("none", list("abc"), True),
        ("none", ["cat", "dog"], False),
        ("none", ["1", "dog"], False),
        ("digits", ["0"], True),
    ],
)
def test_digits_and_letters_are_known_by_the_set_or_by_the_names_of_its_classes(drawing, names, expected):
    assert shows_characters(drawing, names) == expected


def test_store_meta_has_what_the_lab_reads():
    assert {"mean", "std", "shape", "splits", "drawing", "class_names"} <= set(StoreMeta.__dataclass_fields__)
