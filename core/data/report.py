"""What is to be known about a set before training on it, and what of it would spoil the result."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from core.data.edits import Action, Edits
from core.data.sources.containers import readable
from core.data.splits import SPLITS
from core.data.store.image_store import ImageStore
from core.data.stored_size import StoredSize, stored_size
from core.wording import counted

TINY = 10  # training images of a class
IMBALANCED = 3.0  # times as many of the largest class as of the smallest
LISTED_PAIRS = 1000
Between = Literal["splits", "classes", "same class"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images of the store that are one. between: what makes it matter most."""

    first: int
    second: int
    is_exact: bool
    between: Between


@dataclass(frozen=True)
class Finding:
    """code: "unreadable", "duplicates-between-splits", …; remedy: "separate", "flag", "balance", "drop" or an empty string."""

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """counts: images in use by split and class. leaking: training (or validation) images whose copies stand in a split
    for evaluation. num_pairs: by what they stand between; pairs: the first thousand, those that matter most first."""

    origin: str
    layout: str
    shape: tuple[int, int, int]
    class_names: list[str]
    counts: dict[str, dict[str, int]]
    edits: str
    unreadable: list[dict[str, str]]
    skipped: list[dict[str, str]]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    num_sizes: int
    stored: StoredSize | None
    num_pairs: dict[Between, int]
    pairs: list[Pair]
    leaking: np.ndarray
    contradicting: np.ndarray
    imbalance: float
    empty_classes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def untaught(self) -> list[str]:
        """Classes of which there is nothing to learn from."""
        return [name for name, count in self.counts["train"].items() if not count]

    def headline(self, with_leaks: bool = True) -> str:
        """In one line. with_leaks: whether the delivered splits are used, between which copies stand."""
        messages = [f.message for f in self.findings if with_leaks or f.code != "duplicates-between-splits"]
        return "Checked: " + (" ".join(messages) or "no data problems found.")

    def as_dict(self, store: ImageStore) -> dict[str, Any]:
        """Plain values for JSON, images by their files."""

        def name(index: int) -> str:
            return readable(store.key(index))

        def without_kind(entry: dict[str, str]) -> dict[str, str]:
            return {"file": entry["file"], "reason": entry["reason"]}

        return {
            "path": readable(self.origin),
            "layout": self.layout,
            "shape": list(self.shape),
            "class_names": self.class_names,
            "splits": self.counts,
            "edits": self.edits,
            "unreadable": [without_kind(s) for s in self.unreadable],
            "skipped": [without_kind(s) for s in self.unreadable + self.skipped],
            "sizes": {"smallest": list(self.smallest), "largest": list(self.largest), "different": self.num_sizes},
            "storage": self.stored.sentence("--size {px}") if self.stored else "",
            "imbalance": round(self.imbalance, 3),
            "duplicates": {
                "pairs": {between.replace(" ", "_"): count for between, count in self.num_pairs.items()},
                "leaking": [name(i) for i in self.leaking.tolist()],
                "contradicting": [name(i) for i in self.contradicting.tolist()],
                "listed": [
                    {"files": [name(p.first), name(p.second)], "exact": p.is_exact, "between": p.between} for p in self.pairs
                ],
            },
            "findings": [asdict(finding) for finding in self.findings],
        }


def report_on(store: ImageStore, edits: Edits) -> Report:
    """The report on a set as it is with these edits."""
    edited = store.edited(edits)
    labels, kept, names = edited.labels, edited.kept, edited.class_names
    splits = split_codes(store)
    counts = {}
    for code, split in enumerate(SPLITS):
        if split in store.meta.splits:
            numbers = np.bincount(labels[(splits == code) & kept], minlength=len(names)).tolist()
            counts[split] = dict(zip(names, numbers, strict=True))
    leaking, contradicting = _trouble(store.duplicates.groups, splits, labels, kept)
    pairs, num_pairs = _pairs(store, splits, labels, kept)
    sizes = np.unique(store.sizes, axis=0)
    by_area = sizes[np.argsort(sizes.astype(np.int64).prod(axis=1), kind="stable")]
    present = [n for n in counts["train"].values() if n]
    report = Report(
        origin=store.meta.origin,
        layout=store.meta.layout,
        shape=store.meta.shape,
        class_names=names,
        counts=counts,
        edits=edits.summary,
        unreadable=[s for s in store.skipped if s.get("kind") == "unreadable"],
        skipped=[s for s in store.skipped if s.get("kind") != "unreadable"],
        smallest=tuple(by_area[0].tolist()),
        largest=tuple(by_area[-1].tolist()),
        num_sizes=len(sizes),
        stored=stored_size(store),
        num_pairs=num_pairs,
        pairs=pairs,
        leaking=leaking,
        contradicting=contradicting,
        imbalance=max(present) / min(present) if present else 1.0,
        empty_classes=store.meta.empty_classes,
    )
    report.findings.extend(_findings(report))
    return report


def split_codes(store: ImageStore) -> np.ndarray:
    """(N,) index into SPLITS of each image, as delivered."""
    codes = np.zeros(len(store.labels), np.int8)
    for name, (first, end) in store.meta.splits.items():
        codes[first:end] = SPLITS.index(name)
    return codes


def separation(store: ImageStore, report: Report) -> Action:
    """Keeps all copies of an image on one side: of train, and of validation where test has one too, they are left out; test stays as it is."""
    return Action(kind="exclude", images=tuple(store.key(i) for i in report.leaking.tolist()))


def _trouble(groups: np.ndarray, splits: np.ndarray, labels: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(images whose copies stand in a later split of train, validation, test; images whose copies have other labels)."""
    members = np.flatnonzero(kept & (np.bincount(groups, minlength=len(groups))[groups] > 1))
    latest = np.full(len(groups), -1, np.int8)
    np.maximum.at(latest, groups[members], splits[members])
    leaking = members[splits[members] < latest[groups[members]]]
    least, most = np.full(len(groups), np.iinfo(np.int64).max), np.full(len(groups), -1)
    np.minimum.at(least, groups[members], labels[members])
    np.maximum.at(most, groups[members], labels[members])
    return leaking, members[least[groups[members]] < most[groups[members]]]


def _pairs(store: ImageStore, splits: np.ndarray, labels: np.ndarray, kept: np.ndarray) -> tuple[list[Pair], dict[Between, int]]:
    """Pairs of duplicates both in use, those between splits first, then those between classes."""
    found = store.duplicates
    both = kept[found.pairs[:, 0]] & kept[found.pairs[:, 1]]
    pairs, is_exact = found.pairs[both], found.is_exact[both]
    other_split = splits[pairs[:, 0]] != splits[pairs[:, 1]]
    other_class = labels[pairs[:, 0]] != labels[pairs[:, 1]]
    kinds = np.where(other_split, 0, np.where(other_class, 1, 2))
    words: tuple[Between, ...] = ("splits", "classes", "same class")
    order = np.argsort(kinds, kind="stable")[:LISTED_PAIRS]
    listed = [
        Pair(first=int(pairs[i, 0]), second=int(pairs[i, 1]), is_exact=bool(is_exact[i]), between=words[kinds[i]])
        for i in order.tolist()
    ]
    return listed, {word: int((kinds == code).sum()) for code, word in enumerate(words)}


def _findings(report: Report) -> list[Finding]:
    found = []

    def add(code: str, message: str, remedy: str = "") -> None:
        found.append(Finding(code, message, remedy))

    if count := len(report.unreadable):
        add("unreadable", f"{counted(count, 'file')} could not be read as images and skipped.")
    if count := len(report.leaking):
        add(
            "duplicates-between-splits",
            f"{counted(count, 'training image')} {_verb(count)} also in an evaluation split (data leakage): the result would look better "
            "than it is.",
            "separate",
        )
    if count := len(report.contradicting):
        add("contradicting-labels", f"{counted(count, 'image')} {_verb(count)} the same as others of another class.", "flag")
    if count := len(report.empty_classes):
        left_out = _verb(count, "It is", "They are")
        add("no-pictures", f"{classes_have(report.empty_classes)} no image that can be read. {left_out} skipped.")
    if count := sum(1 for entry in report.skipped if entry.get("kind") == "unlabelled"):
        add("unlabelled", f"{counted(count, 'image')} could be given no class and {_verb(count)} skipped.")
    train = report.counts["train"]
    for split, classes in report.counts.items():
        if empty := [name for name, count in classes.items() if not count]:
            add("empty-classes", f"{classes_have(empty)} no images in {split}.", "drop" if split == "train" else "")
    if tiny := [name for name, count in train.items() if 0 < count < TINY]:
        add("tiny-classes", f"{classes_have(tiny)} fewer than {TINY} training images.")
    if report.imbalance >= IMBALANCED:
        most, least = max(train, key=train.__getitem__), min((n for n in train if train[n]), key=train.__getitem__)
        add(
            "imbalance",
            f"'{most}' has {_times(report.imbalance)} as many training images as '{least}' ({train[most]:,} and {train[least]:,}).",
            "balance",
        )
    if count := report.num_pairs["same class"]:
        add("duplicates", f"{counted(count, 'image')} {_verb(count, 'is a copy', 'are copies')} of others of the same class.")
    return found


def _verb(count: int, one: str = "is", several: str = "are") -> str:
    return one if count == 1 else several


def classes_have(names: list[str]) -> str:
    """ "'a', 'b' have", with up to five of them."""
    shown = ", ".join(f"'{name}'" for name in names[:5])
    if len(names) == 1:
        return f"{shown} has"
    return f"{shown} have" if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more classes have"


def by_reason(skipped: list[dict[str, str]]) -> dict[str, int]:
    """How many files for each reason, the most frequent first."""
    return dict(Counter(entry["reason"] for entry in skipped).most_common())


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
