"""Compositions of transforms saved under a name in the workspace."""

from dataclasses import dataclass
from typing import Any

from core.config import Augmentation, Preprocessing
from core.data.transforms.lab import Composition
from core.errors import InputError
from core.named_files import delete_named, read_named, save_named
from core.workspace import Workspace


@dataclass(frozen=True)
class Preset:
    """dataset: the set it was composed on; it can be used on others."""

    name: str
    dataset: str
    composition: Composition


def save_preset(workspace: Workspace, name: str, dataset: str, composition: Composition) -> Preset:
    """Kept under this name; one that had it is replaced. Raises InputError for a name that can't be."""
    content = {
        "dataset": dataset,
        "preprocessing": composition.preprocessing.model_dump(mode="json"),
        "augmentation": composition.augmentation.model_dump(mode="json"),
    }
    return Preset(save_named(workspace.transforms, name, content, "transforms"), dataset, composition)


def list_presets(workspace: Workspace) -> list[Preset]:
    """All that are saved, by name."""
    return list(read_named(workspace.transforms, _read).values())


def find_preset(workspace: Workspace, name: str) -> Preset:
    """The one of this name. Raises InputError if there is none."""
    found = next((preset for preset in list_presets(workspace) if preset.name == name), None)
    if found is None:
        raise InputError(f"There are no saved transforms called {name!r}.", code="config", hint="They may have been deleted.")
    return found


def delete_preset(workspace: Workspace, name: str) -> None:
    """Gone, also if it was gone already. Runs that were trained with it keep their own copy of its settings."""
    delete_named(workspace.transforms, name)


def _read(entry: dict[str, Any]) -> Preset:
    if not isinstance(entry["dataset"], str):
        raise TypeError("the data set's name is text")
    parts = Preprocessing.model_validate(entry["preprocessing"]), Augmentation.model_validate(entry["augmentation"])
    return Preset(entry["name"], entry["dataset"], Composition(*parts))
