"""Where image files lie: in a folder, or in a zip that is read as it is and never unpacked. Names in them are data."""

import os
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.data.sources.decoding import MAX_FILE_BYTES
from core.errors import InputError
from core.name_encoding import Reading
from core.zips import ZipLimits, open_zip

# Images hardly compress, but a blank bitmap does: what one file swells to is bounded by its size, the whole by the ratio.
IMAGE_ZIP = ZipLimits(
    num_entries=300_000,
    total_bytes=100_000_000_000,
    entry_bytes=4_000_000_000,
    ratio=200.0,
    entry_ratio=1100.0,
    is_lenient=True,
)


@dataclass(frozen=True)
class StoredFile:
    """name: the path within, with "/" between. stamp: another one once the contents are others."""

    name: str
    num_bytes: int
    stamp: str


class Container(Protocol):
    """empty_folders: those in which nothing lies, known once the files were listed. about_names: how names were read, as
    sentences; empty where there is nothing to say."""

    path: Path
    empty_folders: list[str]
    about_names: str

    def files(self, skipped: list[dict[str, str]]) -> Iterable[StoredFile]:
        """Every file; what can't be looked at is added to `skipped`."""
        ...

    def read(self, name: str, at_most: int = MAX_FILE_BYTES) -> bytes:
        """The contents of a file. Raises InputError or OSError with the reason why not."""
        ...

    def head(self, name: str, at_least: int) -> bytes:
        """How a file begins: at_least bytes of it, or all. Raises as `read` does."""
        ...


class ImageFolder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.empty_folders: list[str] = []
        self.about_names = ""

    def files(self, skipped: list[dict[str, str]]) -> Iterable[StoredFile]:
        cut = len(str(self.path).rstrip(os.sep)) + 1
        waiting = [str(self.path)]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    found = list(entries)
            except OSError as error:
                skipped.append({"file": readable(folder[cut:]) or ".", "reason": f"can't be read ({error.strerror})"})
                continue
            if not found:
                self.empty_folders.append(folder[cut:])
            for entry in found:
                if entry.is_symlink():
                    skipped.append({"file": readable(entry.path[cut:]), "reason": "a link, which is not followed"})
                elif entry.is_dir():
                    waiting.append(entry.path)
                elif not entry.is_file():
                    skipped.append({"file": readable(entry.path[cut:]), "reason": "neither a file nor a folder"})
                else:
                    try:
                        status = entry.stat()
                    except OSError as error:  # gone since
                        skipped.append({"file": readable(entry.path[cut:]), "reason": f"can't be read ({error.strerror})"})
                        continue
                    yield StoredFile(entry.path[cut:].replace(os.sep, "/"), status.st_size, str(status.st_mtime_ns))

    def read(self, name: str, at_most: int = MAX_FILE_BYTES) -> bytes:
        with (self.path / name).open("rb") as file:
            content = file.read(at_most + 1)
        if len(content) > at_most:
            raise _too_large(at_most)
        return content

    def head(self, name: str, at_least: int) -> bytes:
        with (self.path / name).open("rb") as file:
            return file.read(at_least)


class ImageZip:
    """Raises InputError on opening if anything about the zip could mislead (core/zips.py)."""

    def __init__(self, path: Path, encoding: str = "") -> None:
        self.path = path
        self._zip = open_zip(path, IMAGE_ZIP, encoding)
        self.empty_folders: list[str] = []
        self.about_names = _about_names(self._zip.reading, is_chosen=bool(encoding))
        self._lock = threading.Lock()  # one place in the file is read at a time

    def files(self, skipped: list[dict[str, str]]) -> Iterable[StoredFile]:
        for entry in self._zip.entries.values():
            yield StoredFile(entry.name, entry.num_bytes, f"{entry.crc:08x}")

    def read(self, name: str, at_most: int = MAX_FILE_BYTES) -> bytes:
        if name not in self._zip.entries:
            raise FileNotFoundError(name)
        if self._zip.entries[name].num_bytes > at_most:
            raise _too_large(at_most)
        with self._lock:
            return b"".join(self._zip.pieces(name))

    def head(self, name: str, at_least: int) -> bytes:
        with self._lock:
            return self._zip.head(name, at_least)


def typed_path(text: str) -> Path:
    """The absolute path that a person typed, perhaps in the quotes of Windows' "Copy as path". Raises InputError if no path can be made of it."""
    try:
        path = Path(re.sub(r'^\s*"(.+)"\s*$', r"\1", text)).expanduser().resolve()
        path.is_dir()
        str(path).encode()  # it is written into records; names below it may be any
    except UnicodeEncodeError:
        raise InputError(
            f"The path {readable(text[:200])} is written in other letters than UTF-8.",
            code="dataset",
            hint="Rename the folder or zip.",
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{text[:200]!r} is not a path that can be used here ({error}).", code="dataset") from None
    return path


def _about_names(reading: Reading | None, is_chosen: bool) -> str:
    if reading is None or (reading.encoding == "UTF-8" and not is_chosen):
        return ""
    said = f"The names in the zip are read as {reading.encoding}"
    if not reading.others:
        return f"{said}."
    return f"{said}, but may be {' or '.join(reading.others)}: if they look wrong, import it again and choose how they are read."


def open_container(path: Path, encoding: str = "") -> Container:
    """The folder or the zip at this path; encoding: of names in a zip, as `open_zip` takes it. Raises InputError if it is neither."""
    if path.is_dir():
        return ImageFolder(path)
    if not path.is_file():
        raise InputError(
            f"There is no folder and no zip {readable(str(path))}.",
            code="dataset",
            hint="Give the full path of a folder or a zip on this machine.",
        )
    try:
        return ImageZip(path, encoding)
    except OSError as error:
        raise InputError(f"{readable(str(path))} can't be read ({error.strerror}).", code="dataset") from None


def readable(name: str) -> str:
    """A file's name as text to show; bytes that are no UTF-8 and control characters are replaced."""
    text = name.encode(errors="replace").decode()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _too_large(at_most: int) -> InputError:
    return InputError(f"The file has more than {at_most:,} bytes, which is more than is read.", code="picture")
