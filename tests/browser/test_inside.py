"""Look inside and the map by clicks: evidence for another class, a thumbnail under the pointer, t-SNE, an image opened from its point."""

import re

from playwright.sync_api import Page, expect

from core.inference.kept_maps import TSNE
from core.runs.artifacts import list_kept
from core.runs.directory import Run
from tests.browser.conftest import choose, view

POINTS = ".trainscope-chart .points path"


def point_at(page: Page, number: int) -> tuple[float, float]:
    """Moves the pointer to one of the points; where that is."""
    point = page.locator(POINTS).nth(number)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y - 30)
    page.mouse.move(x, y)
    return x, y


def test_evidence_is_shown_for_another_class_and_another_picture(page: Page, evaluated_run: Run) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Explain")
    evidence = page.get_by_role("img", name=re.compile("^Grad-CAM for"))
    expect(evidence.or_(page.get_by_text("no position speaks for"))).to_be_visible()
    covered = page.get_by_role("img", name=re.compile("^Occlusion for"))
    expect(covered).to_be_visible()
    before = covered.get_attribute("src")
    other = "5" if covered.get_attribute("alt") != "Occlusion for 5" else "6"
    choose(page, "inside-class", other)
    expect(page.get_by_role("img", name=f"Occlusion for {other}")).to_be_visible()
    expect(
        page.get_by_role("img", name=f"Grad-CAM for {other}").or_(page.get_by_text(f"no position speaks for {other}"))
    ).to_be_visible()
    assert page.get_by_role("img", name=f"Occlusion for {other}").get_attribute("src") != before
    expect(page.get_by_role("img", name="Activations of features.0")).to_be_visible()
    expect(page.get_by_role("img", name="Filters of features.0")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("[class*='st-key-inside-number'] input")).to_have_value("2")


def test_pointing_at_a_point_shows_its_picture_and_a_click_opens_it(page: Page, evaluated_run: Run) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Embedding map")
    expect(page.locator(POINTS)).to_have_count(359)
    x, y = point_at(page, 200)
    card = page.get_by_role("tooltip").filter(has=page.locator("img")).first
    expect(card).to_be_visible()
    expect(card.locator("img")).to_have_js_property("naturalWidth", 8)
    expect(card).to_have_text(re.compile(r"^(✓ \d|✗ \dtrue: \d|✗ \d\ntrue: \d)$"))
    url = card.locator("img").get_attribute("src")
    page.mouse.click(x, y)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Prediction of epoch-0003")).to_be_visible()
    expect(dialog.locator(".large-picture img")).to_have_attribute("src", url.replace("/pictures/", "/originals/"))
    expect(card).to_be_hidden()
    dialog.get_by_role("button", name="Look inside").click()
    expect(page.get_by_text("Saliency: where it looks")).to_be_visible()


def test_tsne_is_worked_out_by_a_click_kept_and_coloured_by_outcome(page: Page, evaluated_run: Run) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Embedding map")
    expect(page.get_by_text("PCA: the two directions")).to_be_visible()
    page.locator("[class*='st-key-map-projection']").get_by_text("t-SNE").click()
    expect(page.get_by_text("t-SNE: near points are alike")).to_be_visible(timeout=60_000)
    expect(page.locator("[class*='st-key-map-t-SNE'] .points path")).to_have_count(359)
    assert len(list_kept(evaluated_run, TSNE)) == 1
    choose(page, "map-colour", "Right or wrong")
    expect(page.locator(".trainscope-chart .legendtext", has_text="wrong (")).to_be_visible()
