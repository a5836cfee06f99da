"""What a link on a page names, as a file name and its content in pieces."""

import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from core.errors import InputError
from core.export.bundle.make import write_bundle
from core.export.bundles import checkpoint_zip, run_zip
from core.export.formats import BUNDLE, WRITERS
from core.export.report import report
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, find_run
from core.workspace import Workspace

PIECE_BYTES = 1 << 20


def name_of(run: Run, file: str) -> str:
    """What a browser calls the file."""
    return f"{run.id}.{file.rpartition('.')[2]}" if file in ("run.zip", "report.html") else f"{run.id}-{file}"


def export(workspace: Workspace, run_id: str, file: str) -> tuple[str, Iterator[bytes]]:
    """(file name, pieces) of "run.zip", "report.html", or of a checkpoint as "epoch-0003.zip", ".bundle.zip", ".pt", ".safetensors",
    ".pt2" or ".onnx".

    Raises InputError where there is no such thing, or the checkpoint is damaged.
    """
    run = find_run(workspace, run_id)
    if file == "run.zip":
        return name_of(run, file), run_zip(run)
    if file == "report.html":
        return name_of(run, file), iter([report(workspace, run).encode()])
    content = tempfile.TemporaryFile()  # noqa: SIM115 closed when it has been sent
    if file.endswith(BUNDLE):
        checkpoint = find_checkpoint(run, file.removesuffix(BUNDLE))
        write_bundle(workspace, run, checkpoint, content)
        return name_of(run, f"{checkpoint.name}{BUNDLE}"), _pieces(content)
    name, _, kind = file.rpartition(".")
    checkpoint = find_checkpoint(run, name)
    if kind == "zip":
        return name_of(run, f"{checkpoint.name}.zip"), checkpoint_zip(checkpoint)
    if kind not in WRITERS:
        raise InputError(
            f"There is no download '{file[:100]}'.",
            code="file",
            hint=f"There are .zip, {BUNDLE}, {', '.join(f'.{kind}' for kind in WRITERS)}.",
        )
    WRITERS[kind](checkpoint, content)
    return name_of(run, f"{checkpoint.name}.{kind}"), _pieces(content)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece
