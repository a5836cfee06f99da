"""A tensor that lies in a file, described: enough to compare it with what a network wants before any of it is read."""

from dataclasses import dataclass, replace

# Element types by the names that safetensors gives them, with their sizes.
DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
    "C128": 16,
    "C64": 8,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """dtype: a key of DTYPE_BYTES, or "?". strides: in elements. offset: in bytes, from the start of its storage.

    storage: the archive's key of it; empty once offset counts from the start of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    storage: str = ""

    def placed(self, start: int) -> "StoredTensor":
        """The same with its offset from the start of the file, given where its storage begins."""
        return replace(self, offset=start + self.offset, storage="")


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))
