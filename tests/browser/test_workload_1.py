"""The first workload through everything that may come over a training, beside one that nothing disturbs; both end the same."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.status import status_of
from tests.browser.conftest import Server, run_shown, start_server, with_mnist
from tests.browser.test_main_path import needs_mnist
from tests.browser.test_never_lose import STEPS_PER_EPOCH, fill
from tests.browser.test_server_end import trainer_of
from tests.fixtures.waiting import until


@pytest.fixture
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose trainings wait for none of the other's."""
    monkeypatch.setenv("TRAINSCOPE_SLOTS", str(tmp_path / "slots"))
    home = tmp_path / "home"
    home.mkdir()
    server = start_server(with_mnist(home))
    yield server
    server.process.terminate()
    server.process.wait(20)


def start_workload_1(page: Page, server: Server) -> Run:
    """MNIST, the first CNN, on one thread: that repeats to the last bit on a machine that does other things too."""
    page.goto("/train")
    page.get_by_role("button", name="MNIST, the first CNN").click()
    expect(page.get_by_text("60,000 images")).to_be_visible()
    settings = page.locator("[class*='st-key-all-settings']")
    expect(settings).to_have_count(1)  # that of the recipe before is gone
    settings.locator("summary").click()
    settings.get_by_role("tab", name="Training", exact=True).click()
    fill(page, "[class*='-threads']", "1")
    page.get_by_role("button", name="Start training").click()
    return run_shown(page, server)


def train_longer(page: Page, run: Run, epochs: int) -> None:
    page.goto(f"/train?run={run.id}")
    page.locator(".st-key-go-on button").first.click()
    fill(page, "[class*='st-key-epochs-of-']", str(epochs))
    page.locator(".st-key-go-on-now button").click()
    until(lambda: status_of(run).is_active)


@pytest.mark.patient
def test_workload_1_goes_on_after_a_closed_browser_and_a_killed_process_and_is_trained_longer(
    page: Page, browser: Browser, server: Server, another_machine: Server
) -> None:
    needs_mnist()
    other = browser.new_page(base_url=another_machine.url)
    first = start_workload_1(other, another_machine)
    until(lambda: history_of(first).steps["step"], timeout_s=60)
    other.close()

    second = start_workload_1(page, server)
    until(lambda: history_of(second).checkpoints and history_of(second).steps["step"][-1] > 1.3 * STEPS_PER_EPOCH, timeout_s=120)
    os.kill(trainer_of(second), signal.SIGKILL)
    expect(page.get_by_text("killed by SIGKILL")).to_be_visible(timeout=5_000)
    page.get_by_role("button", name="Resume", exact=True).click()
    for run in (first, second):
        until(lambda run=run: status_of(run).state == "finished", timeout_s=120)  # nobody watched the first one
    assert history_of(first).evaluations[-1].accuracy == pytest.approx(0.97, abs=0.007)  # published: 97 %
    assert history_of(second).started.from_step == STEPS_PER_EPOCH

    other = browser.new_page(base_url=another_machine.url)
    train_longer(other, first, 8)
    train_longer(page, second, 8)
    for run in (first, second):
        until(lambda run=run: status_of(run).state == "finished", timeout_s=240)
    other.close()
    page.goto(f"/train?run={second.id}")
    expect(page.get_by_text("8 of 8")).to_be_visible()
    histories = [history_of(run) for run in (first, second)]
    for history in histories:
        steps = history.steps["step"]
        assert [row.epoch for row in history.evaluations] == list(range(9))
        assert np.all(np.diff(steps) > 0)  # one line
        # without a gap: a record every ten steps, counted anew in each epoch
        assert set(np.diff(steps).tolist()) == {10, 10 + STEPS_PER_EPOCH % 10}
        assert steps[-1] > 8 * STEPS_PER_EPOCH - 10
        assert history.evaluations[-1].accuracy > history.evaluations[3].accuracy > 0.96
        assert history.inexact == []
    assert histories[0].steps["loss"] == histories[1].steps["loss"]  # the killed one equals the undisturbed one
    assert [row.loss for row in histories[0].evaluations] == [row.loss for row in histories[1].evaluations]
