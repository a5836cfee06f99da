"""The real server where Linux's own things are taken away: it starts, and trains the quick start in a process of its own."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.runs.status import status_of
from tests.browser.conftest import PROJECT, Server, run_shown, start_server

OTHER_SYSTEM = PROJECT / "tests" / "fixtures" / "other_system"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = os.pathsep.join(filter(None, [str(OTHER_SYSTEM), os.environ.get("PYTHONPATH", "")]))
    home = tmp_path_factory.mktemp("home")
    slots = str(tmp_path_factory.mktemp("slots"))  # its locks are of another make than the other servers'
    server = start_server(home, has_reserve=True, environment={"PYTHONPATH": path, "TRAINSCOPE_SLOTS": slots})
    yield server
    server.process.terminate()
    server.process.wait(20)


@pytest.mark.alone
def test_quick_start_is_trained_without_what_windows_lacks(page: Page, server: Server) -> None:
    page.goto("/")
    page.get_by_role("button", name="Train on digits now").click()
    run = run_shown(page, server)
    expect(page.get_by_text("Trained to the last epoch")).to_be_visible(timeout=60_000)
    assert status_of(run).accuracy > 0.9
    page.get_by_role("link", name="Runs").first.click()
    expect(page.get_by_text(re.compile("finished", re.IGNORECASE)).first).to_be_visible()
    log = (server.home / "server.log").read_text(encoding="utf-8")
    assert "only soft file lock is available" in log  # it was without fcntl
    assert "Traceback" not in log
    assert "Traceback" not in run.log.read_text(encoding="utf-8")
