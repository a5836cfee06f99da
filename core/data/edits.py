"""What a person has changed about a set without touching its files: labels corrected, images left out or flagged, classes renamed,
merged or dropped.

Kept as a list of actions, the last of which can be undone. What they come to is a revision, kept under its own checksum,
so that a run that used it can always be repeated.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock

from core.errors import InputError
from core.files import remove_quietly, write_bytes_atomically
from core.workspace import Workspace

Kind = Literal["relabel", "exclude", "include", "flag", "unflag", "rename", "drop", "keep"]
MAX_CLASS_NAME = 200
MOST_NAMED = 5  # classes in a summary
AS_DELIVERED = "none"  # as a revision: no edits, whatever there are
WORDS = {"relabel": "relabelled", "exclude": "excluded", "include": "taken back in", "flag": "flagged", "unflag": "unflagged"}
CLASS_WORDS = {"rename": "renamed to", "drop": "dropped", "keep": "kept again"}


@dataclass(frozen=True, kw_only=True)
class Action:
    """images: by their keys in the store. label: the new class.

    as_delivered: those of the images that came with this label, so that they are no longer relabelled.
    sources: the classes that are renamed, dropped or kept, as they are called now; classes: those as delivered that are called so.
    """

    kind: Kind
    images: tuple[str, ...]
    label: str = ""
    as_delivered: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """In words: "12 relabelled to cat", "class sea dropped"."""
        if self.kind in CLASS_WORDS:
            which = f"class {self.sources[0]}" if len(self.sources) == 1 else f"{len(self.sources):,} classes"
            return f"{which} {CLASS_WORDS[self.kind]}" + (f" {self.label}" if self.label else "")
        return f"{len(self.images):,} {WORDS[self.kind]}" + (f" to {self.label}" if self.label else "")


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What all actions come to. relabelled: image to class name; the same image may be relabelled and left out.

    renamed: what classes as delivered are called now, where that is something else; several may be called alike.
    dropped: classes, as they are called now, that are none of the set; their images are left out with them.
    """

    relabelled: dict[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    flagged: frozenset[str] = frozenset()
    renamed: dict[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not (self.relabelled or self.excluded or self.renamed or self.dropped)

    @cached_property
    def revision(self) -> str:
        """Names what training sees; flags don't count. Empty for a set as delivered."""
        if self.is_empty:
            return ""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()[:16]

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = {"relabelled": self.relabelled, "excluded": sorted(self.excluded)}
        if self.renamed:  # what has no edits of classes keeps the revision it always had
            content["renamed"] = self.renamed
        if self.dropped:
            content["dropped"] = sorted(self.dropped)
        return content

    @property
    def summary(self) -> str:
        """In words: "3 relabelled, 12 excluded, class sea dropped, rose → tulip"."""
        parts = [(len(self.relabelled), "relabelled"), (len(self.excluded), "excluded")]
        words = [f"{count:,} {word}" for count, word in parts if count]
        for_classes = [f"class {name} dropped" for name in sorted(self.dropped)]
        for_classes += [f"{before} → {now}" for before, now in sorted(self.renamed.items())]
        words += for_classes[:MOST_NAMED]
        if more := len(for_classes[MOST_NAMED:]):
            words.append(f"{more:,} more classes changed")
        return ", ".join(words)


NO_EDITS = Edits()


def edits_of(actions: Sequence[Action]) -> Edits:
    relabelled: dict[str, str] = {}
    excluded: set[str] = set()
    flagged: set[str] = set()
    renamed: dict[str, str] = {}
    dropped: set[str] = set()
    for action in actions:
        match action.kind:
            case "relabel":
                relabelled.update(dict.fromkeys(action.images, action.label))
                for image in action.as_delivered:
                    relabelled.pop(image, None)
            case "exclude":
                excluded.update(action.images)
            case "include":
                excluded.difference_update(action.images)
            case "flag":
                flagged.update(action.images)
            case "unflag":
                flagged.difference_update(action.images)
            case "rename":
                renamed.update(dict.fromkeys(action.classes, action.label))
                relabelled = {image: action.label if name in action.sources else name for image, name in relabelled.items()}
            case "drop":
                dropped.update(action.sources)
            case "keep":
                dropped.difference_update(action.sources)
    renamed = {before: now for before, now in renamed.items() if now != before}
    return Edits(
        relabelled=relabelled,
        excluded=frozenset(excluded),
        flagged=frozenset(flagged),
        renamed=renamed,
        dropped=frozenset(dropped),
    )


def actions_on(workspace: Workspace, dataset: str) -> list[Action]:
    """Everything done to a set and not undone, in order."""
    try:
        content = json.loads((_folder(workspace, dataset) / "actions.json").read_bytes())
        return [
            Action(
                kind=a["kind"],
                images=tuple(a["pictures"]),
                label=a["label"],
                as_delivered=tuple(a.get("as_delivered", ())),
                sources=tuple(a.get("sources", ())),
                classes=tuple(a.get("classes", ())),
            )
            for a in content["actions"]
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The edits of '{dataset}' can't be read ({error}).",
            code="dataset",
            hint=f"Put {_folder(workspace, dataset) / 'actions.json'} back from a backup, or remove it to begin without edits.",
        ) from None


def current_edits(workspace: Workspace, dataset: str) -> Edits:
    return edits_of(actions_on(workspace, dataset))


def edit(workspace: Workspace, dataset: str, action: Action) -> Edits:
    """Adds an action, unless it changes nothing: two tabs may have done the same. Nothing about the images' files changes."""
    with _locked(workspace, dataset):
        before = actions_on(workspace, dataset)
        actions = [*before, action]
        if edits_of(actions) == edits_of(before):
            return edits_of(before)
        _save(workspace, dataset, actions)
    return edits_of(actions)


def undo(workspace: Workspace, dataset: str, expected: Action | None = None) -> Action | None:
    """Takes the last action back and returns it; None if there is none.

    expected: the action that is meant. Raises InputError if the last one is another by now.
    """
    with _locked(workspace, dataset):
        actions = actions_on(workspace, dataset)
        if expected is not None and expected not in actions[-1:]:
            raise InputError(_moved_on(actions), code="dataset")
        if not actions:
            return None
        _save(workspace, dataset, actions[:-1])
    return actions[-1]


def undo_all(workspace: Workspace, dataset: str, expected: Sequence[Action]) -> None:
    """Takes these actions back, all there are. Raises InputError if there are others by now."""
    with _locked(workspace, dataset):
        actions = actions_on(workspace, dataset)
        if actions != list(expected):
            raise InputError(_moved_on(actions), code="dataset")
        _save(workspace, dataset, [])


def _moved_on(actions: Sequence[Action]) -> str:
    now = f"The last one is now: {actions[-1].summary}." if actions else "There are none any more."
    return f"Nothing was undone: the changes to this set are others by now, made or undone elsewhere. {now}"


def keep_revision(workspace: Workspace, dataset: str) -> str:
    """The revision that the set is in now, made sure to be found again after further edits; empty if nothing is edited."""
    edits = current_edits(workspace, dataset)
    path = _folder(workspace, dataset) / f"{edits.revision}.json"
    if edits.revision and not path.exists():
        _write(path, edits._content())
    return edits.revision


def forget_edits(workspace: Workspace, dataset: str) -> None:
    """The set is as delivered again. What runs were started with is kept for them."""
    with _locked(workspace, dataset):
        remove_quietly(_folder(workspace, dataset) / "actions.json")


def edits_at(workspace: Workspace, dataset: str, revision: str) -> Edits:
    """The edits of a revision, a kept one or the set's present one. Raises InputError if it is neither."""
    if revision in ("", AS_DELIVERED):
        return NO_EDITS
    try:
        content = json.loads((_folder(workspace, dataset) / f"{revision}.json").read_bytes())
        edits = Edits(
            relabelled=dict(content["relabelled"]),
            excluded=frozenset(content["excluded"]),
            renamed=dict(content.get("renamed", {})),
            dropped=frozenset(content.get("dropped", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        edits = current_edits(workspace, dataset)
    if edits.revision != revision:
        raise InputError(
            f"The edits {revision} of '{dataset}' that this run used are not here.",
            code="dataset",
            hint="They lie in the workspace in which it was started; a new run uses the set as it is now.",
        )
    return edits


def check_class_name(name: str) -> None:
    """Raises InputError if a class can't be called so."""
    if not name or len(name) > MAX_CLASS_NAME or not name.isprintable():
        raise InputError(
            f"{name[:MAX_CLASS_NAME]!r} can't be the name of a class.",
            code="dataset",
            hint=f"Use 1 to {MAX_CLASS_NAME} printable characters.",
        )


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A set as its edits have it. labels: (N,) int64, the class of each image by its place in class_names, or beyond them in dropped.
    kept: (N,) bool, what is in use; images of dropped classes are not."""

    labels: np.ndarray
    kept: np.ndarray
    class_names: list[str]
    dropped: list[str]

    @property
    def all_names(self) -> list[str]:
        """By which every label can be read."""
        return self.class_names + self.dropped


def applied(edits: Edits, positions: Mapping[str, int], labels: np.ndarray, class_names: Sequence[str]) -> Edited:
    """The set as it is with these edits. positions: of the images by key; edits of those that are gone are passed over.

    labels, class_names: as delivered. Classes keep their order; one that others are merged into stands where the first of them was.
    """
    now = [edits.renamed.get(name, name) for name in class_names]
    names = list(dict.fromkeys(now))
    used, dropped = [n for n in names if n not in edits.dropped], [n for n in names if n in edits.dropped]
    number = {name: index for index, name in enumerate(used + dropped)}
    labels = np.array([number[name] for name in now], np.int64)[labels]
    for key, name in edits.relabelled.items():
        if key in positions and name in number:
            labels[positions[key]] = number[name]
    kept = labels < len(used)
    kept[[positions[key] for key in edits.excluded if key in positions]] = False
    return Edited(labels=labels, kept=kept, class_names=used, dropped=dropped)


def _folder(workspace: Workspace, dataset: str) -> Path:
    return workspace.datasets / "edits" / hashlib.sha256(dataset.encode(errors="surrogateescape")).hexdigest()[:16]


def _locked(workspace: Workspace, dataset: str) -> FileLock:
    return FileLock(workspace.locks / f"edits-{_folder(workspace, dataset).name}.lock")


def _save(workspace: Workspace, dataset: str, actions: list[Action]) -> None:
    rows = []
    for a in actions:
        about_classes = {"sources": list(a.sources), "classes": list(a.classes)} if a.sources else {}
        about_images = {"pictures": list(a.images), "as_delivered": list(a.as_delivered)}
        rows.append({"kind": a.kind, "label": a.label, **about_images, **about_classes})
    _write(_folder(workspace, dataset) / "actions.json", {"dataset": dataset, "actions": rows})


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(path, json.dumps(value, indent=2).encode())  # ASCII: names of files may be no UTF-8
