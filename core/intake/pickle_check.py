"""The structural check of a .pt file: an archive as torch.save writes it, read without unpickling anything.

Which of its dicts is the state_dict is in state_dict.py; whether it fits a network in contract.py.
"""

from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.intake.pickle_as_data import MAX_BYTES, SAVE_HINT, read_pickle
from core.intake.tensors import DTYPE_BYTES
from core.zips import CheckedZip, ZipLimits, shown

GIGABYTE = 10**9
TORCH_ZIP_LIMITS = ZipLimits(
    num_entries=20_000, total_bytes=8 * GIGABYTE, entry_bytes=8 * GIGABYTE, depth=16, name_bytes=300, may_compress=False
)


@dataclass(frozen=True)
class TorchArchive:
    """content: dicts, lists, numbers and StoredTensors. starts: first byte in the file of each storage, by its key."""

    content: Any
    starts: dict[str, int]


def read_torch_archive(archive: CheckedZip) -> TorchArchive:
    """What torch.save has written, every checksum compared. Raises InputError with the reason for anything else."""
    root = _root(archive)
    for name in archive.entries:
        for _ in archive.pieces(name):
            pass
    byteorder = f"{root}/byteorder"
    if byteorder in archive.entries and archive.read(byteorder, 16) != b"little":
        raise _refusal("its numbers are stored in the byte order of other machines (big-endian)")
    content, storages = read_pickle(archive.read(f"{root}/data.pkl", MAX_BYTES))
    starts: dict[str, int] = {}
    for storage in storages:
        entry = archive.entries.get(f"{root}/data/{storage.key}")
        if entry is None:
            raise _refusal(f"the numbers {shown(storage.key)} that it speaks of are not in it")
        expected = storage.numel * DTYPE_BYTES[storage.dtype]
        if entry.num_bytes != expected:
            raise _refusal(f"it speaks of {expected:,} bytes of numbers in {shown(entry.name)}, which has {entry.num_bytes:,}")
        starts[storage.key] = entry.offset
    return TorchArchive(content, starts)


def refuse_programs(names: list[str]) -> None:
    """Raises InputError for the names in a TorchScript archive."""
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise _refusal(
            "it is a TorchScript archive, which holds a program",
            "Where it was made: torch.save(torch.jit.load('model.pt').state_dict(), 'weights.pt'), and load that file here.",
        )


def _root(archive: CheckedZip) -> str:
    """The one folder that everything lies in. Raises InputError for zips of other kinds, TorchScript among them."""
    names = list(archive.entries)
    refuse_programs(names)
    pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise _refusal(f"expected one data.pkl in it, as torch.save writes, found {len(pickles)}")
    root = pickles[0].rpartition("/")[0]
    if not root or "/" in root or any(not name.startswith(f"{root}/") for name in names):
        raise _refusal("its files do not lie in one folder, as torch.save puts them")
    return root


def _refusal(reason: str, hint: str = SAVE_HINT) -> InputError:
    return InputError(f"The file can't be taken: {reason}.", code="file", hint=hint)
