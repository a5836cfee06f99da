"""Writing so that a reader, or a restart after a crash, sees the old file or the new one and nothing between.

All writing to a run's directory goes through here, down to the calls that can fail; whatever fails raises OSError.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import InputError


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
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
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
        os.replace(aside, path)
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


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock in this file. A file that is not there, or not for us to read, is not locked."""
    try:
        handle = os.open(path, os.O_RDONLY)  # never made here: its folder may just have been deleted
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: those who ask don't meet one another
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def flush_folder(folder: Path) -> None:
    """Makes a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(path: Path) -> None:
    """Gone in one step for every reader, then from the disk. What is left after a crash is swept by `sweep`."""
    doomed = path.with_name(f".deleted-{path.name}-{secrets.token_hex(4)}")
    os.rename(path, doomed)
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
