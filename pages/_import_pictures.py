"""A person's own pictures come in: a zip dropped on the page, or a folder or zip on this machine."""

import os
import tempfile
from pathlib import Path

import streamlit as st

from core.config import Preprocessing
from core.data.imports import import_pictures
from core.data.sets import prepare_store
from core.errors import InputError
from core.files import disk_error
from pages._common import inert, workspace

FITS = {"crop": "middle cut out", "pad": "black bars added", "stretch": "stretched"}
LAYOUTS = """
- a folder for each class: `ants/`, `bees/`
- the same within `train/` and `val/` or `test/`
- pictures, each with a text file of the same name that holds its class
- pictures and a CSV with a column of file names and one of labels
"""


def import_form() -> None:
    """Asks for a zip or a path and imports it. Opens the set's report once it is here."""
    state = st.session_state
    number = state.get("imports", 0)
    st.markdown("**Your own pictures**")
    st.caption(
        "A zip from your machine, or a folder or zip where Trainscope runs. Nothing in it is changed; what is no picture is left out and listed."
    )
    upload, place = st.columns(2, gap="large")
    with upload:
        file = st.file_uploader("Zip of pictures", type="zip", key=f"zip-{number}")
    with place:
        path = st.text_input("Or the path of a folder or zip", key=f"path-{number}", placeholder="/home/me/pictures/flowers")
        with st.expander("How the pictures may lie in it", key="layouts"):
            st.markdown(LAYOUTS)
    if file is None and not path.strip():
        return
    name, size, fit = st.columns(3)
    suggested = (
        Path(file.name).stem if file else Path(path.strip()).stem if path.strip().endswith(".zip") else Path(path.strip()).name
    )
    chosen_name = name.text_input("Name of the set", suggested[:100], key=f"set-name-{number}-{suggested[:100]}", max_chars=100)
    chosen_size = size.number_input(
        "Picture size (px)", 4, 1024, None, key=f"set-size-{number}", placeholder="their own, or 64",
        help="Side of the square that the pictures are stored at. Empty: their own size if all have the same, else 64 px. "
        "Larger shows more detail and trains slower.",
    )  # fmt: skip
    chosen_fit = fit.selectbox(
        "What is not square", list(FITS), format_func=FITS.get, key=f"set-fit-{number}",
        help="How a picture fills the square: its middle cut out, black bars added, or stretched.",
    )  # fmt: skip
    if st.button("Import", type="primary", key=f"import-{number}"):
        _import(file, path, chosen_name, chosen_size, chosen_fit)


def _import(file, path: str, name: str, size_px: int | None, fit: str) -> None:
    bar = st.progress(0.0, "Looking at what it holds")

    def show(what: str, done: int, total: int) -> None:
        words = f"{what}, {done:,} of {total:,}" if total else what
        bar.progress(min(1.0, done / total) if total else 1.0, words)

    try:
        if file is None:
            entry = import_pictures(workspace(), path.strip(), name, size_px, fit)
        else:
            with tempfile.TemporaryDirectory(prefix="upload-", dir=workspace().home) as folder:
                target = Path(folder) / "upload.zip"
                with target.open("wb") as out:
                    out.write(file.getbuffer())
                    out.flush()
                    os.fsync(out.fileno())
                entry = import_pictures(workspace(), target, name, size_px, fit, is_upload=True)
        prepare_store(workspace(), entry.name, Preprocessing(size_px=size_px, fit=fit), show)
    except InputError as error:
        bar.empty()
        st.error(inert(str(error)))
        return
    except OSError as error:
        bar.empty()
        st.error(inert(str(disk_error(error))))
        return
    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
    st.session_state["notice"] = f"{entry.name} is imported."
    st.query_params["set"] = entry.name
    st.rerun()
