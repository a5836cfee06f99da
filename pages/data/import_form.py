"""A person's own pictures come in: a zip dropped on the page, or a folder or zip on this machine."""

import tempfile
from pathlib import Path

import streamlit as st

from core.data.sets import import_set
from core.data.store.image_store import Progress
from core.files import write_new
from pages.shared.actions import with_bar
from pages.shared.session import workspace

FITTED = {"crop": "the middle cut out", "pad": "black bars added", "stretch": "stretched"}
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
        "Picture size (px)",
        4,
        1024,
        None,
        key=f"set-size-{number}",
        placeholder="their own, or 64",
        help="Side of the square that the pictures are stored at. Empty: their own size if all have the same, else 64 px. "
        "Larger shows more detail and trains slower.",
    )
    chosen_fit = fit.selectbox(
        "What is not square",
        list(FITTED),
        format_func=FITTED.get,
        key=f"set-fit-{number}",
        help="How a picture fills the square: its middle cut out, black bars added, or stretched.",
    )
    if st.button("Import", type="primary", key=f"import-{number}"):
        _import(file, path, chosen_name, chosen_size, chosen_fit)


def _import(file, path: str, name: str, size_px: int | None, fit: str) -> None:
    def take(progress: Progress) -> None:
        progress("Looking at what it holds", 0, 0)
        if file is None:
            imported, _ = import_set(workspace(), path.strip(), name, size_px, fit, progress)
        else:
            with tempfile.TemporaryDirectory(prefix="upload-", dir=workspace().home) as folder:
                target = Path(folder) / "upload.zip"
                write_new(target, file.getbuffer())
                imported, _ = import_set(workspace(), target, name, size_px, fit, progress, is_upload=True)
        st.query_params["set"] = imported

    if with_bar(take):
        st.session_state["imports"] = st.session_state.get("imports", 0) + 1
        st.session_state["notice"] = f"{st.query_params['set']} is imported."
        st.rerun()
