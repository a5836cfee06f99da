"""The pictures of a set, a page at a time: found, opened, relabelled, left out, flagged."""

import streamlit as st

from core.data.browse import Browser, Filter
from core.data.containers import readable
from core.data.edits import Action, Kind, actions_on, edit, undo
from core.data.splits import SPLITS
from pages._common import do, inert, workspace
from pages._routes import picture_url
from pages.picture_grid import Tile, picture_grid

PAGE = 60
SHOWS = {
    "all": "All", "in use": "In use", "left out": "Left out", "relabelled": "Relabelled", "flagged": "Flagged",
    "duplicates": "With duplicates",
}  # fmt: skip
WORDS = {"relabel": "relabelled", "exclude": "left out", "include": "taken back in", "flag": "flagged", "unflag": "unflagged"}


def set_pictures(name: str, browser: Browser) -> None:
    wanted = filters(browser)
    found = browser.select(wanted)
    last_action(name)
    if not len(found):
        st.info("No picture fits. Choose another split or class, or clear the name.")
        return
    page = pager(len(found), f"{name}-{wanted}")
    shown = found[page * PAGE : (page + 1) * PAGE].tolist()
    _, height, width = browser.store.meta.shape
    marked = picture_grid(
        [tile(browser, index) for index in shown], key=f"pictures-{abs(hash((name, wanted, page, browser.edits.revision)))}",
        label="Pictures of the set", ratio=width / height, can_mark=True, on_open=lambda index: open_picture(index),
    )  # fmt: skip
    actions(name, browser, marked, shown)
    index = st.session_state.pop("open-picture", None)
    if index is not None and 0 <= index < len(browser.labels):
        large_picture(name, browser, index)


def open_picture(index: int) -> None:
    st.session_state["open-picture"] = index


def filters(browser: Browser) -> Filter:
    splits = [split for split in SPLITS if split in browser.store.meta.splits]
    first, second, third, fourth = st.columns(4)
    show = first.selectbox("Show", list(SHOWS), format_func=SHOWS.get, key="filter-show", persist_state="session")
    split = second.selectbox(
        "Split", ["", *splits], format_func=lambda s: s or "all splits", key="filter-split", persist_state="session"
    )
    class_name = third.selectbox(
        "Class",
        ["", *browser.store.meta.class_names],
        format_func=lambda c: c or "all classes",
        key="filter-class",
        persist_state="session",
    )
    text = fourth.text_input("File name", key="filter-text", placeholder="part of it", persist_state="session")
    return Filter(split or "", class_name or "", text, show)


def pager(total: int, key: str) -> int:
    """The page that is shown, from 0; a new filter begins with the first."""
    pages = (total + PAGE - 1) // PAGE
    state = st.session_state
    if state.get("pictures-of") != key:
        state["pictures-of"], state["pictures-page"] = key, 0
    state["pictures-page"] = min(state["pictures-page"], pages - 1)

    def move(to: int) -> None:
        state["pictures-page"] = to

    page = state["pictures-page"]
    with st.container(horizontal=True, vertical_alignment="center", key="pager"):
        st.button("Back", key="page-back", disabled=page == 0, on_click=move, args=(page - 1,))
        st.button("Next", key="page-next", disabled=page == pages - 1, on_click=move, args=(page + 1,))
        st.caption(f"{page * PAGE + 1:,} to {min(total, (page + 1) * PAGE):,} of {total:,} pictures", width="content")
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
    label = store.meta.class_names[browser.labels[index]]
    marks = []
    if browser.labels[index] != store.labels[index]:
        marks.append("relabelled")
    if not browser.kept[index]:
        marks.append("left out")
    if store.key(index) in browser.edits.flagged:
        marks.append("flagged")
    lines = (label, readable(store.key(index)).rpartition("/")[2], *([", ".join(marks)] if marks else []))
    return Tile(index, (picture_url(store.path.name, index),), lines, dimmed=not browser.kept[index])


def last_action(name: str) -> None:
    """What was done last, and the way back."""
    done = actions_on(workspace(), name)
    if not done:
        return
    action = done[-1]
    to = f" to {action.label}" if action.label else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(inert(f"Last: {len(action.pictures):,} {WORDS[action.kind]}{to}."), width="content")
        if st.button("Undo", key="undo-edit"):
            do(lambda: undo(workspace(), name), "Undone.")


def actions(name: str, browser: Browser, marked: list[int], shown: list[int]) -> None:
    """What can be done with the marked pictures."""
    if not marked:
        st.caption("Click a picture to see it large; tick pictures (or press space on them) to relabel, leave out or flag them.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="picture-actions"):
        st.markdown(f"**{len(marked):,} marked**", width="content")
        edit_buttons(name, browser, marked, "marked")


def edit_buttons(name: str, browser: Browser, indices: list[int], key: str) -> None:
    store = browser.store
    keys = tuple(store.key(i) for i in indices)

    def act(kind: Kind, label: str = "") -> None:
        do(lambda: edit(workspace(), name, Action(kind, keys, label)), f"{len(keys):,} {WORDS[kind]}.")

    label = st.selectbox(
        "New class", store.meta.class_names, index=None, key=f"new-class-{key}", placeholder="relabel to …", width=220,
        label_visibility="collapsed",
    )  # fmt: skip
    if st.button("Relabel", key=f"relabel-{key}", disabled=label is None):
        act("relabel", label)
    if any(browser.kept[i] for i in indices):
        if st.button("Leave out", key=f"exclude-{key}"):
            act("exclude")
    elif st.button("Take back in", key=f"include-{key}"):
        act("include")
    if any(k not in browser.edits.flagged for k in keys):
        if st.button("Flag", key=f"flag-{key}"):
            act("flag")
    elif st.button("Unflag", key=f"unflag-{key}"):
        act("unflag")


@st.dialog("Picture", width="large")
def large_picture(name: str, browser: Browser, index: int) -> None:
    store = browser.store
    width, height = store.sizes[index].tolist()
    names = store.meta.class_names
    picture_grid(
        [Tile(index, (picture_url(store.path.name, index, "originals"),), ())], key=f"large-{index}", label="The picture, large",
        side_px=360, ratio=width / max(1, height),
    )  # fmt: skip
    delivered = f" (delivered as {inert(names[store.labels[index]])})" if browser.labels[index] != store.labels[index] else ""
    out = "" if browser.kept[index] else " It is left out."
    st.markdown(
        f"**{inert(names[browser.labels[index]])}**{delivered}, {SPLITS[browser.splits[index]]}, {width} × {height} pixels, "
        f"number {index + 1:,}.{out}  \n{inert(readable(store.key(index)))}"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        edit_buttons(name, browser, [index], f"one-{index}")
        st.button("Try transforms on it", key=f"lab-{index}", on_click=_to_the_lab, args=(index,))


def _to_the_lab(index: int) -> None:
    st.session_state["lab-picture"], st.session_state["data-view"] = index + 1, "Transforms"
