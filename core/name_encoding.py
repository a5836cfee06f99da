"""In which letters names without a word about it are written: file names in a zip, lines of a table.

One encoding is found for all of them together: the one in which all can be read and that makes the likeliest letters. Where
names come from and what they are used for is with those who ask.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.common_hanzi import RANK_SIMPLIFIED, RANK_TRADITIONAL
from core.errors import InputError

ENCODINGS = {  # as people call it: Python's codec of what Windows means by it
    "UTF-8": "utf-8",
    "GBK": "gbk",
    "Big5": "cp950",
    "Shift-JIS": "cp932",
    "cp437": "cp437",
    "cp850": "cp850",
}
OF_TWO_BYTES = ("GBK", "Big5", "Shift-JIS")
IN_ZIPS = (*OF_TWO_BYTES, "cp437", "cp850")
IN_TABLES = (*OF_TWO_BYTES, "cp1252")
MAX_LOOKED_AT = 2000  # names; each costs some 20 µs
CLOSE = 0.25
DOUBTFUL = 0.2
NUM_RANKS = len(RANK_SIMPLIFIED)


@dataclass(frozen=True)
class Reading:
    """encoding: a key of ENCODINGS, or "cp1252". others: encodings that are nearly as likely."""

    encoding: str
    others: tuple[str, ...] = ()


def checked_encoding(name: str) -> str:
    """A person's word for an encoding as ENCODINGS has it, "" for "found out". Raises InputError if it is neither."""
    plain = {_plain(known): known for known in ENCODINGS} | {
        "": "",
        "automatic": "",
        "cp936": "GBK",
        "cp950": "Big5",
        "sjis": "Shift-JIS",
    }
    if _plain(name) not in plain:
        raise InputError(
            f"There is no encoding '{name[:40]}' for names.",
            code="dataset",
            hint=f"Choose one of {', '.join(ENCODINGS)}, or none.",
        )
    return plain[_plain(name)]


def likeliest(names: Iterable[bytes], encodings: Sequence[str]) -> Reading:
    """How these names, none of which is plain ASCII, are written; the last of the encodings is taken if none fits.

    Read are those in which all can be decoded; weighed is what letters they make of up to 2,000 different parts of paths.
    """
    names = list(names)
    parts = list(dict.fromkeys(part for name in names for part in name.split(b"/") if not part.isascii()))
    parts = parts[:: len(parts) // MAX_LOOKED_AT + 1]
    fitting = [encoding for encoding in encodings if _can_be_read(names, codec_of(encoding))]
    scores = {encoding: _likelihood(parts, encoding) for encoding in fitting}
    if not scores:
        return Reading(encodings[-1])
    best = max(scores, key=scores.__getitem__)
    texts = {encoding: [part.decode(codec_of(encoding)) for part in parts] for encoding in fitting}
    least = scores[best] - CLOSE if scores[best] >= DOUBTFUL else -1.0
    return Reading(best, tuple(e for e in fitting if scores[e] >= least and texts[e] != texts[best]))


def is_utf_8(name: bytes) -> bool:
    return _can_be_read([name], "utf-8")


def codec_of(encoding: str) -> str:
    return ENCODINGS.get(encoding, encoding)


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")


def _can_be_read(names: Sequence[bytes], codec: str) -> bool:
    try:
        for name in names:
            name.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _likelihood(parts: Sequence[bytes], encoding: str) -> float:
    """-1 to 1: the mean over the bytes beyond ASCII of how usual the letters are that they become."""
    letter = {"GBK": _in_gbk, "Big5": _in_big5, "Shift-JIS": _in_shift_jis}.get(encoding, _in_latin)
    codec = codec_of(encoding)
    total, count = 0.0, 0
    for part in parts:
        text = f" {part.decode(codec)} "
        for n, character in enumerate(text):
            if character.isascii():
                continue
            num_bytes = sum(byte > 127 for byte in character.encode(codec))
            total += num_bytes * max(-1.0, letter(character) + _beside(text[n - 1], character, text[n + 1], encoding))
            count += num_bytes
    return total / max(1, count)


def _beside(before: str, character: str, after: str, encoding: str) -> float:
    """Latin words are written in one piece; Chinese and Japanese characters seldom stand within a Latin word."""
    around = [_is_letter(before), _is_letter(after)]
    if encoding in OF_TWO_BYTES:
        trail = character.encode(codec_of(encoding))[-1:]
        # an accented letter and the one after it look like one character of two bytes
        within = all(around) or (trail.isalpha() and trail.isascii() and any(around))
        return -1.2 if within else -0.2 * any(around)
    if (before.islower() and character.isupper()) or (character.islower() and after.isupper()):
        return -0.8
    return 0.0 if any(side.isascii() for side, is_letter in zip((before, after), around, strict=True) if is_letter) else -0.5


def _is_letter(character: str) -> bool:
    return character.isalpha() and character < "\u0250"


def _by_rank(rank: int | None) -> float:
    return -0.4 if rank is None else 1 - 0.7 * rank / NUM_RANKS


def _in_gbk(character: str) -> float:
    if "\u4e00" <= character <= "\u9fff":
        return _by_rank(RANK_SIMPLIFIED.get(character))
    return _sign(character)


def _in_big5(character: str) -> float:
    if "\u4e00" <= character <= "\u9fff":
        return _by_rank(RANK_TRADITIONAL.get(character))
    return _sign(character)


def _in_shift_jis(character: str) -> float:
    if "\u3041" <= character <= "\u30fc":
        return 0.9
    if "\u4e00" <= character <= "\u9fff":  # the kanji of everyday come first in the code
        return 0.7 if character.encode("cp932") < b"\x98\x9f" else 0.2 if character in RANK_TRADITIONAL else -0.2
    return -0.1 if "\uff61" <= character <= "\uff9f" else _sign(character)


def _sign(character: str) -> float:
    """Of a character that is none of Chinese: full-width signs and letters are usual beside them, the others not."""
    return 0.3 if "\u3000" <= character <= "\u301f" or "\uff01" <= character <= "\uff5e" else -0.8


def _in_latin(character: str) -> float:
    if "\u00c0" <= character <= "\u024f" and character.isalpha():
        return 0.8
    return 0.0 if character in "ªº¿¡·°£§²³«»€–—‘’“”…" else -0.9
