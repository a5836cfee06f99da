"""notes.json: what a person wrote about a run. Data, never part of a path."""

import re
from dataclasses import asdict, dataclass

from core.errors import InputError
from core.files import write_json_atomically
from core.runs.directory import Run, read_json

NAME_LENGTH, TAG_LENGTH, NUM_TAGS, NOTE_LENGTH = 100, 30, 20, 10_000


@dataclass(frozen=True)
class Notes:
    """name: shown instead of what the run's id says; may be empty."""

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def read_notes(run: Run) -> Notes:
    """Empty where there are none, or where the file is damaged."""
    try:
        found = read_json(run.path / "notes.json", {})
        return Notes(
            str(found.get("name", ""))[:NAME_LENGTH],
            tuple(map(str, found.get("tags", ())))[:NUM_TAGS],
            str(found.get("note", "")),
        )
    except (ValueError, AttributeError, TypeError):
        return Notes()


def write_notes(run: Run, notes: Notes) -> None:
    """Raises InputError where something is too long."""
    name = " ".join(notes.name.split())
    tags = tuple(dict.fromkeys(filter(None, (" ".join(tag.split()) for tag in notes.tags))))
    for what, length, limit in (
        ("name", len(name), NAME_LENGTH),
        ("note", len(notes.note), NOTE_LENGTH),
        ("longest tag", max(map(len, tags), default=0), TAG_LENGTH),
    ):
        if length > limit:
            raise InputError(f"The {what} has {length:,} characters, expected at most {limit:,}.", code="notes")
    if len(tags) > NUM_TAGS:
        raise InputError(f"Found {len(tags)} tags, expected at most {NUM_TAGS}.", code="notes")
    write_json_atomically(run.path / "notes.json", asdict(Notes(name, tags, notes.note)))


def tags_from(text: str) -> tuple[str, ...]:
    """Tags written one after the other, with commas or line ends between them."""
    return tuple(filter(None, (tag.strip() for tag in re.split(r"[,\n]", text))))
