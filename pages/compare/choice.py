"""Which runs are compared: chosen from a list, named by the address, or sent here by another page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from core.errors import InputError
from core.figures.comparison import MOST_RUNS
from core.runs.directory import Run, find_run
from core.runs.index import ListedRun, entries
from pages.shared.run_row import titles_of
from pages.shared.session import workspace
from pages.shared.text import escaped

OFFERED = 500  # the newest; older ones are sent here from the Runs page


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A chosen run. letter: what it is called on this page; place: its number among them, from 0. title: its name with its date."""

    letter: str
    place: int
    run: Run
    name: str
    title: str


def compare_runs(run_ids: Sequence[str]) -> None:
    """Opens the Compare page with these runs."""
    st.switch_page("compare/compare.py", query_params={"runs": ",".join(run_ids)})


def choose_contenders() -> list[Contender]:
    """Shows the list. What is gone or damaged is said and left out."""
    by_id = {entry.run.id: entry for entry in entries(workspace())}
    _take_choice(by_id)
    state = st.session_state
    offered = list(dict.fromkeys([*list(by_id)[:OFFERED], *state["compare-runs"]]))
    titles = titles_of([by_id[id] for id in offered])
    ids = st.multiselect(
        "Runs",
        offered,
        key="compare-runs",
        format_func=titles.get,
        max_selections=MOST_RUNS,
        persist_state="session",
        placeholder="Choose two or more; type to search",
        on_change=_forget_missing,
    )
    state["compare-address"] = ",".join(ids)
    if ids:
        st.query_params["runs"] = ",".join(ids)
    else:
        st.query_params.pop("runs", None)
    if len(by_id) > OFFERED:
        st.caption(f"The newest {OFFERED} of {len(by_id):,} runs are offered; on the Runs page any can be found and marked.")
    if missing := state.get("compare-missing"):
        st.warning(escaped(missing))
    return _sound(by_id, ids, titles)


def _take_choice(by_id: Mapping[str, ListedRun]) -> None:
    """What the address names, unless this page wrote it there itself; else what was chosen before, at first the run chosen elsewhere."""
    state, named = st.session_state, st.query_params.get("runs", "")
    if named and named != state.get("compare-address"):
        wanted = list(dict.fromkeys(filter(None, named.split(","))))
        _forget_missing()
    elif "compare-runs" in state:
        wanted = state["compare-runs"]
    else:
        chosen = by_id.get(state.get("run"))
        wanted = [id for id in (chosen.run.id, chosen.parent) if id in by_id] if chosen else []
    there = [id for id in wanted if id in by_id]
    state["compare-runs"] = there[:MOST_RUNS]
    missing = [id[:80] for id in wanted if id not in by_id]
    sentences = []
    if missing:
        more = f" and {len(missing) - MOST_RUNS:,} more" if len(missing) > MOST_RUNS else ""
        sentences.append(f"No longer here: {', '.join(missing[:MOST_RUNS])}{more}.")
    if len(there) > MOST_RUNS:
        sentences.append(f"{len(there)} runs were named; the first {MOST_RUNS} are compared.")
    if sentences:
        state["compare-missing"] = " ".join(sentences)


def _forget_missing() -> None:
    """Another choice is made: what was missing of the one before needs no more words."""
    st.session_state.pop("compare-missing", None)


def _sound(by_id: dict[str, ListedRun], ids: Sequence[str], titles: dict[str, str]) -> list[Contender]:
    found = []
    for id in ids:
        try:
            run = find_run(workspace(), id)
            _ = run.config
        except (InputError, OSError) as error:
            st.warning(f"**{escaped(titles[id])}** can't be compared: {escaped(str(error)[:200])}")
        else:
            found.append(run)
    return [
        Contender(letter="ABCDEFGH"[place], place=place, run=run, name=by_id[run.id].title, title=titles[run.id])
        for place, run in enumerate(found)
    ]
