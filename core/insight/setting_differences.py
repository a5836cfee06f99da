"""In which settings runs differ, in the words of the forms; settings that are the same in all of them are left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import SECTIONS, TAGS, TrainConfig
from core.data.edits import edits_at
from core.data.store.image_store import store_named
from core.errors import InputError
from core.running.prepare import measured
from core.runs.directory import Run
from core.runs.history import History, story_of
from core.settings import Setting, get, sections
from core.workspace import Workspace

NONE = "–"
# what these say changes speed, records or what is kept, never what is learned; a recipe's name is that of its other settings
WITHOUT_EFFECT = {
    "recipe",
    "eval_batch_size",
    "log_every",
    "threads",
    "tensorboard",
    "checkpoint.every_epochs",
    "checkpoint.every_seconds",
}
_MISSING = object()


@dataclass(frozen=True)
class Setup:
    """A run's settings: given as they were asked for, used with what was measured on the set filled in, where the set is here.

    edits: what had been changed about the set, in words.
    """

    given: TrainConfig
    used: TrainConfig
    edits: str = ""


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all runs. values: one a run, in words; a dash where a run has no such setting."""

    path: str
    title: str
    values: tuple[str, ...]


def setup_of(workspace: Workspace, run: Run, history: History | None = None) -> Setup:
    """As it stands after all changes. Without a history only the changes are read, which is quick for a run of any length.

    Raises InputError if the configuration is damaged.
    """
    if history is None:
        history = story_of(run)
    given = history.config(run.config)
    store = store_named(workspace, history.started.store if history.started else "")
    channels = {len(values) for values in (given.preprocessing.mean, given.preprocessing.std) if values}
    if store is None or not channels <= {store.meta.shape[0]}:
        return Setup(given, given, _edits_in_words(workspace, given))
    return Setup(given, measured(given, store), _edits_in_words(workspace, given))


def _edits_in_words(workspace: Workspace, config: TrainConfig) -> str:
    try:
        return edits_at(workspace, config.data.dataset, config.data.edits).summary
    except InputError:  # made in another workspace
        return config.data.edits


def differences(setups: Sequence[Setup]) -> list[Difference]:
    """In the order of the forms. What was left to the set and comes to the same is no difference, however it was written down."""
    found = [_begun(setups)] if len({_origin(setup) for setup in setups}) > 1 else []
    for path, title, item in _settings([setup.given for setup in setups]):
        given = [_value(setup.given, path) for setup in setups]
        used = [_value(setup.used, path) for setup in setups]
        if path != "recipe" and _distinct(given) > 1 and _distinct(used) > 1:
            words = [in_words(value, item) for value in given]
            if path == "data.edits":
                words = [setup.edits or word for setup, word in zip(setups, words, strict=True)]
            found.append(Difference(path, title, tuple(words)))
    return found


def differ_by_seed_alone(setups: Sequence[Setup]) -> bool:
    """Whether the seed differs, and nothing else that changes what is learned."""
    return {row.path for row in differences(setups)} - WITHOUT_EFFECT == {"seed"}


def in_words(value: Any, item: Setting | None) -> str:
    """A setting's value as the forms say it."""
    if value is _MISSING:
        return NONE
    if item is None or isinstance(value, str):
        return str(value) or ("as delivered" if item and item.path == "data.edits" else NONE)
    if value is None:
        return item.empty
    if isinstance(value, bool):
        return "yes" if value else "no"
    if item.kind == "rows":
        return ", ".join(map(str, value))
    if isinstance(value, (list, tuple)):
        return ", ".join(f"{number:g}" for number in value)
    text = f"{value:,}" if isinstance(value, int) and item.path not in ("seed", "data.split_seed") else f"{value:.10g}"
    unit = item.unit.removesuffix("s") if value == 1 and len(item.unit) > 1 else item.unit
    return f"{text} {unit}".strip()


def _settings(configs: Sequence[TrainConfig]) -> Iterator[tuple[str, str, Setting | None]]:
    """(path, title with its section, setting) of all that one of the configurations has, the names of variants before their own."""
    for section, heading in SECTIONS.items():
        if section in TAGS:
            yield TAGS[section], "Kind of network" if section == "model" else heading, None
        of_section = {
            item.path: item for config in configs for name, _, items in sections(config) if name == section for item in items
        }
        for item in of_section.values():
            yield item.path, f"{heading}: {item.title}" if section and not item.basic else item.title, item


def _value(config: TrainConfig, path: str) -> Any:
    try:
        return get(config, path)
    except AttributeError:  # of another optimizer or schedule
        return _MISSING


def _distinct(values: Sequence[Any]) -> int:
    return len({tuple(value) if isinstance(value, list) else value for value in values})


def _begun(setups: Sequence[Setup]) -> Difference:
    return Difference("origin", "Begins with", tuple(_origin_in_words(setup.given) for setup in setups))


def _origin(setup: Setup) -> str:
    return setup.given.origin.sha256 if setup.given.origin else ""


def _origin_in_words(config: TrainConfig) -> str:
    origin = config.origin
    if origin is None:
        return "pretrained weights" if config.model.is_pretrained else "fresh weights"
    return f"{origin.checkpoint} of {origin.name}" if origin.kind == "run" else f"the file {origin.name}"
