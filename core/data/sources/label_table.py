"""A table of file names and labels as people keep them: CSV with comma, semicolon or tab, with a header or without."""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from core.errors import InputError
from core.name_encoding import IN_TABLES, codec_of, likeliest

FILE_COLUMNS = (
    "file",
    "filename",
    "file_name",
    "image",
    "image_name",
    "img",
    "picture",
    "path",
    "filepath",
    "file_path",
    "image_path",
    "name",
    "id",
    "image_id",
)
LABEL_COLUMNS = ("label", "class", "class_name", "classname", "category", "target", "labels", "tag", "species", "breed")
SPLIT_COLUMNS = ("split", "subset", "set", "partition", "fold", "usage")
MAX_ROWS = 1_000_000


@dataclass(frozen=True)
class Row:
    """split: as written, empty where the table does not say."""

    file: str
    label: str
    split: str


def as_text(content: bytes, encoding: str = "") -> str:
    """A text file of any system: UTF-8, UTF-16 if it begins so (PowerShell, Excel), else as it is likeliest written: in GBK, Big5,
    Shift-JIS, or Windows' western code page. encoding: one of core/name_encoding.py, where a person has said it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if encoding not in IN_TABLES:  # the code pages of DOS are of names in zips
            encoding = encoding_of([content])
        return content.decode(codec_of(encoding), errors="replace")


def encoding_of(contents: Iterable[bytes]) -> str:
    """The one in which all cells of these texts are likeliest written that are not UTF-8: one of IN_TABLES."""
    cells = (cell for content in contents for cell in re.split(rb"[,;\t\r\n/]", content))
    return likeliest(dict.fromkeys(cell for cell in cells if not cell.isascii()), IN_TABLES).encoding


def read_table(content: bytes, max_rows: int = MAX_ROWS, encoding: str = "") -> list[Row]:
    """The rows of a table. Raises InputError, short enough for a list of skipped files, if it has no files and labels."""
    text = as_text(content, encoding).replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), max_rows + 1))
    except csv.Error as error:
        raise InputError(f"not a table that can be read ({error})", code="dataset") from None
    if len(lines) > max_rows:
        raise InputError(f"with this table there are more rows than are read ({MAX_ROWS:,})", code="dataset")
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        raise InputError("an empty table", code="dataset")
    header = [cell.strip().lower().replace(" ", "_") for cell in lines[0]]
    file, label, split = (_column(header, names) for names in (FILE_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS))
    if label is not None and file is None:
        file = next((n for n in range(len(header)) if n not in (label, split)), None)
    if label is None and file is not None and len(header) == 2:
        label = 1 - file
    has_header = file is not None and label is not None
    if not has_header:
        if len(header) != 2:
            raise InputError("a table without columns that are called file and label", code="dataset")
        file, label, split = 0, 1, None

    def cell(line: list[str], column: int | None) -> str:
        return line[column].strip() if column is not None and column < len(line) else ""

    rows = [Row(cell(line, file), cell(line, label), cell(line, split)) for line in lines[has_header:]]
    return [row for row in rows if row.file]


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)
