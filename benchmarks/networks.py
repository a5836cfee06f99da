"""How quickly the Networks page answers: a slider of the layer lab, and the card of each large network, in a real browser.

    python -m benchmarks.networks [--moves N]

By the page's own clock: from the key on the slider until nothing more is drawn, and from the choice until the graph is there.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import CHROMIUM_FLAGS, choose, start_server

SHAPES = ("1, 1, 28, 28", "1, 3, 32, 32", "1, 3, 224, 224")  # with 16 random 3 × 3 filters
NETWORKS = ("VGG-19 with batch norm", "DenseNet-121", "ViT-B", "ResNet-50", "EfficientNet-B0")
QUIET_MS = 900  # after a key
LAST_DRAWN = """() => {
  document.addEventListener('keydown', () => { window.asked = performance.now(); }, true);
  for (const name of ['putImageData', 'drawImage', 'fillRect']) {
    const plain = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) { window.drawn = performance.now(); return plain.apply(this, given); };
  }
}"""
CARD_DRAWN = """() => {
  const drawing = () => document.querySelector('.network-graph svg')?.textContent || '';
  document.addEventListener('click', () => { window.asked = performance.now(); window.drawn = 0; window.before = drawing(); }, true);
  new MutationObserver(() => {
    if (!window.drawn && drawing() && drawing() !== window.before) {
      window.drawn = -1;
      requestAnimationFrame(() => { window.drawn = performance.now(); });
    }
  }).observe(document.body, {subtree: true, childList: true});
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=40)
    options = parser.parse_args()
    server = start_server(Path(tempfile.mkdtemp(prefix="trainscope-benchmark-")))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, base_url=server.url)
        for shape in SHAPES:
            tell(f"slider, {shape}", moved(page, shape, options.moves))
        page.goto("/networks")
        page.locator(".network-graph svg").wait_for()
        page.evaluate(CARD_DRAWN)
        for network in NETWORKS:
            choose(page, "network", network)
            page.wait_for_function("window.drawn > 0")
            print(f"card of {network:32} {page.evaluate('window.drawn - window.asked') / 1000:.2f} s", flush=True)
        browser.close()
    server.process.terminate()
    server.process.wait()


def moved(page: Page, shape: str, moves: int) -> list[float]:
    page.goto("/networks?view=layer lab")
    page.get_by_role("heading", level=2).first.wait_for()
    page.get_by_text("Ones", exact=True).click()
    field = page.get_by_role("textbox", name="Shape")
    field.fill(shape)
    field.press("Enter")
    page.get_by_text(" × ".join(shape.split(", ")[1:])).first.wait_for()
    choose(page, "layer-lab-1-row-0-weights", "Random")
    page.get_by_role("spinbutton", name="Seed").wait_for()
    channels = page.get_by_role("slider", name="Channels")
    channels.focus()
    for count in range(2, 17):
        channels.press("ArrowRight")
        page.get_by_text(f"→ {count} × ").first.wait_for()
    page.evaluate(LAST_DRAWN)
    padding = page.get_by_role("slider", name="Padding")
    padding.focus()
    found = []
    for move in range(moves):
        padding.press("ArrowRight" if move % 16 < 8 else "ArrowLeft")
        page.wait_for_timeout(QUIET_MS)
        found.append(page.evaluate("window.drawn - window.asked") / 1000)
    return found


def tell(what: str, seconds: list[float]) -> None:
    seconds = sorted(seconds)
    p95 = seconds[int(0.95 * len(seconds)) - 1]
    print(f"{what:40} median {statistics.median(seconds):.2f} s, p95 {p95:.2f} s, longest {seconds[-1]:.2f} s", flush=True)


if __name__ == "__main__":
    main()
