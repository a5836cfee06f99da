"""What happens to a training when its server or its own process ends: saved and paused, or named as interrupted."""

import os
import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.status import status_of
from tests.browser.conftest import Server, run_shown, start_endless, start_server
from tests.fixtures.waiting import until


def trainer_of(run: Run) -> int:
    """The process that trains the run: the one that has its worker.log as standard output."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "fd" / "1").readlink() == run.log:
                return int(process.name)
        except OSError:
            continue
    return 0


def start_by_click(browser: Browser, server: Server) -> Run:
    page = browser.new_page(base_url=server.url)
    page.goto("/train")
    start_endless(page)
    run = run_shown(page, server)
    until(lambda: history_of(run).evaluations and trainer_of(run))
    page.close()
    return run


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_when_the_server_ends_the_training_is_saved_and_paused_and_its_process_gone(
    number: signal.Signals, browser: Browser, tmp_path: Path
) -> None:
    server = start_server(tmp_path)
    run = start_by_click(browser, server)
    trainer = trainer_of(run)
    os.kill(server.process.pid, number)
    ended = time.monotonic()
    until(lambda: status_of(run).state == "paused" and not Path(f"/proc/{trainer}/fd/1").exists(), timeout_s=10)
    seconds = time.monotonic() - ended
    server.process.wait(20)
    assert seconds < 2.5, seconds  # two seconds, and what the test itself needs to look
    assert find_checkpoint(run, "last").path.is_dir()
    assert "saved" in status_of(run).message or "step" in status_of(run).message


@pytest.mark.alone
def test_a_killed_training_is_shown_as_interrupted_with_its_cause(page: Page, browser: Browser, server: Server) -> None:
    run = start_by_click(browser, server)
    page.goto(f"/train?run={run.id}")
    page.locator(".st-key-stop button").wait_for()
    os.kill(trainer_of(run), signal.SIGKILL)
    expect(page.get_by_text("killed by SIGKILL")).to_be_visible(timeout=5_000)
    assert status_of(run).state == "interrupted"
    page.get_by_role("button", name="Resume", exact=True).click()
    until(lambda: status_of(run).state == "running")
    page.locator(".st-key-stop button").click()
    until(lambda: status_of(run).state == "stopped")
