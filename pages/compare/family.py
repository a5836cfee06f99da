"""The family of one or several runs as a tree: where their weights came from, what began with them, and what was changed each time."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from core.insight.family import Family, Member
from core.wording import percent
from pages.shared.run_row import COLOURS, when_of
from pages.shared.session import go_to
from pages.shared.text import escaped

DEEPEST = 8  # further down nothing is moved to the right any more


def family_tree(family: Family, marked: Mapping[str, str], here: str = "") -> None:
    """marked: what to write before some of the members, by id. here: the run whose page this is."""
    st.html(Path(__file__).parent / "family.css")
    if family.num_left_out:
        st.caption(f"The nearest {len(family.members):,} are shown; {family.num_left_out:,} more are further away.")
    for number, member in enumerate(family.members):
        with (
            st.container(key=f"family-{min(member.depth, DEEPEST)}-{number}"),
            st.container(horizontal=True, vertical_alignment="center"),
        ):
            st.markdown(_words(member, marked.get(member.id, "")), width="stretch")
            if member.entry and member.id != here and st.button("Open", key=f"family-open-{member.id}"):
                go_to("run/run.py", member.entry.run)


def _words(member: Member, mark: str) -> str:
    change = f"  \n:small[:gray[{escaped(member.change)}]]" if member.change else ""
    entry = member.entry
    if entry is None:
        return f":gray[{escaped(member.id[:80])}, which is not here any more]{change}"
    title = f"{f'**{escaped(mark)}** &nbsp; ' if mark else ''}**\u2068{escaped(entry.title)}\u2069**"
    facts = f":small[:gray[{escaped(' · '.join((when_of(entry.run), percent(entry.accuracy))))}]]"
    return f"{title} &nbsp; :{COLOURS[entry.state]}-badge[{entry.state}] {facts}{change}"
