"""Writing so that a reader, or a restart after a crash, sees the old file or the new one and nothing between.

All writing to a run's directory goes through here, down to the calls that can fail; whatever fails raises OSError.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import InputError

BINARY = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)  # Windows has the second only, and else changes line ends
OPEN_FILES_STAY = (
    os.name == "nt"
)  # Windows neither renames nor removes a file that somebody has open, nor a folder with such a one
PATIENCE_S = 1.0  # readers of ours have a file open for milliseconds, a virus scanner for some more


def disk_error(error: OSError) -> InputError:
    """A file operation that failed, in words: what, where, and what to do."""
    where = f" ({error.filename})" if error.filename else ""
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = "Nothing that was saved before is harmed. Look after the disk and its rights, then try again."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Nothing that was saved before is harmed. Make room, then try again."
    return InputError(f"A file could not be written or read: {reason[0].lower()}{reason[1:]}{where}.", code="disk", hint=hint)


def write_new(path: Path, content: bytes) -> None:
    """A file that was not there before, on disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o644)
    try:
        write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, content: bytes) -> None:
    """Every byte, however many the system takes at once."""
    rest = memoryview(content)
    while rest:
        written = os.write(handle, rest)
        if written == 0:
            raise OSError(errno.EIO, "nothing could be written")
        rest = rest[written:]


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Written aside, flushed to disk and renamed over; the folder is flushed too."""
    aside = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        write_new(aside, content)
        replace_file(aside, path)
    except BaseException:
        remove_quietly(aside)
        raise
    flush_folder(path.parent)


def write_json_atomically(path: Path, value: Any) -> None:
    write_bytes_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def sealed(value: dict[str, Any]) -> bytes:
    """JSON with a checksum of itself, in which no bit can change unnoticed."""
    body = json.dumps(value, indent=2, allow_nan=False)
    seal = hashlib.sha256(body.encode()).hexdigest()
    return (json.dumps({**value, "seal": seal}, indent=2, allow_nan=False) + "\n").encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """What was sealed. Raises ValueError if it is not as it was written."""
    value = json.loads(content)
    if not isinstance(value, dict) or value.pop("seal", None) is None or sealed(value) != content:
        raise ValueError("its checksum does not match")
    return value


def flush_folder(folder: Path) -> None:
    """Makes a rename in the folder survive a power cut, where folders can be flushed."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | BINARY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(source: Path, target: Path) -> None:
    """Renamed, over the file that is there."""
    _patiently(lambda: os.replace(source, target))


def move_folder(source: Path, target: Path) -> None:
    """Renamed. Raises OSError (EEXIST or ENOTEMPTY) where something is there already."""
    _patiently(lambda: os.rename(source, target))


def is_in_use(error: OSError) -> bool:
    """Whether it failed as somebody has the file open, which is in the way on Windows only."""
    return OPEN_FILES_STAY and isinstance(error, PermissionError)


def _patiently(action: Callable[[], None]) -> None:
    """Again and again for a while, as long as somebody has the file open."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return action()
        except OSError as error:
            if not is_in_use(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def remove_folder(path: Path) -> None:
    """Gone in one step for every reader, then from the disk. What is left after a crash is swept by `sweep`."""
    doomed = path.with_name(f".deleted-{path.name}-{secrets.token_hex(4)}")
    move_folder(path, doomed)
    shutil.rmtree(doomed)


def remove_quietly(path: Path) -> None:
    """Tidying up after a failure, which is the one to be told."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):  # swept later
        os.unlink(path)


def sweep(folder: Path, *prefixes: str) -> None:
    """Removes what a killed writer left behind. Only for whoever alone writes in the folder."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.startswith(prefixes):
                remove_quietly(path)
