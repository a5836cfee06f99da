"""What the layers of the lab work on: typed numbers, an image of a set, one from a file, or ones."""

import random

import streamlit as st

from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import own_store
from core.data.transforms.preprocessing import array_to_image
from core.errors import InputError
from core.layer_lab import inputs
from core.layer_lab.inputs import CHANNELS, LabInput, as_lab_image, image_input, ones_input, typed_input
from pages.networks.lab_state import is_current, key_of, lab_state, renew
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.upload import uploaded_image

SOURCES = {"typed": "Typed", "set": "Data set", "upload": "File", "ones": "Ones"}


def sets_here() -> dict[str, str]:
    """The sets whose images are on this machine, with what they are called."""
    titles = {name: record.title for name, record in DATASETS.items()}
    titles |= {name: f"{name} (yours)" for name in imported_sets(workspace())}
    return {name: title for name, title in titles.items() if own_store(workspace(), name) is not None}


def input_fields(sets: dict[str, str]) -> LabInput | None:
    """The fields, and what they stand for; None while that is impossible, with the reason under its field."""
    given = lab_state()["input"]
    st.segmented_control(
        "Input",
        list(SOURCES),
        default=given["source"],
        format_func=SOURCES.get,
        required=True,
        key=key_of("input", "source"),
        on_change=_note,
        args=("source", key_of("input", "source")),
    )
    try:
        match given["source"]:
            case "set":
                return _of_set(sets)
            case "upload":
                image = uploaded_image("layer-lab-upload")
                return None if image is None else _in_channels(as_lab_image(image))
            case "ones":
                _text("shape", "Shape", "Images × channels × height × width, or images × values.")
                return ones_input(given["shape"])
            case _:
                _text("text", "Matrix", "A row a line. An empty line begins another channel; one row alone is a row of values.")
                return typed_input(given["text"])
    except InputError as error:
        st.error(escaped(str(error)))
        return None


def remembered_input(given: dict) -> LabInput | None:
    """An input that worked before; None where it was a file that is no longer there."""
    match given["source"]:
        case "typed":
            return typed_input(given["text"])
        case "ones":
            return ones_input(given["shape"])
        case "set":
            return _image_of(given)
    return None


def _text(name: str, label: str, explanation: str) -> None:
    given, key = lab_state()["input"], key_of("input", name)
    field = st.text_area if name == "text" else st.text_input
    look = {"height": 150} if name == "text" else {}
    field(label, given[name], key=key, help=explanation, on_change=_note, args=(name, key), max_chars=20_000, **look)


def _of_set(sets: dict[str, str]) -> LabInput | None:
    given = lab_state()["input"]
    if not sets:
        st.info("No set is on this machine yet. The Data page gets one.")
        return None
    if given["dataset"] not in sets:
        given["dataset"], given["index"] = next(iter(sets)), 0
    name = key_of("input", "dataset")
    st.selectbox(
        "Data set",
        list(sets),
        index=list(sets).index(given["dataset"]),
        format_func=sets.get,
        key=name,
        on_change=_note,
        args=("dataset", name),
    )
    store = own_store(workspace(), given["dataset"])
    if store is None:
        st.warning("The set is no longer on this machine. Choose another one.")
        return None
    count, number = len(store.labels), key_of("input", "number")
    given["index"] = min(given["index"], count - 1)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Image", 1, count, given["index"] + 1, key=number, on_change=_note, args=("number", number), width=150)
        st.button("Another one", key="layer-lab-another", on_click=_another, args=(count,))
    return _in_channels(_pixels(given))


def _pixels(given: dict):
    store = own_store(workspace(), given["dataset"])
    if store is None:
        raise InputError("The set is no longer on this machine.", code="dataset", hint="Choose another one.")
    array = store.images[given["index"]]
    return as_lab_image(array_to_image(array)) if max(array.shape[1:]) > inputs.MOST_PX else array


def _image_of(given: dict) -> LabInput | None:
    try:
        return image_input(_pixels(given), given["channels"])
    except InputError:
        return None


def _in_channels(array) -> LabInput:
    """The image, with the choice of its channels where it has colours."""
    given = lab_state()["input"]
    if len(array) == 3:
        key = key_of("input", "channels")
        st.selectbox(
            "Channels",
            list(CHANNELS),
            index=list(CHANNELS).index(given["channels"]),
            format_func=CHANNELS.get,
            key=key,
            on_change=_note,
            args=("channels", key),
        )
    return image_input(array, given["channels"])


def _note(name: str, key: str) -> None:
    if not is_current(key):
        return
    given, value = lab_state()["input"], st.session_state[key]
    if name == "number":
        given["index"] = value - 1
        return
    given[name] = value
    if name == "dataset":
        given["index"] = 0
        renew()


def _another(count: int) -> None:
    lab_state()["input"]["index"] = random.randrange(count)
    renew()
