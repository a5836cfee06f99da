"""The quarantine where the system keeps no limits: its parent sees to them, and the reader works without them."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InputError
from core.intake import sandbox, watch
from core.intake.contract import wanted_by
from core.intake.sandbox import Task, examine
from core.intake.watch import Watch
from core.processes import apart
from tests.fixtures.hostile_files import small_files, small_spec

MEGABYTE = 10**6
READER = "import sys; sys.modules['resource'] = None; from core.intake.sandbox_child import main; main()"


def process(program: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **apart())


def test_process_that_takes_too_much_memory_is_ended() -> None:
    child = process("held = bytearray(400_000_000); input()")
    with Watch(child, 200 * MEGABYTE, [], 0) as watching:
        child.wait(30)
    assert watching.has_ended_it
    child.communicate()


def test_process_that_writes_too_much_is_ended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    child = process("import sys; open(sys.argv[1], 'wb').write(bytes(3_000_000)); input()", str(out))
    with Watch(child, 400 * MEGABYTE, [tmp_path / "nothing", out], 2 * MEGABYTE) as watching:
        child.wait(30)
    assert watching.has_ended_it
    child.communicate()


def test_process_within_its_limits_ends_by_itself(tmp_path: Path) -> None:
    child = process("held = bytearray(20_000_000); input()")
    with Watch(child, 200 * MEGABYTE, [tmp_path / "nothing"], 0) as watching:
        child.communicate(b"\n", timeout=30)
    assert not watching.has_ended_it
    assert child.returncode == 0


@pytest.fixture
def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers without the module `resource`, as on Windows."""
    real = subprocess.Popen
    monkeypatch.setattr(watch, "resource", None)
    monkeypatch.setattr(sandbox.subprocess, "Popen", lambda command, **rest: real([sys.executable, "-s", "-c", READER], **rest))


def test_honest_file_is_taken_without_limits_of_the_system(tmp_path: Path, without_limits: None) -> None:
    (tmp_path / "file.pt").write_bytes(small_files()["torch"])
    out = tmp_path / "out.safetensors"
    examine([Task(file=tmp_path / "file.pt", kind="torch", wanted=wanted_by(small_spec()), out=out)])
    assert out.is_file()


def test_reader_beyond_its_memory_is_told_in_a_sentence(tmp_path: Path, without_limits: None, monkeypatch) -> None:
    monkeypatch.setattr(
        sys.modules[__name__], "READER", "held = bytearray(400_000_000); import threading; threading.Event().wait()"
    )
    (tmp_path / "file.pt").write_bytes(small_files()["torch"])
    with pytest.raises(InputError, match="more memory or time"):
        examine([Task(file=tmp_path / "file.pt", kind="torch", wanted=wanted_by(small_spec()))], memory_bytes=200 * MEGABYTE)
