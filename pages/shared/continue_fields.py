"""The fields for what may be changed of a run that trains or goes on: epochs, learning rate, early stopping."""

from typing import Any

import streamlit as st

from core.running.actions import config_ahead, suggestion
from core.runs.directory import Run
from core.runs.status import status_of
from core.schedules import SCHEDULES
from core.settings import get


def go_on_fields(run: Run) -> dict[str, Any]:
    """Shows the fields with what the run has now, or should better go on with. Returns what is set otherwise than now, by path."""
    now, suggested, fewest = config_ahead(run), suggestion(run), max(status_of(run).epoch, 1)
    lr, epochs, stopping = now.optimizer.lr, suggested.get("epochs", now.epochs), now.early_stopping
    left, right = st.columns(2)

    def key(name: str) -> str:
        return f"{name}-of-{run.id}"  # what is typed for one run must not be found in the form of another

    wanted = {
        "epochs": int(left.number_input("Epochs in all", fewest, 100_000, max(epochs, fewest), key=key("epochs"))),
        "optimizer.lr": right.number_input(
            "Learning rate",
            0.0,
            100.0,
            suggested.get("optimizer.lr", lr),
            step=lr / 10,
            format="%.6g",
            key=key("lr"),
            help="The schedule's curve is multiplied by it.",
        ),
        "early_stopping.patience": int(
            left.number_input(
                "Patience (epochs)",
                0,
                100_000,
                stopping.patience,
                key=key("patience"),
                help="Training ends once this many epochs in a row brought no improvement of the watched figure. 0: it never ends early.",
            )
        ),
        "early_stopping.watch": right.selectbox(
            "Watch",
            ("loss", "accuracy"),
            ("loss", "accuracy").index(stopping.watch),
            key=key("watch"),
            help="The figure of the evaluated split that early stopping looks at.",
        ),
        "early_stopping.min_change": left.number_input(
            "Least change",
            0.0,
            100.0,
            stopping.min_change,
            format="%.6g",
            key=key("min-change"),
            help="A smaller improvement than this does not count.",
        ),
    }
    if SCHEDULES[now.schedule.name].spans_run(now.schedule):
        st.caption(
            f"The {now.schedule.name} schedule runs over all epochs: with another number of them it is stretched, "
            "and the learning rate jumps to where the new curve stands."
        )
    return {path: value for path, value in wanted.items() if value != get(now, path)}
