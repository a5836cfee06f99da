"""A person's own sets by name: what was imported from which folder or zip, and as what."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from core.config import Fit
from core.data.catalogue import DATASETS
from core.data.edits import forget_edits
from core.data.sources.containers import readable, typed_path
from core.data.sources.own_images import list_images
from core.errors import InputError
from core.files import replace_file, write_json_atomically
from core.name_encoding import checked_encoding
from core.workspace import Workspace

MAX_NAME = 100
UPLOADS = "uploads"


@dataclass(frozen=True, kw_only=True)
class ImportedSet:
    """fingerprint: of its images when it was imported. size_px: what photographs of varying size are brought to, by `fit`.
    names: how those in a zip are read, one of core/name_encoding.py; found out where it is empty."""

    name: str
    path: str
    fingerprint: str = ""
    size_px: int | None = None
    fit: Fit = "crop"
    is_upload: bool = False
    names: str = ""


def imported_sets(workspace: Workspace) -> dict[str, ImportedSet]:
    """By name, in alphabetical order."""
    found = {}
    for file in (workspace.datasets / "imported").glob("*.json"):
        try:
            entry = ImportedSet(**json.loads(file.read_bytes()))
            found[str(entry.name)] = entry
        except (OSError, ValueError, TypeError) as error:
            # a damaged entry hides one name; the images themselves can be imported again
            logging.getLogger("trainscope").warning("%s can't be read: %s", file, error)
    return dict(sorted(found.items()))


def import_images(
    workspace: Workspace,
    path: Path | str,
    name: str = "",
    size_px: int | None = None,
    fit: Fit = "crop",
    is_upload: bool = False,
    names: str = "",
) -> ImportedSet:
    """Remembers a folder or a zip under a name, its own by default. Its images stay where they are and are not read yet."""
    entry = new_import(workspace, path, name, size_px, fit, is_upload, names)
    if entry != imported_sets(workspace).get(entry.name):
        put_entry(workspace, entry)
    return entry


def new_import(
    workspace: Workspace,
    path: Path | str,
    name: str = "",
    size_px: int | None = None,
    fit: Fit = "crop",
    is_upload: bool = False,
    names: str = "",
) -> ImportedSet:
    """What a folder or a zip would be as a set, which `put_entry` makes it.

    An upload is moved into the workspace, where the same zip lies only once. names: "automatic", an encoding, or empty for
    what it was before. Raises InputError if it holds no set.
    """
    path = typed_path(str(path))
    name = name.strip() or (path.name if path.is_dir() else path.stem)
    before = imported_sets(workspace).get(name)
    names = checked_encoding(names) if names or not before else before.names
    listing = list_images(path, names)
    name = checked_name(name)
    place = path
    if is_upload:
        with path.open("rb") as zipped:
            place = workspace.datasets / UPLOADS / f"{hashlib.file_digest(zipped, 'sha256').hexdigest()[:16]}.zip"
    if before and before.path != str(place):
        raise InputError(
            f"There is already a set called '{readable(name)}', from {readable(before.path)}.",
            code="dataset",
            hint="Choose another name, or remove that set first.",
        )
    if place != path and not place.exists():
        place.parent.mkdir(exist_ok=True)
        replace_file(path, place)
    if before and size_px is None:  # imported again, to see what is new: not to be stored otherwise
        size_px, fit = before.size_px, before.fit
    return ImportedSet(
        name=name, path=str(place), fingerprint=listing.fingerprint, size_px=size_px, fit=fit, is_upload=is_upload, names=names
    )


def put_entry(workspace: Workspace, entry: ImportedSet) -> None:
    file = _file(workspace, entry.name)
    file.parent.mkdir(exist_ok=True)
    write_json_atomically(file, asdict(entry))


def remove_import(workspace: Workspace, name: str) -> None:
    """Forgets a set and its edits; a zip that was uploaded for it is deleted, a folder of the person's own is not touched."""
    if name not in imported_sets(workspace):
        raise InputError(f"There is no imported set '{readable(name)}'.", code="dataset")
    drop_entry(workspace, name)
    forget_edits(workspace, name)


def drop_entry(workspace: Workspace, name: str) -> None:
    """Forgets a set, and deletes the zip that was uploaded for it unless another set is from it too."""
    _file(workspace, name).unlink(missing_ok=True)
    drop_uploads(workspace)


def drop_uploads(workspace: Workspace) -> None:
    """Deletes uploaded zips that no set is from. Not while one is being imported, whose zip lies there before its set does."""
    used = {entry.path for entry in imported_sets(workspace).values()}
    for path in (workspace.datasets / UPLOADS).glob("*.zip"):
        if str(path) not in used:
            path.unlink(missing_ok=True)


def checked_name(name: str) -> str:
    """The name. Raises InputError if a set can't be called so."""
    if name in DATASETS:
        raise InputError(f"'{name}' is the name of a built-in set.", code="dataset", hint="Choose another with --name.")
    if not name or len(name) > MAX_NAME or any(not c.isprintable() or c in "/\\" for c in name):
        raise InputError(
            f"{name[:200]!r} can't be the name of a set.",
            code="dataset",
            hint=f"Use up to {MAX_NAME} printable characters without slashes.",
        )
    return name


def _file(workspace: Workspace, name: str) -> Path:
    return workspace.datasets / "imported" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
