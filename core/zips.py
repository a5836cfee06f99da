"""Zips from outside, opened only once nothing about them can mislead: names, sizes, links, overlaps; then checksums as they are read.

Nothing is unpacked here and no path is made from a name; what a zip's files mean is with those who read them.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError
from core.name_encoding import IN_ZIPS, OF_TWO_BYTES, Reading, codec_of, is_utf_8, likeliest
from core.wording import size

PIECE_BYTES = 1 << 20
SMALL_BYTES = 1 << 20  # what is no larger is never called a bomb
MAX_LIST_BYTES = 64_000_000  # what 300,000 files with names of a hundred letters need
MAX_PART_BYTES = 255  # of one folder's or file's name, as file systems have it
LOCAL_HEADER, CENTRAL_HEADER = b"PK\x03\x04", b"PK\x01\x02"
END, END_64, END_64_LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
UNICODE_PATH = 0x7075
UTF_8_FLAG = 0x800
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


@dataclass(frozen=True, kw_only=True)
class ZipLimits:
    """What a zip may hold. ratio: bytes that come out for each that lies in the file, of all files together and, unless
    entry_ratio says otherwise, of each. depth: folders around a file. is_lenient: taken as common archivers write it, with
    backslashes for slashes, "./" before names, control characters in them (macOS has a file "Icon\\r"), and a count of
    files that begins again after 65,535. Only for those who make no paths of names.
    """

    num_entries: int
    total_bytes: int
    entry_bytes: int
    ratio: float = 200.0
    entry_ratio: float = 0.0
    depth: int = 16
    name_bytes: int = 1024
    may_compress: bool = True
    is_lenient: bool = False


@dataclass(frozen=True, kw_only=True)
class ZipEntry:
    """A file in a zip. num_bytes: once unpacked. offset, packed_bytes: where it lies in the zip, as it is if not deflated."""

    name: str
    num_bytes: int
    offset: int
    packed_bytes: int
    is_deflated: bool
    crc: int


class CheckedZip:
    """The files of a zip that has passed every check, by name, in the order of its directory. Close it, or use `with`.

    reading: how names were read that the zip does not say to be UTF-8; None where there are none beyond ASCII.
    """

    def __init__(self, file: BinaryIO, entries: dict[str, ZipEntry], reading: Reading | None) -> None:
        self.file = file
        self.entries = entries
        self.reading = reading

    def pieces(self, name: str) -> Iterator[bytes]:
        """The file's contents in pieces of a megabyte at most. Raises InputError where size or checksum are not as promised."""
        entry = self.entries[name]
        crc = count = 0
        for piece in _unpacked(self.file, entry):
            count += len(piece)
            if count > entry.num_bytes:
                raise _refusal(f"{shown(name)} in it is larger than the zip says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if count != entry.num_bytes:
            raise _refusal(f"{shown(name)} in it is cut short: {count:,} of {entry.num_bytes:,} bytes")
        if crc != entry.crc:
            raise _refusal(f"{shown(name)} in it is damaged: its checksum is another", hint="Copy or download the file again.")

    def head(self, name: str, at_least: int) -> bytes:
        """How a file begins, unchecked. Raises InputError where it can't be unpacked."""
        content = b""
        for piece in _unpacked(self.file, self.entries[name], at_least):
            content += piece
            if len(content) >= at_least:
                break
        return content

    def read(self, name: str, at_most: int) -> bytes:
        """A small file whole. Raises InputError if it is larger than at_most bytes."""
        if self.entries[name].num_bytes > at_most:
            raise _refusal(
                f"{shown(name)} in it has {size(self.entries[name].num_bytes)}, more than the {size(at_most)} expected"
            )
        return b"".join(self.pieces(name))

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> "CheckedZip":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_zip(path: Path, limits: ZipLimits, encoding: str = "") -> CheckedZip:
    """The zip, its directory checked against limits; contents are checked as they are read. Raises InputError with the reason.

    encoding: of names that are not said to be UTF-8, one of core/name_encoding.py; found out where it is empty.
    """
    file = path.open("rb")
    try:
        return CheckedZip(file, *_checked_entries(file, limits, encoding))
    except BaseException:
        file.close()
        raise


def shown(name: object, length: int = 80) -> str:
    """A name from outside in quotation marks, unprintable characters replaced and cut to length."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(name)[: length + 1])
    return f"'{text if len(text) <= length else text[: length - 1] + '…'}'"


def _checked_entries(file: BinaryIO, limits: ZipLimits, encoding: str) -> tuple[dict[str, ZipEntry], Reading | None]:
    start, directory_bytes, promised = _directory(file)
    num_headers = _count_headers(file, start, directory_bytes, limits)
    try:
        with zipfile.ZipFile(file) as archive:
            infos, believed_start = archive.filelist, archive.start_dir
    except Exception:  # what hostile bytes make zipfile raise is no closed list: ten types were counted (docs/architecture.md)
        raise _refusal("its list of files can't be read", hint="Make the zip again.") from None
    if limits.is_lenient and promised == num_headers & 0xFFFF:
        promised = num_headers
    if not len(infos) == num_headers == promised or believed_start != start:
        raise _refusal("its list of files contradicts itself", hint="Make the zip again.")
    entries: dict[str, ZipEntry] = {}
    folders: set[str] = set()
    spans = [(start, start + directory_bytes)]
    own_folder = ("./", ".\\") if limits.is_lenient else ()
    infos = [info for info in infos if info.orig_filename not in own_folder]
    names, reading = _names_of(infos, limits, encoding)
    named = list(zip(infos, names, strict=True))
    for info, name in named:  # all of them before any is looked for in the file
        _check_name(name, limits)
        _check_kind(info, limits)
    for info, name in named:
        is_folder = name.endswith("/")
        name = name.removesuffix("/")
        parent = name.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
        if len(folders) > limits.num_entries:
            raise _refusal(f"it holds more than {limits.num_entries:,} folders", hint="Split it into smaller ones.")
        entry = _located(file, info, name, start)
        spans.append((info.header_offset, entry.offset + entry.packed_bytes))
        if is_folder:
            folders.add(name)
            if entry.num_bytes:
                raise _refusal(f"{shown(name)} in it is a folder with contents")
        elif name in entries:
            raise _refusal(f"it holds {shown(name)} twice")
        else:
            entries[name] = entry
    if both := folders & entries.keys():
        raise _refusal(f"{shown(min(both))} in it is a file and a folder at once")
    spans.sort()
    if any(end > following for (_, end), (following, _) in pairwise(spans)):
        raise _refusal("files in it overlap, as in a zip bomb")  # 14 KB can be read as 1 GB otherwise
    _check_sizes(list(entries.values()), limits)
    return entries, reading


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """(first byte, length, number of files) of the zip's list of files, which ends right before its end record."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) not in (LOCAL_HEADER, END):
        raise _refusal("it does not begin like a zip")
    tail_start = max(0, length - 65_557)  # the end record is 22 bytes, and a comment of 65,535 may follow
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) - at < 22:
        raise _refusal("its end is missing", hint="It was probably not copied or downloaded completely. Do that again.")
    count, directory_bytes, offset, comment_bytes = struct.unpack("<HIIH", tail[at + 10 : at + 22])
    if len(tail) - at != 22 + comment_bytes:
        raise _refusal("something follows its end")
    end = tail_start + at
    if at >= 76 and tail[at - 20 : at - 16] == END_64_LOCATOR:
        if tail[at - 76 : at - 72] != END_64:
            raise _refusal("its list of files can't be read", hint="Make the zip again.")
        count, directory_bytes, offset = struct.unpack("<QQQ", tail[at - 44 : at - 20])
        end -= 76
    if offset + directory_bytes != end:
        raise _refusal("its list of files is not where it says", hint="Make the zip again, or copy it completely.")
    return offset, directory_bytes, count


def _count_headers(file: BinaryIO, start: int, directory_bytes: int, limits: ZipLimits) -> int:
    """How many files the list names, counted before anything is built from it."""
    if directory_bytes > min(limits.num_entries * (46 + 2 * limits.name_bytes), MAX_LIST_BYTES):
        raise _refusal(
            f"its list of files has {size(directory_bytes)}, far more than is needed", hint="Split it into smaller ones."
        )
    file.seek(start)
    directory = file.read(directory_bytes)
    position = count = 0
    while position < len(directory):
        if directory[position : position + 4] != CENTRAL_HEADER or position + 46 > len(directory):
            raise _refusal("its list of files can't be read", hint="Make the zip again.")
        position += 46 + sum(struct.unpack("<HHH", directory[position + 28 : position + 34]))
        count += 1
        if count > limits.num_entries:
            raise _refusal(f"it holds more than {limits.num_entries:,} files", hint="Split it into smaller ones.")
    return count


def _names_of(infos: list[zipfile.ZipInfo], limits: ZipLimits, encoding: str) -> tuple[list[str], Reading | None]:
    """Their names as text: by the zip's own word (its flag, or a second name in UTF-8), else as they are likeliest written."""
    names = [_said_name(info, limits) for info in infos]
    raw = {n: infos[n].orig_filename.encode("cp437") for n, name in enumerate(names) if name is None}
    reading, in_utf_8 = (Reading(encoding), set()) if encoding else _reading_of(raw, limits)
    for n, content in raw.items():
        names[n] = content.decode() if n in in_utf_8 else _decoded(content, reading.encoding)
    full = [name or "" for name in names]
    if limits.is_lenient:
        full = [name.replace("\\", "/").removeprefix("./") for name in full]
    return full, reading if raw else None


def _said_name(info: zipfile.ZipInfo, limits: ZipLimits) -> str | None:
    """None where the zip does not say how it is written."""
    name = info.orig_filename  # `filename` ends at the first zero byte
    if limits.is_lenient and (second := _second_name(info)) is not None:
        return second
    return name if info.flag_bits & UTF_8_FLAG or name.isascii() else None


def _reading_of(names: dict[int, bytes], limits: ZipLimits) -> tuple[Reading, set[int]]:
    """How names are written that nothing is said about, and which of them are UTF-8 whatever the others are, as those of macOS."""
    in_utf_8 = {n for n, name in names.items() if is_utf_8(name)}
    others = [name for n, name in names.items() if n not in in_utf_8]
    if not others:
        return Reading("UTF-8"), in_utf_8
    if not limits.is_lenient:
        return Reading("cp437"), in_utf_8
    reading = likeliest(others, IN_ZIPS)
    if reading.encoding in OF_TWO_BYTES and len(in_utf_8) < len(others):  # one character of two bytes may be UTF-8 by chance
        return likeliest(names.values(), (*OF_TWO_BYTES, "cp437")), set()
    return reading, in_utf_8


def _decoded(name: bytes, encoding: str) -> str:
    try:
        return name.decode(codec_of(encoding))
    except UnicodeDecodeError:
        raise _refusal(
            f"the name {shown(name.decode('cp437'))} in it is not written in {encoding}",
            hint="Choose another encoding for the names, or leave it to be found out.",
        ) from None


def _second_name(info: zipfile.ZipInfo) -> str | None:
    """The name in UTF-8 that WinZip and others put beside one that their code page can't spell; None where there is none.

    Info-ZIP Unicode Path: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.6.9.
    """
    rest = info.extra
    while len(rest) >= 9:
        kind, length, version, crc = struct.unpack("<HHBI", rest[:9])
        if kind == UNICODE_PATH and version == 1:
            with suppress(UnicodeError):
                if crc == zlib.crc32(info.orig_filename.encode("cp437")):
                    return rest[9 : 4 + length].decode("utf-8")
        rest = rest[4 + length :]
    return None


def _check_name(name: str, limits: ZipLimits) -> None:
    parts = name.removesuffix("/").split("/")
    encoded = [part.encode(errors="surrogateescape") for part in parts]
    if "\0" in name or (CONTROL.search(name) and not limits.is_lenient):
        raise _refusal(f"the name {shown(name)} in it has control characters")
    if name.startswith("/") or "\\" in name or ".." in parts or name[1:2] == ":":
        raise _refusal(f"the name {shown(name)} in it leads out of the zip's own folder")
    if not all(parts) or "." in parts:
        raise _refusal(f"the name {shown(name)} in it is not a plain path")
    if max(map(len, encoded)) > MAX_PART_BYTES or sum(map(len, encoded)) + len(parts) > limits.name_bytes:
        raise _refusal(f"the name {shown(name)} in it is too long")
    if len(parts) - 1 > limits.depth:
        raise _refusal(f"{shown(name)} in it lies {len(parts) - 1} folders deep, more than {limits.depth}")


def _check_kind(info: zipfile.ZipInfo, limits: ZipLimits) -> None:
    if info.flag_bits & 0x2041:  # encrypted, strongly encrypted, names hidden
        raise _refusal(f"{shown(info.filename)} in it is encrypted", hint="Make the zip again without a password.")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refusal(
            f"{shown(info.filename)} in it is a link or a device, not a file", hint="Put the files themselves into the zip."
        )
    if info.compress_type not in METHODS:
        raise _refusal(
            f"{shown(info.filename)} in it is compressed by method {info.compress_type}",
            hint="Use the usual one (deflate), or none.",
        )
    if info.compress_type != zipfile.ZIP_STORED and not limits.may_compress:
        raise _refusal(f"{shown(info.filename)} in it is compressed, which is not expected here")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise _refusal(f"the sizes of {shown(info.filename)} in it contradict each other")


def _located(file: BinaryIO, info: zipfile.ZipInfo, name: str, directory_start: int) -> ZipEntry:
    """Where an entry's bytes lie, by the header before them, which must be of the same file."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != LOCAL_HEADER:
        raise _refusal(f"{shown(info.filename)} in it is not where the zip says")
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    second = file.read(name_bytes).decode("utf-8" if info.flag_bits & UTF_8_FLAG else "cp437", errors="replace")
    if second != info.orig_filename:
        raise _refusal(f"{shown(name)} in it is called {shown(second)} in a second place")
    offset = info.header_offset + 30 + name_bytes + extra_bytes
    if offset + info.compress_size > directory_start:
        raise _refusal(f"{shown(info.filename)} in it is larger than the zip itself")
    is_deflated = info.compress_type != zipfile.ZIP_STORED
    return ZipEntry(
        name=name, num_bytes=info.file_size, offset=offset, packed_bytes=info.compress_size, is_deflated=is_deflated, crc=info.CRC
    )


def _check_sizes(entries: list[ZipEntry], limits: ZipLimits) -> None:
    for entry in entries:
        if entry.num_bytes > limits.entry_bytes:
            raise _refusal(
                f"{shown(entry.name)} in it has {size(entry.num_bytes)}, more than the {size(limits.entry_bytes)} allowed"
            )
        if entry.num_bytes > max(SMALL_BYTES, (limits.entry_ratio or limits.ratio) * entry.packed_bytes):
            raise _refusal(
                f"{shown(entry.name)} in it would swell from {size(entry.packed_bytes)} to {size(entry.num_bytes)}, as in a zip bomb"
            )
    total, packed = sum(entry.num_bytes for entry in entries), sum(entry.packed_bytes for entry in entries)
    if total > limits.total_bytes:
        raise _refusal(f"its files have {size(total)} together, more than the {size(limits.total_bytes)} allowed")
    if total > max(10 * SMALL_BYTES, limits.ratio * packed):
        raise _refusal(f"it would swell from {size(packed)} to {size(total)}, as a zip bomb does")


def _unpacked(file: BinaryIO, entry: ZipEntry, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS) if entry.is_deflated else None
    done = 0
    while done < entry.packed_bytes:
        file.seek(entry.offset + done)
        packed = file.read(min(piece_bytes, entry.packed_bytes - done))
        if not packed:
            break
        done += len(packed)
        if unpacker is None:
            yield packed
            continue
        try:
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, piece_bytes)
                packed = unpacker.unconsumed_tail
        except zlib.error:
            raise _refusal(f"{shown(entry.name)} in it is damaged", hint="Copy or download the file again.") from None
    while unpacker and (rest := unpacker.decompress(b"", piece_bytes)):  # held back by the last limit
        yield rest


def _refusal(reason: str, hint: str = "") -> InputError:
    return InputError(f"The zip can't be taken: {reason}.", code="file", hint=hint)
