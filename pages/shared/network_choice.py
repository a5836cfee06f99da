"""What networks are called where one is chosen: those of the catalogue, then those of one's own."""

from core.models.catalogue import MODELS
from core.models.own_networks import own_networks
from pages.shared.session import workspace

OWN = ":own "  # before the name of one's own, so that none is taken for one of the catalogue


def network_titles() -> dict[str, str]:
    """By the name under which a choice knows it."""
    return {name: record.title for name, record in MODELS.items()} | {
        f"{OWN}{name}": f"{name} (yours)" for name in own_networks(workspace())
    }
