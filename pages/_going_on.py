"""The fields for what may be changed of a run that trains or goes on: epochs, learning rate, early stopping."""

from typing import Any

import streamlit as st

from core.config import CHANGEABLE, TrainConfig
from core.settings import get

STRETCHED = {"one-cycle", "cosine"}


def go_on_fields(
    now: TrainConfig, fewest_epochs: int, key: str, epochs: int | None = None, lr: float | None = None
) -> dict[str, Any]:
    """Shows the fields. Returns what is set otherwise than now, by path. epochs, lr: suggested instead of what it has now."""
    suggested = max(now.epochs if epochs is None else epochs, fewest_epochs)
    stopping = now.early_stopping
    left, right = st.columns(2)
    wanted = {
        "epochs": int(left.number_input("Epochs in all", fewest_epochs, 100_000, suggested, key=f"{key}-epochs")),
        "optimizer.lr": right.number_input(
            "Learning rate", 0.0, 100.0, lr or now.optimizer.lr, step=now.optimizer.lr / 10, format="%.6g", key=f"{key}-lr",
            help="The schedule's curve is multiplied by it.",
        ),
        "early_stopping.patience": int(left.number_input(
            "Patience (epochs)", 0, 100_000, stopping.patience, key=f"{key}-patience",
            help="Training ends once this many epochs in a row brought no improvement of the watched figure. 0: it never ends early.",
        )),
        "early_stopping.watch": right.selectbox(
            "Watch", ("loss", "accuracy"), ("loss", "accuracy").index(stopping.watch), key=f"{key}-watch",
            help="The figure of the evaluated split that early stopping looks at.",
        ),
        "early_stopping.min_change": left.number_input(
            "Least change", 0.0, 100.0, stopping.min_change, format="%.6g", key=f"{key}-min-change",
            help="A smaller improvement than this does not count.",
        ),
    }  # fmt: skip
    if now.schedule.name in STRETCHED and not getattr(now.schedule, "period_epochs", None):
        st.caption(
            f"The {now.schedule.name} schedule runs over all epochs: with another number of them it is stretched, "
            "and the learning rate jumps to where the new curve stands."
        )
    assert set(wanted) == set(CHANGEABLE)
    return {path: value for path, value in wanted.items() if value != get(now, path)}
