"""A configuration completed: all that was left to the moment made explicit, so that it means the same tomorrow and anywhere."""

from typing import Any

from core.config import TrainConfig
from core.data.edits import current_edits
from core.data.imports import imported_sets
from core.data.sets import place_of
from core.settings import changed
from core.workspace import Workspace


def complete(workspace: Workspace, config: TrainConfig) -> TrainConfig:
    """A path absolute, the size that the set was imported at, the edits as they are now. Completing it again changes nothing.

    What depends on the pixels is filled in by `prepare`, once they are here. Raises InputError for a set that is not there.
    """
    name = config.data.dataset
    place, entry = place_of(workspace, name), imported_sets(workspace).get(name)
    changes: dict[str, Any] = {}
    if place and not entry:
        name = changes["data.dataset"] = str(place)
    if entry and entry.size_px and config.preprocessing.size_px is None:
        changes |= {"preprocessing.size_px": entry.size_px, "preprocessing.fit": entry.fit}
    if not config.data.edits and (revision := current_edits(workspace, name).revision):
        changes["data.edits"] = revision
    return changed(config, changes) if changes else config
