"""The configuration's fields as forms and the command line need them: described, read by path, changed, refused in words."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from core.config import CHANGEABLE, SECTIONS, TAGS, VARIANTS, TrainConfig
from core.errors import InputError
from core.layers import LAYERS, Layer
from core.sections import Section

Kind = Literal["int", "float", "bool", "choice", "text", "floats", "sizes", "rows"]
KINDS: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text", tuple[Layer, ...]: "rows"}

MOST_PROBLEMS = 10  # told at once
IN_WORDS: dict[Kind, str] = {
    "int": "a whole number",
    "float": "a finite number",
    "bool": "true or false",
    "text": "text",
    "floats": "one to three numbers, means from -100 to 100, deviations from 0.0001 to 100",
    "sizes": "a whole number, or two for height and width,",
    "choice": "",
    "rows": "a list of",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One field as forms and help texts need it. path: "optimizer.lr"; lower and upper: None where unbounded.

    empty: what it means to leave an optional one out.
    """

    path: str
    title: str
    explanation: str
    unit: str
    basic: bool
    kind: Kind
    optional: bool
    default: Any
    choices: tuple[str, ...]
    lower: float | None
    upper: float | None
    bounds: str
    empty: str

    @property
    def section(self) -> str:
        return self.path.rpartition(".")[0]


def _as_setting(path: str, field: FieldInfo) -> Setting:
    annotation = field.annotation
    alternatives = get_args(annotation)
    if optional := type(None) in alternatives:
        annotation = next(a for a in alternatives if a is not type(None))
    choices: tuple[str, ...] = ()
    kind = KINDS.get(annotation, "floats")
    if get_origin(annotation) is Literal:
        kind, choices = "choice", get_args(annotation)
    bounds = field.metadata
    if not optional and alternatives and get_origin(alternatives[-1]) is tuple:
        kind, bounds = "sizes", get_args(alternatives[0])[1:]
    lower, upper, words = _bounds(bounds)
    if choices:
        words = ["one of " + ", ".join(choices)]
    elif kind == "rows":
        words = ['1 to 200 rows such as {"layer": "relu"}; layers are ' + ", ".join(LAYERS)]
    extra: Any = field.json_schema_extra
    return Setting(
        path=path,
        title=field.title or "",
        explanation=field.description or "",
        unit=extra["unit"],
        basic=extra["basic"],
        kind=kind,
        optional=optional,
        default=field.default,
        choices=choices,
        lower=lower,
        upper=upper,
        bounds=" and ".join(words),
        empty="measured" if kind == "floats" else extra["empty"],
    )


def _bounds(metadata: Iterable[Any]) -> tuple[Any, Any, list[str]]:
    """(lower, upper, both in words)"""
    lower = upper = None
    words: list[str] = []
    for bound in metadata:
        match bound:
            case Ge(ge=value):
                lower = value
                words.append(f"at least {value:g}" if abs(value) < 1e5 else f"at least {value}")  # pyright: ignore[reportArgumentType] numbers here
            case Gt(gt=value):
                lower = value
                words.append(f"above {value:g}")
            case Le(le=value):
                upper = value
                words.append(f"at most {value:,}")
            case Lt(lt=value):
                upper = value
                words.append(f"below {value:g}")
    return lower, upper, words


def settings_of(section: type[Section], prefix: str = "") -> Iterator[Setting]:
    """The settings of one section in order, sections within it left out."""
    for name, field in section.model_fields.items():
        if field.title is not None:
            yield _as_setting(f"{prefix}{name}", field)


def sections(config: TrainConfig) -> Iterator[tuple[str, str, list[Setting]]]:
    """(name, title, settings) of each section of this configuration, by the variants it has chosen."""
    for name, title in SECTIONS.items():
        section = type(getattr(config, name)) if name else TrainConfig
        yield name, title, list(settings_of(section, f"{name}." if name else ""))


def all_settings() -> Iterator[Setting]:
    """Every setting there is, those of every optimizer, schedule and kind of network included; for help texts."""
    for name in SECTIONS:
        if name in VARIANTS:
            seen = set()
            for variant in VARIANTS[name].values():
                for item in settings_of(variant, f"{name}."):
                    if item.path not in seen:
                        seen.add(item.path)
                        yield item
        else:
            yield from settings_of(type(getattr(TrainConfig(), name)) if name else TrainConfig, f"{name}." if name else "")


def get(config: TrainConfig, path: str) -> Any:
    """The value at "optimizer.lr"."""
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def changeable(config: TrainConfig) -> dict[str, Any]:
    """The values of what may be changed while it trains, by path; those of another kind of network are left out."""
    own = {item.path for _, _, items in sections(config) for item in items}
    return {path: get(config, path) for path in CHANGEABLE if path in own}


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """A validated configuration from nested plain values. Raises InputError that names field, value and range."""
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        by_field: dict[str, str] = {}
        found = error.errors()
        # with a row refused there are too few of them: said once, where it is
        within = {problem["loc"][:depth] for problem in found for depth in range(len(problem["loc"]))}
        for problem in [problem for problem in found if problem["loc"] not in within][:MOST_PROBLEMS]:
            sentence = _sentence(problem)
            by_field.setdefault(sentence.partition(":")[0], sentence)
        raise InputError(" ".join(by_field.values()), code="config", fields=by_field) from None


def config_from_json(text: str | bytes) -> TrainConfig:
    """A configuration from JSON text; NaN and Infinity in it are refused."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The configuration is not JSON: {error}.", code="config") from None
    if not isinstance(values, dict):
        raise InputError(f"The configuration must be a JSON object, found {type(values).__name__}.", code="config")
    return config_from(values)


def changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """The configuration with values replaced by path, for example {"optimizer.lr": 0.1}.

    Choosing another optimizer, schedule or kind of network starts from that one's own defaults.
    """
    values = config.model_dump(mode="json")
    # kinds first, so that a changed optimizer's own settings can follow in any order
    for path, value in sorted(changes.items(), key=lambda item: item[0] not in TAGS.values()):
        *parents, last = path.split(".")
        target = values
        for name in parents:
            target = target.get(name) if isinstance(target, dict) else None
        if not isinstance(target, dict) or not _is_known(path):
            raise InputError(f"There is no setting '{path}'.", code="config", hint=_closest(path))
        if path in TAGS.values() and target[last] != value:
            values[parents[0]] = {last: value}
        else:
            target[last] = value
    return config_from(values)


def parse_assignment(text: str) -> tuple[str, Any]:
    """("optimizer.lr", 0.1) from "optimizer.lr=0.1". Values are JSON where they can be, text otherwise."""
    path, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"'{text}' is not of the form name=value.", code="config", hint="For example: optimizer.lr=0.1")
    if path.strip() in ("data.dataset", "model.name"):
        return path.strip(), value
    try:
        return path.strip(), json.loads(value)
    except ValueError:
        lowered = value.strip().lower()
        if any(lowered in item.choices for item in all_settings() if item.path == path.strip()):  # "none" may be a choice
            return path.strip(), value.strip()
        special = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "none": None, "": None}
        return path.strip(), special.get(lowered, value)


def parse_size(text: str) -> int | list[int] | str:
    """What a field of one or two sizes stands for: "3", "3 × 5", "3, 5"; else the text itself, which the setting then refuses."""
    words = re.split(r"\s*[,x×]\s*|\s+", text.strip())
    if not all(word.isdecimal() and len(word) < 7 for word in words) or len(words) > 2:
        return text
    sides = [int(word) for word in words]
    return sides[0] if len(sides) == 1 else sides


def parse_numbers(text: str) -> list[float | str] | None:
    """[0.5, 0.25] from "0.5, 0.25", None from nothing. What is no number is left for the configuration to refuse in words."""
    values: list[float | str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            values.append(float(part))
        except ValueError:
            values.append(part)
    return values or None


def _is_known(path: str) -> bool:
    names = {item.path for item in all_settings()} | set(TAGS.values()) | set(filter(None, SECTIONS))
    return path in names


def _closest(path: str) -> str:
    near = get_close_matches(path, [item.path for item in all_settings()], n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}?" if near else "'python -m core train --help' lists them all."


def _sentence(problem: Mapping[str, Any]) -> str:
    """One error of pydantic's in our words: field, value, range."""
    location = [str(part) for part in problem["loc"]]
    if len(location) > 1 and location[0] in VARIANTS and location[1] in VARIANTS[location[0]]:
        del location[1]  # the name of the variant, which pydantic puts into the path
    if location[:2] == ["model", "rows"] and len(location) > 2:
        return _row_sentence(problem, *location[2:])
    if len(location) > 1 and location[-1].isdigit():
        del location[-1]  # one number of several
    path = ".".join(location) or "configuration"
    if problem["type"] == "extra_forbidden":
        return _who_has(path) or f"There is no setting '{path}'."
    if problem["type"] == "union_tag_invalid":
        tag = TAGS[path]
        return f"{tag}: found {problem['input'].get(tag.rpartition('.')[2])!r}, expected one of {', '.join(VARIANTS[path])}."
    return _found_and_expected(path, problem, {item.path: item for item in all_settings()}.get(path))


def _row_sentence(problem: Mapping[str, Any], index: str, layer: str = "", name: str = "", *_: str) -> str:
    """An error in a row of layers."""
    path = f"model.rows, row {int(index) + 1}{f' ({layer})' if layer else ''}{f', {name}' if name else ''}"
    if problem["type"] == "union_tag_invalid":
        return f"{path}: found layer {_short(problem['input'].get('layer'))}, expected one of {', '.join(LAYERS)}."
    if problem["type"] == "extra_forbidden":
        return f"{path}: there is no such setting, expected one of {', '.join(LAYERS[layer].settings.model_fields)}."
    known = {item.path: item for item in settings_of(LAYERS[layer].settings)}.get(name) if layer in LAYERS else None
    return _found_and_expected(path, problem, known)


def _found_and_expected(path: str, problem: Mapping[str, Any], known: Setting | None) -> str:
    if problem["type"] == "value_error":
        return f"{path}: {problem['ctx']['error']}."
    expected = problem["msg"][0].lower() + problem["msg"][1:]
    if problem["type"] == "union_tag_not_found":
        expected = 'an object such as {"layer": "relu"}' if "rows" in problem["loc"] else "an object with its settings"
    elif known:  # our own words for it
        expected = " ".join(filter(None, [IN_WORDS[known.kind], known.bounds])) or expected
    return f"{path}: found {_short(problem['input'])}, expected {expected}."


def _who_has(path: str) -> str:
    """For a setting of another optimizer, schedule or kind of network than the chosen one, those that have it."""
    section, _, name = path.partition(".")
    owners = [variant for variant, fields in VARIANTS.get(section, {}).items() if name in fields.model_fields]
    return f"{path}: the chosen {section} has no such setting; {', '.join(owners)} has." if owners else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
