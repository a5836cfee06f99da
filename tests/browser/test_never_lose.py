"""The first promise, by clicks: trainings outlive browser, process and server, go on exactly, and are changed while they run."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.status import status_of
from core.runs.timeline import timeline
from tests.browser.conftest import LOSS_POINT, Server, run_shown, start_server
from tests.browser.test_main_path import stop
from tests.browser.test_server_end import start_by_click, trainer_of
from tests.fixtures.waiting import until

STEPS_PER_EPOCH = 938  # 60,000 images in batches of 64


def fill(page: Page, selector: str, value: str) -> None:
    field = page.locator(selector).get_by_role("spinbutton").first
    field.fill(value)
    field.press("Tab")  # Enter would send a form


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
def test_the_next_server_goes_on_by_itself_and_its_page_finds_the_run_within_three_seconds(
    number: signal.Signals, browser: Browser, tmp_path: Path
) -> None:
    server = start_server(tmp_path)
    run = start_by_click(browser, server)
    trainer = trainer_of(run)
    until(lambda: history_of(run).checkpoints)
    os.kill(server.process.pid, number)
    server.process.wait(20)
    again = start_server(tmp_path)
    try:
        page = browser.new_page(base_url=again.url)
        began = time.monotonic()
        page.goto(f"/train?run={run.id}")
        page.locator(".st-key-stop button").wait_for()
        assert time.monotonic() - began < 3
        page.wait_for_selector(LOSS_POINT, state="attached")
        seen = len(history_of(run).evaluations)
        until(lambda: len(history_of(run).evaluations) > seen, timeout_s=60)
        assert history_of(run).started.from_step > 0
        assert not Path(f"/proc/{trainer}").exists()
        page.locator(".st-key-stop button").click()
        until(lambda: status_of(run).state == "stopped")
        page.close()
    finally:
        again.process.terminate()
        again.process.wait(20)


def test_a_learning_rate_changed_while_it_trains_is_marked_and_told_with_what_it_was(page: Page, training: Run) -> None:
    page.locator(".st-key-change button").first.click()
    fill(page, "[class*='st-key-lr-of-']", "0.003")
    page.locator(".st-key-change-now button").click()
    until(lambda: history_of(training).changes)
    expect(page.get_by_text(re.compile(r"Learning rate changed from 0.05 to 0.003"))).to_be_visible()
    expect(page.locator("[class*='st-key-loss-'] .annotation-text").first).to_have_text("1")
    page.keyboard.press("Escape")
    page.locator(".st-key-pause button").first.click()
    expect(page.get_by_text("Paused by hand at step")).to_be_visible()
    assert [line["what"] for line in timeline(history_of(training))][2] == "Learning rate changed from 0.05 to 0.003"
    page.get_by_role("button", name="Resume", exact=True).click()
    until(lambda: status_of(training).state == "running")
    rates = history_of(training).steps["lr"]
    assert rates[-1] < 0.05 / 10


def test_what_waits_in_line_is_shown_reordered_and_cancelled(page: Page, training: Run, server: Server) -> None:
    waiting = []
    for _ in range(2):
        page.get_by_role("button", name="New run").click()
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url(lambda url, known=[training, *waiting]: "run=" in url and not any(run.id in url for run in known))
        waiting.append(run_shown(page, server))
    expect(page.get_by_text("Waiting: number 2 in the queue")).to_be_visible()
    page.get_by_role("link", name="Runs").click()
    page.locator(f".st-key-earlier-{waiting[1].id} button").click()
    expect(page.locator(f".st-key-line-{waiting[1].id}")).to_contain_text(re.compile(r"^\s*1\s"))
    for run in waiting:
        cancel = page.locator(f".st-key-cancel-{run.id} button")
        expect(cancel).to_have_count(1)  # while the line moves up, its rows are there twice for a moment
        cancel.click()
        until(lambda run=run: status_of(run).state == "stopped")
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_have_count(0)
    page.goto(f"/train?run={training.id}")
    stop(page, training)
