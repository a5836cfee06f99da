"""What torch.save wrote before PyTorch 1.6: pickles one after another, then the numbers. Read as data, nothing of it is executed.

Several of torchvision's published weights are still of this form. Files of others in it are refused at the door (load.py).
"""

import pickletools
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError
from core.intake.pickle_as_data import MAX_BYTES, read_pickle
from core.intake.pickle_check import TorchArchive
from core.intake.tensors import DTYPE_BYTES

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
COUNT_BYTES = 8  # before the numbers of each storage: how many there are


def read_legacy(path: Path) -> TorchArchive:
    """Magic number, protocol, system, the object, its storages' keys, then their numbers. Raises InputError for anything else."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES)
        ends = _ends_of_pickles(content, 5)
        pickles = [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        (magic, _), (protocol, _), (system, _), (value, storages), (keys, _) = map(read_pickle, pickles)
        if magic != MAGIC or protocol != PROTOCOL or not isinstance(system, dict) or not isinstance(keys, list):
            raise _refusal("it is not what torch.save wrote before PyTorch 1.6")
        if system.get("little_endian") is not True:
            raise _refusal("its numbers are stored in the byte order of other machines (big-endian)")
        by_key = {storage.key: storage for storage in storages}
        if len(by_key) != len(storages) or sorted(by_key) != sorted(map(str, keys)):
            raise _refusal("it lists other numbers than it speaks of")
        starts, position = {}, ends[-1]
        for key in keys:
            storage = by_key[key]
            if _count_at(file, position) != storage.numel:
                raise _refusal("it has other numbers than it speaks of")
            starts[key] = position + COUNT_BYTES
            position = starts[key] + storage.numel * DTYPE_BYTES[storage.dtype]
        if position != path.stat().st_size:
            raise _refusal("it ends elsewhere than its numbers do")
    return TorchArchive(value, starts)


def _ends_of_pickles(content: bytes, count: int) -> list[int]:
    ends = [0]
    for _ in range(count):
        try:
            position = next(p for opcode, _, p in pickletools.genops(content[ends[-1] :]) if opcode.name == "STOP")
        except (ValueError, StopIteration, UnicodeDecodeError, IndexError, KeyError, OverflowError):
            raise _refusal("its pickles are damaged or too long") from None
        ends.append(ends[-1] + (position or 0) + 1)
    return ends[1:]


def _count_at(file: BinaryIO, position: int) -> int:
    file.seek(position)
    return int.from_bytes(file.read(COUNT_BYTES), "little", signed=True)


def _refusal(reason: str) -> InputError:
    return InputError(f"The file can't be taken: {reason}.", code="file", hint="Copy or download it again.")
