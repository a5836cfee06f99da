"""events.jsonl: one JSON object a line, numbered, with a checksum. It only grows; readers take whole, sound lines."""

import json
import math
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from core.files import BINARY, write_all
from core.training.events import Event, Written

PIECE_BYTES = 4_000_000
STEP_MARK = b'"kind":"step"'
CRC_LENGTH = len(',"crc":"00000000"}')


def encode_line(row: dict[str, Any]) -> bytes:
    body = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The row of one line without its newline, or None if it is not as it was written."""
    body = line[:-CRC_LENGTH] + b"}"
    if line[-CRC_LENGTH:] != f',"crc":"{zlib.crc32(body):08x}"}}'.encode():
        return None
    return json.loads(body)


def to_row(event: Written) -> dict[str, Any]:
    """The event as JSON can hold it: arrays left out, and null for what is not finite."""
    row = {"kind": event.kind, **asdict(event)}
    row.pop("predictions", None)
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


@dataclass(frozen=True)
class Logged:
    """An event as it was read again. time: when it was written, in seconds since 1970."""

    number: int
    time: float
    event: Event


def from_row(row: Mapping[str, Any]) -> Logged | None:
    """The other way. Fields that later versions write are passed over; None for what is no event of a kind known here, or lacks a field."""
    try:
        event = _kinds()[row["kind"]]
        known = {name: row[name] for name in _names(event) if name in row}
        return Logged(row["n"], row["time"], event(**known))
    except (KeyError, TypeError):
        return None


@cache
def _kinds() -> dict[str, type[Event]]:
    return {event.kind: event for event in Event.__subclasses__()}


@cache
def _names(event: type[Event]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(event))


class EventWriter:
    """Appends events, each whole or not at all; whoever holds the run's lock may have one. Raises OSError where it can't write."""

    def __init__(self, path: Path) -> None:
        rows = read_tail(path)
        self.number = rows[-1]["n"] if rows else 0
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
        self.size = os.fstat(self.handle).st_size
        self.is_torn = self.size > 0 and _last_byte(self.handle) != b"\n"
        if self.is_torn and (row := _last_piece(path)):
            self.number = row["n"]  # only its newline is missing, which the next line brings

    def write(self, event: Written) -> None:
        row = {"n": self.number + 1, "time": round(time.time(), 3), **to_row(event)}
        line = b"\n" * self.is_torn + encode_line(row)
        try:
            write_all(self.handle, line)
        except OSError:
            self._take_back()
            raise
        self.number += 1
        self.size += len(line)
        self.is_torn = False

    def flush_to_disk(self) -> None:
        """What was written survives a power cut."""
        os.fsync(self.handle)

    def _take_back(self) -> None:
        """Removes what a write that failed has left of its line."""
        try:
            os.ftruncate(self.handle, self.size)
        except OSError:
            self.is_torn = True  # it stays, on a line of its own

    def close(self) -> None:
        os.close(self.handle)

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _last_byte(handle: int) -> bytes:
    os.lseek(handle, -1, os.SEEK_END)  # writes go to the end wherever it stands
    return os.read(handle, 1)


def append_event(path: Path, event: Written) -> None:
    with EventWriter(path) as writer:
        writer.write(event)


@dataclass
class EventReader:
    """Reads a growing file from where it stopped the last time."""

    path: Path
    offset: int = 0
    dropped: int = 0

    def read(self) -> list[dict[str, Any]]:
        """The rows that are new since the last call. Damaged lines are counted in `dropped`."""
        return [row for rows in self.pieces() for row in rows]

    def pieces(self) -> Iterator[list[dict[str, Any]]]:
        """The same piece by piece: a long file is never in memory as a whole."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                rest = b""
                while piece := file.read(PIECE_BYTES):
                    whole, newline, rest = (rest + piece).rpartition(b"\n")
                    self.offset += len(whole) + len(newline)
                    yield self._decoded(whole.split(b"\n") if newline else [])
        except FileNotFoundError:
            return

    def take_dropped(self) -> int:
        """The damaged lines since the last call."""
        dropped, self.dropped = self.dropped, 0
        return dropped

    def _decoded(self, lines: list[bytes]) -> list[dict[str, Any]]:
        rows = [row for line in lines if (row := decode_line(line)) is not None]
        self.dropped += len(lines) - len(rows)
        return rows


def read_tail(path: Path, size: int = 65_536) -> list[dict[str, Any]]:
    """The rows in the last part of the file: enough for a run's state, whatever its length."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - size))
            content = file.read()
    except FileNotFoundError:
        return []
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    if end > size and lines:
        del lines[0]  # cut in its middle
    return [row for line in lines if (row := decode_line(line)) is not None]


def _last_piece(path: Path, size: int = 65_536) -> dict[str, Any] | None:
    """The row of a last line without its newline; None if it is only half of one, which is then passed over."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - size))
        return decode_line(file.read().rpartition(b"\n")[2])


def rare_rows(path: Path) -> Iterator[dict[str, Any]]:
    """All rows but the step records, which are passed over unread, so that a million of them cost little."""
    try:
        with path.open("rb") as file:
            for line in file:
                is_whole = line.endswith(b"\n")  # else it is being written
                if is_whole and STEP_MARK not in line and (row := decode_line(line[:-1])) is not None:
                    yield row
    except FileNotFoundError:
        return
