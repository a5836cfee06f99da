"""What a first walk through the product found, each mended: canvas, toolbars, titles, popovers, addresses, pictures in words."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from core.runs.directory import Run
from core.runs.notes import Notes, write_notes
from tests.browser.conftest import Server


@pytest.mark.parametrize("width", [720, 900, 1024])
def test_the_whole_canvas_is_seen_in_a_narrow_window(page: Page, two: list[Run], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 768})
    page.goto(f"/predict?run={two[0].id}")
    canvas = page.locator("canvas.upper-canvas")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert box["width"] == pytest.approx(box["height"], abs=2)


def test_no_toolbar_lies_over_a_chart_where_nothing_hovers(browser: Browser, server: Server, two: list[Run]) -> None:
    context = browser.new_context(base_url=server.url, has_touch=True, is_mobile=True, viewport={"width": 900, "height": 900})
    page = context.new_page()
    page.goto(f"/results?run={two[0].id}&view=curves")
    expect(page.locator(".main-svg").first).to_be_visible()
    assert page.evaluate("matchMedia('(hover: none)').matches")
    expect(page.locator(".modebar-btn")).to_have_count(0)
    context.close()


def test_a_tab_of_the_browser_says_page_and_run(page: Page, two: list[Run]) -> None:
    page.goto(f"/results?run={two[0].id}")
    expect(page).to_have_title(re.compile("digits-quickstart.*Results.*Trainscope"))
    page.goto("/set?set=digits")
    expect(page).to_have_title(re.compile("digits.*Data set.*Trainscope"))


def test_a_change_closes_its_popover_and_is_said(page: Page, training: Run) -> None:
    page.get_by_role("button", name="Change").click()
    apply = page.get_by_role("button", name="Apply")
    expect(apply).to_be_visible()
    page.get_by_role("spinbutton", name="Learning rate").fill("0.002")
    apply.click()
    expect(apply).to_be_hidden()
    expect(page.get_by_text("Applied from the next step.")).to_be_visible()


def test_back_leaves_a_page_with_one_press(page: Page, two: list[Run]) -> None:
    page.goto("/runs")
    expect(page.locator(".runs-table")).to_be_visible()
    for name in ("Results", "Predict"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page).to_have_url(re.compile(f"/{name.lower()}"))
    page.go_back()
    expect(page).to_have_url(re.compile("results"))
    page.go_back()
    expect(page).to_have_url(re.compile("runs"))


def test_the_link_to_data_leads_from_a_set_to_all_of_them(page: Page) -> None:
    page.goto("/data?set=digits&view=Splits")  # an address of an earlier version
    expect(page).to_have_url(re.compile("/set\\?"))
    expect(page.get_by_text("of it for validation").or_(page.get_by_text("validation")).first).to_be_visible()
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("heading", name="Built in")).to_be_visible()


def test_an_opened_image_says_what_it_was_predicted_as(page: Page, two: list[Run]) -> None:
    page.goto(f"/results?run={two[0].id}&view=images")
    page.locator(".tiles .tile button").first.click()
    expect(page.get_by_role("dialog").get_by_text(re.compile("predicted: "))).to_be_visible()


def test_the_toolbar_of_the_canvas_covers_none_of_the_tabs(page: Page, two: list[Run]) -> None:
    page.goto(f"/predict?run={two[0].id}")
    canvas = page.locator("canvas.upper-canvas")
    expect(canvas).to_be_visible()
    canvas.hover()
    bar = page.locator(".dc-toolbar-card")
    expect(bar).to_be_visible()
    tabs = page.get_by_role("tablist").bounding_box()
    assert bar.bounding_box()["y"] >= tabs["y"] + tabs["height"]
    page.get_by_role("tab", name="From the data").click()
    expect(page.get_by_role("button", name="Another one")).to_be_visible()


def test_a_name_is_shown_as_it_was_written(page: Page, server: Server, evaluated_run: Run) -> None:
    name = "a -- b -> c >= d :streamlit: (c) **e**"
    write_notes(evaluated_run, Notes(name=name))
    page.goto(f"/run?run={evaluated_run.id}")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("streamlit")
    assert heading.inner_text().replace("\u2060", "").strip() == name
