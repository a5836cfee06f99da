"""Files from the network with time-outs, progress and checksums, or the ones a person has put in place by hand."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from core.data.store.image_store import Progress
from core.errors import InputError
from core.files import replace_file

TIMEOUT_S = 20


def has_checksum(path: Path, checksum: str, algorithm: str = "md5") -> bool:
    """Whether the file is there with this content. checksum: its beginning is enough, as some publish no more."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest().startswith(checksum)


class Unreachable(Exception):
    """None of the addresses had the file; why the last one had not."""


def fetch(urls: Sequence[str], target: Path, md5: str, title: str, progress: Progress, all_files: Sequence[str] = ()) -> None:
    """Makes sure that target holds a file of a data set.

    Raises InputError that names the folder for the file, and all_files that belong there, if no address has it.
    """
    try:
        fetch_file(urls, target, md5, title, progress)
    except Unreachable as reason:
        damaged = " The file that lies there is damaged." if target.exists() else ""
        raise InputError(
            f"{title} is not on this machine and can't be downloaded ({reason}).{damaged}",
            code="dataset-offline",
            hint=f"Put {', '.join(all_files) or target.name} into {target.parent} by hand, or connect to a network; the built-in digits need none.",
        ) from None


def fetch_file(urls: Sequence[str], target: Path, checksum: str, title: str, progress: Progress, algorithm: str = "md5") -> None:
    """Makes sure that target holds the file with this checksum, from the first of the addresses that answers. Raises Unreachable."""
    if has_checksum(target, checksum, algorithm):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for url in urls:
        try:
            _download(url, target, checksum, title, progress, algorithm)
            return
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise Unreachable(reason)


def _download(url: str, target: Path, checksum: str, title: str, progress: Progress, algorithm: str) -> None:
    aside = target.with_name(f".{target.name}.part-{os.getpid()}")
    digest = hashlib.new(algorithm)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, aside.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while piece := answer.read(1 << 18):
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                progress(f"Downloading {title}", done, total)
        if not digest.hexdigest().startswith(checksum):
            raise ValueError("what came is not the file that was expected: its checksum differs")
        replace_file(aside, target)
    finally:
        aside.unlink(missing_ok=True)
