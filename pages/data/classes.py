"""The classes of a set: how many images each has, and what they are called, merged, dropped and kept."""

from collections.abc import Sequence

import streamlit as st

from core.data.browse import Browser
from core.data.edits import Kind, edit
from core.errors import InputError
from core.files import disk_error
from core.wording import counted
from pages.data.images import last_action
from pages.shared.session import workspace
from pages.shared.text import escaped


def set_classes(name: str, browser: Browser) -> None:
    dropped, counts = set(browser.edited.dropped), browser.class_counts()
    st.caption(
        "Classes can be renamed, merged into one, and dropped with their images. No file is changed, and runs that have begun stay as they are."
    )
    last_action(name)
    if trouble := st.session_state.pop("class-trouble", ""):
        st.error(escaped(trouble))
    chosen = st.multiselect(
        "Classes",
        browser.all_names,
        format_func=lambda c: f"{c} ({counted(counts.get(c, 0), 'image')}{', dropped' if c in dropped else ''})",
        key=f"classes-chosen-{name}",
        placeholder="choose one or several",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", key="class-actions"):
        buttons(name, browser, chosen)
    rows = [
        {
            "Class": known,
            "Images": counts[known],
            "As delivered": ", ".join(browser.delivered_as(known)),
            "State": "dropped" if known in dropped else "in use",
        }
        for known in browser.all_names
    ]
    st.dataframe(rows, hide_index=True, key="class-list")


def buttons(name: str, browser: Browser, chosen: Sequence[str]) -> None:
    """What can be done with the chosen classes; each button is there before any is chosen, so that nothing moves."""
    in_use = [known for known in browser.class_names if known in chosen]
    out = [known for known in browser.edited.dropped if known in chosen]
    others = [known for known in browser.class_names if known not in chosen]

    def act(kind: Kind, names: Sequence[str], label: str = "") -> None:
        try:
            change = browser.change_classes(kind, names, label)
            if change:
                edit(workspace(), name, change)
        except (InputError, OSError) as error:
            st.session_state["class-trouble"] = str(disk_error(error) if isinstance(error, OSError) else error)
            return
        st.session_state[f"classes-chosen-{name}"] = []
        st.toast(escaped(f"{change.summary[0].upper()}{change.summary[1:]}." if change else "Nothing to change."))

    label = st.selectbox(
        "New name, or class to merge into",
        browser.class_names,
        index=None,
        key="class-name",
        placeholder="type or choose",
        accept_new_options=True,
        width=260,
    )
    is_merged = len(in_use) > 1 or (label in browser.class_names and label not in in_use)
    st.button(
        "Merge" if is_merged else "Rename",
        key="rename-classes",
        disabled=not in_use or not label,
        on_click=act,
        args=("rename", in_use, label or ""),
    )
    st.button("Drop", key="drop-classes", disabled=not in_use, on_click=act, args=("drop", in_use))
    st.button("Keep only these", key="keep-only", disabled=not in_use or not others, on_click=act, args=("drop", others))
    st.button("Keep again", key="keep-classes", disabled=not out, on_click=act, args=("keep", out))
