"""The header of a safetensors file, checked against the file before any tensor is read.

The format: eight bytes length, a JSON header of that length, then the tensors' bytes without gaps (huggingface.co/docs/safetensors).
"""

import json
import os
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.intake.tensors import DTYPE_BYTES, StoredTensor, contiguous_strides
from core.zips import shown

MAX_TENSORS = 10_000
MAX_HEADER_BYTES = 4_000_000
MAX_DIMENSIONS = 16
HINT = "Save it again: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')."


def read_safetensors_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors by name, in the order of the file. Raises InputError with the reason if anything is not as promised."""
    with path.open("rb") as file:
        file_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        if file_bytes < 10 or length > file_bytes - 8:
            raise _refusal("it is shorter than its header says", "Copy or download it again.")
        if length > MAX_HEADER_BYTES:
            raise _refusal(f"its header has {length:,} bytes, expected {MAX_HEADER_BYTES:,} at most")
        try:
            header = json.loads(file.read(length).decode(), object_pairs_hook=_without_duplicates)
        except InputError:
            raise
        except (ValueError, RecursionError):
            raise _refusal("its header is not JSON") from None
    if not isinstance(header, dict):
        raise _refusal("its header is not a JSON object")
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise _refusal(f"it holds {len(header):,} tensors, expected {MAX_TENSORS:,} at most")
    tensors = {name: _tensor(name, entry, 8 + length, file_bytes) for name, entry in header.items()}
    _check_without_gaps(tensors, 8 + length, file_bytes)
    return tensors


def num_bytes(tensor: StoredTensor) -> int:
    count = DTYPE_BYTES[tensor.dtype]
    for n in tensor.shape:
        count *= n
    return count


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise _refusal("its header names a tensor twice")
    return dict(pairs)


def _tensor(name: str, entry: Any, start: int, file_bytes: int) -> StoredTensor:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(first), int(end)]} if len(entry) == 3:
            pass
        case _:
            raise _refusal(f"the entry {shown(name)} of its header has not the form of a tensor")
    if dtype not in DTYPE_BYTES:
        raise _refusal(f"the entry {shown(name)} is of the type {shown(dtype)}, which is not known here")
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
        raise _refusal(f"the entry {shown(name)} has a shape that is none")
    tensor = StoredTensor(dtype=dtype, shape=tuple(shape), strides=contiguous_strides(tuple(shape)), offset=start + first)
    if not 0 <= first <= end <= file_bytes - start:
        raise _refusal(f"the entry {shown(name)} lies outside of the file", "Copy or download it again.")
    if end - first != num_bytes(tensor):
        raise _refusal(f"the entry {shown(name)} has {end - first:,} bytes, its shape needs {num_bytes(tensor):,}")
    return tensor


def _check_without_gaps(tensors: dict[str, StoredTensor], start: int, file_bytes: int) -> None:
    position = start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, num_bytes(item[1]))):
        if tensor.offset != position:
            raise _refusal(f"the entry {shown(name)} overlaps another, or leaves a gap before it")
        position += num_bytes(tensor)
    if position != file_bytes:
        raise _refusal(f"{file_bytes - position:,} bytes in it belong to no tensor")


def _refusal(reason: str, hint: str = HINT) -> InputError:
    return InputError(f"The safetensors file can't be taken: {reason}.", code="file", hint=hint)
