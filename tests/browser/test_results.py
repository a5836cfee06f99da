"""The pictures behind the numbers by clicks: a cell of the confusion matrix, a picture's history, a label corrected, an earlier epoch."""

import pytest
from playwright.sync_api import Page, expect

from core.data.edits import current_edits, undo
from core.insight.metrics import most_confused_pairs
from core.insight.run_results import judged_after
from core.recipes import recipe_named
from core.runs.directory import Run, create_run
from core.runs.session import train_in
from core.settings import changed
from core.workspace import open_workspace
from tests.browser.conftest import Server, view


@pytest.fixture(scope="module")
def judged_run(server: Server) -> Run:
    workspace = open_workspace(server.home)
    run = create_run(
        workspace, changed(recipe_named("digits-quickstart").config, {"epochs": 3, "threads": 1, "tensorboard": False})
    )
    assert train_in(workspace, run).reason == "finished"
    return run


def click_cell(page: Page, true: int, predicted: int) -> None:
    cells = page.locator("[class*='st-key-confusion-'] .heatmaplayer image").last
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    page.mouse.click(box["x"] + (predicted + 0.5) * box["width"] / 10, box["y"] + (true + 0.5) * box["height"] / 10)


def test_a_cell_of_the_confusion_matrix_shows_its_pictures(page: Page, judged_run: Run) -> None:
    judged = judged_after(judged_run, 1)
    true, predicted, count = most_confused_pairs(judged.labels, judged.predictions.predicted, 1)[0]
    page.goto(f"/results?run={judged_run.id}")
    view(page, "Confusion")
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(f"{true} for {predicted}, ").first).to_be_visible()
    page.wait_for_selector("[class*='st-key-confusion-'] .heatmaplayer image")
    click_cell(page, true, predicted)
    expect(page.locator(".tiles .tile")).to_have_count(count)
    expect(page.locator(".tiles .line", has_text=f"true: {true}")).to_have_count(count)


def test_an_open_picture_has_its_probabilities_and_history_and_can_be_relabelled(
    page: Page, server: Server, judged_run: Run
) -> None:
    workspace = open_workspace(server.home)
    page.goto(f"/results?run={judged_run.id}")
    view(page, "Pictures")
    page.locator(".tiles .tile button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("What the last checkpoint says of it")).to_be_visible()
    expect(dialog.locator(".js-plotly-plot")).to_have_count(2)
    first = dialog.locator(".large-picture img")
    expect(first).to_have_js_property("naturalWidth", 8)
    assert first.bounding_box()["width"] % 8 == 0 and first.bounding_box()["width"] > 400
    url = first.get_attribute("src")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text("2 of ")).to_be_visible()
    expect(first).not_to_have_attribute("src", url)
    dialog.get_by_role("button", name="Previous").click()
    expect(first).to_have_attribute("src", url)
    dialog.get_by_role("button", name="Flag").click()
    expect(page.get_by_text("1 flagged.")).to_be_visible()
    assert len(current_edits(workspace, "digits").flagged) == 1
    undo(workspace, "digits")
