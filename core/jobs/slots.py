"""Slots: the devices of this machine. Each is for one job at a time, whichever workspace or user that belongs to."""

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.files import BINARY
from core.locks import is_locked


def slots_folder() -> Path:
    """Where the machine's locks lie; TRAINSCOPE_SLOTS names another folder."""
    return Path(os.environ.get("TRAINSCOPE_SLOTS") or Path(tempfile.gettempdir()) / "trainscope-slots")


@dataclass(frozen=True)
class Slot:
    """device: as PyTorch calls its kind. index: which one of that kind; two GPUs never share a lock."""

    device: str
    index: int = 0

    @property
    def name(self) -> str:
        return f"{self.device}-{self.index}"

    @property
    def path(self) -> Path:
        return slots_folder() / f"{self.name}.lock"

    def is_free(self) -> bool:
        return not is_locked(self.path)

    def hold(self, timeout_s: float) -> FileLock | None:
        """The lock, acquired; None if somebody else has it all that time. Raises OSError where it can't be made."""
        _make(self.path)
        lock = FileLock(self.path)
        try:
            lock.acquire(timeout=timeout_s, poll_interval=0.02)
        except Timeout:
            return None
        return lock


def first_free(slots: tuple[Slot, ...]) -> Slot | None:
    return next((slot for slot in slots if slot.is_free()), None)


def _make(path: Path) -> None:
    """The file, for every user of the machine to lock: whoever comes first must not keep the others out."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o1777)
    if not hasattr(os, "getuid"):  # Windows: the temporary folder is a user's own
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | BINARY, 0o666)
    except PermissionError:
        return  # made by another user, and locked all the same if it can be opened
    try:
        if os.fstat(handle).st_uid == os.getuid():
            os.fchmod(handle, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH)
    finally:
        os.close(handle)
