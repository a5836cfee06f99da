"""How quickly Results open and follow the slider: a run of 50 epochs judged on MNIST's 10,000 test images, in a real browser.

    python -m benchmarks.results [--data FOLDER] [--epochs N]      FOLDER: as unpacked by shared/data/unpack

The run really trains first (a perceptron; some minutes). Prints medians and the longest of each.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.directory import Run, create_run
from core.settings import changed
from core.workspace import open_workspace
from tests.browser.conftest import CHROMIUM_FLAGS, start_server, view

ROUNDS = 9
SHOWN = {  # what tells that a view is there
    "Epochs": "[class*='st-key-learned-'] .bars path",
    "Classes": "[data-testid=stDataFrame]",
    "Confusion": "[class*='st-key-confusion-'] .heatmaplayer image",
    "Images": ".tiles .tile img",
    "Calibration": "[class*='st-key-reliability-'] .bars path",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("TRAINSCOPE_TEST_DATA", "/nowhere"))
    parser.add_argument("--epochs", type=int, default=50)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="trainscope-benchmark-"))
    workspace = open_workspace(home)
    (workspace.datasets / "MNIST").symlink_to(Path(options.data).resolve() / "MNIST")
    config = recipe_named("mnist-first-cnn").config
    run = create_run(workspace, changed(config, {"epochs": options.epochs, "model.name": "mlp", "checkpoint.every_epochs": 10}))
    ended = run_session(workspace, run)
    assert ended.reason == "finished", ended.message
    server = start_server(home)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, base_url=server.url)
        page.goto(f"/results?run={run.id}")
        page.get_by_role("radiogroup", name="View").wait_for()  # what is only slow once: imports, plotly.js
        tell("opened by a click", [opened_by_click(page, run) for _ in range(ROUNDS)])
        tell("opened by its address, page and all", [opened_by_address(page, run) for _ in range(ROUNDS)])
        for name, selector in SHOWN.items():
            tell(f"turned to {name}", [turned(page, name, selector) for _ in range(ROUNDS)])
        view(page, "Epochs")
        page.locator(SHOWN["Epochs"]).first.wait_for(state="attached")
        tell("slider moved", [moved(page, n) for n in range(ROUNDS)])
        browser.close()
    server.process.terminate()
    server.process.wait()


def opened_by_click(page: Page, run: Run) -> float:
    page.goto(f"/?run={run.id}")
    page.get_by_role("heading", name="Trainscope").wait_for()
    page.wait_for_function("() => window.Plotly")
    link = page.get_by_role("link", name="Results")
    link.wait_for()
    began = time.perf_counter()
    link.click()
    page.locator(".scatterlayer .points path").first.wait_for(state="attached")
    return time.perf_counter() - began


def opened_by_address(page: Page, run: Run) -> float:
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(f"/results?run={run.id}")
    page.locator(".scatterlayer .points path").first.wait_for(state="attached")
    return time.perf_counter() - began


def turned(page: Page, name: str, selector: str) -> float:
    view(page, "Curves")
    page.get_by_text("Images it was judged on").wait_for()
    page.locator(selector).first.wait_for(state="detached")
    began = time.perf_counter()
    view(page, name)
    page.locator(selector).first.wait_for(state="attached")
    return time.perf_counter() - began


def moved(page: Page, number: int) -> float:
    """By one epoch, back and forth, until the accuracies of the classes are others."""
    shares = page.locator("[class*='st-key-epoch-classes-'] .bars .bartext")
    before = shares.all_text_contents()
    page.get_by_role("slider").focus()
    began = time.perf_counter()
    page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
    while shares.all_text_contents() == before:
        assert time.perf_counter() - began < 10, "nothing has moved"
    return time.perf_counter() - began


def tell(what: str, seconds: list[float]) -> None:
    print(f"{what:40} median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s, of {len(seconds)}")


if __name__ == "__main__":
    main()
