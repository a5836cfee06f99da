"""What the names of files say: which are pictures, of which class and split, and why each of the others is left out.

Four layouts are understood: a folder per class, the same within split folders (or split folders within each class), pictures
with their class in a text file of the same stem, and a table (CSV) of file names and labels.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.data.containers import readable
from core.data.decoding import ENDINGS
from core.data.label_table import LabelTable, read_table
from core.data.splits import SPLITS
from core.errors import InputError

SPLIT_FOLDERS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
LEFT_BY_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "@eadir"}
TABLE_ENDINGS = {".csv", ".tsv"}
MAX_TABLE_BYTES = 200_000_000
MAX_LABEL_BYTES = 10_000
MAX_CLASSES = 10_000
MAX_NAME = 200
LABEL_WORDS = re.compile(r"[ _.-]*(images?|imgs?|pictures?|photos?|labels?|annotations?|txts?|classes)[ _.-]*", re.IGNORECASE)
Read = Callable[[str, int], bytes]  # the contents of a file by name, of at most this many bytes


@dataclass(frozen=True)
class Picture:
    split: str
    class_name: str
    name: str


@dataclass
class Layout:
    """pictures: by split, then by name. skipped: {"file", "reason"}. summary: how it was understood, as a sentence."""

    summary: str
    pictures: list[Picture]
    skipped: list[dict[str, str]] = field(default_factory=list)

    @property
    def class_names(self) -> list[str]:
        return sorted({picture.class_name for picture in self.pictures})

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append({"file": readable(name), "reason": reason})


def arrange(names: Sequence[str], read: Read) -> Layout:
    """Pictures with split and class, by whichever layout the names fit. Raises InputError if they fit none."""
    layout = Layout("", [])
    pictures, texts, tables = [], [], []
    for name in names:
        parts = name.split("/")
        ending = os.path.splitext(parts[-1])[1].lower()
        if any(part.startswith(".") or part.lower() in LEFT_BY_SYSTEMS for part in parts):
            layout.skip(name, "hidden, or left by an archiver or a file manager")
        elif ending in ENDINGS:
            pictures.append(name)
        elif ending in TABLE_ENDINGS:
            tables.append(name)
        elif ending == ".txt":
            texts.append(name)
        else:
            layout.skip(name, "not a picture by its ending")
    wrapper = _wrapper(pictures, tables)
    found = _by_tables(pictures, tables, read, layout) or _by_label_files(pictures, texts, wrapper, read, layout)
    if not found:
        for name in texts + tables:
            layout.skip(name, "not a picture by its ending")
        found = _by_folders(pictures, wrapper, layout)
    layout.pictures = sorted(found, key=lambda picture: (SPLITS.index(picture.split), picture.name))
    _check(layout, len(names))
    layout.pictures = _with_clean_names(layout.pictures)
    return layout


def _wrapper(pictures: list[str], tables: list[str]) -> str:
    """The folders around everything, "" or with "/" at the end: such as archivers put one around what they pack."""
    prefix = ""
    while pictures:
        rest = [name[len(prefix) :] for name in pictures]
        first = rest[0].split("/")[0]
        inside = first + "/"
        if first.lower() in SPLIT_FOLDERS or not all(name.startswith(inside) for name in rest):
            break
        if not any(name.count("/") > 1 for name in rest) and not any(name.startswith(prefix + inside) for name in tables):
            break
        prefix += inside
    return prefix


def _split_of(name: str, wrapper: str) -> tuple[str, list[str]]:
    """("train", …, or "" where no folder says so; the folders around the file, those that say the split left out)."""
    folders = name[len(wrapper) :].split("/")[:-1]
    if folders and (split := SPLIT_FOLDERS.get(folders[0].lower())):
        return split, folders[1:]
    if len(folders) > 1 and (split := SPLIT_FOLDERS.get(folders[1].lower())):
        return split, [folders[0], *folders[2:]]
    return "", folders


def _by_folders(pictures: list[str], wrapper: str, layout: Layout) -> list[Picture]:
    at_top = any(name[len(wrapper) :].split("/")[0].lower() in SPLIT_FOLDERS for name in pictures)
    within = not at_top and all(len(parts) > 2 and parts[1].lower() in SPLIT_FOLDERS for parts in _parts(pictures, wrapper))
    found = []
    for name in pictures:
        split, folders = _split_of(name, wrapper) if at_top or within else ("", name[len(wrapper) :].split("/")[:-1])
        is_outside = at_top and name[len(wrapper) :].split("/")[0].lower() not in SPLIT_FOLDERS
        if is_outside and "/" in name[len(wrapper) :]:
            layout.skip(name, "lies outside of the split folders")
        elif is_outside or not folders:
            layout.skip(name, "lies in no class folder")
        else:
            found.append(Picture(split or "train", folders[0], name))
    splits = {picture.split for picture in found}
    layout.summary = (
        "A folder for each class." if splits == {"train"} and not at_top else "A folder for each class within each split."
    )
    return found


def _parts(names: list[str], wrapper: str) -> list[list[str]]:
    return [name[len(wrapper) :].split("/") for name in names]


def _by_label_files(pictures: list[str], texts: list[str], wrapper: str, read: Read, layout: Layout) -> list[Picture]:
    """The class from the text file of the same stem; empty unless at least half of the pictures have one."""
    by_stem: dict[str, list[str]] = {}
    for text in texts:
        by_stem.setdefault(_stem(text), []).append(text)
    chosen = {name: _label_file(name, by_stem.get(_stem(name), []), wrapper) for name in pictures}
    if 2 * sum(1 for text in chosen.values() if text) < max(1, len(pictures)):
        return []
    found, problems, labels = [], [], {}
    for name, text in chosen.items():
        if not text:
            problems.append((name, "has no label file of its own"))
            continue
        labels[text], problem = _label_in(text, read)
        if problem:
            problems.append((name, problem))
        else:
            found.append(Picture(_split_of(name, wrapper)[0] or "train", labels[text], name))
    if 2 * len(found) < len(pictures):
        return []
    for name, problem in problems:
        layout.skip(name, problem)
    for text in texts:
        if text not in labels:
            layout.skip(text, "belongs to no picture")
    layout.summary = "Pictures, each with its class in a text file of the same name."
    return found


def _stem(name: str) -> str:
    return os.path.splitext(name.rpartition("/")[2])[0]


def _label_file(name: str, candidates: list[str], wrapper: str) -> str:
    """The one that lies beside the picture, or in the folder called alike but for words as "images" and "labels"; "" if none."""
    folder = name.rpartition("/")[0]

    def plain(path: str) -> str:
        return "/".join(filter(None, (LABEL_WORDS.sub("", part.lower()) for part in path.split("/"))))

    beside = [text for text in candidates if text.rpartition("/")[0] == folder]
    alike = [text for text in candidates if plain(text.rpartition("/")[0]) == plain(folder)]
    same_split = [text for text in candidates if _split_of(text, wrapper)[0] == _split_of(name, wrapper)[0]]
    return next((group[0] for group in (beside, alike, same_split) if len(group) == 1), "")


def _label_in(text: str, read: Read) -> tuple[str, str]:
    """(class name, "") or ("", why there is none)."""
    try:
        lines = [line.strip() for line in read(text, MAX_LABEL_BYTES).decode("utf-8-sig", errors="replace").splitlines()]
    except (InputError, OSError):
        return "", "its label file can't be read"
    lines = [line for line in lines if line]
    if not lines:
        return "", "its label file is empty"
    if len(lines) > 1 or len(lines[0]) > MAX_NAME or re.fullmatch(r"\S+( [\d.]+){4,}", lines[0]):
        return "", "its label file holds something else than one class name"
    return lines[0], ""


def _by_tables(pictures: list[str], tables: list[str], read: Read, layout: Layout) -> list[Picture]:
    """By tables of file names and labels; empty unless they name at least half of the pictures."""
    found: dict[str, Picture] = {}
    missing: list[tuple[str, str]] = []
    used, problems = [], []
    for name in tables:
        try:
            table = read_table(read(name, MAX_TABLE_BYTES))
        except InputError as error:
            problems.append((name, error.message))
            continue
        except OSError:
            problems.append((name, "can't be read"))
            continue
        matched, unknown = _matched(table, name, pictures)
        if matched:
            used.append(name)
            found |= {picture.name: picture for picture in matched}
            missing += unknown
    if 2 * len(found) < max(1, len(pictures)):
        for name, reason in problems:
            tables.remove(name)
            layout.skip(name, reason)
        return []
    for name, reason in problems:
        layout.skip(name, reason)
    for name in tables:
        if name not in used and name not in dict(problems):
            layout.skip(name, "names no picture that is here")
    for row, reason in missing:
        layout.skip(row, reason)
    for name in pictures:
        if name not in found:
            layout.skip(name, "stands in no row of the table")
    layout.summary = f"Pictures, their classes in the table {', '.join(readable(name) for name in used)}."
    return list(found.values())


def _matched(table: LabelTable, table_name: str, pictures: list[str]) -> tuple[list[Picture], list[tuple[str, str]]]:
    """(pictures that rows name, rows that name none with the reason)."""
    folder = table_name.rpartition("/")[0]
    by_path = {name: name for name in pictures}
    by_file, by_stem = _unique(pictures, lambda name: name.rpartition("/")[2]), _unique(pictures, _stem)
    of_table = SPLIT_FOLDERS.get(_stem(table_name).lower(), "")
    found, unknown = [], []
    for row in table.rows:
        file = row.file.replace("\\", "/").removeprefix("./").lstrip("/")
        name = by_path.get(f"{folder}/{file}" if folder else file) or by_path.get(file)
        name = name or by_file.get(file.rpartition("/")[2]) or by_stem.get(file.rpartition("/")[2])
        split = SPLIT_FOLDERS.get(row.split.lower(), "") or of_table
        if name is None:
            unknown.append((f"{table_name}: {row.file}", "a row for a picture that is not here"))
        elif not row.label:
            unknown.append((f"{table_name}: {row.file}", "a row without a label"))
        else:
            folders = [SPLIT_FOLDERS.get(part.lower()) for part in name.split("/")[:-1]]
            found.append(Picture(split or next(filter(None, folders), "train"), row.label, name))
    return found, unknown


def _unique(names: list[str], key: Callable[[str], str]) -> dict[str, str]:
    """Names by their key, those that share one left out."""
    counts = Counter(map(key, names))
    return {key(name): name for name in names if counts[key(name)] == 1}


def _check(layout: Layout, num_files: int) -> None:
    if not layout.pictures:
        raise InputError(
            f"No pictures in class folders were found among {num_files:,} files.", code="dataset",
            hint="Expected one folder per class, for example ants/ and bees/, by themselves or inside train/ and test/ or val/; "
            "or pictures with a text file of the same name each; or a CSV of file names and labels.",
        )  # fmt: skip
    if not any(picture.split == "train" for picture in layout.pictures):
        raise InputError("It has no training pictures.", code="dataset", hint="Expected a folder train/ beside test/ or val/.")
    names = layout.class_names
    if len(names) > MAX_CLASSES:
        raise InputError(
            f"{len(names):,} classes were found for {len(layout.pictures):,} pictures, at most {MAX_CLASSES:,} are taken.",
            code="dataset", hint="The column of labels may be one of numbers that name each picture.",
        )  # fmt: skip


def _with_clean_names(pictures: list[Picture]) -> list[Picture]:
    """Class names as text that can be shown: composed alike on every system, no control characters, no two the same by that."""
    clean: dict[str, str] = {}
    for name in sorted({_composed(picture.class_name) for picture in pictures}):
        shown = readable(name)[:MAX_NAME].strip() or "(no name)"
        numbered, n = shown, 2
        while numbered in clean.values():
            numbered, n = f"{shown} ({n})", n + 1
        clean[name] = numbered
    return [Picture(p.split, clean[_composed(p.class_name)], p.name) for p in pictures]


def _composed(name: str) -> str:
    """An é as one character, which one system writes as two."""
    return unicodedata.normalize("NFC", name)
