"""Two runs compared by clicks: marked on the Runs page, their curves and the outcome seen, a fixed image opened; also without a mouse."""

import re

import pytest
from playwright.sync_api import Page, expect

from core.insight.comparison import Comparison, compared, evaluated, evidence, match
from core.runs.directory import Run
from core.workspace import open_workspace
from tests.browser.conftest import Server


@pytest.fixture
def comparison(server: Server, two: list[Run]) -> Comparison:
    return compared(match(open_workspace(server.home), *two), evaluated(two[0], 2), evaluated(two[1], 6))


def test_two_runs_marked_on_the_runs_page_are_compared_picture_by_picture(
    page: Page, two: list[Run], comparison: Comparison
) -> None:
    page.goto("/runs")
    for run in two:
        page.locator(f"[data-run='{run.id}'] input").click()
    page.get_by_role("button", name="Compare 2 runs").click()
    expect(page).to_have_url(re.compile(f"compare\\?runs={two[0].id}(,|%2C){two[1].id}"))
    expect(page.get_by_text("B is better than A, beyond chance.")).to_be_visible()
    expect(page.get_by_text(evidence(comparison, "A", "B").partition("(")[0].strip())).to_be_visible()
    for name in ("accuracy", "loss"):
        chart = page.locator(f"[class*='st-key-compare-{name}-'] .trainscope-chart")
        expect(chart.locator(".scatterlayer .trace")).to_have_count(4)

    kinds = page.locator(".st-key-compare-kind")
    expect(kinds.get_by_text(f"Fixed ({len(comparison.fixed)})")).to_be_visible()
    tiles = page.locator(".tiles .tile")
    expect(tiles).to_have_count(min(60, len(comparison.fixed)))
    first = comparison.fixed[0]
    expect(tiles.first.locator(".line").first).to_have_text(f"true: {comparison.matching.labels[first]}")

    tiles.first.locator("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".large-picture img")).to_have_js_property("naturalWidth", 8)
    expect(dialog.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(2)
    expect(dialog.get_by_text(f"B: {comparison.b.predicted[first]} (")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text(f"2 of {len(comparison.fixed)}")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    kinds.get_by_text(re.compile("Broken")).click()
    if len(comparison.broken):
        expect(tiles).to_have_count(min(60, len(comparison.broken)))
    else:
        expect(page.get_by_text("No image was broken")).to_be_visible()


def test_runs_are_marked_and_compared_by_keyboard(page: Page, two: list[Run]) -> None:
    page.goto("/runs")
    for run in two:
        box = page.locator(f"[data-run='{run.id}'] input")
        box.focus()
        page.keyboard.press("Space")
        expect(box).to_be_checked()
    button = page.get_by_role("button", name="Compare 2 runs")
    expect(button).to_be_enabled()
    button.press("Enter")  # focused and pressed at once: the list is drawn anew every two seconds
    expect(page.get_by_text("B is better than A, beyond chance.")).to_be_visible()


def test_an_open_picture_stays_open_while_a_run_goes_on(page: Page, server: Server, two: list[Run], training: Run) -> None:
    page.goto(f"/compare?runs={two[0].id},{training.id}")
    chart = page.locator("[class*='st-key-compare-accuracy-'] .trainscope-chart")
    page.locator(".tiles .tile button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".large-picture img")).to_be_visible()
    points = chart.get_attribute("data-points")
    expect(chart).not_to_have_attribute("data-points", points, timeout=30_000)  # the page behind it goes on, every 5 s
    expect(dialog.locator(".large-picture img")).to_be_visible()
