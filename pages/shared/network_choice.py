"""What networks are called where one is chosen, those of the catalogue and one's own; and the way to where one is looked into."""

import streamlit as st

from core.config import ModelConfig
from core.models.catalogue import MODELS
from core.models.own_networks import own_networks
from pages.shared.session import workspace

ASKED = "as-set-up"  # the network of a form, in the address and in the session
OWN = ":own "  # before the name of one's own, so that none is taken for one of the catalogue


def network_titles() -> dict[str, str]:
    """By the name under which a choice knows it."""
    return {name: record.title for name, record in MODELS.items()} | {
        f"{OWN}{name}": f"{name} (yours)" for name in own_networks(workspace())
    }


def look_inside(model: ModelConfig, shape: tuple[int, int, int], num_classes: int) -> None:
    """Opens the card of a network as it is set up in a form."""
    st.session_state[ASKED] = {"model": model.model_dump(mode="json"), "shape": shape, "num_classes": num_classes}
    st.switch_page("networks/networks.py", query_params={"view": "look inside", "model": ASKED})
