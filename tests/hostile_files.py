"""Checkpoint files that are made to do harm, broken ones and honest ones; the same for the same seed.

Hostile pickles are put together opcode by opcode, in every protocol, and each tries to make a marker file: if it exists afterwards,
something was executed. By hand: `python -m tests.hostile_files --mutations 2000`.
"""

import argparse
import io
import json
import random
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROTOCOLS = (0, 1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Sample:
    """make(marker) returns the file. says: what its refusal must contain, in any case."""

    name: str
    make: Callable[[Path], bytes]
    says: str


# Pickles by hand. Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py


def start(protocol: int) -> bytes:
    return b"" if protocol < 2 else bytes([0x80, protocol])


def text(value: str, protocol: int) -> bytes:
    encoded = value.encode()
    if protocol == 0:
        return b"V" + encoded + b"\n"
    if protocol < 4:
        return b"X" + struct.pack("<I", len(encoded)) + encoded
    return (
        b"\x8c" + bytes([len(encoded)]) + encoded if len(encoded) < 256 else b"\x8d" + struct.pack("<Q", len(encoded)) + encoded
    )


def name(module: str, function: str, protocol: int) -> bytes:
    if protocol < 4:
        return f"c{module}\n{function}\n".encode()
    return text(module, protocol) + text(function, protocol) + b"\x93"


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def call(module: str, function: str, protocol: int, *arguments: bytes) -> bytes:
    return name(module, function, protocol) + tuple_of(*arguments) + b"R"


def shell(marker: Path) -> str:
    return f"touch {marker}"


def attacks(marker: Path, protocol: int) -> Iterator[tuple[str, bytes]]:
    """(name, body of a pickle without its start and STOP) of ways to run code."""

    def string(value: str) -> bytes:
        return text(value, protocol)

    python = f"open({str(marker)!r}, 'w')"
    yield "os-system", call("os", "system", protocol, string(shell(marker)))
    yield "posix-system", call("posix", "system", protocol, string(shell(marker)))
    yield "eval", call("builtins" if protocol > 2 else "__builtin__", "eval", protocol, string(python))
    yield "exec", call("builtins" if protocol > 2 else "__builtin__", "exec", protocol, string(python))
    yield "open", call("io", "open", protocol, string(str(marker)), string("w"))
    yield "subprocess", call("subprocess", "getoutput", protocol, string(shell(marker)))
    yield "runstring", call("numpy.testing._private.utils", "runstring", protocol, string(python), b"}" if protocol else b"(d")
    yield (
        "timeit",
        call("timeit", "timeit", protocol, string(python), string("pass"), name("time", "monotonic", protocol), number(1)),
    )
    yield "code", call("code", "interact", protocol, string(python))
    yield "platform-popen", call("os", "popen", protocol, string(shell(marker)))
    getattr_call = call(
        "builtins" if protocol > 2 else "__builtin__", "getattr", protocol,
        call("importlib", "import_module", protocol, string("os")), string("system"),
    )  # fmt: skip
    yield "getattr-chain", getattr_call + tuple_of(string(shell(marker))) + b"R"
    yield "touch", call("pathlib", "Path.touch", protocol, call("pathlib", "PosixPath", protocol, string(str(marker))))
    yield "inst", b"(" + string(shell(marker)) + b"ios\nsystem\n"
    if protocol >= 1:
        yield "obj", b"(" + name("os", "system", protocol) + string(shell(marker)) + b"o"
    if protocol >= 2:
        yield "newobj", name("subprocess", "Popen", protocol) + tuple_of(tuple_of(string("touch"), string(str(marker)))) + b"\x81"
        yield "extension", b"\x82\x01" + tuple_of(string(shell(marker))) + b"R"
    if protocol >= 4:
        yield "newobj-ex", name("subprocess", "Popen", protocol) + tuple_of(string(shell(marker))) + b"}" + b"\x92"
    yield (
        "set-state",
        name("collections", "OrderedDict", protocol) + b")R" + call("os", "system", protocol, string(shell(marker))) + b"b",
    )
    yield "behind-weights", b"}" + string("state_dict") + call("os", "system", protocol, string(shell(marker))) + b"s"


def execution_samples() -> Iterator[Sample]:
    """Code execution in all protocols: inside of an archive as torch.save writes, and as a bare pickle as it once did."""
    for protocol in PROTOCOLS:
        for kind, _ in attacks(Path("/m"), protocol):

            def body(marker: Path, protocol: int = protocol, kind: str = kind) -> bytes:
                return start(protocol) + dict(attacks(marker, protocol))[kind] + b"."

            yield Sample(f"{kind}-protocol-{protocol}", lambda marker, body=body: torch_zip(body(marker)), "can't be taken")
            if protocol in (2, 4) and kind in ("os-system", "eval"):
                yield Sample(f"bare-{kind}-protocol-{protocol}", body, "bare pickle")


# Archives


def torch_zip(pickle: bytes, storages: dict[str, bytes] | None = None, root: str = "archive", **more: bytes) -> bytes:
    """An archive as torch.save lays it out, with this as its data.pkl."""
    files = {
        "data.pkl": pickle,
        "byteorder": b"little",
        **{f"data/{k}": v for k, v in (storages or {}).items()},
        "version": b"3\n",
        **more,
    }
    return zip_of({f"{root}/{path}": content for path, content in files.items()})


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, method)
    return out.getvalue()


def raw_zip(entries: list[tuple[bytes, bytes, dict[str, int]]], tail: bytes = b"") -> bytes:
    """A zip by hand: (name, content as it lies there, fields that lie about it)."""
    body, directory = b"", b""
    for path, content, lies in entries:
        fields = {
            "flags": 0, "method": 0, "crc": zlib.crc32(content), "packed": len(content), "size": len(content), "mode": 0,
            "offset": len(body), **lies,
        }  # fmt: skip
        common = struct.pack(
            "<HHHHIII", fields["flags"], fields["method"], 0, 0x21, fields["crc"], fields["packed"], fields["size"]
        )
        if fields["offset"] == len(body):
            body += b"PK\x03\x04" + struct.pack("<H", 20) + common + struct.pack("<HH", len(path), 0) + path + content
        directory += b"PK\x01\x02" + struct.pack("<HH", 0x314, 20) + common
        directory += struct.pack("<HHHHHII", len(path), 0, 0, 0, 0, fields["mode"] << 16, fields["offset"]) + path
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + end + tail


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def overlapping_zip(num_entries: int = 30) -> bytes:
    """Entries within entries: each quotes the next one's header and goes on into it, to the same five megabytes of zeros.

    After David Fifield, "A better zip bomb" (2019). Python 3.11.7 reads it as 150 MB.
    """
    plain, packed = bytes(5_000_000), deflated(bytes(5_000_000))
    entries: list[tuple[bytes, bytes, bytes]] = []  # name, header, contents as they lie there; the innermost first
    for n in reversed(range(num_entries)):
        path = b"a/data/%d" % n if n else b"a/data.pkl"
        if entries:
            header = entries[-1][1]
            size = struct.pack("<H", len(header))
            packed = b"\0" + size + bytes(255 - byte for byte in size) + header + packed
            plain = header + plain
        common = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0x21, zlib.crc32(plain), len(packed), len(plain))
        entries.append((path, b"PK\x03\x04" + common + struct.pack("<HH", len(path), 0) + path, packed))
    entries.reverse()
    body = entries[0][1] + entries[0][2]
    directory, offset = b"", 0
    for n, (path, header, _) in enumerate(entries):
        fields = header[4:26] + struct.pack("<HHHHHII", len(path), 0, 0, 0, 0, 0, offset)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + fields + path
        offset += len(header) + (5 if n < num_entries - 1 else 0)
    return body + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, num_entries, num_entries, len(directory), len(body), 0)


def tensor_pickle(
    shape: tuple[int, ...],
    numel: int,
    key: str = "0",
    strides: tuple[int, ...] | None = None,
    offset: int = 0,
    names: tuple[str, ...] = ("w",),
) -> bytes:
    """{name: a float tensor} in protocol 2."""
    from core.intake.tensors import contiguous_strides

    storage = tuple_of(text("storage", 2), name("torch", "FloatStorage", 2), text(key, 2), text("cpu", 2), number(numel)) + b"Q"
    steps = contiguous_strides(shape) if strides is None else strides
    tensor = call(
        "torch._utils", "_rebuild_tensor_v2", 2, storage, number(offset), tuple_of(*map(number, shape)), tuple_of(*map(number, steps)),
        b"\x89", name("collections", "OrderedDict", 2) + b")R",
    )  # fmt: skip
    return start(2) + b"}(" + b"".join(text(n, 2) + tensor for n in names) + b"u."


def bomb_samples() -> Iterator[Sample]:
    def pickled(body: bytes) -> Callable[[Path], bytes]:
        return lambda marker: torch_zip(start(2) + body + b".")

    def zipped(make: Callable[[], bytes]) -> Callable[[Path], bytes]:
        return lambda marker: make()

    floats = bytes(400)
    yield Sample("bytearray-of-2-gb", pickled(call("__builtin__", "bytearray", 2, number(2**31 - 1))), "memory by number")
    yield Sample("float-tensor-of-2-gb", pickled(call("torch", "FloatTensor", 2, number(2**29))), "can't be taken")
    yield Sample("tensor-of-2-gb", pickled(call("torch", "Tensor", 2, number(2**29))), "can't be taken")
    yield Sample(
        "range-of-list",
        pickled(call("__builtin__", "list", 2, call("__builtin__", "range", 2, number(2**31)))),
        "expected the dict",
    )
    yield Sample("meta-tensor", pickled(call("torch._utils", "_rebuild_meta_tensor_no_storage", 2, number(1))), "can't be taken")
    yield Sample("storage-larger-than-its-record", lambda _: torch_zip(tensor_pickle((100,), 2**29), {"0": floats}), "speaks of")
    yield Sample("storage-smaller-than-its-record", lambda _: torch_zip(tensor_pickle((10,), 10), {"0": floats}), "speaks of")
    yield Sample("negative-storage", lambda _: torch_zip(tensor_pickle((10,), -100), {"0": floats}), "can't be taken")
    yield Sample("storage-that-is-not-there", lambda _: torch_zip(tensor_pickle((100,), 100, "7"), {"0": floats}), "not in it")
    yield Sample(
        "storage-key-that-leads-out", lambda _: torch_zip(tensor_pickle((100,), 100, "../../x"), {"0": floats}), "not in it"
    )
    yield Sample("view-beyond-its-storage", lambda _: torch_zip(tensor_pickle((101,), 100), {"0": floats}), "beyond")
    yield Sample("view-with-an-offset-beyond", lambda _: torch_zip(tensor_pickle((1,), 100, offset=100), {"0": floats}), "beyond")
    yield Sample(
        "view-with-a-negative-offset", lambda _: torch_zip(tensor_pickle((1,), 100, offset=-1), {"0": floats}), "damaged"
    )
    yield Sample(
        "expanded-to-a-terabyte",
        lambda _: torch_zip(tensor_pickle((2**19, 2**19), 100, strides=(0, 0)), {"0": floats}),
        "don't fit",
    )
    yield Sample("thousands-of-dimensions", lambda _: torch_zip(tensor_pickle((1,) * 5000, 100), {"0": floats}), "dimensions")
    yield Sample("deflated-zeros", lambda _: zip_of({"a/data.pkl": bytes(50_000_000)}, zipfile.ZIP_DEFLATED), "can't be taken")
    yield Sample(
        "deflated-storage", lambda _: zip_of({"a/data.pkl": b"}.", "a/data/0": b"xy" * 99}, zipfile.ZIP_DEFLATED), "compressed"
    )
    yield Sample("overlapping-entries", zipped(overlapping_zip), "overlap")
    yield Sample("too-many-instructions", pickled(b"]" + b"Na" * 300_000), "instructions")
    yield Sample("half-a-million-marks", pickled(b"(" * 499_990), "can't be taken")
    yield Sample("a-million-instructions", pickled(b"](" + b"N" * 1_000_000 + b"e"), "instructions")
    yield Sample("pickle-of-20-mb", pickled(b"X" + struct.pack("<I", 20_000_000) + b"x" * 20_000_000), "more than the")
    yield Sample("text-of-a-terabyte", pickled(b"\x8d" + struct.pack("<Q", 2**40) + b"x"), "damaged")
    yield Sample("bytes-of-4-gb", pickled(b"B" + struct.pack("<I", 2**32 - 1) + b"x"), "damaged")
    yield Sample("a-number-of-megabytes", pickled(b"\x8b" + struct.pack("<I", 4_000_000) + b"\x7f" * 4_000_000), "digits")
    yield Sample("a-number-of-thousands-of-digits", pickled(b"L" + b"9" * 100_000 + b"L\n"), "damaged")
    yield Sample("nested-to-a-hundred-thousand", pickled(b"]" * 200_000 + b"a" * 199_999), "a list")
    yield Sample("nested-key", pickled(b"}" + b")" + b"\x85" * 400_000 + b"Ns"), "no weights")
    yield Sample("dict-of-itself", pickled(b"}q\x00X\x01\x00\x00\x00ah\x00s"), "no weights")
    long_list = b"](" + b"]" * 50_000 + b"eq\x01a"
    again = name("collections", "OrderedDict", 2) + b"h\x01\x85Ra"
    yield Sample("the-same-list-again-and-again", pickled(b"]" + long_list + again * 9000), "too long to read")
    laughs = (
        b"(]q\x00" + b"".join(b"](" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(100)) + b"t"
    )
    yield Sample("billion-laughs", pickled(laughs), "a tuple")
    yield Sample(
        "twenty-thousand-files",
        lambda _: zip_of({"a/data.pkl": b"}.", **{f"a/data/{n}": b"" for n in range(20_001)}}),
        "more than",
    )
    long_key = b"X" + struct.pack("<I", 12_000_000) + b"k" * 12_000_000 + b"q\x00"
    in_every_place = b"".join(text(f"{n:05}", 2) + b"}h\x00}s" for n in range(60_000))
    yield Sample("a-long-key-in-every-place", pickled(b"}(" + text("a", 2) + long_key + in_every_place + b"u"), "no weights")
    yield Sample(
        "a-million-prefixes",
        lambda _: torch_zip(tensor_pickle((1,), 1, names=("module." * 1_000_000,)), {"0": bytes(4)}),
        "no weights",
    )
    crowd = {f"a/data/{'x' * 240}{n}": b"" for n in range(19_990)}
    yield Sample("twenty-thousand-long-names", lambda _: zip_of({"a/data.pkl": b"\x80\x02}.", **crowd}), "no weights")
    yield Sample("unknown-instruction", pickled(b"\xff"), "damaged")
    yield Sample("stack-underflow", pickled(b"s"), "damaged")
    yield Sample("memo-that-is-not-there", pickled(b"h\x07"), "damaged")
    yield Sample("text-persistent-id", lambda _: torch_zip(b"Pstorage\n."), "PERSID")
    yield Sample("something-after-the-end", lambda _: torch_zip(start(2) + b"}.cos\nsystem\n."), "follows the end")
    yield Sample("buffers-out-of-band", pickled(b"\x97"), "NEXT_BUFFER")


def zip_samples() -> Iterator[Sample]:
    """Zips that lie. Every check of core/zips.py has its file here."""
    pickle, plain = b"\x80\x02}.", b"x" * 100

    def with_entry(path: bytes, content: bytes = plain, **lies: int) -> Callable[[Path], bytes]:
        return lambda marker: raw_zip([(b"a/data.pkl", pickle, {}), (path, content, lies)])

    yield Sample("name-that-leads-out", with_entry(b"a/../../../etc/x"), "leads out")
    yield Sample("absolute-name", with_entry(b"/etc/passwd"), "leads out")
    yield Sample("backslash-name", with_entry(b"a\\..\\x"), "leads out")
    yield Sample("drive-name", with_entry(b"C:x"), "leads out")
    yield Sample("name-with-control-characters", with_entry(b"a/\x1b[2Jx"), "control")
    yield Sample("name-with-a-zero-byte", with_entry(b"a/x\x00.png"), "control")
    yield Sample("name-without-end", with_entry(b"a/" + b"x" * 300), "too long")
    yield Sample("empty-name", with_entry(b""), "not a plain path")
    yield Sample("double-slash", with_entry(b"a//x"), "not a plain path")
    yield Sample("too-deep", with_entry(b"a/" * 30 + b"x"), "deep")
    yield Sample("same-name-twice", with_entry(b"a/data.pkl"), "twice")
    yield Sample("file-and-folder", with_entry(b"a"), "at once")
    yield Sample("encrypted", with_entry(b"a/x", flags=1), "encrypted")
    yield Sample("symbolic-link", with_entry(b"a/x", b"/etc/passwd", mode=0o120777), "link")
    yield Sample("device", with_entry(b"a/x", mode=0o020666), "link")
    yield Sample("method-lzma", with_entry(b"a/x", method=14), "method 14")
    yield Sample("size-too-large", with_entry(b"a/x", size=2**31), "contradict")
    yield Sample("packed-beyond-the-file", with_entry(b"a/x", packed=2**31, size=2**31), "larger than the zip")
    yield Sample("wrong-checksum", with_entry(b"a/x", crc=1), "checksum")
    yield Sample("header-elsewhere", with_entry(b"a/x", offset=3), "not where")
    yield Sample("header-of-another", with_entry(b"a/x", offset=0), "second place")
    yield Sample("something-after-the-zip", lambda _: raw_zip([(b"a/data.pkl", pickle, {})], b"tail"), "follows")
    yield Sample("something-before-the-zip", lambda _: b"PK\x03\x04" + raw_zip([(b"a/data.pkl", pickle, {})]), "not where")
    yield Sample("no-end", lambda _: raw_zip([(b"a/data.pkl", pickle, {})])[:-22], "end is missing")
    yield Sample("only-a-beginning", lambda _: b"PK\x03\x04", "end is missing")


def foreign_samples() -> Iterator[Sample]:
    """Files of other kinds, and archives that torch.save has not written."""
    yield Sample("empty", lambda _: b"", "empty")
    yield Sample("text", lambda _: b"hello, I am a checkpoint" * 50, "neither")
    yield Sample("hdf5", lambda _: b"\x89HDF\r\n\x1a\n" + bytes(600), "Keras")
    yield Sample("gzip", lambda _: b"\x1f\x8b" + bytes(600), "gzip")
    yield Sample("tar", lambda _: bytes(257) + b"ustar\x00" + bytes(600), "tar")
    yield Sample("legacy", lambda _: bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.", "bare pickle")
    yield Sample(
        "torchscript", lambda _: torch_zip(b"\x80\x02}.", **{"constants.pkl": b").", "code/__torch__.py": b"x"}), "TorchScript"
    )
    yield Sample("zip-of-pictures", lambda _: zip_of({"cats/1.png": b"x"}), "neither a run")
    yield Sample("two-pickles", lambda _: zip_of({"a/data.pkl": b"}.", "a/b/data.pkl": b"}."}), "found 2")
    yield Sample("two-roots", lambda _: zip_of({"a/data.pkl": b"}.", "b/x": b""}), "one folder")
    yield Sample("big-endian", lambda _: zip_of({"a/data.pkl": b"}.", "a/byteorder": b"big"}), "big-endian")
    yield Sample("empty-dict", lambda _: torch_zip(start(2) + b"}."), "no weights")
    yield Sample("a-list", lambda _: torch_zip(start(2) + b"]."), "a list")
    yield Sample("a-number", lambda _: torch_zip(start(2) + b"K\x01."), "a number")
    yield Sample(
        "class-of-another-program", lambda _: torch_zip(start(2) + name("__main__", "Config", 2) + b")\x81."), "__main__.Config"
    )


def safetensors_file(header: object, content: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content


def safetensors_samples() -> Iterator[Sample]:
    def entry(shape: list, first: int, end: int, dtype: str = "F32") -> dict:
        return {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}

    def file(header: object, content: bytes = b"") -> Callable[[Path], bytes]:
        return lambda marker: safetensors_file(header, content)

    yield Sample("st-header-of-a-terabyte", lambda _: struct.pack("<Q", 2**40) + b"{}" + bytes(600), "neither")
    yield Sample("st-header-of-5-mb", file(b"{" + b" " * 5_000_000 + b"}"), "at most")
    yield Sample("st-not-json", file(b"{" + b"x" * 100, bytes(8)), "not JSON")
    yield Sample("st-nested", file(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", bytes(8)), "not JSON")
    yield Sample("st-too-many", file({f"t{n}": entry([0], 0, 0) for n in range(10_001)}, b""), "10,001 tensors")
    yield Sample("st-wrong-size", file({"w": entry([3], 0, 8)}, bytes(8)), "its shape needs")
    yield Sample("st-beyond-the-file", file({"w": entry([4], 0, 16)}, bytes(8)), "outside")
    yield Sample("st-negative", file({"w": entry([-1], 0, 4)}, bytes(4)), "shape that is none")
    yield Sample("st-negative-offset", file({"w": entry([1], -4, 0)}, bytes(4)), "outside")
    yield Sample("st-overlap", file({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)), "overlaps")
    yield Sample("st-gap", file({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)), "gap")
    yield Sample("st-rest", file({"a": entry([1], 0, 4)}, bytes(12)), "belong to no tensor")
    yield Sample("st-unknown-type", file({"a": entry([1], 0, 4, "X32")}, bytes(4)), "not known here")
    yield Sample("st-shape-of-a-terabyte", file({"a": entry([2**20, 2**20], 0, 4)}, bytes(4)), "its shape needs")
    yield Sample("st-no-form", file({"a": [1, 2]}, bytes(4)), "form of a tensor")
    yield Sample("st-text-shape", file({"a": entry(["1"], 0, 4)}, bytes(4)), "shape that is none")
    yield Sample("st-prefixes", file({"module." * 500_000: entry([1], 0, 4)}, bytes(4)), "don't fit")
    twice = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    yield Sample("st-same-name-twice", file(twice, bytes(4)), "twice")


def hostile_samples() -> list[Sample]:
    return [*execution_samples(), *bomb_samples(), *zip_samples(), *foreign_samples(), *safetensors_samples()]


# Honest files, truncated and changed at random


def mutated(content: bytes, seed: int) -> bytes:
    """The file cut short, or with some bytes changed, removed, added or moved."""
    draw = random.Random(seed)
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        at = draw.randrange(len(changed))
        # archives are mostly numbers: half of the changes go where the structure is
        if draw.random() < 0.5:
            at = draw.choice((draw.randrange(min(4000, len(changed))), max(0, len(changed) - 1 - draw.randrange(2000))))
        match draw.randrange(6):
            case 0:
                changed[at] = draw.randrange(256)
            case 1:
                changed[at] ^= 1 << draw.randrange(8)
            case 2:
                del changed[at : at + draw.choice((1, 4, 100))]
            case 3:
                changed[at:at] = draw.randbytes(draw.choice((1, 4, 100)))
            case 4:
                changed[at : at + 4] = struct.pack("<I", draw.choice((0, 1, 2**31 - 1, 2**32 - 1)))
            case 5:
                del changed[at:]
        if not changed:
            break
    return bytes(changed)


# A small network to examine files against


def small_spec():
    from core.config import ModelConfig, Preprocessing
    from core.models.network import NetworkSpec

    return NetworkSpec(
        model=ModelConfig(name="mnist-batchnorm-cnn", width=0.25), shape=(1, 8, 8), class_names=tuple("abcdefghij"), preprocessing=Preprocessing()
    )  # fmt: skip


def small_state_dict():
    """The same weights at every call, the running means of batch norm among them."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = small_spec().build()
        model(torch.randn(16, 1, 8, 8))
    return model.state_dict()


def small_files() -> dict[str, bytes]:
    """Those weights as torch.save and safetensors write them."""
    import torch
    from safetensors.torch import save

    out = io.BytesIO()
    torch.save({"model_state_dict": small_state_dict(), "epoch": 3}, out)
    return {"torch": out.getvalue(), "safetensors": save(small_state_dict())}


def verdict(folder: Path, content: bytes) -> str:
    """Why the file is refused, "" if it is taken. Asserts that what is taken are the weights of small_state_dict, or at least finite."""
    import torch
    from safetensors.torch import load_file

    from core.errors import InputError
    from core.intake.contract import wanted_by
    from core.intake.load import kind_of
    from core.intake.quarantine import Task, examine

    path, out = folder / "file", folder / "out.safetensors"
    path.write_bytes(content)
    out.unlink(missing_ok=True)
    try:
        examine([Task(path, kind_of(path), wanted_by(small_spec()), out)])
    except InputError as error:
        return str(error)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(out).values())
    return ""


def main() -> None:
    """Mutations of honest files against the whole way that a file takes; says what came out, and which was slowest."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile_files")
    parser.add_argument("--mutations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts = {"refused": 0, "accepted": 0}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        marker = Path(folder) / "marker"
        for kind, content in small_files().items():
            for seed in range(options.seed, options.seed + options.mutations // 2):
                began = time.monotonic()
                message = verdict(Path(folder), mutated(content, seed))
                slowest = max(slowest, time.monotonic() - began)
                counts["refused" if message else "accepted"] += 1
                if marker.exists():
                    sys.exit(f"{kind}, seed {seed}: something was executed")
    print(f"{counts['refused']:,} refused, {counts['accepted']:,} accepted, the slowest took {slowest:.2f} s")


if __name__ == "__main__":
    main()
