"""What the names of files say: which are images, of which class and split, and why each of the others is left out.

Four layouts are understood: a folder per class, the same within split folders (or split folders within each class), images
with their class in a text file of the same stem, and a table (CSV) of file names and labels.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.data.sources.containers import readable
from core.data.sources.decoding import SUFFIXES
from core.data.sources.label_table import MAX_ROWS, Row, as_text, encoding_of, read_table
from core.data.splits import SPLITS
from core.errors import InputError
from core.name_encoding import IN_TABLES, is_utf_8
from core.wording import counted

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
LEFT_BY_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "@eadir"}
ARCHIVE_SUFFIXES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
TABLE_SUFFIXES = {".csv", ".tsv"}
MAX_TABLE_BYTES = 100_000_000  # of all together
MAX_LABEL_BYTES = 10_000
FEW = 20
LISTED_ROWS = 1000
MAX_CLASSES = 10_000
MAX_NAME = 200
LABEL_WORDS = re.compile(r"[ _.-]*(images?|imgs?|images?|photos?|labels?|annotations?|txts?|classes)[ _.-]*", re.IGNORECASE)
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Read = Callable[[str, int], bytes]  # the contents of a file by name, of at most this many bytes


@dataclass(frozen=True)
class Image:
    split: str
    class_name: str
    name: str


@dataclass(kw_only=True)
class Layout:
    """images: by split, then by name. skipped: {"file", "reason"}, and "kind": "unlabelled" for images that got no class.

    summary: how it was understood, as a sentence. class_folders: paths of the folders whose names are the classes.
    """

    summary: str
    images: list[Image]
    skipped: list[dict[str, str]] = field(default_factory=list)
    class_folders: set[str] = field(default_factory=set)

    @property
    def class_names(self) -> list[str]:
        return sorted({image.class_name for image in self.images})

    def skip(self, name: str, reason: str, kind: str = "") -> None:
        self.skipped.append({"file": readable(name), "reason": reason, **({"kind": kind} if kind else {})})

    def without_images(self, paths: Iterable[str]) -> list[str]:
        """Names of folders that stand beside class folders and hold none of the set's images. paths: of files, or of empty folders."""
        parents = {_folder(path) for path in self.class_folders}
        found = set()
        for path in paths:
            parts = path.split("/")
            for depth in range(len(parts) - 1):
                folder = "/".join(parts[: depth + 1])
                is_hidden = parts[depth].startswith(".") or parts[depth].lower() in LEFT_BY_SYSTEMS
                if (
                    "/".join(parts[:depth]) in parents
                    and folder not in self.class_folders
                    and not is_hidden
                    and not _is_split(parts[depth])
                ):
                    found.add(readable(parts[depth]))
        return sorted(found - set(self.class_names))


def arrange(names: Sequence[str], read: Read, encoding: str = "") -> Layout:
    """Images with split and class, by whichever layout the names fit. Raises InputError if they fit none.

    encoding: of tables and label files that are not UTF-8, where a person has said it.
    """
    layout = Layout(summary="", images=[])
    images, texts, tables = [], [], []
    for name in names:
        parts = name.split("/")
        suffix = os.path.splitext(parts[-1])[1].lower()
        if any(part.startswith(".") or part.lower() in LEFT_BY_SYSTEMS for part in parts):
            layout.skip(name, "hidden, or left by an archiver or a file manager")
        elif suffix in SUFFIXES:
            images.append(name)
        elif suffix in TABLE_SUFFIXES:
            tables.append(name)
        elif suffix == ".txt":
            texts.append(name)
        elif suffix in ARCHIVE_SUFFIXES:
            layout.skip(name, "an archive of its own: import it by itself")
        else:
            layout.skip(name, "not an image by its ending")
    wrapper = _wrapper(images)
    found = _by_tables(images, tables, read, layout, encoding)
    if not found:
        found = _by_label_files(images, texts, wrapper, read, layout, encoding)
        texts = [] if found else texts
    for name in texts:
        layout.skip(name, "not an image by its ending")
    if not found:
        found = _by_folders(images, wrapper, layout)
    layout.images = sorted(found, key=lambda image: (SPLITS.index(image.split), image.name))
    _check(layout, len(names))
    layout.images = _with_clean_names(layout.images)
    return layout


def _wrapper(images: list[str]) -> str:
    """The folders around everything, "" or with "/" at the end: such as archivers put one around what they pack.

    An image beside it is a stray. A folder called "train" is one only if there are splits in it.
    """
    prefix = ""
    while True:
        inside = [name[len(prefix) :].split("/") for name in images if name.startswith(prefix)]
        tops = {parts[0] for parts in inside if len(parts) > 1}
        below = [parts[1] for parts in inside if len(parts) > 2]
        if len(tops) != 1 or not below or (any(map(_is_split, tops)) and not all(map(_is_split, below))):
            return prefix
        prefix += f"{tops.pop()}/"


def _is_split(folder: str) -> bool:
    return folder.lower() in SPLIT_FOLDERS


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _stem(name: str) -> str:
    return os.path.splitext(name.rpartition("/")[2])[0]


def _by_folders(images: list[str], wrapper: str, layout: Layout) -> list[Image]:
    places = {name: name[len(wrapper) :].split("/")[:-1] for name in images if name.startswith(wrapper)}
    around = [folders for folders in places.values() if folders]
    # a class may be called "train": a split has class folders in it, unless there are only splits
    at_top = any(len(f) > 1 and _is_split(f[0]) for f in around) or all(_is_split(f[0]) for f in around)
    within = not at_top and 2 * sum(len(f) > 1 and _is_split(f[1]) for f in around) > len(around)
    found = []
    for name in images:
        folders = places.get(name, [])
        level = 0 if at_top else 1  # at which the split stands, if any
        if not folders or (at_top and _is_split(folders[0]) and len(folders) < 2):
            layout.skip(name, "lies in no class folder", "unlabelled")
        elif not at_top and not within:
            found.append(Image("train", folders[0], name))
            layout.class_folders.add(wrapper + folders[0])
        elif len(folders) < 2 or not _is_split(folders[level]):
            layout.skip(name, "lies outside of the split folders")
        else:
            found.append(Image(SPLIT_FOLDERS[folders[level].lower()], folders[1 - level], name))
            layout.class_folders.add(wrapper + "/".join(folders[: 2 - level]))
    layout.summary = f"A folder for each class{' within each split' if at_top or within else ''}."
    return found


def _by_label_files(images: list[str], texts: list[str], wrapper: str, read: Read, layout: Layout, encoding: str) -> list[Image]:
    """The class from the text file of the same stem; empty unless at least half of the images have one."""
    chosen = _label_files(images, texts, wrapper) if texts else {}
    if 2 * len(chosen) < max(1, len(images)):
        return []
    contents = {text: _content_of(text, read) for text in set(chosen.values())}
    if encoding not in IN_TABLES:  # one for all of them: a single word tells little
        encoding = encoding_of(content for content in contents.values() if content and not is_utf_8(content))
    labels = {text: _label_in(content, encoding) for text, content in contents.items()}  # (class, "") or ("", why not)
    named = [name for name, text in chosen.items() if labels[text][0]]
    num_classes = len({labels[chosen[name]][0] for name in named})
    if 2 * len(named) < len(images) or 2 * num_classes > len(named) > FEW:  # captions, if hardly two are the same
        return []
    for name in images:
        if name not in chosen:
            layout.skip(name, "has no label file of its own", "unlabelled")
        elif problem := labels[chosen[name]][1]:
            layout.skip(name, problem, "unlabelled")
    for text in texts:
        if text not in labels:
            layout.skip(text, "belongs to no image")
    layout.summary = "Images, each with its class in a text file of the same name."
    return [Image(_split_around(name, wrapper) or "train", labels[chosen[name]][0], name) for name in named]


def _label_files(images: list[str], texts: list[str], wrapper: str) -> dict[str, str]:
    """The text file of an image: the one beside it, else that in the folder called alike but for words as "images" and "labels",
    else that in the same split. Images of several folders for which there is but one have none."""

    def plain(folder: str) -> str:
        return "/".join(filter(None, (LABEL_WORDS.sub("", part.lower()) for part in folder.split("/"))))

    alike = {folder: plain(folder) for folder in {*map(_folder, images), *map(_folder, texts)}}
    places: list[Callable[[str], str]] = [_folder, lambda name: alike[_folder(name)], lambda name: _split_around(name, wrapper)]
    chosen: dict[str, str] = {}
    for place in places:
        waiting = [(name, (place(name), _stem(name))) for name in images if name not in chosen]
        taken = set(chosen.values())
        free = _unique([((place(text), _stem(text)), text) for text in texts if text not in taken])
        folders = _unique({(key, _folder(name)) for name, key in waiting})
        chosen |= {name: free[key] for name, key in waiting if key in free and key in folders}
    return chosen


def _split_around(name: str, wrapper: str) -> str:
    """ "train", …, or "" where no folder says so."""
    folders = name.removeprefix(wrapper).split("/")[:-1]
    return next((SPLIT_FOLDERS[part.lower()] for part in folders[:2] if _is_split(part)), "")


def _content_of(text: str, read: Read) -> bytes | None:
    try:
        return read(text, MAX_LABEL_BYTES)
    except (InputError, OSError):
        return None


def _label_in(content: bytes | None, encoding: str) -> tuple[str, str]:
    if content is None:
        return "", "its label file can't be read"
    lines = [line for line in map(str.strip, as_text(content, encoding).splitlines()) if line]
    if not lines:
        return "", "its label file is empty"
    if len(lines) > 1 or len(lines[0]) > MAX_NAME or re.fullmatch(r"\S+( [\d.]+){4,}", lines[0]):
        return "", "its label file holds something else than one class name"
    return lines[0], ""


@dataclass
class _Said:
    """What the rows of all tables say of an image."""

    labels: set[str] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)

    @property
    def problem(self) -> str:
        if not self.labels:
            return "its row has no label"
        if len(self.labels) > 1:
            return "its rows give it different labels"
        return "its rows put it into different splits" if len(self.splits) > 1 else ""


def _by_tables(images: list[str], tables: list[str], read: Read, layout: Layout, encoding: str) -> list[Image]:
    """By tables of file names and labels; empty unless they name at least half of the images. Lists the tables it does not use."""
    if not tables:
        return []
    said: dict[str, _Said] = {}
    missing: list[str] = []
    problems = {}
    room, num_rows = MAX_TABLE_BYTES, MAX_ROWS  # for all of them
    index = _Index(images)
    for name in tables:
        try:
            content = read(name, room)
            table = read_table(content, num_rows, encoding)
        except (InputError, OSError) as error:
            problems[name] = error.message if isinstance(error, InputError) else "can't be read"
            continue
        room, num_rows = room - len(content), num_rows - len(table)
        matched, unknown = index.matched(table, _folder(name))
        if not matched:
            problems[name] = "names no image that is here"
            continue
        missing += [f"{name}: {file}" for file in unknown]
        of_table = SPLIT_FOLDERS.get(_stem(name).lower(), "")
        for image, row in matched:
            about = said.setdefault(image, _Said())
            about.labels.update(filter(None, [row.label]))
            about.splits.update(filter(None, [SPLIT_FOLDERS.get(row.split.lower(), "") or of_table]))
    good = [name for name in images if name in said and not said[name].problem]
    is_used = 2 * len(good) >= max(1, len(images))
    for name in tables:
        if not is_used or name in problems:
            layout.skip(name, problems.get(name, "names too few of the images"))
    if not is_used:
        return []
    missing = list(dict.fromkeys(missing))
    for row in missing[:LISTED_ROWS]:
        layout.skip(row, "a row for an image that is not here")
    if more := len(missing[LISTED_ROWS:]):
        layout.skip(f"{more:,} more rows", "rows for images that are not here")
    for name in images:
        if problem := said[name].problem if name in said else "stands in no row of the table":
            layout.skip(name, problem, "unlabelled")
    used = [readable(name) for name in tables if name not in problems]
    layout.summary = f"Images, their classes in the table {', '.join(used[:3])}{' and others' if len(used) > 3 else ''}."
    return [
        Image(next(iter(said[name].splits), "") or _split_on_the_way(name), next(iter(said[name].labels)), name) for name in good
    ]


def _split_on_the_way(name: str) -> str:
    return next((SPLIT_FOLDERS[part.lower()] for part in name.split("/")[:-1] if _is_split(part)), "train")


class _Index:
    """Images by the ways in which rows name them."""

    def __init__(self, images: list[str]) -> None:
        self.by_path = {_composed(name): name for name in images}
        self.by_file = _unique([(_as_named(name.rpartition("/")[2]), name) for name in images])
        self.by_stem = _unique([(_as_named(_stem(name)), name) for name in images])

    def matched(self, table: Sequence[Row], folder: str) -> tuple[list[tuple[str, Row]], list[str]]:
        """(images with their rows, files of rows that name none). By the path from the table's folder or from the top, else by
        the file's name alone, with its ending or without, if it is the only one and no row names it by its path."""
        files = [_composed(row.file.replace("\\", "/").removeprefix("./").lstrip("/")) for row in table]
        prefix = f"{_composed(folder)}/" if folder else ""
        names = [self.by_path.get(prefix + file) or self.by_path.get(file) for file in files]
        taken = set(names)
        found, unknown = [], []
        for row, file, name in zip(table, files, names, strict=True):
            if not name:
                last = _as_named(file.rpartition("/")[2])
                name = self.by_file.get(last) or self.by_stem.get(last)
                name = None if name in taken else name
            if name:
                found.append((name, row))
            else:
                unknown.append(row.file)
        return found, unknown


def _unique(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, Value]:
    """As a dict, without the keys that occur twice."""
    pairs = list(pairs)
    counts = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if counts[key] == 1}


def _as_named(file: str) -> str:
    """As people write it in a table, whatever the case."""
    return _composed(file).lower()


def _check(layout: Layout, num_files: int) -> None:
    if not layout.images:
        raise InputError(
            f"No images in class folders were found among {counted(num_files, 'file')}.",
            code="dataset",
            hint="Expected one folder per class, for example ants/ and bees/, by themselves or inside train/ and test/ or val/; "
            "or images with a text file of the same name each; or a CSV of file names and labels.",
        )
    if not any(image.split == "train" for image in layout.images):
        raise InputError("It has no training images.", code="dataset", hint="Expected a folder train/ beside test/ or val/.")
    names = layout.class_names
    if len(names) > MAX_CLASSES:
        raise InputError(
            f"{len(names):,} classes were found for {len(layout.images):,} images, at most {MAX_CLASSES:,} are taken.",
            code="dataset",
            hint="The column of labels may be one of numbers that name each image.",
        )


def _with_clean_names(images: list[Image]) -> list[Image]:
    """Class names as text that can be shown: composed alike on every system, no control characters, no two the same by that."""
    clean: dict[str, str] = {}
    taken: dict[str, int] = {}  # how often it was asked for
    for name in sorted({_composed(image.class_name) for image in images}):
        shown = numbered = readable(name)[:MAX_NAME].strip() or "(no name)"
        while numbered in taken:
            taken[shown] += 1
            numbered = f"{shown} ({taken[shown]})"
        taken[numbered] = 1
        clean[name] = numbered
    return [Image(p.split, clean[_composed(p.class_name)], p.name) for p in images]


def _composed(name: str) -> str:
    """An é as one character, which one system writes as two."""
    return unicodedata.normalize("NFC", name)
