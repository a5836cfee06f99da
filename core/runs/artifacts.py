"""What was dear to work out of a run, kept in its folder: found again by checksums of what it was made from.

Written aside, sealed, there at once by a rename; the oldest go first; what is damaged counts as missing, and is made anew.
"""

import errno
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.files import (
    flush_folder,
    is_in_use,
    move_folder,
    remove_folder,
    remove_quietly,
    sealed,
    unsealed,
    write_bytes_atomically,
)
from core.runs.directory import Run

ASIDE = ".tmp-"
ABANDONED_S = 3600  # what lies aside for so long has no writer any more


@dataclass(frozen=True)
class ArtifactKind:
    """folder: in the run's. most: how many a run keeps, None for those that a person removes."""

    folder: str
    most: int | None


@dataclass(frozen=True)
class Inputs:
    """What an artifact is made from: facts that JSON can hold, checksums of larger things among them, and small arrays."""

    facts: Any
    arrays: Sequence[np.ndarray] = ()

    @property
    def key(self) -> str:
        digest = hashlib.sha256(json.dumps(self.facts).encode())
        for array in self.arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """facts: what its maker said of it. sums: the checksum of each of its files."""

    path: Path
    facts: dict[str, Any]
    sums: dict[str, str]
    made_s: float

    @property
    def name(self) -> str:
        return self.path.name

    def file(self, name: str) -> Path:
        """Raises InputError if it is not as it was written."""
        path = self.path / name
        try:
            if _sum_of(path, path.stat().st_mtime_ns) == self.sums[name]:
                return path
        except (OSError, KeyError):
            pass
        raise InputError(f"The kept {name} is not as it was written.", code="file", hint="Remove it and have it made again.")

    def array(self, name: str) -> np.ndarray:
        """What lies in NAME.npy. Raises InputError as `file` does."""
        path = self.file(f"{name}.npy")
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise InputError(f"The kept {path.name} can't be read.", code="file", hint="Have it made again.") from None

    @property
    def is_sound(self) -> bool:
        try:
            for name in self.sums:
                self.file(name)
        except InputError:
            return False
        return True


def kept(run: Run, kind: ArtifactKind, inputs: Inputs, make: Callable[[Path], dict[str, Any]]) -> Artifact:
    """The artifact made from these inputs, from the folder or made now. make: writes files into the folder it gets, returns facts.

    Raises what make raises, and OSError where nothing can be written; a run that was deleted meanwhile stays deleted.
    """
    if found := find_kept(run, kind, inputs):
        return found
    folder = _folder(run, kind)
    _make_folder(run, folder)
    _sweep(folder)
    aside = folder / f"{ASIDE}{secrets.token_hex(8)}"
    aside.mkdir()
    try:
        facts = make(aside)
        sums = {path.name: _sum(path) for path in sorted(aside.iterdir())}
        write_bytes_atomically(aside / "about.json", sealed({**facts, "made_s": time.time(), "sums": sums}))  # last
        flush_folder(aside)
        _put(aside, folder / inputs.key)
    finally:
        remove_quietly(aside)
    _prune(run, kind)
    found = read_artifact(folder / inputs.key)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "removed by another process while it was made", str(folder / inputs.key))
    return found


def find_kept(run: Run, kind: ArtifactKind, inputs: Inputs) -> Artifact | None:
    """The artifact if it is there and sound."""
    found = read_artifact(_folder(run, kind) / inputs.key)
    return found if found and found.is_sound else None


def list_kept(run: Run, kind: ArtifactKind) -> list[Artifact]:
    """Those whose description is whole, the newest first."""
    found = filter(None, map(read_artifact, _folder(run, kind).glob("[0-9a-f]*")))
    return sorted(found, key=lambda artifact: -artifact.made_s)


def read_artifact(path: Path) -> Artifact | None:
    """None where there is none, or its description is damaged. Its files are compared with their checksums when they are read."""
    try:
        about = unsealed((path / "about.json").read_bytes())
        return Artifact(path=path, facts=about, sums=dict(about.pop("sums")), made_s=float(about.pop("made_s")))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_kept(artifact: Artifact) -> None:
    """Nothing where somebody else has removed it already."""
    with suppress(FileNotFoundError):
        remove_folder(artifact.path)


def save_array(folder: Path, name: str, array: np.ndarray) -> None:
    """As NAME.npy."""
    np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _folder(run: Run, kind: ArtifactKind) -> Path:
    return run.path / kind.folder


def _make_folder(run: Run, folder: Path) -> None:
    for part in (*reversed(folder.relative_to(run.path).parents[:-1]), folder.relative_to(run.path)):
        (run.path / part).mkdir(exist_ok=True)


def _put(aside: Path, path: Path) -> None:
    """One of the same inputs says the same, and stays, unless it is damaged."""
    there = read_artifact(path)
    if path.exists() and not (there and there.is_sound):
        remove_quietly(path)
    try:
        move_folder(aside, path)
        flush_folder(path.parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _prune(run: Run, kind: ArtifactKind) -> None:
    if kind.most is not None:
        for artifact in list_kept(run, kind)[kind.most :]:
            try:
                remove_kept(artifact)
            except OSError as error:
                if not is_in_use(error):  # else it is being sent, and goes with the next one that is made
                    raise


def _sweep(folder: Path) -> None:
    """What was being written when its process was killed, long enough ago that nobody can be writing it any more."""
    for path in folder.glob(f"{ASIDE}*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - ABANDONED_S:
                remove_quietly(path)


def sweep_aside(run: Run, kind: ArtifactKind) -> None:
    """After the process that alone was making one was killed."""
    for path in _folder(run, kind).glob(f"{ASIDE}*"):
        remove_quietly(path)


@lru_cache(maxsize=512)
def _sum_of(path: Path, changed_ns: int) -> str:
    return _sum(path)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
