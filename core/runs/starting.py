"""A recipe as this machine can run it: with its pretrained weights and its set where they are here, else with what there is."""

from dataclasses import dataclass

from core.config import TrainConfig
from core.data.imports import imported_sets
from core.data.store import stores_of
from core.models.pretrained import PRETRAINED, are_at_hand
from core.recipes import recipe_named
from core.settings import changed
from core.workspace import Workspace

ANTS_BEES = ["ants", "bees"]


@dataclass(frozen=True)
class Start:
    """note: what is otherwise than the recipe says, for people. missing_weights: the model whose weights would be needed, or empty."""

    config: TrainConfig
    note: str = ""
    missing_weights: str = ""


def start_from(workspace: Workspace, name: str) -> Start:
    """The configuration to begin with. Raises InputError for an unknown recipe."""
    recipe = recipe_named(name)
    config, note, missing = recipe.config, "", ""
    model = config.model.name
    if recipe.without_weights and config.model.weights == "pretrained" and not are_at_hand(workspace, model):
        config, missing = recipe.without_weights, model
        note = (
            f"The pretrained weights of {model} ({PRETRAINED[model].megabytes} MB) are not on this machine, so a small network learns from "
            "scratch: about 76 % on ants and bees, far less than with them."
        )
    if config.data.dataset == "ants-bees" and (own := _ants_and_bees(workspace)):
        config = changed(config, {"data.dataset": own})
    return Start(config, note, missing)


def _ants_and_bees(workspace: Workspace) -> str:
    """The set of these two classes that was imported, under whatever name; empty if there is none."""
    imported = imported_sets(workspace)
    if "ants-bees" in imported:
        return ""
    places = {store.meta.origin for store in stores_of(workspace) if sorted(map(str.lower, store.meta.class_names)) == ANTS_BEES}
    return next((name for name, entry in imported.items() if entry.path in places), "")
