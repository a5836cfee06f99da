"""The contract between weights and a network: names, shapes and types of every entry. Only descriptions are compared, no numbers.

Tutorials name their layers as they please. Where names differ, weights are taken by their layers' shapes, in order, if these agree.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InputError
from core.intake.tensors import StoredTensor
from core.zips import shown

if TYPE_CHECKING:  # the quarantine does without torch: it starts in a tenth of a second and needs a tenth of the memory
    from core.models.network_spec import NetworkSpec

MAX_PARAMETERS = 500_000_000
MAX_CLASSES = 100_000
MAX_CHANNELS, MAX_SIDE_PX = 16, 4096
NUM_LISTED = 10
FLOATS = ("F64", "F32", "F16", "BF16")
INTEGERS = ("I64", "I32", "I16", "I8", "U8")
COUNTER = "num_batches_tracked"  # of batch norm; files from before torch 0.4.1 and other programs lack it


@dataclass(frozen=True)
class Wanted:
    """One entry of a network's state_dict. dtype: "F32" or "I64"."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Match:
    """sources: for each name of the network's the name in the file, "" for a counter that is missing and starts at 0."""

    sources: dict[str, str]
    notes: tuple[str, ...]


def wanted_by(spec: "NetworkSpec") -> dict[str, Wanted]:
    """What the network's state_dict holds, without memory for it. Raises InputError for a network beyond all bounds."""
    import torch

    channels, height, width = spec.shape
    if not 0 < channels <= MAX_CHANNELS or min(height, width) < 1 or max(height, width) > MAX_SIDE_PX:
        raise _refusal(f"its network is for images of {channels} × {height} × {width}", "That can't be right.")
    if not 0 < len(spec.class_names) <= MAX_CLASSES:
        raise _refusal(f"its network tells {len(spec.class_names):,} classes apart, expected 1 to {MAX_CLASSES:,}")
    with torch.device("meta"):
        state = spec.build().state_dict()
    total = sum(tensor.numel() for tensor in state.values())
    if total > MAX_PARAMETERS:
        raise _refusal(f"its network has {total:,} parameters, expected {MAX_PARAMETERS:,} at most")
    types = {torch.float32: "F32", torch.int64: "I64"}
    return {name: Wanted(tuple(tensor.shape), types[tensor.dtype]) for name, tensor in state.items()}


def match(found: Mapping[str, StoredTensor], wanted: Mapping[str, Wanted]) -> Match:
    """Which entry of the file goes where. Raises InputError that lists what is missing, unexpected, misshapen or of a wrong type."""
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTER)]
    unexpected = [name for name in found if name not in wanted]
    shapes = [
        f"{shown(name)} is {_shape(found[name].shape)}, expected {_shape(want.shape)}"
        for name, want in wanted.items()
        if name in found and found[name].shape != want.shape
    ]
    if not missing and not unexpected and not shapes:
        sources, notes = {name: name if name in found else "" for name in wanted}, []
    elif sources := _by_layers(found, wanted):
        first, source = next(((name, source) for name, source in sources.items() if source not in (name, "")), ("", ""))
        notes = [f"Its layers are named otherwise ({shown(source)} for '{first}'); they were taken by their shapes, in order."]
    else:
        raise _misfit(
            ("in order, the first that differs", _first_that_differs(found, wanted) if missing and unexpected else []),
            ("missing", [shown(name) for name in missing]),
            ("unexpected", [f"{shown(name)} {_shape(found[name].shape)}" for name in unexpected]),
            ("of another shape", shapes),
        )
    types = [
        f"{shown(source)} is {found[source].dtype}, expected {'floats' if wanted[name].dtype == 'F32' else 'whole numbers'}"
        for name, source in sources.items()
        if source and found[source].dtype not in (FLOATS if wanted[name].dtype == "F32" else INTEGERS)
    ]
    if types:
        raise _misfit(("of another type", types))
    others = sorted({found[s].dtype for name, s in sources.items() if s and wanted[name].dtype == "F32"} - {"F32"})
    if others:
        precise = {"F64": "float64", "F16": "float16", "BF16": "bfloat16"}
        notes.append(f"Weights in {' and '.join(precise[other] for other in others)} were converted to float32.")
    return Match(sources, tuple(notes))


def _first_that_differs(found: Mapping[str, StoredTensor], wanted: Mapping[str, Wanted]) -> list[str]:
    """Where the names say nothing: the first layer, in order, that has another shape than the network's."""
    for (name, tensor), (ours, want) in zip(found.items(), wanted.items(), strict=False):
        if tensor.shape != want.shape:
            return [f"{shown(name)} is {_shape(tensor.shape)}, the model's {ours} is {_shape(want.shape)}"]
    return []


def _by_layers(found: Mapping[str, StoredTensor], wanted: Mapping[str, Wanted]) -> dict[str, str]:
    """Sources by layers: each of the network's takes the next of the file's that has the same entries with the same shapes.

    Empty where they don't agree. A file that is sorted by name (safetensors are) has layer 10 before layer 2: hence the second try.
    """
    ours = _layers({name: want.shape for name, want in wanted.items()}, list(wanted))
    orders: tuple[Callable[[], list[str]], ...] = (lambda: list(found), lambda: sorted(found, key=_natural))
    if Counter(map(_signature, _layers({n: t.shape for n, t in found.items()}, list(found)).values())) != Counter(
        map(_signature, ours.values())
    ):
        return {}
    is_sorted = list(found) == sorted(found)
    theirs = _layers({name: tensor.shape for name, tensor in found.items()}, orders[is_sorted]())
    waiting: dict[frozenset, list[str]] = defaultdict(list)
    for prefix, entries in theirs.items():
        waiting[_signature(entries)].append(prefix)
    sources = {}
    for prefix, entries in ours.items():
        other = waiting[_signature(entries)].pop(0)
        for last in entries:
            source = f"{other}.{last}" if other else last
            sources[f"{prefix}.{last}" if prefix else last] = source if source in found else ""
    return sources


def _layers(shapes: Mapping[str, tuple[int, ...]], order: list[str]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Entries by layer: {"features.0": {"weight": (10, 1, 5, 5), "bias": (10,)}, …}."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name in order:
        prefix, _, last = name.rpartition(".")
        layers.setdefault(prefix, {})[last] = shapes[name]
    return layers


def _signature(entries: Mapping[str, tuple[int, ...]]) -> frozenset:
    return frozenset((last, shape) for last, shape in entries.items() if last != COUNTER)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part[:18]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in re.split(r"(\d+)", name)]


def _misfit(*kinds: tuple[str, list[str]]) -> InputError:
    lists = []
    for kind, entries in kinds:
        if entries:
            more = f" and {len(entries) - NUM_LISTED:,} more" if len(entries) > NUM_LISTED else ""
            count = "" if kind.startswith("in order") else f"{len(entries):,} "
            lists.append(f"{count}{kind}: {', '.join(entries[:NUM_LISTED])}{more}")
    return InputError(
        f"The weights don't fit the model. {'; '.join(lists)}.",
        code="misfit",
        hint="Choose the model, its width, the image size and the data set (for its classes) that they were trained with.",
    )


def _shape(shape: tuple[int, ...]) -> str:
    if not shape:
        return "a single number"
    text = " × ".join(map(str, shape[:8])) + (" × …" if len(shape) > 8 else "")
    return text if len(shape) > 1 else f"{text} long"


def num_weights(wanted: Mapping[str, Wanted]) -> int:
    return sum(math.prod(want.shape) for want in wanted.values())


def _refusal(reason: str, hint: str = "") -> InputError:
    return InputError(f"The file can't be taken: {reason}.", code="file", hint=hint)
