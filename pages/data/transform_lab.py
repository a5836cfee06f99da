"""The transform lab: a composition edited with sliders, seen step by step on an image, saved, and taken to the Train page."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.config import Augmentation, Preprocessing, TrainConfig
from core.data.sets import suiting
from core.data.store.image_store import ImageStore
from core.data.transforms.cost import augmentation_cost
from core.data.transforms.doubts import SetFacts, doubts, shows_characters, suitable
from core.data.transforms.lab import (
    Composition,
    Look,
    Specimen,
    Stage,
    Transform,
    as_trained,
    draws_of,
    measured,
    normalisation,
    sample,
    shape_for,
    specimen,
    walk,
)
from core.data.transforms.preprocessing import STORED_FIELDS, array_to_image
from core.data.transforms.presets import delete_preset, find_preset, list_presets, save_preset
from core.errors import InputError
from core.settings import Setting, changed, settings_of
from pages.shared.actions import do
from pages.shared.enlarged import enlarged
from pages.shared.session import workspace
from pages.shared.setting_widget import setting_widget, value_of
from pages.shared.text import escaped, for_people
from pages.train.settings_form import begin_with_transforms

SETTINGS = {
    item.path: item
    for section, prefix in ((Preprocessing, "preprocessing."), (Augmentation, "augmentation."))
    for item in settings_of(section, prefix)
}
GROUPS = {
    "Random": tuple(path for path in SETTINGS if path.startswith("augmentation.")),
    "Size": ("preprocessing.size_px", "preprocessing.fit", "preprocessing.short_side_px"),
    "Colour": ("preprocessing.colour", "preprocessing.invert"),
    "Normalise": ("preprocessing.mean", "preprocessing.std"),
}
WORDS = {
    "crop": "Middle cut out",
    "pad": "Black bars added",
    "stretch": "Stretched",
    "as stored": "As the set has them",
    "grey": "One grey channel",
    "rgb": "Red, green, blue",
}
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}
STEP_PX, SMALL_PX = 128, 64


def transform_lab(store: ImageStore, dataset: str, image: Image.Image, index: int) -> None:
    """Shows the lab for one image of a set. store: in the form that `suiting` gives the set; image: decoded as it came."""
    values = suiting(workspace(), dataset)
    characters = shows_characters(store.meta.drawing, store.meta.class_names)
    start = suitable(characters, store.meta.shape, values["preprocessing.size_px"], values["preprocessing.fit"])
    lab = st.session_state.setdefault("lab", {"form": 0, "seed": 0})
    if lab.get("dataset") != dataset:
        lab["dataset"] = dataset
        _take(start)
    st.html(Path(__file__).parent / "transform_lab.css")
    _lab(store, start, characters, image, index)


@st.fragment
def _lab(store: ImageStore, start: Composition, characters: bool, image: Image.Image, index: int) -> None:
    """A slider reruns only this."""
    lab = st.session_state["lab"]
    controls, results = st.columns([2, 5], gap="large")
    with controls:
        composition = _controls(store)
        _keep(lab["dataset"], start, composition)
    if composition is None:
        return
    plain = start.preprocessing
    shape = shape_for(store, composition.preprocessing)
    own_mean, own_std = _measured_once(store.path.name, _form(composition.preprocessing), store, plain, composition.preprocessing)
    mean, std = normalisation(composition.preprocessing, own_mean, own_std)
    examined = specimen(image, shape, composition, mean, std, 1000 * lab["seed"] + index)
    with results:
        facts = SetFacts(shows_characters=characters, shape=shape, original_px=(image.height, image.width), mean=own_mean)
        if told := [f"**{SETTINGS[doubt.setting].title}.** {escaped(doubt.sentence)}" for doubt in doubts(composition, facts)]:
            st.warning("\n\n".join(told))
        stages = walk(examined)
        _transforms(stages)
        if random_transforms := [stage.transform for stage in stages if stage.transform.is_random]:
            _ten_draws(examined, random_transforms)
        _batch(store, plain, examined)


# --- what was chosen: kept in the session by path; a counter renews the widgets


def _take(composition: Composition) -> None:
    lab = st.session_state["lab"]
    lab["changes"] = composition.changes()
    lab["form"] += 1


def _take_saved(name: str) -> None:
    try:
        _take(find_preset(workspace(), name).composition)
    except InputError as error:  # deleted in another tab
        st.session_state["trouble"] = str(error)


def _key(path: str) -> str:
    return f"lab-{st.session_state['lab']['form']}-{path}"


def _note(path: str, key: str) -> None:
    if key == _key(path):  # not one of widgets that are gone: a late update brings them all back
        st.session_state["lab"]["changes"][path] = value_of(path, key)


def _draw_again() -> None:
    st.session_state["lab"]["seed"] += 1


# --- controls


def _controls(store: ImageStore) -> Composition | None:
    """The widgets, and what they stand for; None while that is impossible, with the reason shown."""
    changes = st.session_state["lab"]["changes"]
    for tab, paths in zip(st.tabs(list(GROUPS), key="lab-groups"), GROUPS.values(), strict=True):
        with tab:
            for path in paths:
                _control(SETTINGS[path], changes[path], min(store.meta.shape[1:]))
    try:
        config = changed(TrainConfig(), changes)
    except InputError as error:
        st.error(escaped(for_people(error)))
        return None
    return Composition(config.preprocessing, config.augmentation)


def _control(item: Setting, value: Any, side_px: int) -> None:
    setting_widget(
        item,
        value,
        _key(item.path),
        on_change=_note,
        empty="measured on the training images" if item.kind == "floats" else "as the set has it",
        slider_to=side_px,
        words=WORDS,
    )


def _keep(dataset: str, start: Composition, composition: Composition | None) -> None:
    """What can be done with the composition: train, save, take another."""
    if st.button("Train with it", type="primary", key="lab-train", width="stretch", disabled=composition is None):
        begin_with_transforms(dataset, composition.preprocessing, composition.augmentation)
        st.switch_page("train/train.py")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Save under a name", key="lab-name", placeholder="Gentle", max_chars=100)
        if st.button("Save", key="lab-save", disabled=composition is None or not name.strip()):
            do(lambda: save_preset(workspace(), name, dataset, composition), f"Saved as {name.strip()}.")
    for number, preset in enumerate(list_presets(workspace())):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(escaped(preset.name), width="stretch")
            st.button("Use", key=f"lab-use-{number}", on_click=_take_saved, args=(preset.name,), type="tertiary")
            if st.button("Delete", key=f"lab-delete-{number}", type="tertiary"):
                do(lambda name=preset.name: delete_preset(workspace(), name), f"Deleted {preset.name}.")
    if composition != start:
        st.button("Back to what suits this set", key="lab-reset", on_click=_take, args=(start,), type="tertiary")


# --- results


def _transforms(stages: list[Stage]) -> None:
    st.markdown("## Step by step")
    if any(stage.transform.is_random for stage in stages):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "In this order. What is random is drawn anew for each training image, every time it comes up; evaluation and "
                "prediction never see it. This is one draw.",
                width="stretch",
            )
            st.button("Draw again", key="lab-draw", on_click=_draw_again)
    else:
        st.caption("In this order, in training, evaluation and prediction. Nothing is changed at random yet.")
    for stage in stages:
        _stage(stage)


def _stage(stage: Stage) -> None:
    """One step: before, after, and the numbers."""
    with st.container(border=True, key=f"lab-step-{stage.transform.name}"):
        images, words = st.columns([5, 6], vertical_alignment="center")
        with images, st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="left"):
            st.image(_for_screen(stage.before.shown), width="content", output_format="PNG", alt="The image before this step")
            st.markdown("→", width="content")
            st.image(_for_screen(stage.after.shown), width="content", output_format="PNG", alt="The image after this step")
        with words:
            drawn = f" :gray-badge[at random] {stage.drawn}" if stage.transform.is_random else ""
            st.markdown(f"**{stage.transform.title}**{drawn}", help=stage.transform.explanation)
            st.caption(_sizes(stage))
            st.markdown(_table(stage))


def _sizes(stage: Stage) -> str:
    before, after = stage.before, stage.after
    size = before.size if before.size == after.size else f"{before.size} → {after.size}"
    return f"{size} · values {before.unit}" + (f" → {after.unit}" if after.unit != before.unit else "")


def _table(stage: Stage) -> str:
    """Least, mean and most of each channel; of a change of the scale also some pixels."""
    lines = ["| min · mean · max | before | after |", "| --- | --- | --- |"]
    before, after = stage.before.ranges(), stage.after.ranges()
    for number in range(max(len(before), len(after))):
        name = CHANNELS[max(len(before), len(after))][number]
        cells = [
            _numbers(look, side[number]) if number < len(side) else ""
            for look, side in ((stage.before, before), (stage.after, after))
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    if stage.before.unit != stage.after.unit:
        for name, place in (("pixel in the middle", 0.5), ("pixel at ¼", 0.25)):
            cells = [_numbers(look, look.pixel(place, place)) for look in (stage.before, stage.after)]
            lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _numbers(look: Look, values: Any) -> str:
    digits = 0 if look.unit == "0 to 255" else 2
    return " · ".join(f"{v:.{digits}f}".replace("-", "−") for v in values)


def _ten_draws(examined: Specimen, transforms: list[Transform]) -> None:
    titles = {transform.name: transform.short_title for transform in transforms}
    st.markdown("## Ten draws")
    name = st.pills(
        "Of which change",
        list(titles),
        default=transforms[0].name,
        format_func=titles.get,
        key="lab-ten-of",
        label_visibility="collapsed",
    )
    transform = next((transform for transform in transforms if transform.name == name), transforms[0])
    with st.container(key="lab-ten"):
        drawn = [_for_screen(array, SMALL_PX) for array in draws_of(examined, transform, st.session_state["lab"]["seed"])]
        st.image(drawn, width="content", output_format="PNG", alt=[f"Draw {n} of {len(drawn)}" for n in range(1, len(drawn) + 1)])


def _batch(store: ImageStore, plain: Preprocessing, examined: Specimen) -> None:
    composition = examined.composition
    st.markdown("## As the network gets it")
    st.caption("Training images from all over the set, with all of the above.")
    wanted = composition.preprocessing
    images = _sample_once(store.path.name, _form(wanted), store, plain, wanted)
    batch = as_trained(images, composition.augmentation, examined.mean, examined.std, st.session_state["lab"]["seed"])
    with st.container(key="lab-batch"):
        shown = [_for_screen(array, SMALL_PX) for array in batch]
        st.image(shown, width="content", output_format="PNG", alt=[f"Image {n} of the batch" for n in range(1, len(shown) + 1)])
    if composition.augmentation.is_active:
        first, end = store.meta.splits["train"]
        changes = composition.augmentation
        seconds = _cost_once(images.shape, changes.model_dump_json(), images, changes, examined.mean, examined.std)
        milliseconds = f"{1000 * seconds:,.{0 if seconds > 0.01 else 1}f} ms"
        st.caption(
            f"The random changes take {milliseconds} for 1,000 images, measured just now on this machine's processor; "
            f"the set brings {end - first:,} to train on, before any are held out.",
            help="With one processor core. Training makes them in whole batches on its own device: several cores or a GPU take less.",
        )


def _for_screen(array: np.ndarray, side_px: int = STEP_PX) -> Image.Image:
    image = array_to_image(array)
    image.thumbnail((side_px, side_px))
    return enlarged(image, side_px)


# --- what takes longer than a slider should: done once for each form that the images are stored in


def _form(preprocessing: Preprocessing) -> str:
    return preprocessing.model_dump_json(include=set(STORED_FIELDS))


@st.cache_data(max_entries=100, show_spinner=False)
def _measured_once(
    store_name: str, form: str, _store: ImageStore, _plain: Preprocessing, _wanted: Preprocessing
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return measured(_store, _plain, _wanted)


@st.cache_data(max_entries=30, show_spinner=False)
def _sample_once(store_name: str, form: str, _store: ImageStore, _plain: Preprocessing, _wanted: Preprocessing) -> np.ndarray:
    return sample(_store, _plain, _wanted)


@st.cache_data(max_entries=100, show_spinner=False)
def _cost_once(
    shape: tuple[int, ...], settings: str, _images: np.ndarray, _settings: Augmentation, _mean: Any, _std: Any
) -> float:
    return augmentation_cost(_images, _settings, _mean, _std)
