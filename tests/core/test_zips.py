"""Zips: honest ones read as they were written, lying ones refused before anything is read from them."""

import io
import random
import time
import zipfile

import pytest

from core.errors import InputError
from core.zips import ZipLimits, open_zip, shown
from tests.fixtures.hostile_files import mutated, overlapping_zip, raw_zip, zip_of, zip_samples

LIMITS = ZipLimits(num_entries=1000, total_bytes=50_000_000, entry_bytes=20_000_000)


def contents(path, limits=LIMITS) -> dict[str, bytes]:
    with open_zip(path, limits) as archive:
        return {name: b"".join(archive.pieces(name)) for name in archive.entries}


def written(tmp_path, content: bytes):
    path = tmp_path / "file.zip"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_come_out_as_they_went_in(tmp_path, method):
    draw = random.Random(1)
    files = {"a/one.txt": b"", "a/zwei-ü.bin": draw.randbytes(3_000_000), "a/b/c.png": draw.randbytes(40_000) * 50, "top": b"z"}
    assert contents(written(tmp_path, zip_of(files, method))) == files


def test_zip_made_as_a_stream_and_with_64_bit_sizes_is_read(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a/big", "w", force_zip64=True) as file:
        file.write(b"hello")
    assert contents(written(tmp_path, out.getvalue())) == {"a/big": b"hello"}


def test_folders_and_comments_are_no_files(tmp_path):
    def with_comment(comment: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.mkdir("a")
            archive.writestr("a/x", b"1")
            archive.comment = comment
        return out.getvalue()

    assert contents(written(tmp_path, with_comment(b"made by hand"))) == {"a/x": b"1"}
    with pytest.raises(
        InputError, match="end is missing"
    ):  # a comment with an end record of its own would be read differently by others
        contents(written(tmp_path, with_comment(b"made by hand PK\x05\x06 or not")))


def test_zip_as_large_as_the_limit_is_read_and_one_file_more_is_not(tmp_path):
    path = written(tmp_path, zip_of({f"{n}": b"" for n in range(1000)}))
    assert len(contents(path)) == 1000
    path = written(tmp_path, zip_of({f"{n}": b"" for n in range(1001)}))
    with pytest.raises(InputError, match="more than 1,000 files"):
        contents(path)


def test_sizes_are_held_to_the_limits(tmp_path):
    draw = random.Random(2)
    with pytest.raises(InputError, match=r"more than the 20\.0 MB allowed"):
        contents(written(tmp_path, zip_of({"x": draw.randbytes(20_000_001)})))
    with pytest.raises(InputError, match=r"together, more than the 50\.0 MB allowed"):
        contents(written(tmp_path, zip_of({f"{n}": draw.randbytes(13_000_000) for n in range(4)})))
    with pytest.raises(InputError, match="swell from"):
        contents(written(tmp_path, zip_of({"x": bytes(19_000_000)}, zipfile.ZIP_DEFLATED)))
    assert contents(written(tmp_path, zip_of({"x": bytes(1_000_000)}, zipfile.ZIP_DEFLATED))), "a small blank image is no bomb"


@pytest.mark.parametrize("sample", list(zip_samples()), ids=lambda sample: sample.name)
def test_lying_zip_is_refused_with_its_reason(tmp_path, sample):
    path = written(tmp_path, sample.make(tmp_path / "marker"))
    with pytest.raises(InputError) as refusal:
        contents(path)
    assert sample.says in str(refusal.value)


def test_overlapping_zip_is_refused_at_once_though_the_standard_library_reads_it(tmp_path):
    content = overlapping_zip()
    assert len(content) < 10_000
    path = written(tmp_path, content)
    began = time.monotonic()
    with pytest.raises(InputError, match="overlap"):
        open_zip(path, ZipLimits(num_entries=1000, total_bytes=10**9, entry_bytes=10**9, ratio=10**6))
    assert time.monotonic() - began < 0.25


def test_content_longer_or_shorter_than_promised_is_refused(tmp_path):
    from tests.fixtures.hostile_files import deflated

    for promised, says in ((50, "larger than the zip says"), (200, "cut short")):
        path = written(tmp_path, raw_zip([(b"x", deflated(b"y" * 100), {"method": 8, "size": promised})]))
        with pytest.raises(InputError, match=says):
            contents(path)


def test_any_change_to_a_zip_is_refused_or_harmless(tmp_path):
    draw = random.Random(3)
    files = {"a/data.pkl": draw.randbytes(500), "a/data/0": draw.randbytes(4000), "a/text": b"hello " * 200}
    content = zip_of(files, zipfile.ZIP_DEFLATED)
    refused = 0
    for seed in range(600):
        path = written(tmp_path, mutated(content, seed))
        try:
            found = contents(path)
        except InputError:
            refused += 1
            continue
        assert set(found.values()) == set(files.values()), "what passes has the contents that went in"
    assert refused > 400


def test_names_are_shown_printable_and_short():
    assert shown("a\x1b[31m\u202eb") == "'a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b'"
    assert len(shown("x" * 1000)) == 82
