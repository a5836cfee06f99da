"""The fields for what may be changed of a run that trains or goes on: epochs, learning rate, patience."""

from typing import Any

import streamlit as st

from core.config import TrainConfig


def go_on_fields(now: TrainConfig, fewest_epochs: int, key: str, epochs: int | None = None) -> dict[str, Any]:
    """Shows the fields. Returns what is set otherwise than now, by path. epochs: suggested instead of those it has now."""
    suggested = max(now.epochs if epochs is None else epochs, fewest_epochs)
    wanted = {
        "epochs": int(st.number_input("Epochs in all", fewest_epochs, 100_000, suggested, key=f"{key}-epochs")),
        "optimizer.lr": st.number_input(
            "Learning rate", 0.0, 100.0, now.optimizer.lr, step=now.optimizer.lr / 10, format="%.6g", key=f"{key}-lr",
            help="What the schedule starts from: its curve is multiplied by this.",
        ),
        "early_stopping.patience": int(st.number_input(
            "Patience (epochs)", 0, 100_000, now.early_stopping.patience, key=f"{key}-patience",
            help="Training ends once this many epochs in a row brought no improvement. 0: it never ends early.",
        )),
    }  # fmt: skip
    before = {"epochs": now.epochs, "optimizer.lr": now.optimizer.lr, "early_stopping.patience": now.early_stopping.patience}
    return {path: value for path, value in wanted.items() if value != before[path]}
