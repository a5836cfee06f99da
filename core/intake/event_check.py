"""The events file of a run from outside: rows that readers could stumble over are refused, before any page meets them."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, BinaryIO, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from core.config import CHANGEABLE, TrainConfig
from core.errors import InputError
from core.runs.event_log import decode_line, encode_line
from core.settings import changed
from core.training.events import Event

MAX_LINE_BYTES = 1_000_000
LARGEST = 2**53  # of whole numbers that every reader of JSON understands
LISTED = 100_000
MAX_CLASSES = 10_000


@dataclass(frozen=True)
class Checked:
    """last: the last row that tells where the run stands. num_classes: as the run says at its start, None before."""

    last: dict[str, Any] | None
    num_classes: int | None


def check_events(path: Path, config: TrainConfig) -> Checked:
    """Brings the file to the form that readers rely on, in place. Raises InputError at a row that is no event of this run.

    Lines that a crash has torn stay as they are: readers count and pass over them. Fields that an older version did not write
    are filled in.
    """
    cleaned = path.with_suffix(".checked")
    last, num_classes = None, None
    with path.open("rb") as source, cleaned.open("wb") as target:
        for number, line in enumerate(_lines(source), start=1):
            line = line.rstrip(b"\n")
            try:
                row = decode_line(line)
                if row is not None:
                    row = _complete(row)
                    if row["kind"] == "started":
                        if num_classes not in (None, len(row["class_names"])) or len(row["class_names"]) > MAX_CLASSES:
                            raise ValueError("classes that differ from those before, or too many")
                        num_classes = len(row["class_names"])
                    _check_against_run(row, config, num_classes)
                    line = encode_line(row).rstrip(b"\n")
            except (ValueError, RecursionError, TypeError):  # ValidationError and InputError are ValueErrors
                raise _refusal(f"line {number:,} of its events is not one that this version of Trainscope writes") from None
            target.write(line + b"\n")
            if row is not None and row["kind"] not in ("checkpoint", "threads", "learning"):
                last = row
    cleaned.replace(path)
    return Checked(last, num_classes)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES:
            raise _refusal("a line of its events has a megabyte")
        yield line


def _complete(row: Any) -> dict[str, Any]:
    """The row with every field of its kind. Raises ValueError if it is not an event."""
    if not isinstance(row, dict) or row.get("kind") not in _models():
        raise ValueError("not an event")
    return _models()[row["kind"]].model_validate(row).model_dump()


def _check_against_run(row: dict[str, Any], config: TrainConfig, num_classes: int | None) -> None:
    if row["kind"] == "evaluation" and not len(row["correct"]) == len(row["support"]) == num_classes:
        raise ValueError("figures of other classes")
    if row["kind"] == "changed":
        if row["setting"] not in CHANGEABLE:
            raise ValueError("a setting that can't be changed")
        changed(config, {row["setting"]: row["after"]})


@cache
def _models() -> dict[str, type[BaseModel]]:
    """What a row of each kind must hold, made from the events themselves."""
    models = {}
    for event in Event.__subclasses__():
        hints = get_type_hints(event)
        wanted: dict[str, Any] = {
            "n": (Annotated[int, Field(ge=1, le=LARGEST)], ...),
            "kind": (Literal[event.kind], ...),
            "time": (float, ...),
        }
        for field in fields(event):
            if field.name != "predictions":  # an array, kept in a file of its own
                default = ... if field.default is MISSING else field.default
                wanted[field.name] = (_bounded(hints[field.name], may_be_null=event.kind == "step"), default)
        models[event.kind] = create_model(event.__name__, __config__=ConfigDict(strict=True, extra="forbid"), **wanted)
    return models


def _bounded(annotation: Any, may_be_null: bool = False) -> Any:
    """The type with limits to its size. may_be_null: where a number may not have been finite, as in training that diverged."""
    arguments = get_args(annotation)
    match get_origin(annotation) or annotation:
        case origin if origin in (Union, UnionType):
            return Union[tuple(argument if argument is NoneType else _bounded(argument) for argument in arguments)]
        case origin if origin is list:
            return Annotated[list[_bounded(arguments[0])], Field(max_length=LISTED)]
        case origin if origin is dict:
            return Annotated[dict[_bounded(arguments[0]), _bounded(arguments[1])], Field(max_length=LISTED)]
        case origin if origin is int:
            return Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
        case origin if origin is float:
            return float | None if may_be_null else float
        case origin if origin is str:
            return Annotated[str, Field(max_length=20_000)]
    return annotation


def _refusal(reason: str) -> InputError:
    return InputError(f"The run can't be taken: {reason}.", code="file", hint="Export it again where it was trained.")
