"""The fields for what may be changed of a run that trains or goes on: epochs, learning rate, early stopping, unfreezing."""

from typing import Any

import streamlit as st

from core.running.actions import config_ahead, suggestion
from core.runs.directory import Run
from core.runs.status import status_of
from core.schedules import SCHEDULES
from core.settings import all_settings, get
from pages.shared.setting_widget import setting_widget

SETTINGS = {item.path: item for item in all_settings()}


def go_on_fields(run: Run) -> dict[str, Any]:
    """Shows the fields with what the run has now, or should better go on with. Returns what is set otherwise than now, by path."""
    now, suggested, fewest = config_ahead(run), suggestion(run), max(status_of(run).epoch, 1)
    lr, epochs, stopping = now.optimizer.lr, suggested.get("epochs", now.epochs), now.early_stopping
    left, right = st.columns(2)

    def field(path: str, value: Any, key: str, **differently: Any) -> Any:
        # what is typed for one run must not be found in the form of another
        return setting_widget(SETTINGS[path], value, f"{key}-of-{run.id}", **differently)

    with left:
        wanted = {
            "epochs": field("epochs", max(epochs, fewest), "epochs", label="Total epochs", explanation="", lower=fewest),
            "early_stopping.patience": field("early_stopping.patience", stopping.patience, "patience"),
            "early_stopping.min_change": field("early_stopping.min_change", stopping.min_change, "min-change"),
        }
    with right:
        rate = suggested.get("optimizer.lr", lr)
        words = "The schedule's curve is multiplied by it."
        wanted |= {
            "optimizer.lr": field("optimizer.lr", rate, "lr", explanation=words, step=lr / 10),
            "early_stopping.watch": field("early_stopping.watch", stopping.watch, "watch"),
        }
        if now.model.is_frozen:
            wanted["model.unfreeze_epoch"] = field(
                "model.unfreeze_epoch", get(now, "model.unfreeze_epoch"), "unfreeze", empty=SETTINGS["model.unfreeze_epoch"].empty
            )
    if SCHEDULES[now.schedule.name].spans_run(now.schedule):
        st.caption(
            f"The {now.schedule.name} schedule runs over all epochs: with another number of them it is stretched, "
            "and the learning rate jumps to where the new curve stands."
        )
    return {path: value for path, value in wanted.items() if value != get(now, path)}
