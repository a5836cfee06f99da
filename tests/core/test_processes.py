"""Processes are ended with those that they have started, by either way."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from core.processes import apart, end_all, was_killed
from tests.fixtures.waiting import until

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("missing", [(), ("killpg",), ("killpg", "setsid")], ids=lambda names: f"without {' '.join(names)}")
def test_process_is_ended_with_its_children(monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]) -> None:
    for name in missing:
        monkeypatch.delattr(os, name)
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, **apart())
    assert process.stdout
    child = psutil.Process(int(process.stdout.readline()))
    end_all(process)
    assert was_killed(process.wait())
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_process_that_has_ended_is_ended_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in (None, "killpg"):
        if missing:
            monkeypatch.delattr(os, missing)
        process = subprocess.Popen([sys.executable, "-c", ""], **apart())
        process.wait()
        end_all(process)
        assert not was_killed(process.returncode)


def test_process_apart_is_asked_for_by_what_the_system_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert apart() == {"start_new_session": True}
    monkeypatch.delattr(os, "setsid")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)  # its value on Windows
    assert apart() == {"creationflags": 0x200}


def test_status_of_a_system_without_signals_is_no_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    assert was_killed(-9)
    monkeypatch.delattr(signal, "SIGKILL")
    assert not was_killed(-9)
    assert not was_killed(1)  # what a killed process ends with on Windows, and many others too
