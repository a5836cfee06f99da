"""One data set: its images, report, statistics, splits and transforms."""

import streamlit as st

from core.data.browse import Browser
from core.data.catalogue import DATASETS
from core.data.edits import current_edits
from core.data.imports import imported_sets, remove_import
from core.data.sets import own_store
from core.data.store.originals import original_image, stored_image
from core.data.stored_size import stored_size
from core.errors import InputError
from core.serving.data_work import store_request
from core.wording import large
from pages.data.classes import set_classes
from pages.data.images import set_images
from pages.data.import_form import FITTED
from pages.data.report import report_of, set_report
from pages.data.splits import set_splits
from pages.data.statistics import set_figures
from pages.data.transform_lab import transform_lab
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.text import escaped
from pages.shared.work import begin, work_on
from pages.train.settings_form import begin_with_set

CATALOGUE = "data/catalogue.py"
VIEWS = ("Images", "Classes", "Report", "Statistics", "Splits", "Transforms")


def one_set(name: str) -> None:
    entry = imported_sets(workspace()).get(name)
    record = DATASETS.get(name)
    if entry is None and record is None:
        st.warning(f"There is no set called {escaped(name[:200])}. It may have been removed.")
        all_sets()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(escaped(record.title if record else name), width="stretch")
        all_sets()
        if entry:
            with st.popover("Remove", key="remove-set"):
                st.markdown(
                    "Its runs and their results stay, and so does the folder it came from. Runs on it that have not ended can't go on afterwards, "
                    "and your changes to it are forgotten."
                )
                if st.button("Remove it from the list", key="remove-set-now"):
                    do(lambda: remove_import(workspace(), name), f"{name} is removed.", to=CATALOGUE)
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
    asked = st.query_params.get("view", "")
    asked = "Images" if asked == "Pictures" else asked  # in addresses of earlier versions
    if st.session_state.get("data-view-of") != name:  # another set is opened on its images
        st.session_state.pop("data-view", None)
        st.session_state["data-view-of"] = name
    st.session_state.setdefault("data-view", asked if asked in VIEWS else VIEWS[0])
    found = report_of(browser)
    if st.session_state["data-view"] != "Report" and found.findings:
        st.caption(escaped(found.headline()))
    view = st.segmented_control("View", VIEWS, key="data-view", label_visibility="collapsed", required=True)
    st.query_params["view"] = view
    match view:
        case "Report":
            set_report(name, browser, found)
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
    if st.button(f"Download ({size} MB)" if size else "Read the images", type="primary", key="read-set"):
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


def all_sets() -> None:
    if st.button("All sets", key="all-sets"):
        st.switch_page(CATALOGUE)


if chosen := st.query_params.get("set"):
    one_set(chosen)
else:
    st.switch_page(CATALOGUE)
