"""A disk that fails: no lost checkpoint, no false "saved", a clear end, and an exact resume once it works again."""

import errno
import json
import os
import subprocess
import sys

import pytest

from core.jobs.executor import PROJECT
from core.workspace import Workspace, open_workspace
from tests.reliability.failing_disk import ERRORS, Mode, failing_disk, findings_with, undisturbed

SPREAD = 8  # faults of each kind; all of them by hand
SHARES = [(n + 0.5) / SPREAD for n in range(SPREAD)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def whole(workspace) -> tuple[dict, int]:
    """The course of an undisturbed run, and how many file operations it takes."""
    return undisturbed(workspace)


def findings_over_a_spread(workspace: Workspace, whole: tuple[dict, int], error: int, mode: Mode, shift: int) -> list[str]:
    prediction_history, calls = whole
    found, fired = [], 0
    for share in SHARES:
        at = 1 + int(share * calls * (0.3 if mode == "short" else 1)) + shift  # a third of the calls are writes
        has_fired, findings = findings_with(workspace, prediction_history, at, error, mode)
        found, fired = found + findings, fired + has_fired
    assert fired >= 2  # a busy machine saves more often by the clock, so that the run counted may have had more calls
    return found


@pytest.mark.parametrize("error", ERRORS, ids=os.strerror)
def test_one_failed_file_operation_pauses_the_run_with_a_sentence_and_loses_nothing(workspace, whole, error):
    found = findings_over_a_spread(workspace, whole, error, "once", shift=ERRORS.index(error))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("error", ERRORS, ids=os.strerror)
def test_disk_that_fails_from_some_moment_on_loses_nothing(workspace, whole, error):
    found = findings_over_a_spread(workspace, whole, error, "ever", shift=ERRORS.index(error))
    assert not found, "\n".join(found)


def test_write_cut_off_by_a_full_disk_loses_nothing(workspace, whole):
    found = findings_over_a_spread(workspace, whole, errno.ENOSPC, "short", shift=0)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("at", range(1, 9))
def test_fault_before_training_begins_is_refused_or_paused(workspace, whole, at):
    """The lock, the events file and what else is opened first."""
    has_fired, found = findings_with(workspace, whole[0], at, errno.EACCES, "ever")
    assert has_fired
    assert not found, "\n".join(found)


def test_failing_disk_fails_only_the_chosen_call_and_only_below_its_folder(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    with failing_disk(inside, at=2, error=errno.EIO) as disk:
        (outside / "a").write_bytes(b"12")
        handle = os.open(inside / "a", os.O_WRONLY | os.O_CREAT)  # 1
        with pytest.raises(OSError, match="Input/output error"):
            os.write(handle, b"12")  # 2
        assert os.write(handle, b"12") == 2  # 3
        os.close(handle)
        (inside / "b").write_text("34")  # 4 and 5
        os.rename(inside / "b", outside / "b")  # 6
    assert disk.calls == ["open", "write", "write", "open", "write", "rename"]
    assert [(inside / "a").read_bytes(), (outside / "a").read_bytes(), (outside / "b").read_bytes()] == [b"12", b"12", b"34"]


def test_failing_disk_writes_half_and_then_has_no_room(tmp_path):
    with failing_disk(tmp_path, at=1, error=errno.ENOSPC, mode="short"):
        handle = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT)
        assert os.write(handle, b"1234") == 2
        with pytest.raises(OSError, match="No space left"):
            os.write(handle, b"34")
        os.close(handle)
    with failing_disk(tmp_path, at=1, error=errno.ENOSPC, mode="short"), (tmp_path / "b").open("wb") as file:
        file.write(b"1234")
        with pytest.raises(OSError, match="No space left"):
            file.flush()
        assert (tmp_path / "b").read_bytes() == b"12"
    assert (tmp_path / "a").read_bytes() == b"12"


SCENARIOS = ("checkpoints", "ballast", "inodes", "before the start")


@pytest.fixture(scope="module")
def reports() -> dict[str, dict]:
    """What full_disk.py reports of each scenario, from a mount namespace of its own."""
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    mount = "d=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d && rmdir $d"
    allowed = subprocess.run([*private, "sh", "-c", mount], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"no small file system can be mounted here: {allowed.stderr.strip()}")
    command = [*private, sys.executable, "-m", "tests.reliability.full_disk", *SCENARIOS]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_full_disk_pauses_the_run_which_goes_on_exactly_once_there_is_room(reports, scenario):
    report = reports[scenario]
    assert report["was_full"], report["message"]
    assert not report["findings"], "\n".join(report["findings"])
