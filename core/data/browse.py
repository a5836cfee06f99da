"""Looking through a set: which images are asked for, and what they have in common."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from core.data.edits import Action, Edits, Kind, check_class_name, current_edits, edit
from core.data.report import split_codes
from core.data.sources.containers import readable
from core.data.splits import SPLITS
from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.workspace import Workspace

Show = Literal["all", "in use", "excluded", "relabelled", "flagged", "duplicates"]
MEAN_OF = 1000  # images of a class


@dataclass(frozen=True, kw_only=True)
class Filter:
    """split, class_name: empty for all. text: part of the file's name, whatever the case."""

    split: str = ""
    class_name: str = ""
    text: str = ""
    show: Show = "all"


class Browser:
    """A set with its edits, ready to be filtered. labels: (N,) as corrected; kept: (N,) bool; class_names: as they are called now."""

    def __init__(self, store: ImageStore, edits: Edits) -> None:
        self.store, self.edits = store, edits
        self.edited = store.edited(edits)
        self.labels, self.kept = self.edited.labels, self.edited.kept
        self.class_names, self.all_names = self.edited.class_names, self.edited.all_names
        self.splits = split_codes(store)

    def select(self, wanted: Filter) -> np.ndarray:
        """Indices into the store of the images that fit, in its order."""
        fits = np.ones(len(self.labels), bool)
        if wanted.split:
            fits &= self.splits == SPLITS.index(wanted.split)
        if wanted.class_name:
            names = self.all_names
            fits &= self.labels == (names.index(wanted.class_name) if wanted.class_name in names else -1)
        match wanted.show:
            case "in use":
                fits &= self.kept
            case "excluded":
                fits &= ~self.kept
            case "relabelled":
                fits &= self.is_relabelled
            case "flagged":
                fits &= self._are_in(self.edits.flagged)
            case "duplicates":
                groups = self.store.duplicates.groups
                fits &= np.bincount(groups, minlength=len(groups))[groups] > 1
        found = np.flatnonzero(fits)
        if text := _as_typed(wanted.text.strip()):
            found = np.array([i for i in found.tolist() if text in _as_typed(self.store.key(i))], np.int64)
        return found

    @cached_property
    def is_relabelled(self) -> np.ndarray:
        """(N,) bool: the images that are of another class than the others that were delivered with theirs."""
        return self._are_in(frozenset(self.edits.relabelled)) & (self.labels != self.as_delivered)

    @cached_property
    def as_delivered(self) -> np.ndarray:
        """(N,) the delivered class of each image, as it is called now, by its place in all_names."""
        now = [self.edits.renamed.get(name, name) for name in self.store.meta.class_names]
        return np.array([self.all_names.index(name) for name in now], np.int64)[self.store.labels]

    def change(self, kind: Kind, indices: Sequence[int], label: str = "") -> Action | None:
        """The action on those of the images that it would change; None if that is none. label: the new class of a relabelling."""
        key = self.store.key
        if kind == "relabel":
            to = self.class_names.index(label)
            changed = [i for i in indices if self.labels[i] != to]
            as_delivered = tuple(key(i) for i in changed if self.as_delivered[i] == to)
        else:
            now = {"exclude": self.kept, "include": ~self.kept}
            fits = now[kind] if kind in now else self._are_in(self.edits.flagged) == (kind == "unflag")
            changed, as_delivered = [i for i in indices if fits[i]], ()
        return Action(kind=kind, images=tuple(map(key, changed)), label=label, as_delivered=as_delivered) if changed else None

    def change_classes(self, kind: Kind, names: Sequence[str], label: str = "") -> Action | None:
        """The action on classes, as they are called now: "rename" to label, which merges them; "drop"; or "keep" those dropped.

        None if it changes nothing. Raises InputError if fewer than two classes would be left, or for what is no name.
        """
        label = label.strip() if kind == "rename" else ""
        gone = [name for name in names if name not in (self.edited.dropped if kind == "keep" else self.class_names)]
        if gone:
            raise InputError(
                f"There is no class '{readable(gone[0])}' to change any more.",
                code="dataset",
                hint="Look at the classes as they are now.",
            )
        if kind == "rename":
            check_class_name(label)
            if label in self.edited.dropped:
                raise InputError(
                    f"The class '{label}' is dropped.", code="dataset", hint="Keep it again first, or choose another name."
                )
        sources = tuple(name for name in dict.fromkeys(names) if name != label)
        if not sources:
            return None
        left = {name for name in self.class_names if name not in sources} | ({label} if kind == "rename" else set())
        if kind != "keep" and len(left) < 2:
            raise InputError("Two classes are needed at least.", code="dataset", hint="Leave one more as it is.")
        classes = tuple(known for name in sources for known in self.delivered_as(name))
        return Action(kind=kind, images=(), label=label, sources=sources, classes=classes)

    def keep_only(self, names: Sequence[str]) -> Action | None:
        """The action that drops all other classes; None where there are no others. Raises InputError for a class that is not here."""
        if unknown := [name for name in names if name not in self.class_names]:
            more = " and more" if len(self.class_names) > 10 else ""
            raise InputError(
                f"'{readable(self.store.meta.title)}' has no class '{readable(unknown[0])}'.",
                code="dataset",
                hint=f"It has {', '.join(self.class_names[:10])}{more}.",
            )
        return self.change_classes("drop", [name for name in self.class_names if name not in names])

    def delivered_as(self, name: str) -> list[str]:
        """What a class was called as delivered: several names where classes were merged."""
        return [known for known in self.store.meta.class_names if self.edits.renamed.get(known, known) == name]

    def class_counts(self) -> dict[str, int]:
        """Images of each class, dropped ones at the end; of a class in use, those in use."""
        counts = np.bincount(self.labels[self.kept | (self.labels >= len(self.class_names))], minlength=len(self.all_names))
        return dict(zip(self.all_names, counts.tolist(), strict=True))

    def class_mean(self, label: int) -> np.ndarray | None:
        """(C, H, W) uint8, the mean of up to a thousand training images of a class spread over it; None without any."""
        members = np.flatnonzero((self.labels == label) & self.kept & (self.splits == 0))
        if not len(members):
            return None
        chosen = members[np.unique(np.linspace(0, len(members) - 1, min(MEAN_OF, len(members))).round().astype(int))]
        total = np.zeros(self.store.meta.shape, np.float64)
        for part in np.array_split(chosen, max(1, len(chosen) // 100)):
            total += self.store.images[part].sum(axis=0, dtype=np.float64)
        return (total / len(chosen)).round().astype(np.uint8)

    def _are_in(self, keys: frozenset[str]) -> np.ndarray:
        found = np.zeros(len(self.labels), bool)
        if keys:
            positions = self.store.positions
            found[[positions[key] for key in keys if key in positions]] = True
        return found


def _as_typed(name: str) -> str:
    """Whatever the case, and an é as one character, which some systems write as two."""
    return unicodedata.normalize("NFC", name).lower()


def keep_only_classes(workspace: Workspace, dataset: str, store: ImageStore, names: Sequence[str]) -> None:
    """Drops all other classes of a set. Raises InputError for a class that it has not."""
    if others := Browser(store, current_edits(workspace, dataset)).keep_only(names):
        edit(workspace, dataset, others)


def some_of(store: ImageStore, count: int) -> list[int]:
    """Indices of images of as many classes as there are, then of further ones, spread over the set."""
    labels = np.asarray(store.labels)
    classes = np.unique(np.linspace(0, store.num_classes - 1, min(count, store.num_classes)).round().astype(int)).tolist()
    found = [int(np.argmax(labels == k)) for k in classes if (labels == k).any()]
    others = [index for index in np.linspace(0, len(labels) - 1, 2 * count).astype(int).tolist() if index not in found]
    return (found + others)[:count]
