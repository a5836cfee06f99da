"""Processes of ours, started and ended by what every system has."""

import os
import signal
import subprocess
from contextlib import suppress
from typing import TypedDict


class Apart(TypedDict, total=False):
    """Options of subprocess.Popen."""

    start_new_session: bool
    creationflags: int


def apart() -> Apart:
    """What has subprocess.Popen start a process that Ctrl-C in our terminal does not reach."""
    if hasattr(os, "setsid"):
        return {"start_new_session": True}
    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}  # Windows


def end_all(process: subprocess.Popen) -> None:
    """Kills a process that was started `apart`, with those that it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        return
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    process.kill()


def was_killed(status: int) -> bool:
    """Whether a process that ended with this status was killed: by somebody, or by the system for its limits. Windows tells no such thing."""
    return status in [-getattr(signal, name) for name in ("SIGKILL", "SIGXCPU") if hasattr(signal, name)]
