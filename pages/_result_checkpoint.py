"""Which checkpoint a view looks into: the one of the epoch chosen above, or another one."""

import streamlit as st

from core.errors import InputError
from core.insight.run_results import Judged
from core.runs.checkpoints import Checkpoint, find_checkpoint, list_checkpoints
from core.runs.directory import Run
from core.runs.history import history_of
from pages._common import inert


def checkpoint_choice(run: Run, judged: Judged, key: str) -> Checkpoint | None:
    """A list of all there are. It turns to the epoch's own when the slider above is moved, and to the last where that stands last."""
    state = st.session_state
    pointers = [name for name in ("last", "best") if (run.checkpoints / f"{name}.json").exists()]
    names = [*pointers, *(checkpoint.name for checkpoint in list_checkpoints(run))]
    if not names:
        st.info("The run has kept no checkpoint, so there is no network to look into; its figures stay.")
        return None
    wanted = checkpoint_of(run, judged)
    box, seen = f"{key}-checkpoint-{run.id}", f"{key}-wanted-{run.id}"
    if state.get(seen) != wanted:
        state[seen] = wanted
        state[box] = wanted if wanted in names else names[0]
    if state.get(box) not in names:  # pruned meanwhile
        state[box] = names[0]
    name = st.selectbox(
        "Checkpoint",
        names,
        key=box,
        persist_state="session",
        width=240,
        format_func=lambda name: titled(run, name),
        help="Best: the most accurate epoch. Last: where training stands or ended.",
    )
    if wanted not in names:
        st.caption(f"The checkpoint of epoch {judged.epoch} is not kept; {name} is shown.")
    try:
        return find_checkpoint(run, name)
    except InputError as error:  # it was pruned a moment ago
        st.error(inert(str(error)))
        return None


def checkpoint_of(run: Run, judged: Judged) -> str:
    """What the checkpoint of these figures is called, whether it is still there or not."""
    if judged.evaluation:
        return judged.evaluation.about.checkpoint
    evaluations = history_of(run).evaluations
    return "last" if evaluations and judged.epoch == evaluations[-1]["epoch"] else f"epoch-{judged.epoch:04d}"


def titled(run: Run, name: str) -> str:
    """A checkpoint with what "best" or "last" stands for now."""
    try:
        found = find_checkpoint(run, name).name
    except InputError:
        return name
    return name if found == name else f"{name}: {found}"
