"""Data: every set with some of its images, the person's own first; and the form by which own images come in."""

import streamlit as st

from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import own_store
from core.data.store.image_store import ImageStore
from core.wording import counted
from pages.components.image_grid import Tile, image_grid
from pages.data.import_form import import_form
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.thumbnails import thumbnails

SIDE_PX = 44
SHOWN = 6
ONE_SET = "data/one_set.py"


def catalogue() -> None:
    imported = imported_sets(workspace())
    if imported:
        st.header("Yours")
        for entry in imported.values():
            origin = "An uploaded zip." if entry.is_upload else f"From {entry.path}."
            set_row(entry.name, entry.name, origin, own_store(workspace(), entry.name), "built in")
    st.header("Built in")
    for record in DATASETS.values():
        is_near = not record.download_mb or (workspace().datasets / record.folder).is_dir()
        state = "built in" if is_near else f"{record.download_mb} MB to download"
        set_row(record.name, record.title, record.summary, own_store(workspace(), record.name), state)


def set_row(name: str, title: str, about: str, store: ImageStore | None, otherwise: str) -> None:
    """A set in a line: what it is and how much of it there is. otherwise: its state while it is not here."""
    if store:
        height, width = store.meta.shape[1:]
        total = sum(end - first for first, end in store.meta.splits.values())
        about += f" {counted(total, 'image')}, {store.num_classes:,} classes, {width} × {height} pixels."
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(width=6 * (SIDE_PX + 8)):
            images = [Tile(id=number, urls=(url,), lines=()) for number, url in enumerate(thumbnails(name, SHOWN))]
            image_grid(
                images,
                key=f"some-of-{name}",
                label=f"Some images of {title}",
                side_px=SIDE_PX,
                is_strip=True,
                on_open=lambda _: st.session_state.update({"open-set": name}),
            )
        with st.container(width="stretch", gap=None):
            st.markdown(f"**{escaped(title)}**")
            st.caption(escaped(about))
        st.caption("ready" if store else otherwise, width="content")
        if st.button("Open", key=f"open-{name}") or st.session_state.pop("open-set", None) == name:
            st.switch_page(ONE_SET, query_params={"set": name})


if name := st.query_params.get("set"):  # an address of an earlier version, or of a link
    st.switch_page(ONE_SET, query_params={key: st.query_params[key] for key in ("set", "view") if key in st.query_params})
st.title("Data")
if name := import_form():
    st.session_state["data-view"], st.session_state["data-view-of"] = "Report", name
    st.switch_page(ONE_SET, query_params={"set": name})
catalogue()
