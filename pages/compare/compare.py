"""Compare: up to eight runs side by side, two of them image by image, and the family they come from."""

import streamlit as st

from core.insight.family import family_of
from core.runs.directory import list_runs
from core.runs.status import status_of
from pages.compare.choice import Contender, choose_contenders
from pages.compare.family import family_tree
from pages.compare.overview import overview, setting_differences, states_of
from pages.compare.pair import pair
from pages.shared.session import workspace

UPDATES_S = 5.0


def comparison(contenders: list[Contender]) -> None:
    updates_s = UPDATES_S if any(status_of(contender.run).is_active for contender in contenders) else None
    if len(contenders) == 1:
        st.info("Choose another run to compare it with.")
    st.fragment(overview, run_every=updates_s)(contenders, states_of(contenders))
    if len(contenders) > 1:
        setting_differences(contenders)
        pair(contenders, updates_s)
    st.header("Lineage")
    family = family_of(workspace(), [contender.run.id for contender in contenders])
    if family.members:
        family_tree(family, {contender.run.id: contender.letter for contender in contenders})
    else:
        alone = "this run" if len(contenders) == 1 else "one of these runs"
        st.caption(f"No other run began with the weights of {alone}, nor the other way round.")


st.title("Compare")
st.session_state.setdefault("compared-is-open", False)
if not list_runs(workspace()):
    st.info("There are no runs yet. Train two networks; here you see which is better, and on which images.")
    if st.button("Go to training", type="primary", key="go-train"):
        st.switch_page("train/train.py")
elif contenders := choose_contenders():
    comparison(contenders)
else:
    st.info(
        "Choose two runs or more, up to eight. Their curves are laid over one another; two of them are compared image by image."
    )
