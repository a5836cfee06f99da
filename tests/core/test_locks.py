"""Whether somebody holds a lock is known at once, by each way of asking; nobody who asks takes it, and no dead process holds it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from core import locks
from core.jobs.executor import PROJECT
from core.locks import is_locked
from core.runs.directory import Run

OTHER_SYSTEM = PROJECT / "tests" / "fixtures" / "other_system"
HOLDER = "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
ASK = "import sys; from pathlib import Path; from core.locks import is_locked; print(is_locked(Path(sys.argv[1])))"


@pytest.fixture(params=["flock", "filelock alone"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "flock":
        monkeypatch.setattr(locks, "fcntl", None)
    return request.param


def python(program: str, path: Path, *, elsewhere: bool = False) -> list[str]:
    """A command that runs the program; elsewhere: without what Windows lacks."""
    run = f"import runpy; runpy.run_path({str(OTHER_SYSTEM / 'sitecustomize.py')!r}); " if elsewhere else ""
    return [sys.executable, "-c", run + program, str(path)]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the lock."""
    process = holding(tmp_path / "lock")
    yield process
    process.kill()
    process.communicate()


def holding(path: Path, *, elsewhere: bool = False) -> subprocess.Popen:
    process = subprocess.Popen(
        python(HOLDER, path, elsewhere=elsewhere), cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    return process


def test_lock_is_held_until_its_process_is_killed(tmp_path: Path, holder: subprocess.Popen) -> None:
    assert is_locked(tmp_path / "lock")
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path / "lock")


def test_lock_of_our_own_is_held_as_long_as_it_is(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"):
        assert is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")


def test_asking_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "nowhere" / "lock")
    assert os.listdir(tmp_path) == []


def test_those_who_ask_don_t_take_one_another_for_holders(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(is_locked, [tmp_path / "lock"] * 400))


def test_run_is_taken_while_others_ask(tmp_path: Path) -> None:
    """Without a pause between two questions. Whoever trains a run waits for its lock as long as here."""
    run, is_over = Run(tmp_path), threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            run.is_held()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask)
        try:
            for _ in range(20):
                run.hold(timeout_s=2).release()
        finally:
            is_over.set()


def test_lock_where_there_is_no_fcntl_is_held_until_its_process_is_killed(tmp_path: Path) -> None:
    """With the lock that filelock itself has there, in processes without fcntl, flock and /proc."""
    process = holding(tmp_path / "lock", elsewhere=True)
    try:
        assert answer(tmp_path / "lock") == "True"
    finally:
        process.kill()
        process.communicate()
    assert answer(tmp_path / "lock") == "False"


def answer(path: Path) -> str:
    return subprocess.run(
        python(ASK, path, elsewhere=True), cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout.strip()
