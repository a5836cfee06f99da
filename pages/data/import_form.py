"""A person's own images come in: a zip dropped on the page, or a folder or zip on this machine."""

import tempfile
from pathlib import Path

import streamlit as st

from core.files import write_new
from core.name_encoding import ENCODINGS
from core.serving.data_work import import_request
from pages.shared.actions import do
from pages.shared.session import launcher, workspace
from pages.shared.work import begin, is_going_on, show, work_on

FITTED = {"crop": "center crop", "pad": "black bars added", "stretch": "stretched"}
LAYOUTS = """
- a folder for each class: `ants/`, `bees/`
- the same within `train/` and `val/` or `test/`
- images, each with a text file of the same name that holds its class
- images and a CSV with a column of file names and one of labels
"""


def import_form() -> str | None:
    """Asks for a zip or a path and has it imported. The name of the set that has just been."""
    state = st.session_state
    number = state.get("imports", 0)
    st.markdown("**Your own images**")
    st.caption(
        "A zip from your machine, or a folder or zip where Trainscope runs. Nothing in it is changed; files that are not images are "
        "skipped and listed."
    )
    upload, place = st.columns(2, gap="large")
    with upload:
        file = st.file_uploader("Zip of images", type="zip", key=f"zip-{number}")
    with place:
        path = st.text_input("Or the path of a folder or zip", key=f"path-{number}", placeholder="/home/me/pictures/flowers")
        with st.expander("Supported folder layouts", key="layouts"):
            st.markdown(LAYOUTS)
    if done := importing():
        return done
    if file is None and not path.strip():
        return None
    name, size, fit, names = st.columns(4)
    suggested = (
        Path(file.name).stem if file else Path(path.strip()).stem if path.strip().endswith(".zip") else Path(path.strip()).name
    )
    chosen_name = name.text_input("Name of the set", suggested[:100], key=f"set-name-{number}-{suggested[:100]}", max_chars=100)
    chosen_size = size.number_input(
        "Image size (px)",
        4,
        1024,
        None,
        key=f"set-size-{number}",
        placeholder="their own, or 64",
        help="Side of the square that the images are stored at. Empty: their own size if all have the same, else 64 px. "
        "Larger shows more detail and trains slower.",
    )
    chosen_fit = fit.selectbox(
        "Non-square images",
        list(FITTED),
        format_func=FITTED.get,
        key=f"set-fit-{number}",
        help="How an image fills the square: center crop, black bars added, or stretched.",
    )
    chosen_names = names.selectbox(
        "Names in the zip",
        ["automatic", *ENCODINGS],
        key=f"set-names-{number}",
        help="In which letters the names in a zip, or in a table, are written where they don't say so themselves. "
        "Choose it where the names of classes come out wrong.",
    )
    only = st.text_input(
        "Only these classes",
        key=f"set-classes-{number}",
        placeholder="all; or some of their names, with commas between",
        help="The others are dropped, and can be kept again under Classes.",
    )
    classes = [part.strip() for part in only.split(",") if part.strip()]
    if st.button("Import", type="primary", key=f"import-{number}"):
        do(lambda: _begin(file, path, chosen_name, chosen_size, chosen_fit, chosen_names, classes))
    return None


def _begin(file, path: str, name: str, size_px: int | None, fit: str, names: str, classes: list[str]) -> None:
    """An upload is put into a folder of its own first, for the process that reads it."""
    place = Path(path.strip())
    if file is not None:
        place = Path(tempfile.mkdtemp(prefix="upload-", dir=workspace().home)) / "upload.zip"
        write_new(place, file.getbuffer())
    begin(request := import_request(place, name, size_px, fit, is_upload=file is not None, names=names, classes=classes))
    st.session_state["importing"] = {"key": request.key, **request.inputs}


def importing() -> str | None:
    """The imports that go on, whoever asked for them. The set's name once the one asked for here is done."""
    state = st.session_state
    if asked := state.get("importing"):
        inputs = {name: value for name, value in asked.items() if name != "key"}
        ended = work_on(import_request(inputs.pop("path"), **inputs))
        if is_going_on(ended):
            return None
        state.pop("importing")
        if ended and ended.state == "finished" and ended.result:
            state["imports"] = state.get("imports", 0) + 1
            state["notice"] = f"{ended.result['dataset']} is imported."
            return str(ended.result["dataset"])
    for job in launcher().queue.going_on("import"):
        show(job)
    return None
