"""Images that a person keeps an eye on in one run, by their places among the evaluated ones."""

from filelock import FileLock

from core.files import write_json_atomically
from core.runs.directory import Run, read_json

MOST = 24


def pins_of(run: Run, num_pictures: int) -> list[int]:
    """In the order in which they were pinned; empty where there are none, or the file is damaged."""
    try:
        found = read_json(run.path / "pins.json", [])
        return list(dict.fromkeys(int(place) for place in found if 0 <= int(place) < num_pictures))[:MOST]
    except (ValueError, TypeError, OverflowError, RecursionError):
        return []


def pin(run: Run, place: int, num_pictures: int) -> None:
    """One more; beyond 24 the oldest goes."""
    with _locked(run):
        places = [other for other in pins_of(run, num_pictures) if other != place]
        write_json_atomically(run.path / "pins.json", [*places, place][-MOST:])


def unpin(run: Run, place: int, num_pictures: int) -> None:
    with _locked(run):
        write_json_atomically(run.path / "pins.json", [other for other in pins_of(run, num_pictures) if other != place])


def _locked(run: Run) -> FileLock:
    return FileLock(run.path / ".pins.lock")
