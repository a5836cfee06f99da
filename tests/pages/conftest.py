"""Pages whose jobs are done by threads: what a process adds is tested where the queue is."""

import pytest

from tests.fixtures.threads import Threads


@pytest.fixture(autouse=True)
def jobs_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.serving.launcher.LocalProcesses", Threads)
