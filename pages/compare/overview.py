"""Runs side by side: their figures, their curves laid over one another, and the settings in which they differ."""

from collections.abc import Sequence

import streamlit as st

from core.errors import InputError
from core.figures import comparison as figures
from core.figures.runs import X_AXES
from core.insight.run_summary import RunSummary, run_summary
from core.insight.setting_differences import differences, setup_of
from core.runs.history import history_of
from core.runs.status import status_of
from core.wording import duration, large, percent, speed
from pages.compare.choice import Contender
from pages.components.live_chart import live_chart
from pages.shared.again import again_button
from pages.shared.run_row import when_of
from pages.shared.session import workspace
from pages.shared.text import escaped

AXES = {"epoch": "Epochs", "step": "Steps", "examples": "Images seen", "seconds": "Time"}


def states_of(contenders: Sequence[Contender]) -> list[str]:
    return [status_of(contender.run).state for contender in contenders]


def overview(contenders: Sequence[Contender], shown_states: Sequence[str]) -> None:
    """Figures and curves, as far as the runs have got."""
    if states_of(contenders) != shown_states and not st.session_state.get("compared-is-open"):
        st.rerun()
    rows = [_row(contender, run_summary(contender.run)) for contender in contenders]
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        key="compare-figures",
        column_config={
            "Mark": st.column_config.TextColumn(width=52, pinned=True),
            "Run": st.column_config.TextColumn(width=170),
            "Accuracy": st.column_config.TextColumn(alignment="right", help="Of the evaluated split, after the last epoch."),
            "95 % CI": st.column_config.TextColumn(
                help="95 % confidence interval (Wilson). Whether two runs differ is told more sharply below, image by image."
            ),
            "Best": st.column_config.TextColumn(alignment="right", help="The most accurate epoch."),
            **{
                name: st.column_config.TextColumn(alignment="right")
                for name in ("Loss", "at epoch", "Epochs", "Time", "Parameters", "Speed")
            },
        },
    )
    histories = [(c.letter, c.title, history_of(c.run)) for c in contenders]
    if not any(history.evaluations for _, _, history in histories):
        st.info("No curves yet: none of these runs has been evaluated.")
        return
    state, key = st.session_state, "-".join(c.run.id[-4:] for c in contenders)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "Horizontal axis",
            list(AXES),
            default="epoch",
            format_func=AXES.get,
            key="compare-x",
            label_visibility="collapsed",
            required=True,
            persist_state="session",
        )
        st.toggle(
            "Show training curves",
            True,
            key="compare-train",
            persist_state="session",
            help="Thin lines: the images it learns from.",
        )
        st.toggle("Log scale", key="compare-log", persist_state="session")
    x = state["compare-x"] if state["compare-x"] in X_AXES else "epoch"
    left, right = st.columns(2)
    with left:
        st.markdown("**Accuracy**")
        figure = figures.overlaid(histories, "accuracy", x, with_train=state["compare-train"])
        live_chart(figure, key=f"compare-accuracy-{key}", alt="Accuracy of all chosen runs")
    with right:
        st.markdown("**Loss**")
        figure = figures.overlaid(histories, "loss", x, state["compare-log"], state["compare-train"])
        live_chart(figure, key=f"compare-loss-{key}", alt="Loss of all chosen runs")
    waiting = [f"**{letter}**" for letter, _, history in histories if not history.evaluations]
    if waiting:
        st.caption(f"Not evaluated yet, so without a curve: {', '.join(waiting)}.")


def _row(contender: Contender, found: RunSummary) -> dict[str, str | float | None]:
    share = found.accuracy
    return {
        "Mark": contender.letter,
        "Run": contender.name,
        "Accuracy": percent(share.value if share else None, 2),
        "95 % CI": f"{100 * share.low:.1f} to {100 * share.high:.1f} %" if share else "–",
        "Loss": "–" if found.loss is None else f"{found.loss:.4f}",
        "Best": percent(found.best, 2),
        "at epoch": "–" if found.best_epoch is None else f"{found.best_epoch:,}",
        "Epochs": f"{found.epoch:,} of {found.epochs:,}",
        "Time": duration(found.seconds),
        "Model": found.model,
        "Parameters": "–" if found.num_parameters is None else large(found.num_parameters),
        "Data": found.dataset,
        "Evaluated on": found.evaluated_on,
        "Speed": speed(found.images_per_s),
        "State": found.state,
        "Began": when_of(contender.run),
    }


def setting_differences(contenders: Sequence[Contender]) -> None:
    """A row for each setting that is not the same in all of them."""
    st.header("Settings that differ")
    with st.container(horizontal=True, vertical_alignment="center", key="compare-again"):
        st.caption("New run from the settings of", width="content")
        for c in contenders:
            again_button(c.run, key=f"again-{c.letter}", label=c.letter)
    try:
        setups = [setup_of(workspace(), c.run, history_of(c.run)) for c in contenders]
    except InputError as error:
        st.warning(escaped(str(error)))
        return
    rows = differences(setups)
    if not rows:
        st.info("All settings are the same, the seed too.")
        return
    letters = [c.letter for c in contenders]
    st.dataframe(
        [{"Setting": row.title, **dict(zip(letters, row.values, strict=True))} for row in rows],
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 600),
        key="compare-settings",
    )
    changed = [c.letter for c in contenders if history_of(c.run).changes]
    ended = f" Some were changed while {' and '.join(changed)} trained; these are the last." if changed else ""
    st.caption(f"All others are the same.{ended}")
