"""Looking through a set: which images are asked for, and what they have in common."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.data.edits import Action, Edits, Kind
from core.data.report import split_codes
from core.data.splits import SPLITS
from core.data.store.image_store import ImageStore

Show = Literal["all", "in use", "left out", "relabelled", "flagged", "duplicates"]
MEAN_OF = 1000  # images of a class


@dataclass(frozen=True, kw_only=True)
class Filter:
    """split, class_name: empty for all. text: part of the file's name, whatever the case."""

    split: str = ""
    class_name: str = ""
    text: str = ""
    show: Show = "all"


class Browser:
    """A set with its edits, ready to be filtered. labels: (N,) as corrected; kept: (N,) bool."""

    def __init__(self, store: ImageStore, edits: Edits) -> None:
        self.store, self.edits = store, edits
        self.labels, self.kept = store.edited(edits)
        self.splits = split_codes(store)

    def select(self, wanted: Filter) -> np.ndarray:
        """Indices into the store of the images that fit, in its order."""
        fits = np.ones(len(self.labels), bool)
        if wanted.split:
            fits &= self.splits == SPLITS.index(wanted.split)
        if wanted.class_name:
            names = self.store.meta.class_names
            fits &= self.labels == (names.index(wanted.class_name) if wanted.class_name in names else -1)
        match wanted.show:
            case "in use":
                fits &= self.kept
            case "left out":
                fits &= ~self.kept
            case "relabelled":
                fits &= self.labels != self.store.labels
            case "flagged":
                fits &= self._are_in(self.edits.flagged)
            case "duplicates":
                groups = self.store.duplicates.groups
                fits &= np.bincount(groups, minlength=len(groups))[groups] > 1
        found = np.flatnonzero(fits)
        if text := _as_typed(wanted.text.strip()):
            found = np.array([i for i in found.tolist() if text in _as_typed(self.store.key(i))], np.int64)
        return found

    def change(self, kind: Kind, indices: Sequence[int], label: str = "") -> Action | None:
        """The action on those of the images that it would change; None if that is none. label: the new class of a relabelling."""
        names, key = self.store.meta.class_names, self.store.key
        if kind == "relabel":
            to = names.index(label)
            changed = [i for i in indices if self.labels[i] != to]
            as_delivered = tuple(key(i) for i in changed if self.store.labels[i] == to)
        else:
            now = {"exclude": self.kept, "include": ~self.kept}
            fits = now[kind] if kind in now else self._are_in(self.edits.flagged) == (kind == "unflag")
            changed, as_delivered = [i for i in indices if fits[i]], ()
        return Action(kind=kind, images=tuple(map(key, changed)), label=label, as_delivered=as_delivered) if changed else None

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
