"""The real server in a process of its own, and a real browser. Skipped where there is no Chromium, unless
TRAINSCOPE_REQUIRE_BROWSER says that this must not happen."""

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from core.errors import InputError
from core.recipes import recipe_named
from core.running.actions import stop_run
from core.running.session import run_session
from core.runs.directory import Run, create_run, find_run, list_runs
from core.runs.status import status_of
from core.settings import changed
from core.workspace import open_workspace
from tests.fixtures.forked import Forked
from tests.fixtures.waiting import until

LOSS_POINT = "[class*='st-key-loss-'] .scatterlayer .points path"
PROJECT = Path(__file__).resolve().parents[2]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


@dataclass
class Server:
    """A running app over a workspace of its own."""

    home: Path
    port: int
    process: subprocess.Popen | Forked

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_up(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).status == 200
        except OSError:
            return False


def start_server(home: Path, has_reserve: bool = False, environment: Mapping[str, str] | None = None) -> Server:
    """has_reserve: whether a process for trainings waits with its imports done, as it does for people; that costs seconds of a core.

    environment: variables beside those of the test.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ("-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port))
    variables = {**os.environ, "TRAINSCOPE_HOME": str(home), "TRAINSCOPE_RESERVE": str(int(has_reserve)), **(environment or {})}
    if environment:  # Python itself may read them at its start
        log = (home / "server.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=PROJECT, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    else:
        process = Forked(*arguments, env=variables, log=home / "server.log")
    server = Server(home, port, process)
    until(server.is_up, timeout_s=60)
    return server


def with_mnist(home: Path) -> Path:
    """The folder, with the real MNIST in its place where that is at hand."""
    data = Path(os.environ.get("TRAINSCOPE_TEST_DATA", "/nowhere"))
    if (data / "MNIST").is_dir():
        (home / "datasets").mkdir()
        (home / "datasets" / "MNIST").symlink_to(data / "MNIST")
    return home


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(with_mnist(tmp_path_factory.mktemp("home")), has_reserve=True)
    yield server
    server.process.terminate()
    server.process.wait(20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        if os.environ.get("TRAINSCOPE_REQUIRE_BROWSER"):
            pytest.fail("no Chromium was found, and TRAINSCOPE_REQUIRE_BROWSER is set")
        pytest.skip("no Chromium was found on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A fresh visitor on a wide screen. The test fails if the page showed an error of our own or asked another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    strangers: list[str] = []
    page.on(
        "request", lambda r: strangers.append(r.url) if r.url.startswith("http") and not r.url.startswith(server.url) else None
    )
    yield page
    assert page.get_by_text("Something in Trainscope went wrong").count() == 0
    assert page.get_by_test_id("stException").count() == 0
    assert strangers == []
    context.close()


@pytest.fixture(scope="module")
def evaluated_run(server: Server) -> Run:
    """Digits, trained for three epochs."""
    workspace = open_workspace(server.home)
    run = create_run(
        workspace, changed(recipe_named("digits-quickstart").config, {"epochs": 3, "threads": 1, "tensorboard": False})
    )
    assert run_session(workspace, run).reason == "finished"
    return run


@pytest.fixture(scope="module")
def two(server: Server) -> list[Run]:
    """The digits recipe for two epochs and for six."""
    workspace = open_workspace(server.home)
    runs = []
    for epochs in (2, 6):
        config = changed(recipe_named("digits-quickstart").config, {"epochs": epochs, "threads": 1, "tensorboard": False})
        runs.append(create_run(workspace, config))
        assert run_session(workspace, runs[-1]).reason == "finished"
    return runs


def run_shown(page: Page, server: Server) -> Run:
    """The run that the page's address names, once it does."""
    page.wait_for_url(re.compile(r"run=\d"))
    return find_run(open_workspace(server.home), re.search(r"run=([\w-]+)", page.url)[1])


def choose(page: Page, key: str, text: str) -> None:
    """Picks an option of a select box by the start of its text."""
    box = page.locator(f"[class*='st-key-{key}']").get_by_role("combobox")
    option = page.get_by_role("option", name=re.compile(f"^{re.escape(text)}"))
    for _ in range(4):
        box.click()
        box.press_sequentially(text)  # a long list shows only some of its options
        try:
            option.click(timeout=4000)
            return
        except PlaywrightTimeout:  # the form was drawn anew meanwhile, which closes the list
            page.keyboard.press("Escape")
    option.click()


def view(page: Page, name: str) -> None:
    """Turns to one of a page's views."""
    page.get_by_role("radiogroup", name="View").get_by_text(name, exact=True).click()


def start_endless(page: Page) -> None:
    """Starts the digits recipe, with which the form begins, with so many epochs that it won't end by itself."""
    epochs = page.locator("[class*='-epochs']").get_by_role("spinbutton").first
    epochs.fill("5000")
    epochs.press("Enter")
    expect(page.get_by_text("5,000 epochs of 23 steps")).to_be_visible()
    page.get_by_role("button", name="Start training").click()


def stop_all(server: Server) -> list[Run]:
    """Tells every run that trains or waits to stop; those that still did."""
    active = [run for run in list_runs(open_workspace(server.home)) if status_of(run).is_active]
    for run in active:
        with suppress(InputError):  # it has ended meanwhile
            stop_run(run)
    return active


@pytest.fixture
def training(page: Page, server: Server) -> Iterator[Run]:
    """The digits recipe, started by clicks, with so many epochs that it is still at work when the test is done with it."""
    page.goto("/train")
    start_endless(page)
    run = run_shown(page, server)
    page.wait_for_selector(LOSS_POINT, state="attached")
    yield run
    until(lambda: not stop_all(server))  # whatever the test has left, so that the next ones find the device free
