"""Zips of pictures: honest ones as the common archivers of three systems make them, mess and all, and hostile ones.

Every honest one holds the same pictures, each of a shade of its own, so that a test can tell by the pixels what became of which.
By hand: `python -m tests.picture_archives FOLDER` writes them all.
"""

import io
import shutil
import struct
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import Image

from tests.hostile_files import deflated, overlapping_zip, raw_zip

GREAT = "größe é"  # with letters that cp437, cp850, UTF-8 and the composed and decomposed forms of it write differently
PICTURES = {  # path: (shade, split, class)
    "train/ants/one.png": (10, "train", "ants"),
    "train/ants/two.PNG": (20, "train", "ants"),
    "train/bees/one.png": (30, "train", "bees"),
    f"train/{GREAT}/ü 1.png": (40, "train", GREAT),
    "val/ants/three.Png": (50, "validation", "ants"),
    "val/bees/deeper/two.png": (60, "validation", "bees"),
    f"val/{GREAT}/ß.png": (70, "validation", GREAT),
}
STRAYS = {"readme.md": b"Hello", "train/bees/notes.docx": b"PK but no zip", "empty": b""}
UTF8, DESCRIPTOR, ENCRYPTED = 0x800, 0x8, 0x1


@dataclass(frozen=True)
class Honest:
    """make() returns the zip. strays: what is to be listed as skipped, as it is shown."""

    name: str
    make: Callable[[], bytes]
    strays: frozenset[str]


@dataclass(frozen=True)
class Hostile:
    """says: what its refusal must contain; empty if it may also be imported, as long as no harm is done."""

    name: str
    make: Callable[[], bytes]
    says: str = ""


@lru_cache(maxsize=1000)
def png(shade: int, size: tuple[int, int] = (8, 6)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(out, "PNG")
    return out.getvalue()


def files(root: str = "", with_strays: bool = True) -> dict[str, bytes]:
    found = {root + path: png(shade) for path, (shade, _, _) in PICTURES.items()}
    return found | ({root + path: content for path, content in STRAYS.items()} if with_strays else {})


def folders_of(paths: list[str]) -> list[str]:
    return sorted({"/".join(path.split("/")[: n + 1]) + "/" for path in paths for n in range(path.count("/"))})


@dataclass(frozen=True)
class Entry:
    """A file or a folder of a zip by its very bytes. system: 0 DOS, 3 Unix; attributes: the 32 bits that belong to it."""

    name: bytes
    content: bytes = b""
    is_deflated: bool = True
    flags: int = 0
    system: int = 3
    attributes: int = 0o100644 << 16
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    lies: dict[str, int] = field(default_factory=dict)  # of the central directory: "crc", "packed", "size", "method"


def extra(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def pack(entries: list[Entry], comment: bytes = b"", wrapped_count: bool = False) -> bytes:
    """The zip. With DESCRIPTOR in an entry's flags sizes and checksum follow it, as in one that was made in one go."""
    body, directory = io.BytesIO(), io.BytesIO()
    for entry in entries:
        packed = deflated(entry.content) if entry.is_deflated else entry.content
        method = 8 if entry.is_deflated else 0
        sizes = (zlib.crc32(entry.content), len(packed), len(entry.content))
        is_streamed = bool(entry.flags & DESCRIPTOR)
        offset = body.tell()
        head = struct.pack("<HHHHH", 20, entry.flags, method, 0x6C21, 0x5021)
        body.write(b"PK\x03\x04" + head + struct.pack("<III", *((0, 0, 0) if is_streamed else sizes)))
        body.write(struct.pack("<HH", len(entry.name), len(entry.local_extra)) + entry.name + entry.local_extra + packed)
        if is_streamed:
            body.write(b"PK\x07\x08" + struct.pack("<III", *sizes))
        told = [entry.lies.get(key, value) for key, value in zip(("crc", "packed", "size"), sizes, strict=True)]
        head = struct.pack("<HHHHH", 20, entry.flags, entry.lies.get("method", method), 0x6C21, 0x5021)
        directory.write(b"PK\x01\x02" + struct.pack("<BB", 20, entry.system) + head + struct.pack("<III", *told))
        lengths = (len(entry.name), len(entry.central_extra), len(entry.comment), 0, 0)
        directory.write(struct.pack("<HHHHHII", *lengths, entry.attributes, offset))
        directory.write(entry.name + entry.central_extra + entry.comment)
    listing, start = directory.getvalue(), body.tell()
    count = len(entries) & 0xFFFF if wrapped_count else min(len(entries), 0xFFFF)
    end = b""
    if len(entries) > 0xFFFF and not wrapped_count:
        end = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, len(entries), len(entries), len(listing), start)
        end += b"PK\x06\x07" + struct.pack("<IQI", 0, start + len(listing), 1)
    end += b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(listing), start, len(comment)) + comment
    return body.getvalue() + listing + end


# --- honest ones

UNIX_TIMES = extra(0x5455, b"\x03" + bytes(8)) + extra(0x7875, b"\x01\x04" + bytes(4) + b"\x04" + bytes(4))
NTFS_TIMES = extra(0x000A, bytes(4) + struct.pack("<HH", 1, 24) + bytes(24))
FOLDER = 0o040755 << 16 | 0x10
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(60)


def macos(root: str = "insects/") -> bytes:
    """Archive Utility: decomposed names in UTF-8 that no flag tells of, sizes after each file, a shadow of each in __MACOSX."""
    plain = files(root) | {f"{root}.DS_Store": bytes(64), f"{root}train/.DS_Store": bytes(64), f"{root}train/ants/Icon\r": b""}
    shadows = {_shadow(path): APPLE_DOUBLE for path in files(root)}
    entries = []
    for path in folders_of(list(plain)):
        entries.append(Entry(_decomposed(path), is_deflated=False, attributes=FOLDER, local_extra=extra(0x5855, bytes(12))))
    for path, content in (plain | shadows).items():
        about = {"local_extra": extra(0x5855, bytes(12)), "central_extra": extra(0x5855, bytes(8))}
        entries.append(Entry(_decomposed(path), content, flags=DESCRIPTOR, **about))
    return pack(entries)


def macos_strays(root: str = "insects/") -> frozenset[str]:
    names = [*STRAYS, ".DS_Store", "train/.DS_Store", "train/ants/Icon\N{REPLACEMENT CHARACTER}"]
    shadows = [unicodedata.normalize("NFD", _shadow(path)) for path in files(root)]
    return frozenset([root + name for name in names] + shadows)


def _shadow(path: str) -> str:
    folder, slash, file = path.rpartition("/")
    return f"__MACOSX/{folder}{slash}._{file}"


def _decomposed(path: str) -> bytes:
    return unicodedata.normalize("NFD", path).encode()


def windows(codepage: str = "cp850", root: str = "insects/") -> bytes:
    """Explorer: names in the system's code page, no folders, with what it keeps in them."""
    plain = files(root) | {f"{root}train/ants/Thumbs.db": bytes(64), f"{root}desktop.ini": b"[.ShellClassInfo]"}
    return pack([Entry(path.encode(codepage), content, system=0, attributes=0x20) for path, content in plain.items()])


WINDOWS_STRAYS = frozenset([*(f"insects/{name}" for name in STRAYS), "insects/train/ants/Thumbs.db", "insects/desktop.ini"])


def dotnet(root: str = "") -> bytes:
    """ZipFile.CreateFromDirectory before .NET 4.6.1: backslashes."""
    entries = [Entry(path.replace("/", "\\").encode(), b"", False, UTF8, 0, 0x10) for path in folders_of(list(files(root)))]
    entries += [Entry(path.replace("/", "\\").encode(), content, True, UTF8, 0, 0) for path, content in files(root).items()]
    return pack(entries)


def winzip() -> bytes:
    """Names that the code page does not have, spelled out in an extra field (0x7075, "Unicode Path")."""
    entries = []
    for path, content in files().items():
        name = path.encode("ascii", errors="replace").replace(b"?", b"_")
        field = extra(0x7075, b"\x01" + struct.pack("<I", zlib.crc32(name)) + path.encode())
        entries.append(Entry(name, content, system=0, attributes=0x20, local_extra=field, central_extra=field))
    return pack(entries)


def info_zip(root: str = "insects/", leading: str = "") -> bytes:
    """zip on Linux: folders, times and owners in extra fields, small files stored, comments."""
    entries = [
        Entry((leading + path).encode(), b"", False, UTF8, 3, FOLDER, UNIX_TIMES) for path in folders_of(list(files(root)))
    ]
    for path, content in files(root).items():
        entries.append(
            Entry((leading + path).encode(), content, len(content) > 80, UTF8, 3, 0o100600 << 16, UNIX_TIMES, UNIX_TIMES, b"mine")
        )
    return pack(entries, "für mich".encode())


def seven_zip() -> bytes:
    entries = [Entry(path.encode(), b"", False, UTF8, 0, 0x10, b"", NTFS_TIMES) for path in folders_of(list(files()))]
    return pack(
        entries + [Entry(path.encode(), content, True, UTF8, 0, 0x2020, b"", NTFS_TIMES) for path, content in files().items()]
    )


def python_zipfile(root: str = "", as_stream: bool = False) -> bytes:
    """as_stream: to where there is no way back, with 64-bit sizes."""
    out = io.BytesIO()
    target = _NoWayBack(out) if as_stream else out
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files(root).items():
            with archive.open(zipfile.ZipInfo(path), "w", force_zip64=as_stream) as file:
                file.write(content)
    return out.getvalue()


class _NoWayBack:
    def __init__(self, out: io.BytesIO) -> None:
        self.write, self.flush = out.write, out.flush


def unpacked_to(folder: Path, content: dict[str, bytes]) -> Path:
    for path, data in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def shutil_archive(base: str | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        unpacked_to(Path(folder) / "from", files("insects/"))
        root = Path(folder) / "from" / ("" if base else "insects")
        return Path(shutil.make_archive(f"{folder}/out", "zip", root, base)).read_bytes()


def real_zip(*options: str) -> bytes:
    """By the zip of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked_to(Path(folder) / "from", files("insects/"))
        subprocess.run(["zip", "-q", "-r", *options, "../out.zip", "insects"], cwd=f"{folder}/from", check=True)
        return Path(folder, "out.zip").read_bytes()


def real_jar() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        unpacked_to(Path(folder) / "from", files("insects/"))
        subprocess.run(["jar", "cf", "out.zip", "-C", "from", "insects"], cwd=folder, check=True)
        return Path(folder, "out.zip").read_bytes()


def below(root: str) -> frozenset[str]:
    return frozenset(root + name for name in STRAYS)


def honest_archives() -> Iterator[Honest]:
    yield Honest("macos", macos, macos_strays())
    yield Honest("macos-no-wrapper", lambda: macos(""), macos_strays(""))
    for codepage in ("cp437", "cp850"):
        yield Honest(f"windows-{codepage}", lambda codepage=codepage: windows(codepage), WINDOWS_STRAYS)
    yield Honest("dotnet-backslashes", dotnet, below(""))
    yield Honest("dotnet-wrapped", lambda: dotnet("a/b/"), below("a/b/"))
    yield Honest("winzip-unicode-path", winzip, below(""))
    yield Honest("info-zip", info_zip, below("insects/"))
    yield Honest("names-that-begin-with-a-dot-slash", lambda: info_zip(leading="./"), below("insects/"))
    yield Honest("seven-zip", seven_zip, below(""))
    yield Honest("three-wrappers", lambda: python_zipfile("home/me/insects/"), below("home/me/insects/"))
    yield Honest("wrapper-called-like-a-split", lambda: python_zipfile("Training/"), below("Training/"))
    yield Honest("python-zipfile", python_zipfile, below(""))
    yield Honest("python-stream-zip64", lambda: python_zipfile("insects/", as_stream=True), below("insects/"))
    yield Honest("make-archive", lambda: shutil_archive(None), below(""))
    yield Honest("make-archive-base", lambda: shutil_archive("insects"), below("insects/"))
    if shutil.which("zip"):
        yield Honest("real-zip", real_zip, below("insects/"))
        yield Honest("real-zip-stored", lambda: real_zip("-0", "-D"), below("insects/"))
        yield Honest("real-zip-escaped-names", lambda: real_zip("-UN=Escape"), below("insects/"))
    if shutil.which("jar"):
        yield Honest("real-jar", real_jar, below("insects/") | {"META-INF/MANIFEST.MF"})
    yield Honest(
        "picture-beside-the-wrapper",
        lambda: _with(files("insects/") | {"preview.png": png(99)}),
        below("insects/") | {"preview.png"},
    )


def many_pictures(count: int = 100_000, wrapped_count: bool = False) -> bytes:
    """Small pictures of four classes in order of their numbers. wrapped_count: as macOS counts beyond 65,535."""
    return pack(
        [
            Entry(b"set/%s/%06d.png" % ((b"a", b"b", b"c", b"d")[n % 4], n), png(n % 250, (4, 4)), False, DESCRIPTOR)
            for n in range(count)
        ],
        wrapped_count=wrapped_count,
    )


# --- hostile ones


def _with(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return out.getvalue()


def beside_honest(*entries: Entry) -> bytes:
    return pack([Entry(path.encode(), content, flags=UTF8) for path, content in files().items()] + list(entries))


def hostile_archives() -> Iterator[Hostile]:
    yield from _names()
    yield from _kinds()
    yield from _sizes()
    yield from _directories()
    yield from _crowds()


def _names() -> Iterator[Hostile]:
    leads_out = [
        b"../x.png", b"train/ants/../../../x.png", b"..\\..\\x.png", b"/etc/x.png", b"C:\\x.png", b"c:/x.png", b"\\\\server\\share\\x.png",
        b"train/..", b"..", b"./../x.png", b"train\\..\\..\\x.png", b"//x.png", b"\\x.png", b"train/ants/../x.png",
    ]  # fmt: skip
    for name in leads_out:
        yield Hostile(f"traversal-{name.decode()}", lambda name=name: beside_honest(Entry(name, png(1))), "leads out")
    plain = [b"", b"train//ants/x.png", b"train/./ants/x.png", b"././x.png", b"train/ants//"]
    for name in plain:
        yield Hostile(f"no-plain-path-{name.decode()}", lambda name=name: beside_honest(Entry(name, png(1))), "can't be taken")
    yield Hostile("zero-byte", lambda: beside_honest(Entry(b"train/ants/x.png\0.txt", png(1))), "control")
    strange = [
        b"train/ants/\x1b[31mred.png", b"train/a\nb/x.png", b"train/ants/\xff\xfe.png", "train/\u202egnp.exe/x.png".encode(),
        "train/\u200b/x.png".encode(), b"train/ants/<script>alert(1)<script>.png", b"train/![x](http:||evil.example|p.png)/x.png",
        b"train/CON/NUL.png", b"train/ants/x.png:stream", b"train/ants /x.png.", b"train/%2e%2e/x.png", b"train/$(id)/`id`.png",
        b"train/{{7*7}}/x.png", b"train/" + "a\u0301".encode() * 80 + b"/x.png",
    ]  # fmt: skip
    for n, name in enumerate(strange):
        flags = UTF8 if name.isascii() or n in (3, 4, 13) else 0
        yield Hostile(f"strange-{n}", lambda name=name, flags=flags: beside_honest(Entry(name, png(1), flags=flags)))
    yield Hostile(
        "utf-8-that-is-none", lambda: beside_honest(Entry(b"train/ants/\xff.png", png(1), flags=UTF8)), "can't be taken"
    )
    yield Hostile("long-name", lambda: beside_honest(Entry(b"train/ants/" + b"x" * 300 + b".png", png(1))), "too long")
    yield Hostile("name-of-60-kb", lambda: beside_honest(Entry(b"train/" + b"x" * 60_000 + b".png", png(1))), "too long")
    yield Hostile("deep", lambda: beside_honest(Entry(b"a/" * 100 + b"x.png", png(1))), "deep")
    yield Hostile("very-deep", lambda: beside_honest(Entry(b"a/" * 30_000 + b"x.png", png(1))), "can't be taken")
    one = next(iter(PICTURES)).encode()
    yield Hostile("twice", lambda: beside_honest(Entry(one, png(1))), "twice")
    yield Hostile("twice-by-backslashes", lambda: beside_honest(Entry(one.replace(b"/", b"\\"), png(1))), "twice")
    yield Hostile("file-and-folder", lambda: beside_honest(Entry(one + b"/x.png", png(1))), "a file and a folder at once")
    yield Hostile(
        "file-and-empty-folder", lambda: beside_honest(Entry(one + b"/", attributes=FOLDER)), "a file and a folder at once"
    )
    yield Hostile("letters-that-differ-in-case-only", lambda: beside_honest(Entry(b"TRAIN/ANTS/ONE.PNG", png(1))))
    yield Hostile("other-name-in-an-extra-field", _named_twice, "leads out")
    yield Hostile(
        "other-name-in-the-file-itself",
        lambda: beside_honest(Entry(b"train/ants/xx.png", png(1))).replace(b"train/ants/xx.png", b"../../../../x.png", 1),
        "in a second place",
    )


def _named_twice() -> bytes:
    name = b"train/ants/x.png"
    other = extra(0x7075, b"\x01" + struct.pack("<I", zlib.crc32(name)) + b"../x.png")
    return beside_honest(Entry(name, png(1), central_extra=other))


def _kinds() -> Iterator[Hostile]:
    for kind, mode in {"link": 0o120777, "pipe": 0o010644, "device": 0o060644, "terminal": 0o020644, "socket": 0o140777}.items():
        entry = Entry(b"train/ants/x.png", b"../../../../etc/passwd", attributes=mode << 16)
        yield Hostile(kind, lambda entry=entry: beside_honest(entry), "a link or a device")
    for flags in (0x1, 0x41, 0x2000, 0x2041):
        entry = Entry(b"train/ants/x.png", png(1), flags=flags)
        yield Hostile(f"encrypted-{flags:#x}", lambda entry=entry: beside_honest(entry), "encrypted")
    for method in (1, 6, 9, 12, 14, 93, 95, 98, 99):
        entry = Entry(b"train/ants/x.png", png(1), lies={"method": method})
        yield Hostile(f"method-{method}", lambda entry=entry: beside_honest(entry), "compressed by method")
    yield Hostile("folder-with-contents", lambda: beside_honest(Entry(b"train/x/", png(1), attributes=FOLDER)), "with contents")


def _sizes() -> Iterator[Hostile]:
    def lying(**lies: int) -> Callable[[], bytes]:
        return lambda: beside_honest(Entry(b"train/ants/x.png", png(1), lies=lies))

    yield Hostile("larger-than-said", lying(size=10))
    yield Hostile("smaller-than-said", lying(size=5000))
    yield Hostile("other-checksum", lying(crc=1))
    yield Hostile("said-to-have-4-gb", lying(size=2**32 - 2), "more than the")
    yield Hostile("said-to-have-3-gb", lying(size=3 * 10**9), "swell")
    yield Hostile("packed-beyond-the-end", lying(packed=10**6), "larger than the zip itself")
    yield Hostile("packed-into-the-next", _packed_into_the_next, "overlap")
    yield Hostile("overlapping", overlapping_zip, "overlap")
    yield Hostile("same-bytes-twice", _same_bytes_twice, "can't be taken")
    zeros = bytes(60_000_000)
    yield Hostile("bomb-of-zeros", lambda: beside_honest(Entry(b"train/ants/x.png", zeros)), "swell")
    yield Hostile("bombs-by-the-dozen", _bombs, "swell")
    yield Hostile("pixel-bomb", lambda: beside_honest(Entry(b"train/ants/x.png", _png_that_claims(30_000, 30_000))))
    yield Hostile("table-bomb", lambda: beside_honest(Entry(b"labels.csv", b",,,,\n" * 20_000_000)), "swell")
    yield Hostile("tables-of-empty-rows", lambda: beside_honest(*[Entry(b"l%d.csv" % n, b"\n" * 900_000) for n in range(10)]))


def _packed_into_the_next() -> bytes:
    content = [(b"a/x.png", b"x" * 200, {"packed": 300, "size": 300}), (b"b/y.png", b"y" * 200, {}), (b"b/z.png", b"z" * 200, {})]
    return raw_zip(content)


def _same_bytes_twice() -> bytes:
    return raw_zip([(b"a/x.png", png(1), {}), (b"a/x.png", png(1), {"offset": 0}), (b"b/x.png", png(2), {})])  # one by one name


def _bombs() -> bytes:
    """Each could be a blank bitmap; together 960 MB from 1 MB. Their contents are packed once."""
    blank, packed = bytes(80_000_000), deflated(bytes(80_000_000))
    lies = {"method": 8, "size": len(blank), "crc": zlib.crc32(blank)}
    return raw_zip([(b"train/%d/%d.bmp" % (n % 2, n), packed, lies) for n in range(12)])


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def _directories() -> Iterator[Hostile]:
    yield Hostile("nothing", lambda: b"", "does not begin like a zip")
    yield Hostile("no-zip", lambda: b"\x1f\x8b" + bytes(1000), "does not begin like a zip")
    yield Hostile("empty-zip", lambda: pack([]), "No pictures")
    yield Hostile("cut-in-half", lambda: info_zip()[: len(info_zip()) // 2], "end is missing")
    yield Hostile("something-before", lambda: b"MZ" + bytes(100) + info_zip(), "does not begin like a zip")
    yield Hostile("something-after", lambda: info_zip() + b"hello", "can't be taken")
    yield Hostile("two-zips", lambda: info_zip() + python_zipfile(), "not where it says")
    yield Hostile("count-too-low", lambda: _patched_end(8, struct.pack("<HH", 1, 1)), "contradicts itself")
    yield Hostile("count-too-high", lambda: _patched_end(8, struct.pack("<HH", 9999, 9999)), "contradicts itself")
    yield Hostile("directory-elsewhere", lambda: _patched_end(16, struct.pack("<I", 0)), "not where it says")
    yield Hostile("directory-longer", lambda: _patched_end(12, struct.pack("<I", 2**31)), "not where it says")
    yield Hostile("absurd-64-bit-end", _absurd_zip64, "can't be taken")
    yield Hostile("zips-within", lambda: _with({f"{n}.zip": overlapping_zip() for n in range(10)}), "No pictures")


def _patched_end(at: int, fields: bytes) -> bytes:
    content = bytearray(python_zipfile())
    end = content.rindex(b"PK\x05\x06")
    content[end + at : end + at + len(fields)] = fields
    return bytes(content)


def _absurd_zip64() -> bytes:
    content = python_zipfile()
    end = content.rindex(b"PK\x05\x06")
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2**63, 2**63, 2**63, 2**63)
    return content[:end] + record + b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1) + content[end:]


def _crowds() -> Iterator[Hostile]:
    yield Hostile("a-hundred-thousand-empty-files", lambda: _crowd(b"a/%d.png"))
    yield Hostile("more-files-than-are-taken", lambda: pack([Entry(b"%d" % n, b"", False) for n in range(300_001)]), "more than")
    yield Hostile("a-class-for-each-file", lambda: _crowd(b"%d/x.png", 20_000), "classes were found")
    yield Hostile("same-stem-everywhere", _same_stems)
    yield Hostile("classes-that-show-alike", _shown_alike)
    deep = b"/".join(b"%06d" % n + b"x" * 50 for n in range(15))
    yield Hostile("deep-and-long-names", lambda: _crowd(b"%d/" + deep + b"/x.png", 10_000))


def _crowd(pattern: bytes, count: int = 100_000) -> bytes:
    return pack([Entry(pattern % n, b"", False) for n in range(count)])


def _same_stems(count: int = 20_000) -> bytes:
    """A picture and a text file of the same name in every folder: a search for the right one among all never ends."""
    names = [b"%s/%d/x.png" % (b"ab"[n % 2 : n % 2 + 1], n) for n in range(count)]
    return pack([Entry(n, b"", False) for n in names] + [Entry(b"t/" + n[:-3] + b"txt", b"cat", False) for n in names])


def _shown_alike(count: int = 8_000) -> bytes:
    """Class names of nothing but characters that are not shown."""
    marks = [chr(0x200B), chr(0x200C), chr(0x200D), chr(0x2060), chr(0x202A), chr(0x202B), chr(0x202C), chr(0x202D)]

    def name(n: int) -> bytes:
        return "".join(marks[n >> shift & 7] for shift in (0, 3, 6, 9, 12)).encode()

    return pack([Entry(name(n) + b"/x.png", b"", False, UTF8) for n in range(count)])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate([*honest_archives(), *hostile_archives()]):
        safe = "".join(c if c.isalnum() or c == "-" else "_" for c in sample.name)
        (folder / f"{number:03}-{safe}.zip").write_bytes(sample.make())
