"""Odd but valid picture files with known pixels, and broken ones made from them; the same for the same seed.

By hand: `python -m tests.odd_pictures --mutations 1000000` decodes that many broken ones in a process of bounded memory, and says
what it took.
"""

import argparse
import io
import random
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 8, 12
GREY = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 2 + 20).astype(np.uint8)  # 20 to 210, no symmetry
GREY_16 = (GREY.astype(np.uint32) * 257).astype(np.uint16)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
BLACK_WHITE = np.where((np.indices((HEIGHT, WIDTH)).sum(axis=0) * 7) % 5 < 2, 255, 0).astype(np.uint8)
SMOOTH = np.stack(np.meshgrid(np.linspace(40, 200, 32), np.linspace(60, 180, 24)), axis=2).round().astype(np.uint8)
SMOOTH = np.concatenate([SMOOTH, np.full((24, 32, 1), 128, np.uint8)], axis=2)  # what JPEG keeps nearly as it is


@dataclass(frozen=True)
class Odd:
    """expected: (H, W) or (H, W, 3) of 0 to 255 as a viewer shows it on white. within: of 255, 1 unless the format is lossy."""

    name: str
    content: bytes
    expected: np.ndarray
    within: float = 1.0


def saved(picture: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    out = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(out, kind, **options)
    return out.getvalue()


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(float) / 255
    share = share[..., None] if colour.ndim == 3 else share
    return colour * share + 255 * (1 - share)


def odd_pictures() -> Iterator[Odd]:
    yield from _plain()
    yield from _transparent()
    yield from _palettes()
    yield from _deep()
    yield from _portable_maps()
    yield from _bitmaps()
    yield from _jpegs()
    yield from _turned()
    yield from _animated()
    yield from _tiffs()


def _plain() -> Iterator[Odd]:
    for kind in ("PNG", "BMP", "TIFF", "PPM", "GIF"):
        yield Odd(f"grey-{kind}", saved(GREY, kind), GREY)
    for kind in ("PNG", "BMP", "TIFF", "PPM"):
        yield Odd(f"colour-{kind}", saved(COLOUR, kind), COLOUR)
        yield Odd(f"one-bit-{kind}", saved(Image.fromarray(BLACK_WHITE).convert("1", dither=0), kind), BLACK_WHITE)
    yield Odd("colour-WEBP", saved(COLOUR, "WEBP", lossless=True, exact=True), COLOUR)
    yield Odd("one-pixel", saved(COLOUR[:1, :1], "PNG"), COLOUR[:1, :1])
    yield Odd("one-row", saved(COLOUR[:1], "PNG"), COLOUR[:1])
    yield Odd("one-column", saved(COLOUR[:, :1], "PNG"), COLOUR[:, :1])
    yield Odd("long-and-thin", saved(np.tile(COLOUR[:1], (1, 500, 1)), "PNG"), np.tile(COLOUR[:1], (1, 500, 1)))
    for bits in (1, 2, 4):
        levels = (GREY >> (8 - bits)).astype(np.uint8)
        white = 2**bits - 1
        yield Odd(f"grey-png-{bits}-bits", png(levels, bits, 0), levels * (255 // white))
        yield Odd(
            f"grey-png-{bits}-bits-transparent", png(levels, bits, 0, struct.pack(">H", 1)), np.where(levels == 1, 255, levels * (255 // white))
        )  # fmt: skip
    yield Odd("interlaced-png", interlaced_png(GREY), GREY)


def _transparent() -> Iterator[Odd]:
    alpha = (GREY[:, ::-1].astype(int) * 255 // 210).astype(np.uint8)
    alpha[0, 0], alpha[0, 1] = 0, 255
    rgba = np.dstack([COLOUR, alpha])
    yield Odd("rgba-png", saved(rgba, "PNG"), over_white(COLOUR, alpha))
    yield Odd("rgba-tiff", saved(rgba, "TIFF"), over_white(COLOUR, alpha))
    yield Odd("rgba-webp", saved(rgba, "WEBP", lossless=True, exact=True), over_white(COLOUR, alpha))
    yield Odd("la-png", saved(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]), "PNG"), over_white(GREY, alpha))
    yield Odd("grey-png-with-a-clear-grey", saved(GREY, "PNG", transparency=40), np.where(GREY == 40, 255, GREY))
    clear = tuple(int(v) for v in COLOUR[2, 3])
    expected = np.where((clear == COLOUR).all(axis=2, keepdims=True), 255, COLOUR)
    yield Odd("colour-png-with-a-clear-colour", saved(COLOUR, "PNG", transparency=clear), expected)
    yield Odd("rgba-png-16-bits", png(rgba.astype(np.uint16) * 257, 16, 6), over_white(COLOUR, alpha))
    yield Odd("la-png-16-bits", png(np.dstack([GREY, alpha]).astype(np.uint16) * 257, 16, 4), over_white(GREY, alpha))


def _palettes() -> Iterator[Odd]:
    table = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    indexed = Image.fromarray(GREY)
    indexed.putpalette(table.tobytes())
    shown = table[GREY]
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        yield Odd(f"palette-{kind}", saved(indexed, kind), shown)
    clear = np.where((GREY == 40)[..., None], 255, shown)
    yield Odd("palette-png-with-a-clear-entry", saved(indexed, "PNG", transparency=40), clear)
    yield Odd("palette-gif-with-a-clear-entry", saved(indexed, "GIF", transparency=40), clear)
    alphas = bytes(range(256))
    yield Odd("palette-png-with-many-alphas", saved(indexed, "PNG", transparency=alphas), over_white(shown, GREY))
    for bits in (1, 2, 4):
        levels = (GREY >> (8 - bits)).astype(np.uint8)
        chunk = _chunk(b"PLTE", table[: 2**bits].tobytes())
        yield Odd(f"palette-png-{bits}-bits", png(levels, bits, 3, before=chunk), table[levels])


def _deep() -> Iterator[Odd]:
    dark = np.full((HEIGHT, WIDTH), 200, np.uint16)
    for kind in ("PNG", "TIFF", "PPM"):
        yield Odd(f"16-bits-{kind}", saved(GREY_16, kind), GREY)
        yield Odd(f"16-bits-dark-{kind}", saved(dark, kind), np.full((HEIGHT, WIDTH), 200 / 257))
    yield Odd(
        "16-bits-png-clear", png(GREY_16, 16, 0, struct.pack(">H", int(GREY_16[3, 3]))), np.where(GREY[3, 3] == GREY, 255, GREY)
    )
    yield Odd("colour-png-16-bits", png(COLOUR.astype(np.uint16) * 257, 16, 2), COLOUR)
    clear = COLOUR[2, 3].astype(np.uint16) * 257
    expected = np.where((COLOUR[2, 3] == COLOUR).all(axis=2, keepdims=True), 255, COLOUR)
    yield Odd("colour-png-16-bits-clear", png(COLOUR.astype(np.uint16) * 257, 16, 2, struct.pack(">HHH", *clear)), expected)
    yield Odd("32-bits-of-8", saved(GREY.astype(np.int32), "TIFF"), GREY)
    yield Odd("32-bits-of-16", saved(GREY_16.astype(np.int32), "TIFF"), GREY)
    yield Odd("32-bits", saved((GREY.astype(np.int64) * (2**31 - 1) // 255).astype(np.int32), "TIFF"), GREY)
    yield Odd("floats-of-1", saved(GREY.astype(np.float32) / 255, "TIFF"), GREY)
    yield Odd("floats-of-255", saved(GREY.astype(np.float32), "TIFF"), GREY)
    yield Odd("floats-of-65535", saved(GREY_16.astype(np.float32), "TIFF"), GREY)
    strange = GREY.astype(np.float32) / 255
    strange[0, :3] = np.nan, np.inf, -np.inf
    expected = GREY.copy()
    expected[0, :3] = 0, 255, 0
    yield Odd("floats-not-finite", saved(strange, "TIFF"), expected)


def _portable_maps() -> Iterator[Odd]:
    size = f"{WIDTH} {HEIGHT}".encode()

    def ascii_of(values: np.ndarray) -> bytes:
        return b"\n".join(b" ".join(str(int(v)).encode() for v in row.ravel()) for row in values)

    yield Odd("P2", b"P2\n# made by hand\n" + size + b"\n255\n" + ascii_of(GREY), GREY)
    yield Odd("P3", b"P3 " + size + b" 255\n" + ascii_of(COLOUR), COLOUR)
    ink = (BLACK_WHITE == 0).astype(np.uint8)
    yield Odd("P1", b"P1\n" + size + b"\n" + ascii_of(ink), BLACK_WHITE)
    yield Odd("P1-without-blanks", b"P1\n" + size + b"\n" + ascii_of(ink).replace(b" ", b""), BLACK_WHITE)
    yield Odd("P4", b"P4\n" + size + b"\n" + np.packbits(ink, axis=1).tobytes(), BLACK_WHITE)
    yield Odd("P5-comment", b"P5 # x\n# y\n" + size + b"\n# z\n255\n" + GREY.tobytes(), GREY)
    hundredths = (GREY.astype(int) * 100 // 255).astype(np.uint8)
    yield Odd("P5-of-100", b"P5 " + size + b" 100\n" + hundredths.tobytes(), hundredths * 2.55)
    ten_bits = (GREY.astype(int) * 1023 // 255).astype(">u2")
    yield Odd("P5-of-1023", b"P5 " + size + b" 1023\n" + ten_bits.tobytes(), ten_bits / 1023 * 255)
    yield Odd("P5-of-65535", b"P5 " + size + b" 65535\n" + GREY_16.astype(">u2").tobytes(), GREY)
    yield Odd("P2-of-65535", b"P2 " + size + b" 65535\n" + ascii_of(GREY_16), GREY)
    yield Odd("P6-of-65535", b"P6 " + size + b" 65535\n" + (COLOUR.astype(np.uint16) * 257).astype(">u2").tobytes(), COLOUR)


def _bitmaps() -> Iterator[Odd]:
    bgr = COLOUR[..., ::-1]
    yield Odd("bmp-from-the-top", _bmp(24, np.ascontiguousarray(bgr).tobytes(), height=-HEIGHT), COLOUR)
    padded = np.dstack([bgr, np.zeros_like(GREY)])
    yield Odd("bmp-32-bits", _bmp(32, padded[::-1].tobytes()), COLOUR)
    r, g, b = (COLOUR[..., n].astype(np.uint16) >> 3 for n in range(3))
    five = np.stack([r, g, b], axis=2) * 255 / 31
    yield Odd("bmp-15-bits", _bmp(16, (r << 10 | g << 5 | b)[::-1].astype("<u2").tobytes()), five)
    r, g, b = COLOUR[..., 0].astype(np.uint16) >> 3, COLOUR[..., 1].astype(np.uint16) >> 2, COLOUR[..., 2].astype(np.uint16) >> 3
    expected = np.stack([r * 255 / 31, g * 255 / 63, b * 255 / 31], axis=2)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    yield Odd("bmp-16-bits", _bmp(16, (r << 11 | g << 5 | b)[::-1].astype("<u2").tobytes(), masks, 3), expected)
    rle = b"".join(b"".join(b"\x01" + bytes([v]) for v in row) + b"\0\0" for row in GREY[::-1]) + b"\0\1"
    greys = b"".join(bytes([v, v, v, 0]) for v in range(256))
    yield Odd("bmp-run-lengths", _bmp(8, rle, greys, 1), GREY)
    two = struct.pack("<II", 0x00FFFFFF, 0)  # white first
    row = np.packbits(BLACK_WHITE == 0, axis=1)
    row = np.pad(row, ((0, 0), (0, 4 - row.shape[1])))
    yield Odd("bmp-1-bit", _bmp(1, row[::-1].tobytes(), two), BLACK_WHITE)


def _jpegs() -> Iterator[Odd]:
    """Within 6: JPEG's own loss. That a colour was turned about or inverted is a difference of a hundred."""
    for subsampling in (0, 1, 2):
        content = saved(SMOOTH, "JPEG", quality=95, subsampling=subsampling)
        yield Odd(f"jpeg-subsampling-{subsampling}", content, SMOOTH, 6)
    yield Odd("jpeg-progressive", saved(SMOOTH, "JPEG", quality=95, progressive=True), SMOOTH, 6)
    yield Odd("jpeg-grey", saved(SMOOTH[..., 0].copy(), "JPEG", quality=95), SMOOTH[..., 0], 6)
    yield Odd("jpeg-rgb", saved(SMOOTH, "JPEG", quality=95, keep_rgb=True), SMOOTH, 6)
    ink = Image.merge("CMYK", [Image.fromarray(255 - SMOOTH[..., n]) for n in range(3)] + [Image.new("L", (32, 24), 0)])
    yield Odd("jpeg-cmyk-as-adobe-inverts-it", saved(ink, "JPEG", quality=95), SMOOTH, 6)
    yield Odd("tiff-cmyk", saved(ink, "TIFF"), SMOOTH)
    yield Odd("jpeg-with-junk-after", saved(SMOOTH, "JPEG", quality=95) + bytes(100), SMOOTH, 6)
    two = saved(Image.fromarray(SMOOTH), "MPO", save_all=True, append_images=[Image.new("RGB", (32, 24))], quality=95)
    yield Odd("jpeg-of-two-pictures", two, SMOOTH, 6)


def _turned() -> Iterator[Odd]:
    """STORED as a viewer shows it by its orientation (CIPA DC-008, tag 0x0112)."""
    for orientation, shown in turned(COLOUR).items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Odd(f"exif-png-{orientation}", saved(COLOUR, "PNG", exif=exif), shown)
        yield Odd(f"exif-webp-{orientation}", saved(COLOUR, "WEBP", exif=exif, lossless=True, exact=True), shown)
        yield Odd(f"exif-tiff-{orientation}", saved(COLOUR, "TIFF", tiffinfo={0x0112: orientation}), shown)
        yield Odd(
            f"exif-tiff-packed-{orientation}",
            saved(COLOUR, "TIFF", tiffinfo={0x0112: orientation}, compression="tiff_lzw"),
            shown,
        )
        yield Odd(f"exif-16-bits-{orientation}", saved(GREY_16, "PNG", exif=exif), turned(GREY)[orientation])
    for orientation, shown in turned(SMOOTH).items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Odd(f"exif-jpeg-{orientation}", saved(SMOOTH, "JPEG", quality=95, exif=exif), shown, 6)


def turned(stored: np.ndarray) -> dict[int, np.ndarray]:
    across = stored.swapaxes(0, 1)
    return {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: across, 6: across[:, ::-1],
        7: across[::-1, ::-1], 8: across[::-1],
    }  # fmt: skip


def _animated() -> Iterator[Odd]:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR), Image.fromarray(COLOUR[::-1])]
    more = {"save_all": True, "append_images": frames[1:]}
    yield Odd("animated-png", saved(frames[0], "PNG", **more), COLOUR)
    yield Odd("animated-webp", saved(frames[0], "WEBP", lossless=True, exact=True, **more), COLOUR)
    yield Odd("pages-tiff", saved(frames[0], "TIFF", **more), COLOUR)
    greys = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    yield Odd("animated-gif", saved(greys[0], "GIF", save_all=True, append_images=greys[1:]), GREY)


def _tiffs() -> Iterator[Odd]:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield Odd(f"tiff-{compression}", saved(COLOUR, "TIFF", compression=compression), COLOUR)
    one_bit = Image.fromarray(BLACK_WHITE).convert("1", dither=0)
    yield Odd("tiff-fax", saved(one_bit, "TIFF", compression="group4"), BLACK_WHITE)
    yield Odd("tiff-big-endian", _tiff_white_first(GREY, 1), GREY)
    yield Odd("tiff-white-is-zero", _tiff_white_first(255 - GREY, 0), GREY)


# --- files by hand


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values: np.ndarray, bits: int, colour_type: int, transparent: bytes = b"", before: bytes = b"") -> bytes:
    """values: (H, W) or (H, W, channels). https://www.w3.org/TR/png-3/, 11.2."""
    height, width = values.shape[:2]
    if bits < 8:
        spread = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        rows = np.packbits(spread.reshape(height, -1).astype(np.uint8), axis=1)
    else:
        rows = np.ascontiguousarray(values.astype(">u2" if bits == 16 else np.uint8)).view(np.uint8).reshape(height, -1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    clear = _chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + before + clear + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def interlaced_png(values: np.ndarray) -> bytes:
    """Adam7, 8.2 of the same."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = []
    for top, left, down, across in passes:
        part = values[top::down, left::across]
        rows += [b"\0" + row.tobytes() for row in part if row.size]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 0, 0, 0, 1)
    body = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _bmp(bits: int, body: bytes, table: bytes = b"", compression: int = 0, height: int = HEIGHT) -> bytes:
    used = len(table) // 4 if bits <= 8 else 0
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(body), 0, 0, used, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(table) + len(body), 0, 0, 54 + len(table)) + info + table + body


def _tiff_white_first(values: np.ndarray, photometric: int) -> bytes:
    """Big-endian, 8 bits."""
    height, width = values.shape
    tags = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, height),
        (279, values.size),
    ]
    directory = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    return b"MM\0*" + struct.pack(">I", 8 + values.size) + values.tobytes() + directory


# --- broken ones


def mutated(content: bytes, draws: random.Random) -> bytes:
    """Cuts, flipped bits, blocks of zeros, of 255, of noise, large numbers, repeats and swaps."""
    broken = bytearray(content)
    for _ in range(draws.randint(1, 4)):
        head = draws.random() < 0.5  # where sizes and offsets are
        at = draws.randrange(min(len(broken), 120) if head else len(broken))
        length = draws.randint(1, 12)
        match draws.randrange(8):
            case 0:
                broken[at] ^= 1 << draws.randrange(8)
            case 1:
                broken[at : at + length] = bytes(length)
            case 2:
                broken[at : at + length] = b"\xff" * length
            case 3:
                broken[at : at + length] = draws.randbytes(length)
            case 4:
                broken[at:at] = broken[at : at + length]
            case 5:
                broken = broken[: max(at, 1)]
            case 6:
                value = draws.choice([0, 1, 5000, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1])
                broken[at : at + 4] = struct.pack(draws.choice("<>") + "I", value)
            case 7:
                other = draws.randrange(len(broken))
                broken[at : at + length] = broken[other : other + length]
    return bytes(broken)


def with_right_checksums(content: bytes) -> bytes:
    """A PNG's chunks with the checksums they should have, so that what is wrong in them is looked at."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    fixed, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        length = struct.unpack(">I", content[at : at + 4])[0]
        if at + 12 + length > len(content):
            break
        fixed += _chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length])
        at += 12 + length
    return bytes(fixed) + content[at:]


def mutants(count: int, seed: int = 0) -> Iterator[bytes]:
    """Broken files of every kind in turn."""
    draws = random.Random(seed)
    originals = [odd.content for odd in odd_pictures() if len(odd.content) < 20_000]
    for n in range(count):
        content = mutated(originals[n % len(originals)], draws)
        yield with_right_checksums(content) if draws.random() < 0.7 else content


def torture(count: int, seed: int = 0, save: Callable[[bytes], None] | None = None) -> dict[str, float]:
    """Decodes that many broken files. Any exception but InputError goes through, its file handed to `save` first."""
    from core.data.decoding import MAX_PIXELS, decode_picture
    from core.errors import InputError

    refused, slowest = 0, 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in mutants(count, seed):
        began = time.perf_counter()
        try:
            picture = decode_picture(content)
            assert picture.mode in ("L", "RGB")
            assert picture.width * picture.height <= MAX_PIXELS
        except InputError:
            refused += 1
        except BaseException:
            if save:
                save(content)
            raise
        took = time.perf_counter() - began
        if took > max(slowest, 1) and save:
            save(content)
        slowest = max(slowest, took)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"decoded": count - refused, "refused": refused, "slowest_s": slowest, "grown_mb": (peak - before) / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-mb", type=int, default=2000)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (options.memory_mb << 20, options.memory_mb << 20))
    place = Path("/tmp") / f"odd-{options.seed}.bin"
    began = time.monotonic()
    result = torture(options.mutations, options.seed, place.write_bytes)
    print(result, f"{time.monotonic() - began:.0f} s", file=sys.stdout)


if __name__ == "__main__":
    main()
