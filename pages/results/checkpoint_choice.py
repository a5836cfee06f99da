"""Which checkpoint a view looks into: the one of the epoch chosen above, or another one."""

import streamlit as st

from core.errors import InputError
from core.insight.run_results import EvaluatedImages, checkpoint_for
from core.runs.checkpoints import Checkpoint, find_checkpoint, list_checkpoints
from core.runs.directory import Run
from pages.shared.text import escaped


def checkpoint_choice(run: Run, evaluated: EvaluatedImages, key: str) -> Checkpoint | None:
    """A list of all there are. It turns to the epoch's own when the slider above is moved, and to the newest where that is not kept."""
    state = st.session_state
    titles = checkpoint_titles(run)
    if not titles:
        st.info("The run has kept no checkpoint, so there is no network to look into; its figures stay.")
        return None
    wanted, trouble = _wanted(run, evaluated, list(titles))
    box, seen = f"{key}-checkpoint-{run.id}", f"{key}-wanted-{run.id}"
    if state.get(seen) != wanted or state.get(box) not in titles:  # moved, or pruned meanwhile
        state[seen] = state[box] = wanted
    name = st.selectbox("Checkpoint", list(titles), key=box, persist_state="session", width=280, format_func=titles.get)
    if trouble and name == wanted:
        st.caption(escaped(trouble))
    try:
        return find_checkpoint(run, name)
    except InputError as error:  # it was pruned a moment ago
        st.error(escaped(str(error)))
        return None


def checkpoint_titles(run: Run) -> dict[str, str]:
    """By name, last and best first, then the newest, with what is marked so."""
    marks: dict[str, list[str]] = {}
    for pointer in ("last", "best"):
        try:
            marks.setdefault(find_checkpoint(run, pointer).name, []).append(pointer)
        except InputError:
            continue
    names = [checkpoint.name for checkpoint in reversed(list_checkpoints(run))]
    names.sort(key=lambda name: "last" not in marks.get(name, []) and 2 - (name in marks))
    return {name: f"{name} ({', '.join(marks[name])})" if name in marks else name for name in names}


def _wanted(run: Run, evaluated: EvaluatedImages, names: list[str]) -> tuple[str, str]:
    """(the checkpoint to begin with, why it is another than the one evaluated, as a sentence)."""
    try:
        found = checkpoint_for(run, evaluated).name
    except InputError as error:
        return names[0], f"{error.message} {names[0]} is shown."
    if evaluated.evaluation is None and found != f"epoch-{evaluated.epoch:04d}":
        return found, f"The checkpoint of epoch {evaluated.epoch} is not kept; {found} is shown."
    return found, ""
