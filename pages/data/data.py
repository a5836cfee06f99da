"""Data: the sets there are; and of one of them its report, images, figures, splits and transforms."""

import streamlit as st

from core.data.browse import Browser
from core.data.catalogue import DATASETS
from core.data.edits import current_edits
from core.data.imports import imported_sets, remove_import
from core.data.sets import own_store
from core.data.store.image_store import ImageStore
from core.data.store.originals import original_image, stored_image
from core.data.stored_size import stored_size
from core.errors import InputError
from core.serving.data_work import store_request
from core.wording import counted, large
from pages.data.classes import set_classes
from pages.data.images import set_images
from pages.data.import_form import FITTED, import_form
from pages.data.report import report_of, set_report
from pages.data.splits import set_splits
from pages.data.statistics import set_figures
from pages.data.transform_lab import transform_lab
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.work import begin, work_on
from pages.train.settings_form import begin_with_set

VIEWS = ("Report", "Images", "Classes", "Statistics", "Splits", "Transforms")


def catalogue() -> None:
    """Every set with what it is, the person's own first."""
    import_form()
    imported = imported_sets(workspace())
    if imported:
        st.subheader("Yours")
        for entry in imported.values():
            origin = "An uploaded zip." if entry.is_upload else f"From {entry.path}."
            set_row(entry.name, entry.name, origin, own_store(workspace(), entry.name), "built in")
    st.subheader("Built in")
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
        with st.container(width="stretch", gap=None):
            st.markdown(f"**{escaped(title)}**")
            st.caption(escaped(about))
        st.caption("ready" if store else otherwise, width="content")
        if st.button("Open", key=f"open-{name}"):
            st.query_params["set"] = name
            st.rerun()


def back_to_all() -> None:
    st.query_params.pop("set", None)
    st.query_params.pop("view", None)
    st.session_state.pop("data-view", None)


def one_set(name: str) -> None:
    entry = imported_sets(workspace()).get(name)
    record = DATASETS.get(name)
    if entry is None and record is None:
        st.warning(f"There is no set called {escaped(name[:200])}. It may have been removed.")
        st.button("All sets", key="all-sets", on_click=back_to_all)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(escaped(record.title if record else name), width="stretch")
        st.button("All sets", key="all-sets", on_click=back_to_all)
        if entry:
            with st.popover("Remove", key="remove-set"):
                st.markdown(
                    "Its runs and their results stay, and so does the folder it came from. Runs on it that have not ended can't go on afterwards, "
                    "and your changes to it are forgotten."
                )
                if st.button("Remove it from the list", key="remove-set-now"):
                    back_to_all()
                    do(lambda: remove_import(workspace(), name), f"{name} is removed.")
        train = st.button("Train on it", type="primary", key="train-on-set")
    store = own_store(workspace(), name)
    if train:
        begin_with_set(name)
        st.switch_page("train/train.py")
    if store is None:
        read_images(name)
        return
    browser = Browser(store, current_edits(workspace(), name))
    height, width = store.meta.shape[1:]
    colours = "grey" if store.meta.shape[0] == 1 else "colour"
    fitted = f" ({FITTED[entry.fit]})" if entry and (store.sizes != store.meta.shape[2:0:-1]).any() else ""
    edited = f" Edited: {escaped(browser.edits.summary)}; new runs use it so." if browser.edits.summary else ""
    st.caption(
        f"{len(store.labels):,} images, {large(len(browser.class_names))} classes, stored at {width} × {height} pixels{fitted}, {colours}. "
        f"{escaped(store.meta.layout)}{edited}"
    )
    if (stored := stored_size(store)) and (sentence := stored.sentence("Imported again with an image size of {px} px, they")):
        st.caption(sentence)
    asked = st.query_params.get("view")
    st.session_state.setdefault("data-view", asked if asked in VIEWS else VIEWS[0])
    view = st.segmented_control("View", VIEWS, key="data-view", label_visibility="collapsed", required=True)
    st.query_params["view"] = view
    match view:
        case "Report":
            set_report(name, browser, report_of(browser))
        case "Images":
            set_images(name, browser)
        case "Classes":
            set_classes(name, browser)
        case "Statistics":
            set_figures(browser)
        case "Splits":
            set_splits(name, browser)
        case "Transforms":
            transforms(name, browser)


def read_images(name: str) -> None:
    """Of a set that is known but not here yet."""
    record = DATASETS.get(name)
    size = record.download_mb if record and not (workspace().datasets / record.folder).is_dir() else 0
    st.info(f"Not downloaded yet. {f'{size} MB are downloaded once.' if size else 'They are read once.'}")
    request = store_request(name, record.title if record else name)
    if st.button("Get the images" if size else "Read the images", type="primary", key="read-set"):
        do(lambda: begin(request))
    if (ended := work_on(request)) and ended.state == "finished":
        st.rerun()


def transforms(name: str, browser: Browser) -> None:
    """The transform lab, on an image of the set by its number."""
    store = browser.store
    index = (
        st.number_input(
            "Image", 1, len(store.labels), 1, key="lab-picture", help="Its number in the set. Images shows which is which."
        )
        - 1
    )
    try:
        image = original_image(store, index)
    except InputError as error:
        st.warning(f"{escaped(str(error))} It is shown as it is stored.")
        image = stored_image(store, index)
    transform_lab(store, name, image, index)


if chosen := st.query_params.get("set"):
    one_set(chosen)
else:
    st.title("Data")
    catalogue()
