"""The quarantine's inside: a process that reads files from outside within limits, and leaves only clean safetensors behind.

`python -m core.intake.sandbox_child` takes its tasks as one JSON line on standard input and answers with one on standard output.
It never loads torch: descriptions are compared first (contract.py), then the numbers of the entries wanted are copied and nothing else.
"""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.errors import InputError
from core.intake.contract import Match, Wanted, match
from core.intake.legacy_file import read_legacy
from core.intake.pickle_check import TORCH_ZIP_LIMITS, TorchArchive, read_torch_archive
from core.intake.safetensors_check import read_safetensors_header
from core.intake.state_dict import Candidate, find_state_dicts, without_prefixes
from core.intake.tensors import DTYPE_BYTES, StoredTensor, contiguous_strides
from core.zips import open_zip, shown

try:
    import resource
except ImportError:  # Windows, where core/intake/watch.py keeps the limits
    resource = None

PIECE = 1 << 20  # elements converted at a time
NUMPY_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}


def main() -> None:
    job = json.loads(sys.stdin.readline())
    _keep_within(job["limits"])
    verdicts: list[dict[str, Any]] = []
    for task in job["tasks"]:
        try:
            verdicts.append({"taken": _take(task) if task["wanted"] is not None else _describe(task)})
        except InputError as error:
            verdicts.append({"refused": {"message": error.message, "code": error.code, "hint": error.hint}})
        except MemoryError:
            verdicts.append({"broken": "memory"})
        except Exception as error:  # one of ten types that a damaged file can cause
            verdicts.append({"broken": f"{type(error).__name__}: {error}"[:500]})
    print(json.dumps(verdicts))


def _keep_within(limits: Mapping[str, int]) -> None:
    if resource is None:
        return
    for name, value in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)  # a stricter one of the system's stays
        resource.setrlimit(kind, (limit, limit))


def _take(task: dict[str, Any]) -> dict[str, Any]:
    """One file examined, and its weights written to task["out"] if that is given. Returns what is to be said of it."""
    path = Path(task["file"])
    wanted = {name: Wanted(tuple(shape), dtype) for name, (shape, dtype) in task["wanted"].items()}
    notes: list[str] = []
    if task["kind"] in ("torch", "legacy"):
        content = _torch_content(path, task["kind"])
        candidates = find_state_dicts(content.content)
        chosen, fit, notes = _best(candidates, wanted)
        tensors = {name: t.placed(content.starts[t.storage]) for name, t in chosen.items() if name in fit.sources.values()}
    else:
        candidate = Candidate("", read_safetensors_header(path))
        tensors, fit, notes = _best([candidate], wanted)
    with path.open("rb") as file:
        if task["out"]:
            _write_safetensors(Path(task["out"]), file, tensors, fit, wanted)
        else:
            for source in filter(None, fit.sources.values()):
                for _ in _numbers(file, source, tensors[source], "F32"):
                    pass
    return {"notes": [*notes, *fit.notes]}


def _describe(task: dict[str, Any]) -> dict[str, Any]:
    """Names and shapes of the likeliest state_dict in one file."""
    path = Path(task["file"])
    if task["kind"] == "safetensors":
        tensors = read_safetensors_header(path)
    else:
        tensors = find_state_dicts(_torch_content(path, task["kind"]).content)[0].tensors
    tensors, _ = without_prefixes(tensors)
    return {"notes": [], "shapes": {name: tensor.shape for name, tensor in tensors.items()}}


def _torch_content(path: Path, kind: str) -> TorchArchive:
    if kind == "legacy":
        return read_legacy(path)
    with open_zip(path, TORCH_ZIP_LIMITS) as archive:
        return read_torch_archive(archive)


def _best(candidates: list[Candidate], wanted: Mapping[str, Wanted]) -> tuple[dict[str, StoredTensor], Match, list[str]]:
    """The first dict of tensors that fits. Raises InputError that says of the likeliest why it does not."""
    refused: InputError | None = None
    for candidate in candidates:
        tensors, removed = without_prefixes(candidate.tensors)
        try:
            fit = match(tensors, wanted)
        except InputError as error:
            refused = refused or error
            continue
        notes = []
        if candidate.place:
            notes.append(f"The weights were taken from {shown(candidate.place)} in the file.")
        if candidate.other:
            more = f" and {len(candidate.other) - 8:,} more" if len(candidate.other) > 8 else ""
            notes.append(f"Not taken over: {', '.join(shown(name, 40) for name in candidate.other[:8])}{more}.")
        if removed:
            notes.append(f"{shown(removed)} was taken off the names.")
        return tensors, fit, notes
    assert refused
    raise refused


def _write_safetensors(
    out: Path, file: BinaryIO, tensors: Mapping[str, StoredTensor], fit: Match, wanted: Mapping[str, Wanted]
) -> None:
    """The wanted entries as float32 and int64, piece by piece: what lies in memory is never more than one of these."""
    header, position = {}, 0
    for name, want in wanted.items():
        end = position + math.prod(want.shape) * DTYPE_BYTES[want.dtype]
        header[name] = {"dtype": want.dtype, "shape": want.shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with out.open("wb") as target:
        target.write(len(text).to_bytes(8, "little") + text)
        for name, want in wanted.items():
            source = fit.sources[name]
            if source:
                for piece in _numbers(file, source, tensors[source], want.dtype):
                    target.write(piece.tobytes())
            else:
                target.write(bytes(8 * math.prod(want.shape)))  # a counter that the file lacks
        target.flush()
        os.fsync(target.fileno())


def _numbers(file: BinaryIO, name: str, tensor: StoredTensor, dtype: str) -> Iterator[np.ndarray]:
    """The tensor's elements in order, as float32 or int64. Raises InputError at the first that is not finite."""
    for piece in _pieces(file, tensor):
        if tensor.dtype == "BF16":
            piece = (piece.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):
            numbers = piece.astype(NUMPY_TYPES[dtype], copy=False)
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise InputError(
                f"The weights hold numbers that are not finite (NaN or infinity), in {shown(name)}.",
                code="file",
                hint="That training had diverged: take a checkpoint from before.",
            )
        yield numbers


def _pieces(file: BinaryIO, tensor: StoredTensor) -> Iterator[np.ndarray]:
    dtype = np.dtype(NUMPY_TYPES[tensor.dtype])
    count = math.prod(tensor.shape)
    if count and tensor.strides != contiguous_strides(tensor.shape):  # a transposed or channels-last one, say
        whole = np.memmap(file, np.uint8, "r")
        base = np.ndarray((), dtype, whole, tensor.offset)
        strides = [n * dtype.itemsize for n in tensor.strides]
        view = np.lib.stride_tricks.as_strided(base, tensor.shape, strides, writeable=False)
        for start in range(0, count, PIECE):
            yield view.flat[start : start + PIECE]
        return
    file.seek(tensor.offset)
    for start in range(0, count, PIECE):
        wanted_bytes = min(PIECE, count - start) * dtype.itemsize
        content = file.read(wanted_bytes)
        if len(content) != wanted_bytes:
            raise InputError("The file ends within its weights.", code="file", hint="Copy or download it again.")
        yield np.frombuffer(content, dtype)


if __name__ == "__main__":
    main()
