"""Compositions of transforms saved under a name in the workspace. A name is data; the files' names are ours."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.config import Augmentation, Preprocessing
from core.data.transforms.lab import Composition
from core.errors import InputError
from core.files import write_json_atomically
from core.workspace import Workspace

MAX_NAME = 100


@dataclass(frozen=True)
class Preset:
    """dataset: the set it was composed on; it can be used on others."""

    name: str
    dataset: str
    composition: Composition


def save_preset(workspace: Workspace, name: str, dataset: str, composition: Composition) -> Preset:
    """Kept under this name; one that had it is replaced. Raises InputError for a name that can't be."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(
            f"{name[:MAX_NAME]!r} can't be the name of transforms.",
            code="config",
            hint=f"Use up to {MAX_NAME} printable characters.",
        )
    path = _file(workspace, name)
    path.parent.mkdir(exist_ok=True)
    preprocessing, augmentation = (
        composition.preprocessing.model_dump(mode="json"),
        composition.augmentation.model_dump(mode="json"),
    )
    write_json_atomically(path, {"name": name, "dataset": dataset, "preprocessing": preprocessing, "augmentation": augmentation})
    return Preset(name, dataset, composition)


def list_presets(workspace: Workspace) -> list[Preset]:
    """All that are saved, by name. A damaged one is left out and said in the log; saving under its name mends it."""
    found = []
    for path in _folder(workspace).glob("*.json"):
        try:
            preset = _read(path)
        except FileNotFoundError:  # deleted a moment ago
            continue
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
            logging.getLogger("trainscope").warning("saved transforms in %s can't be read: %s", path, error)
            continue
        if path == _file(workspace, preset.name):  # else a copy of another one
            found.append(preset)
    return sorted(found, key=lambda preset: (preset.name.casefold(), preset.name))


def find_preset(workspace: Workspace, name: str) -> Preset:
    """The one of this name. Raises InputError if there is none."""
    found = next((preset for preset in list_presets(workspace) if preset.name == name), None)
    if found is None:
        raise InputError(f"There are no saved transforms called {name!r}.", code="config", hint="They may have been deleted.")
    return found


def delete_preset(workspace: Workspace, name: str) -> None:
    """Gone, also if it was gone already. Runs that were trained with it keep their own copy of its settings."""
    _file(workspace, name).unlink(missing_ok=True)


def _read(path: Path) -> Preset:
    entry = json.loads(path.read_text(encoding="utf-8"))
    name, dataset = entry["name"], entry["dataset"]
    if not isinstance(name, str) or not isinstance(dataset, str):
        raise ValueError("name and data set are text")
    parts = Preprocessing.model_validate(entry["preprocessing"]), Augmentation.model_validate(entry["augmentation"])
    return Preset(name, dataset, Composition(*parts))


def _folder(workspace: Workspace) -> Path:
    return workspace.transforms


def _file(workspace: Workspace, name: str) -> Path:
    return _folder(workspace) / f"{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.json"
