"""Zips of a checkpoint and of a whole run, made piece by piece: nothing large lies in memory, and a run may go on meanwhile.

A checkpoint's zip also holds the run's config.json, so that it can become a run elsewhere, and its calibration. core/intake reads both kinds.
"""

import io
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError
from core.files import unsealed
from core.intake.run_layout import CHECKPOINT_FILES, MANIFEST, max_bytes_of
from core.runs.calibration import calibration_file
from core.runs.checkpoints import NAME, Checkpoint, list_checkpoints, open_file
from core.runs.directory import Run

PIECE_BYTES = 1 << 20


def checkpoint_zip(checkpoint: Checkpoint) -> Iterator[bytes]:
    """The zip in pieces. Raises InputError before the first piece if the checkpoint is damaged or gone."""
    stack, files = _opened(checkpoint)
    calibration = calibration_file(checkpoint)

    def pieces() -> Iterator[bytes]:
        bundle = _ZipStream()
        with stack:
            yield from _add_checkpoint(bundle, files, f"{checkpoint.name}/")
            with (checkpoint.path.parent.parent / "config.json").open("rb") as config:
                yield from bundle.add(f"{checkpoint.name}/config.json", config)
            if calibration:
                yield from bundle.add(f"{checkpoint.name}/calibration.json", io.BytesIO(calibration))
            yield from bundle.end()

    return pieces()


def run_zip(run: Run, left_out: list[str] | None = None) -> Iterator[bytes]:
    """The zip of a run in pieces: configuration, charts, records, checkpoints, notes.

    While the run trains it is as of one moment: events up to the last whole line, checkpoints that are there. left_out: gets a
    sentence for each checkpoint that is damaged and therefore not in the zip; left-out.txt in the zip says the same.
    """
    left_out = [] if left_out is None else left_out
    bundle = _ZipStream()
    for name in ("config.json", "notes.json", "calibration.json", "pins.json"):
        yield from _add_if_there(bundle, run, run.path / name)
    # checkpoints before events, and records last: what a file speaks of is then always in the zip
    done: set[str] = set()
    for checkpoint in list_checkpoints(run):
        yield from _add_run_checkpoint(bundle, run, checkpoint, done, left_out)
    for pointer in ("best", "last"):
        yield from _add_pointer(bundle, run, pointer, done, left_out)
    if run.events.is_file():
        with run.events.open("rb") as events:
            yield from bundle.add(f"{run.id}/events.jsonl", events, _whole_lines(events))
    for folder in (run.records, run.tensorboard):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            yield from _add_if_there(bundle, run, path)
    yield from _add_if_there(bundle, run, run.log)
    if left_out:
        yield from bundle.add(f"{run.id}/left-out.txt", io.BytesIO("\n".join(left_out).encode()))
    yield from bundle.end()


def _add_run_checkpoint(
    bundle: "_ZipStream", run: Run, checkpoint: Checkpoint, done: set[str], left_out: list[str]
) -> Iterator[bytes]:
    try:
        stack, files = _opened(checkpoint)
    except InputError as error:
        if checkpoint.path.exists():  # else it was pruned meanwhile, as the run's own rule has it
            left_out.append(error.message)
        return
    with stack:
        yield from _add_checkpoint(bundle, files, f"{run.id}/checkpoints/{checkpoint.name}/")
    done.add(checkpoint.name)


def _add_pointer(bundle: "_ZipStream", run: Run, pointer: str, done: set[str], left_out: list[str]) -> Iterator[bytes]:
    """best.json or last.json, and what it names, which may have been saved since the others were listed."""
    path = run.checkpoints / f"{pointer}.json"
    try:
        content = path.read_bytes()
        name = unsealed(content)["checkpoint"]
        assert NAME.fullmatch(name)
    except (OSError, ValueError, KeyError, AssertionError):
        return
    if name not in done:
        yield from _add_run_checkpoint(bundle, run, Checkpoint(run.checkpoints / name), done, left_out)
    if name in done:
        yield from bundle.add(f"{run.id}/checkpoints/{pointer}.json", io.BytesIO(content))


def _opened(checkpoint: Checkpoint) -> tuple[ExitStack, dict[str, BinaryIO]]:
    """Its files held open, each compared with its checksum: they can be read to their end even if the checkpoint is removed meanwhile.

    Raises InputError that names the damaged one.
    """
    with ExitStack() as stack:
        files = {name: stack.enter_context(open_file(checkpoint, name)) for name in CHECKPOINT_FILES}
        try:
            files[MANIFEST] = stack.enter_context((checkpoint.path / MANIFEST).open("rb"))
        except OSError:
            raise InputError(
                f"Checkpoint {checkpoint.name} can't be read.", code="checkpoint", hint="Choose another one."
            ) from None
        return stack.pop_all(), files


def _add_checkpoint(bundle: "_ZipStream", files: dict[str, BinaryIO], prefix: str) -> Iterator[bytes]:
    for name, file in files.items():
        yield from bundle.add(f"{prefix}{name}", file)


def _add_if_there(bundle: "_ZipStream", run: Run, path: Path) -> Iterator[bytes]:
    relative = path.relative_to(run.path).as_posix()
    if max_bytes_of(relative) is None:
        return
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from bundle.add(f"{run.id}/{relative}", file)


def _whole_lines(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - PIECE_BYTES)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


class _ZipStream:
    """A zip that is read while it is made. Files are stored as they are: weights don't compress."""

    def __init__(self) -> None:
        self.sink = _Sink()
        self.archive = zipfile.ZipFile(self.sink, "w", zipfile.ZIP_STORED)

    def add(self, name: str, file: BinaryIO, num_bytes: int | None = None) -> Iterator[bytes]:
        """The file from its start, as long as it is now or as num_bytes says; it may grow meanwhile."""
        left = file.seek(0, os.SEEK_END) if num_bytes is None else num_bytes
        file.seek(0)
        info = zipfile.ZipInfo(name, time.localtime()[:6])
        info.external_attr = 0o644 << 16
        with self.archive.open(info, "w", force_zip64=left > 2**31 - 2**20) as target:
            while left and (piece := file.read(min(PIECE_BYTES, left))):
                target.write(piece)
                left -= len(piece)
                yield self.sink.taken()
        yield self.sink.taken()

    def end(self) -> Iterator[bytes]:
        self.archive.close()
        yield self.sink.taken()


class _Sink:
    """A file that can't be sought, which makes zipfile write sizes after contents; what was written is taken away at once."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, content: bytes) -> int:
        self.pieces.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def taken(self) -> bytes:
        content, self.pieces = b"".join(self.pieces), []
        return content
