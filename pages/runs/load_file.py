"""The form that makes a run of a file from outside: weights of any origin, or a checkpoint or run of another installation."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from core.config import TrainConfig
from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import suiting
from core.errors import InputError
from core.files import disk_error
from core.intake.contract import MAX_SIDE_PX
from core.intake.load import kind_of, load_file
from core.intake.recognise import Recognised, recognised_in
from core.models.own_networks import own_networks
from core.recipes import RECIPES, recipe_named
from core.settings import changed, parse_numbers
from pages.shared.network_choice import OWN, network_titles
from pages.shared.session import go_to, launcher, workspace
from pages.shared.text import escaped

MAX_UPLOAD_MB = 500
OTHER = "other"


def load_file_form() -> None:
    with st.expander("Load a checkpoint or a run", expanded=st.session_state.get("show-load-file", False), key="load-file"):
        st.caption(
            "A .pt or .pth file with a state_dict, a .safetensors file, or a zip that Trainscope has written. "
            "It is examined in a process of its own before anything of it is used. Larger than 500 MB: type its path."
        )
        file = st.file_uploader(
            "File",
            key=f"load-upload-{st.session_state.get('loads', 0)}",
            max_upload_size=MAX_UPLOAD_MB,
        )
        path = st.text_input("Or its path on this machine", key="load-path", placeholder="/home/me/weights.pt")
        if file is None and not path.strip():
            return
        try:
            examine(file, path)
        except InputError as error:
            st.error(escaped(str(error)))
        except OSError as error:
            st.error(escaped(str(disk_error(error))))


def examine(file, path: str) -> None:
    """Says what the file is, asks what it does not say itself, and loads it."""
    kind, config = kind_once(file, path), None
    if kind in ("torch", "safetensors"):
        st.markdown("**What do its weights belong to?**")
        recognised = recognised_once(file, path, kind)
        if recognised:
            st.caption(escaped(f"Its names and shapes are those of {recognised}."))
        if (config := belonging(recognised)) is None:
            return
    else:
        st.markdown("A whole run, with its curves." if kind == "run" else "A checkpoint of Trainscope's own.")
    if st.button("Load it", type="primary", key="load-now"):
        with st.spinner("Examining the file"), on_disk(file, path) as (found, name):
            loaded = load_file(workspace(), found, name, config, name=name if kind != "run" else "")
        if kind != "run":
            launcher().enqueue(loaded.run)  # evaluated at once, so that it has results
        st.session_state["loads"] = st.session_state.get("loads", 0) + 1
        st.session_state["loaded-notes"] = loaded.notes
        go_to("run/run.py", loaded.run)


def kind_once(file, path: str) -> str:
    """What kind of file it is; an upload is looked at once, not with every click on the page."""
    known, kind = st.session_state.get("load-kind", ("", ""))
    if file is None or known != file.file_id:
        with on_disk(file, path) as (found, _):
            kind = kind_of(found)
        st.session_state["load-kind"] = (file.file_id if file else "", kind)
    return kind


def recognised_once(file, path: str, kind: str) -> Recognised | None:
    """Which of torchvision's networks the weights are of; a file is looked at once. None where it can't be told."""
    of = file.file_id if file else path
    known, found = st.session_state.get("load-recognised", ("", None))
    if known != of:
        with on_disk(file, path) as (place, _):
            found = recognised_in(place, kind)
        st.session_state["load-recognised"] = (of, found)
    return found


@contextmanager
def on_disk(file, path: str) -> Iterator[tuple[Path, str]]:
    """Where the file lies, and what it is called; an upload is put aside for as long as it is looked at."""
    if file is None:
        found = Path(path.strip()).expanduser()
        if not found.is_file():
            raise InputError(f"There is no file {path.strip()[:200]!r}.", code="file")
        yield found, found.name
        return
    with tempfile.TemporaryDirectory(prefix="upload-", dir=workspace().home) as folder:
        found = Path(folder) / "file"
        found.write_bytes(file.getbuffer())
        yield found, file.name


def belonging(recognised: Recognised | None) -> TrainConfig | None:
    """Model, data set and preprocessing, from a recipe or one by one; what the file itself tells is chosen already."""
    names = {name: r.title for name, r in RECIPES.items()} | {OTHER: "Something else"}
    form = recognised.model if recognised else "any"
    first = list(names).index(OTHER) if recognised else 0
    recipe = st.selectbox("Trained as in", list(names), first, format_func=names.get, key=f"load-recipe-{form}")
    if recipe != OTHER:
        return changed(recipe_named(recipe).config, {"epochs": 0})
    sets = {name: r.title for name, r in DATASETS.items()} | {name: f"{name} (yours)" for name in imported_sets(workspace())}
    networks = network_titles()
    columns = st.columns(3)
    index = list(networks).index(recognised.model) if recognised else 0
    model = columns[0].selectbox("Model", list(networks), index, format_func=networks.get, key=f"load-model-{form}")
    width = columns[1].number_input("Width (×)", 0.01, 16.0, 1.0, key="load-width", disabled=model.startswith(OWN))
    dataset = columns[2].selectbox("Data set (for its classes)", list(sets), format_func=sets.get, key="load-dataset")
    side = columns[0].number_input(
        "Image size (px)",
        1,
        MAX_SIDE_PX,
        recognised.side_px if recognised else None,
        key=f"load-side-{form}",
        placeholder="as the set has it",
    )
    mean = columns[1].text_input(
        "Mean", key="load-mean", placeholder="measured on the data", help="As the network was trained, one number a channel."
    )
    std = columns[2].text_input("Standard deviation", key="load-std", placeholder="measured on the data")
    try:
        values = {**suiting(workspace(), dataset), "epochs": 0}
        if side:
            values["preprocessing.size_px"] = side
        stored = DATASETS[dataset].shape[0] if dataset in DATASETS else 3
        if recognised and recognised.channels != stored:
            values["preprocessing.colour"] = "grey" if recognised.channels == 1 else "rgb"
        if model.startswith(OWN):
            values["model"] = own_networks(workspace())[model.removeprefix(OWN)].model_dump(mode="json")
        else:
            values |= {"model.kind": "network", "model.name": model, "model.width": width}
        if recognised and model == recognised.model:
            values["model.head"] = recognised.head
        values |= {"preprocessing.mean": parse_numbers(mean), "preprocessing.std": parse_numbers(std)}
        return changed(TrainConfig(), values)
    except InputError as error:
        st.error(escaped(str(error)))
        return None
