"""Where in a checkpoint of somebody else's making the weights lie, and what its other entries are called."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from core.errors import InputError
from core.intake.pickle_as_data import SAVE_HINT
from core.intake.tensors import StoredTensor
from core.zips import shown

# Names that training scripts give it, in the order in which they are tried.
USUAL_NAMES = (
    "model_state_dict",
    "state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "ema",
    "ema_state_dict",
    "model_ema",
)
FOREIGN_NAMES = ("optim", "sched", "scaler")  # optimizers hold tensors by number, never a network's
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
MAX_PREFIXES = 4
COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils.AveragedModel, beside "module.…"
MAX_TENSORS = 10_000
MAX_DEPTH = 3
MAX_CANDIDATES = 8
MAX_NAME = 300  # characters


@dataclass(frozen=True)
class Candidate:
    """A dict of tensors. place: its keys from the top, "" for the top itself. other: names of entries beside or in it."""

    place: str
    tensors: dict[str, StoredTensor]
    other: tuple[str, ...] = ()


def find_state_dicts(content: Any) -> list[Candidate]:
    """The dicts of tensors in what torch.save has written, the likeliest first. Raises InputError if there is none."""
    if not isinstance(content, dict):
        raise InputError(
            f"The file holds {_kind(content)}, expected the dict of a network's weights (its state_dict).",
            code="file",
            hint=SAVE_HINT,
        )
    found = sorted(_dicts_of_tensors(content, "", 0, set()), key=_likelihood)[:MAX_CANDIDATES]
    if not found:
        names = ", ".join(shown(key, 40) for key in list(content)[:5])
        raise InputError(
            f"There are no weights in the file: no dict of tensors by name ({'it is empty' if not names else 'found ' + names}).",
            code="file",
            hint=SAVE_HINT,
        )
    top = tuple(key for key in content if _is_name(key))
    return [replace(c, other=tuple(name for name in top if name != c.place.partition(".")[0])) if c.place else c for c in found]


def without_prefixes(tensors: dict[str, StoredTensor]) -> tuple[dict[str, StoredTensor], str]:
    """(the tensors with the wrappers' names taken off, those names)."""
    tensors = {name: tensor for name, tensor in tensors.items() if name not in COUNTERS}
    removed = ""
    for _ in range(MAX_PREFIXES):
        prefix = next((p for p in PREFIXES if tensors and all(name.startswith(p) for name in tensors)), "")
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()} if prefix else tensors
        removed += prefix
    return tensors, removed


def _dicts_of_tensors(value: dict[Any, Any], place: str, depth: int, seen: set[int]) -> Iterator[Candidate]:
    if id(value) in seen:  # one dict may stand in a thousand places
        return
    seen.add(id(value))
    tensors = {key: item for key, item in value.items() if _is_name(key) and isinstance(item, StoredTensor)}
    if len(tensors) > MAX_TENSORS:
        raise InputError(
            f"The file holds {len(tensors):,} tensors, expected {MAX_TENSORS:,} at most.", code="file", hint=SAVE_HINT
        )
    if tensors:
        yield Candidate(place, tensors, tuple(key for key in value if _is_name(key) and key not in tensors))
    if depth < MAX_DEPTH:
        for key, item in value.items():
            if isinstance(item, dict) and _is_name(key) and not key.lower().startswith(FOREIGN_NAMES):
                yield from _dicts_of_tensors(item, f"{place}.{key}" if place else key, depth + 1, seen)


def _is_name(key: Any) -> bool:
    """One text of megabytes, used as a key in every place, would fill the memory with names made from it."""
    return isinstance(key, str) and len(key) <= MAX_NAME


def _likelihood(candidate: Candidate) -> tuple[int, int, int]:
    """Smaller is likelier: a usual name, then many tensors, then near the top."""
    name = candidate.place.rpartition(".")[2]
    rank = USUAL_NAMES.index(name) if name in USUAL_NAMES else len(USUAL_NAMES)
    return rank, -len(candidate.tensors), candidate.place.count(".")


def _kind(content: Any) -> str:
    if isinstance(content, StoredTensor):
        return "a single tensor"
    return {list: "a list", tuple: "a tuple", str: "text", int: "a number", float: "a number"}.get(
        type(content), "something else"
    )
