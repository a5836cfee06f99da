"""The images of a set, a page at a time: found, opened, relabelled, left out, flagged."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.data.browse import Browser, Filter
from core.data.edits import Kind, actions_on, current_edits, edit, undo, undo_all
from core.data.sources.containers import readable
from core.data.splits import SPLITS
from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.files import disk_error
from pages._routes import image_url
from pages.components.image_grid import Tile, clear_marks, image_grid, marks, set_marks
from pages.components.large_image import begin_at, large_image, one_of
from pages.shared.actions import do
from pages.shared.session import workspace
from pages.shared.text import escaped

PAGE = 60
SHOWS = {
    "all": "All",
    "in use": "In use",
    "excluded": "Excluded",
    "relabelled": "Relabelled",
    "flagged": "Flagged",
    "duplicates": "With duplicates",
}


def set_images(name: str, browser: Browser) -> None:
    store = browser.store
    wanted = filters(browser)
    found = browser.select(wanted)
    grid = f"pictures-{store.path.name}"  # one for the set, whatever is shown: its tiles stay, and so do the marks
    with st.container(horizontal=True, vertical_alignment="center", key="pager"):
        page = pager(len(found), f"{name}-{wanted}")
        if len(found):
            st.button(f"Mark all {len(found):,} found", key="mark-all", on_click=set_marks, args=(grid, found.tolist()))
        last_action(name)
    shown = found[page * PAGE : (page + 1) * PAGE].tolist()
    actions(name, browser, grid, shown)
    if not shown:
        st.info("No image fits. Choose another split or class, or clear the name.")
    _, height, width = store.meta.shape
    image_grid(
        [tile(browser, index) for index in shown],
        key=grid,
        label="Images of the set",
        ratio=width / height,
        can_mark=True,
        on_open=lambda index: st.session_state.update({"open-picture": index}),
    )
    index = st.session_state.pop("open-picture", None)
    if index in found:
        begin_at("picture-shown", found.tolist().index(index))
        one_image(name, store, found)


def filters(browser: Browser) -> Filter:
    splits = [split for split in SPLITS if split in browser.store.meta.splits]
    first, second, third, fourth = st.columns(4)
    show = first.selectbox("Show", list(SHOWS), format_func=SHOWS.get, key="filter-show", persist_state="session")
    split = second.selectbox(
        "Split", ["", *splits], format_func=lambda s: s or "all splits", key="filter-split", persist_state="session"
    )
    class_name = third.selectbox(
        "Class",
        ["", *browser.all_names],
        format_func=lambda c: c or "all classes",
        key="filter-class",
        persist_state="session",
    )
    text = fourth.text_input("File name", key="filter-text", placeholder="part of it", persist_state="session")
    return Filter(split=split or "", class_name=class_name or "", text=text, show=show)


def pager(total: int, key: str) -> int:
    """The page that is shown, from 0; a new filter begins with the first."""
    pages = max(1, (total + PAGE - 1) // PAGE)
    state = st.session_state
    if state.get("pictures-of") != key:
        state["pictures-of"], state["pictures-page"] = key, 0
    state["pictures-page"] = min(state["pictures-page"], pages - 1)

    def move(to: int) -> None:
        state["pictures-page"] = to

    page = state["pictures-page"]
    st.button("Back", key="page-back", disabled=page == 0, on_click=move, args=(page - 1,))
    st.button("Next", key="page-next", disabled=page == pages - 1, on_click=move, args=(page + 1,))
    first = min(total, page * PAGE + 1)
    st.caption(f"{first:,} to {min(total, (page + 1) * PAGE):,} of {total:,} images", width="content")
    if pages > 2:
        number = st.number_input(
            "Page", 1, pages, page + 1, key=f"go-to-page-{key}-{page}", label_visibility="collapsed", width=140
        )
        if number - 1 != page:
            move(number - 1)
            st.rerun()
    return page


def tile(browser: Browser, index: int) -> Tile:
    store = browser.store
    label = browser.all_names[browser.labels[index]]
    lines = (label, readable(store.key(index)).rpartition("/")[2], *edited(browser, index))
    return Tile(id=index, urls=(image_url(store.path.name, index),), lines=lines, dimmed=not browser.kept[index])


def edited(browser: Browser, index: int) -> list[str]:
    """What was done to an image, as a line under it; none if nothing was."""
    store = browser.store
    done = {
        "relabelled": browser.is_relabelled[index],
        "excluded": not browser.kept[index],
        "flagged": store.key(index) in browser.edits.flagged,
    }
    return [", ".join(words)] if (words := [word for word, is_so in done.items() if is_so]) else []


def last_action(name: str) -> None:
    """What was done last, and the way back."""
    if asked := st.session_state.pop("undo-asked", None):
        take_back, shown = asked
        do(lambda: take_back(workspace(), name, shown), "Undone.")
    done = actions_on(workspace(), name)
    if not done:
        return

    def ask(take_back: Callable, shown: Any) -> None:
        st.session_state["undo-asked"] = (take_back, shown)  # as the page showed it: by now another tab may have acted

    with st.container(horizontal=True, vertical_alignment="center", width="content", key="undo"):
        st.caption(f"Last: {escaped(done[-1].summary)}.", width="content")
        st.button("Undo", key="undo-edit", on_click=ask, args=(undo, done[-1]))
        if len(done) > 1:
            with st.popover("Undo all", key="undo-all"):
                st.markdown(
                    f"Takes back all {len(done):,} changes to this set: labels, excluded images, flags, classes. Its runs stay as they are."
                )
                st.button(f"Undo {len(done):,} changes", key="undo-all-now", on_click=ask, args=(undo_all, done))


def actions(name: str, browser: Browser, grid: str, shown: list[int]) -> None:
    """What can be done with the marked images. It is there before any is marked, so that nothing moves when one is."""
    marked = [index for index in marks(grid) if 0 <= index < len(browser.labels)]
    elsewhere = len(set(marked) - set(shown))
    with st.container(horizontal=True, vertical_alignment="center", key="picture-actions"):
        if marked:
            others = f", {elsewhere:,} not on this page" if elsewhere else ""
            st.markdown(f"**{len(marked):,} marked**{others}", width="content")
            st.button("Unmark all", key="unmark-all", on_click=clear_marks, args=(grid,))
        else:
            st.caption("Tick images (or press space on them) to change them.", width="content")
        edit_buttons(name, browser, marked, "marked", lambda: clear_marks(grid))


def edit_buttons(name: str, browser: Browser, indices: Sequence[int], key: str, then: Callable[[], None] = lambda: None) -> None:
    """Buttons that change these images, switched off if there are none. then: is called after a change.

    They act before the page, or the dialog in which they stand, is shown anew, so that a dialog stays open.
    """
    store = browser.store

    def act(kind: Kind, label: str = "") -> None:
        change = browser.change(kind, indices, label)
        if change is None:
            st.toast(escaped(f"Nothing to change: {'it is' if len(indices) == 1 else 'all are'} {label or 'so'} already."))
            return
        same = len(indices) - len(change.images)
        already = f" {same:,} {'was' if same == 1 else 'were'} so already." if same else ""
        try:
            edit(workspace(), name, change)
        except (InputError, OSError) as error:
            st.session_state["edit-trouble"] = str(disk_error(error) if isinstance(error, OSError) else error)
            return
        then()
        st.toast(escaped(f"{change.summary}.{already}"))

    if trouble := st.session_state.pop("edit-trouble", ""):
        st.error(escaped(trouble))

    label = st.selectbox(
        "New class",
        browser.class_names,
        index=None,
        key=f"new-class-{key}",
        placeholder="relabel to …",
        width=180,
        label_visibility="collapsed",
        disabled=not indices,
    )
    st.button("Relabel", key=f"relabel-{key}", disabled=label is None or not indices, on_click=act, args=("relabel", label))
    if not indices or any(browser.kept[i] for i in indices):
        st.button("Exclude", key=f"exclude-{key}", disabled=not indices, on_click=act, args=("exclude",))
    else:
        st.button("Take back in", key=f"include-{key}", on_click=act, args=("include",))
    if not indices or any(store.key(i) not in browser.edits.flagged for i in indices):
        st.button("Flag", key=f"flag-{key}", disabled=not indices, on_click=act, args=("flag",))
    else:
        st.button("Unflag", key=f"unflag-{key}", on_click=act, args=("unflag",))


@st.dialog("Image", width="large", on_dismiss="rerun")
def one_image(name: str, store: ImageStore, found: Sequence[int]) -> None:
    """One of those that were found, with its neighbours a click away."""
    browser = Browser(store, current_edits(workspace(), name))
    index = int(found[one_of(len(found), "picture-shown")])
    large_image(browser.store, index, key="large-picture", alt=readable(browser.store.key(index)))
    st.markdown(described(browser, index))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        edit_buttons(name, browser, [index], f"one-{index}")
        st.button("Try transforms on it", key=f"lab-{index}", on_click=_to_the_lab, args=(index,))


def described(browser: Browser, index: int) -> str:
    """Its class, split, size, number and file, as Markdown."""
    store, names = browser.store, browser.all_names
    width, height = store.sizes[index].tolist()
    as_delivered = store.meta.class_names[store.labels[index]]
    delivered = f" (delivered as {escaped(as_delivered)})" if names[browser.labels[index]] != as_delivered else ""
    out = "" if browser.kept[index] else " It is excluded."
    return (
        f"**{escaped(names[browser.labels[index]])}**{delivered}, {SPLITS[browser.splits[index]]}, {width} × {height} pixels, "
        f"number {index + 1:,}.{out}  \n{escaped(readable(store.key(index)))}"
    )


def _to_the_lab(index: int) -> None:
    st.session_state["lab-picture"], st.session_state["data-view"] = index + 1, "Transforms"
