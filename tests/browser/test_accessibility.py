"""axe-core finds nothing on any page, light or dark; Start is near for the Tab key; charts are walked and opened with the keyboard."""

import re
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from core.runs.directory import Run
from tests.browser.conftest import Server

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
OF_STREAMLIT = ("presentation-role-conflict",)  # its file uploader; minor, and not ours to mend
VIEWS = (
    "overview",
    "curves",
    "epochs",
    "confusion",
    "classes",
    "images",
    "explain",
    "embedding map",
    "calibration",
    "robustness",
)
PAGES = {  # by what tells that all of it is there
    "/": ".demo figure.right",
    "/data": ".tiles img",
    "/set?set=digits": ".tiles img",
    "/set?set=digits&view=Report": ".main-svg",
    "/set?set=digits&view=Statistics": "[data-testid=stImage] img",
    "/set?set=digits&view=Splits": ".main-svg",
    "/set?set=digits&view=Transforms": "[data-testid=stImage] img",
    "/train": ".tiles.choice img",
    "/train?run={run}": ".main-svg",
    "/run?run={run}": "h2",
    "/runs": ".runs-table td",
    "/activity": "h1",
    "/networks": ".network-graph svg",
    "/networks?view=builder": "[class*=st-key-row-]",
    "/networks?view=layer lab": ".layer-view canvas.output",
    "/networks?view=losses": "[data-testid=stMetric]",
    "/predict?run={run}": "canvas",
    "/compare?runs={run},{other}": ".main-svg",
    **{f"/results?run={{run}}&view={view}": "[data-testid=stButtonGroup]" for view in VIEWS},
}
IN_THE_DARK = (
    "/",
    "/set?set=digits",
    "/train",
    "/train?run={run}",
    "/runs",
    "/networks",
    "/networks?view=builder",
    "/networks?view=layer lab",
    "/compare?runs={run},{other}",
)  # where colours differ
RESULTS_IN_THE_DARK = tuple(f"/results?run={{run}}&view={view}" for view in ("overview", "classes", "explain"))
MOST_STOPS = 15


def faults_of(page: Page) -> list[str]:
    page.wait_for_function("!document.querySelector('[data-stale=true]')")  # what is drawn anew just now is faded
    page.evaluate(AXE)
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["id"] not in OF_STREAMLIT]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(browser: Browser, server: Server, two: list[Run], scheme: str) -> None:
    context = browser.new_context(base_url=server.url, color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults = {}
    for address, there in PAGES.items():
        if scheme == "dark" and address not in (*IN_THE_DARK, *RESULTS_IN_THE_DARK):
            continue
        page.goto(address.format(run=two[0].id, other=two[1].id))
        expect(page.locator(there).first).to_be_visible()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)  # the script has ended
        if found := faults_of(page):
            faults[address] = found
    context.close()
    assert not faults


def test_start_is_reached_within_fifteen_stops(page: Page) -> None:
    page.goto("/train")
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    for _ in range(1, MOST_STOPS + 1):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Start training":
            break
    else:
        pytest.fail(f"Start is not among the first {MOST_STOPS} stops")


def test_cells_of_the_confusion_matrix_are_opened_by_keyboard(page: Page, two: list[Run]) -> None:
    page.goto(f"/results?run={two[0].id}&view=confusion")
    chart = page.locator("[class*='st-key-confusion-'] .trainscope-chart")
    expect(chart.locator(".heatmaplayer image")).to_be_visible()
    chart.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):  # the first key shows the first cell
        page.keyboard.press(key)
    expect(chart.locator(".spoken")).to_contain_text("true 2, predicted 0")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("view=images"))
    expect(page.locator(".tiles .tile .line").first).to_contain_text("2")


def test_points_of_the_map_are_opened_by_keyboard(page: Page, two: list[Run]) -> None:
    page.goto(f"/results?run={two[0].id}&view=embedding map")
    chart = page.locator("[class*='st-key-map-'] .trainscope-chart")
    expect(chart.locator(".main-svg").first).to_be_visible()
    chart.focus()
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_be_visible()
