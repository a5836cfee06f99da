"""A recipe as this machine can run it: with its pretrained weights and its set where they are here, else with what there is."""

from dataclasses import dataclass
from typing import Any

from core.config import CatalogueNetwork, ModelConfig, TrainConfig
from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import dataset_info, own_store, suiting
from core.models.pretrained import PRETRAINED, are_at_hand
from core.models.torchvision_families import FAMILIES
from core.recipes import recipe_named
from core.running.forecast import forecast_s
from core.running.plan import complete, plan_run
from core.settings import changed
from core.wording import counted, rough_duration
from core.workspace import Workspace

ANTS_BEES = ["ants", "bees"]
SMALLEST_PX, LARGEST_PX = 4, 1024  # that preprocessing.size_px takes


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
    if recipe.without_weights and config.model.is_pretrained and not are_at_hand(workspace, model):
        config, missing = recipe.without_weights, model
        note = f"The pretrained weights of {model} ({PRETRAINED[model].megabytes} MB) are not on this machine, so {recipe.without_words}."
    if config.data.dataset == "ants-bees" and (own := _ants_and_bees(workspace)):
        config = changed(config, {"data.dataset": own})
    return Start(config, note, missing)


def suited_to(workspace: Workspace, config: TrainConfig, dataset: str) -> dict[str, Any]:
    """What to change in a configuration that is to learn from another set than its own, by setting."""
    changes = suiting(workspace, dataset)
    record = DATASETS.get(dataset)
    if config.model.is_pretrained:
        # the images are brought to what the weights were learned by; a size that was chosen at the import is respected
        own = ("size_px", "short_side_px") if record and record.shape[0] == 1 else ("size_px", "short_side_px", "mean", "std")
        for name in own:
            if name != "size_px" or changes["preprocessing.size_px"] is None:
                del changes[f"preprocessing.{name}"]
        if "preprocessing.size_px" in changes:
            changes["preprocessing.short_side_px"] = None
    suited = changed(config, changes)
    if record and not suited.preprocessing.size_px and min(record.shape[1:]) < (smallest := _smallest_px(config.model)):
        changes["preprocessing.size_px"] = smallest
    num_train = dataset_info(workspace, complete(workspace, changed(config, changes))).splits.get("train", 0)
    if num_train < 4 * config.batch_size:  # a few updates an epoch at least
        changes["batch_size"] = max(2, 2 ** max(0, num_train // 4).bit_length() // 2)
    return changes


def brought_to(workspace: Workspace, config: TrainConfig, shape: tuple[int, int, int]) -> dict[str, Any]:
    """What to change so that the set's images come in the shape (C, H, W) that a network is for, where they are to be squares.

    Raises InputError for a set that is gone.
    """
    channels, *sides = shape
    found_channels, *found_sides = dataset_info(workspace, complete(workspace, config)).shape
    changes: dict[str, Any] = {}
    if found_sides != sides and sides[0] == sides[1] and SMALLEST_PX <= sides[0] <= LARGEST_PX:
        changes |= {"preprocessing.size_px": sides[0], "preprocessing.short_side_px": None}
    if found_channels != channels:
        changes |= {
            "preprocessing.colour": "grey" if channels == 1 else "rgb",
            "preprocessing.mean": None,
            "preprocessing.std": None,
        }
    return changes


def _smallest_px(model: ModelConfig) -> int:
    """Of an image's side; 0 for networks of ours, which say themselves what they need."""
    family = FAMILIES.get(model.name) if isinstance(model, CatalogueNetwork) else None
    return family.smallest_px if family else 0


AFFORDABLE_S = 600.0
FEWEST_EPOCHS = 3  # of a network that learns photographs slowly; fewer show nothing
QUICK: dict[str, Any] = {  # the quickest network for photographs, with what suits it
    "model": {"kind": "network", "name": "cifar10-quick"},
    "optimizer.name": "adam",
    "schedule.name": "constant",
}


@dataclass(frozen=True)
class Proposal:
    """changes: by setting. note: why, for people; empty where nothing is changed."""

    changes: dict[str, Any]
    note: str = ""


def affordable(workspace: Workspace, config: TrainConfig) -> Proposal:
    """What to change so that the training ends within about ten minutes on this machine; nothing where it does, or where that
    can't be told: fewer epochs, or where even three take longer, a quick network instead.
    """
    whole = forecast_s(plan_run(workspace, config))
    if whole is None or whole <= AFFORDABLE_S:
        return Proposal({})
    seconds: float | None = whole
    changes: dict[str, Any] = {}
    if config.epochs * AFFORDABLE_S / whole < FEWEST_EPOCHS:
        changes = dict(QUICK)
        seconds = forecast_s(plan_run(workspace, changed(config, changes)))
    if seconds is not None and seconds > AFFORDABLE_S:
        changes["epochs"] = max(1, int(config.epochs * AFFORDABLE_S / seconds))
    quick = f"a quicker network ({QUICK['model']['name']})" if "model" in changes else ""
    fewer = counted(changes["epochs"], "epoch") if "epochs" in changes else ""
    return Proposal(
        changes,
        f"{counted(config.epochs, 'epoch')} of {config.model.name} would take {rough_duration(whole)} on this machine: "
        f"{' and '.join(filter(None, (quick, fewer)))} to begin with.",
    )


def _ants_and_bees(workspace: Workspace) -> str:
    """The set of these two classes that was imported, under whatever name; empty if there is none."""
    imported = imported_sets(workspace)
    if "ants-bees" in imported:
        return ""
    for name in imported:
        store = own_store(workspace, name)
        if store and sorted(map(str.lower, store.meta.class_names)) == ANTS_BEES:
            return name
    return ""
