"""events.jsonl: one JSON object a line, numbered, with a checksum. It only grows; readers take whole, sound lines."""

import json
import math
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.training.events import Event, to_row

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


class EventWriter:
    """Appends events; whoever holds the run's lock may have one."""

    def __init__(self, path: Path) -> None:
        rows = read_tail(path)
        self.number = rows[-1]["n"] if rows else 0
        self.file = path.open("ab")
        if self.file.tell() and not _ends_with_newline(path):
            self.file.write(b"\n")  # the half line of a writer that was killed stays behind, and is passed over

    def write(self, event: Event) -> None:
        self.number += 1
        row = {"n": self.number, "time": round(time.time(), 3), **_finite(to_row(event))}
        self.file.write(encode_line(row))
        self.file.flush()

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def append_event(path: Path, event: Event) -> None:
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
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content.rfind(b"\n") + 1
        self.offset += whole
        rows = []
        for line in content[:whole].splitlines():
            row = decode_line(line)
            if row is None:
                self.dropped += 1
            else:
                rows.append(row)
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


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: what is not finite becomes null."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
