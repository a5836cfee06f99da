"""Things that people save under a name of their own: a JSON file each. A name is data; the files' names are ours."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from core.errors import InputError
from core.files import write_json_atomically

MAX_NAME = 100
T = TypeVar("T")


def save_named(folder: Path, name: str, content: Mapping[str, Any], what: str) -> str:
    """Keeps the content under this name, which is given back as it is kept; what had the name is replaced.

    what: of which it can't be the name, for InputError. Raises OSError too.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(
            f"{name[:MAX_NAME]!r} can't be the name of {what}.", code="config", hint=f"Use up to {MAX_NAME} printable characters."
        )
    folder.mkdir(exist_ok=True)
    write_json_atomically(_file(folder, name), {"name": name, **content})
    return name


def read_named(folder: Path, read: Callable[[dict[str, Any]], T]) -> dict[str, T]:
    """All that can be read, by name. A damaged one is left out and said in the log; saving under its name mends it."""
    found = {}
    for path in folder.glob("*.json"):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            name, value = entry["name"], read(entry)
            if not isinstance(name, str):
                raise TypeError("a name is text")
        except FileNotFoundError:  # deleted a moment ago
            continue
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
            logging.getLogger("trainscope").warning("what is saved in %s can't be read: %s", path, error)
            continue
        if path == _file(folder, name):  # else a copy of another one
            found[name] = value
    return dict(sorted(found.items(), key=lambda item: (item[0].casefold(), item[0])))


def delete_named(folder: Path, name: str) -> None:
    """Gone, also if it was gone already."""
    _file(folder, name).unlink(missing_ok=True)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.json"
