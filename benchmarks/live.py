"""What it costs to watch, and how the page answers: a real server and browser, `mnist-first-cnn` on real MNIST.

    python -m benchmarks.live [--data FOLDER]      FOLDER: as unpacked by shared/data/unpack

Prints: click on Start to the first point; the training's speed watched, unwatched, and beside a process that keeps one
core busy; the time of a click on another widget while training; opening MNIST for the second time.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from core.config import Preprocessing
from core.data.sets import prepare_store
from core.runs.directory import Run, find_run
from core.runs.history import history_of
from core.runs.status import status_of
from core.workspace import open_workspace
from tests.browser.conftest import CHROMIUM_FLAGS, start_server
from tests.fixtures.waiting import until

ROUNDS = 3
LOSS_POINT = "[class*='st-key-loss-'] .scatterlayer .points path"
BUSY = "while True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("TRAINSCOPE_TEST_DATA", "/nowhere"))
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="trainscope-benchmark-"))
    workspace = open_workspace(home)
    (workspace.datasets / "MNIST").symlink_to(Path(options.data).resolve() / "MNIST")
    prepare_store(workspace, "mnist", Preprocessing())
    began = time.perf_counter()
    prepare_store(workspace, "mnist", Preprocessing()).images[-1].sum()
    print(f"MNIST opened a second time: {time.perf_counter() - began:.3f} s")

    server = start_server(home)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, base_url=server.url)
        firsts, speeds, clicks = [], {"unwatched": [], "watched": [], "beside a busy core": []}, []
        for _ in range(ROUNDS):
            for way, values in speeds.items():
                run, first_s = start(page, home)
                firsts.append(first_s)
                busy = None
                if way != "watched":
                    page.goto("about:blank")
                if way == "beside a busy core":
                    busy = subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
                until(lambda run=run: not status_of(run).is_active, timeout_s=300)
                if busy:
                    busy.kill()
                values.append(speed_of(run))
        run, _ = start(page, home)
        for option, axis in (("Steps", "Step"), ("Epochs", "Epoch"), ("Time", "Time in seconds")) * 2:
            clicks.append(answer_s(page, option, axis))
        browser.close()
    server.process.terminate()
    server.process.wait()
    print(
        f"click on Start to the first point: median {statistics.median(firsts):.2f} s, longest {max(firsts):.2f} s, of {len(firsts)}"
    )
    base = speeds["unwatched"]
    for way, values in speeds.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        print(f"{way:20} {statistics.median(values):>9,.0f} pictures/s   {ratio:.2f} × unwatched")
    print(f"click on another widget to the changed chart: median {statistics.median(clicks):.2f} s, longest {max(clicks):.2f} s")


# In the page itself, by its own clock: a driver that looks from outside sees the point only once the page has nothing else to do.
WATCH = """point => {
  window.seen = {};
  addEventListener("click", () => (seen.click ??= performance.now()), true);
  const frame = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
  const observer = new MutationObserver(() => {
    if (!document.querySelector(point)) return;
    observer.disconnect();
    frame(() => (seen.painted = performance.now()));
  });
  observer.observe(document.body, { childList: true, subtree: true });
}"""


def start(page: Page, home: Path) -> tuple[Run, float]:
    """Starts the recipe by clicks. Returns the run and the seconds from the click on Start to the first point on the screen."""
    page.goto("/train")
    page.get_by_role("button", name="MNIST, the first CNN").click()
    page.get_by_text("60,000 images").wait_for()
    page.wait_for_function("() => window.Plotly")
    reserve_is_ready()
    page.evaluate(WATCH, LOSS_POINT)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_function("() => window.seen.painted", polling=500)
    first_s = page.evaluate("(seen.painted - seen.click) / 1000")
    return find_run(open_workspace(home), re.search(r"run=([\w-]+)", page.url)[1]), first_s


def reserve_is_ready() -> None:
    """Waits until the worker in reserve has done its imports, as it has for a person who reads the page first."""
    calm, before = 0, 0.0
    while calm < 10:
        time.sleep(0.1)
        now = worker_cpu_s()
        calm = calm + 1 if now and now == before else 0
        before = now


def worker_cpu_s() -> float:
    """Processor time of all workers so far, in clock ticks."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"core.serving.worker" in (process / "cmdline").read_bytes():
                total += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
        except OSError:
            continue  # it has just ended
    return total


def speed_of(run: Run) -> float:
    """Training images per second of the last two epochs; the first holds the change of pages."""
    rows = [row for row in history_of(run).evaluations if row.epoch >= 1]
    return (rows[-1]["examples"] - rows[0]["examples"]) / (rows[-1]["seconds"] - rows[0]["seconds"])


def answer_s(page: Page, option: str, axis: str) -> float:
    title = "document.querySelector(\"[class*='st-key-loss-'] .trainscope-chart\").layout.xaxis.title.text"
    began = time.perf_counter()
    page.get_by_role("radio", name=option).click()
    page.wait_for_function(f"{title} === '{axis}'")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
