"""The images behind the numbers by clicks: a cell of the confusion matrix, an image's history, a label corrected, an earlier epoch."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from core.data.edits import current_edits, undo
from core.insight.metrics import most_confused_pairs
from core.insight.run_results import evaluated_after
from core.runs.calibration import PLAIN, save_calibration
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run
from core.runs.pins import pins_of
from core.workspace import open_workspace
from tests.browser.conftest import Server, view


def click_cell(page: Page, true: int, predicted: int) -> None:
    cells = page.locator("[class*='st-key-confusion-'] .heatmaplayer image").last
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    page.mouse.click(box["x"] + (predicted + 0.5) * box["width"] / 10, box["y"] + (true + 0.5) * box["height"] / 10)


def test_a_cell_of_the_confusion_matrix_shows_its_pictures(page: Page, evaluated_run: Run) -> None:
    evaluated = evaluated_after(evaluated_run, 1)
    true, predicted, count = most_confused_pairs(evaluated.labels, evaluated.predictions.predicted, 1)[0]
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Confusion")
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(f"{true} → {predicted}: ").first).to_be_visible()
    page.wait_for_selector("[class*='st-key-confusion-'] .heatmaplayer image")
    click_cell(page, true, predicted)
    expect(page.locator(".tiles .tile")).to_have_count(count)
    expect(page.locator(".tiles .line", has_text=f"true: {true}")).to_have_count(count)


def test_the_name_of_a_row_or_a_column_and_a_class_s_row_show_their_pictures(page: Page, evaluated_run: Run) -> None:
    evaluated = evaluated_after(evaluated_run, 3)
    predicted_as_1, of_class_8 = int((evaluated.predictions.predicted == 1).sum()), int((evaluated.labels == 8).sum())
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Confusion")
    name = page.locator("[class*='st-key-confusion-'] .xtick text", has_text="1")
    name.scroll_into_view_if_needed()
    box = name.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(f"{predicted_as_1} of {len(evaluated.labels)} images")).to_be_visible()
    view(page, "Classes")
    table = page.locator("[class*='st-key-class-table']").get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 35 + 8.5 * 35)  # the box of the ninth row, which is drawn on a canvas
    expect(page.get_by_text(f"{of_class_8} of {len(evaluated.labels)} images")).to_be_visible()


def test_an_open_picture_has_its_probabilities_and_history_and_can_be_relabelled(
    page: Page, server: Server, evaluated_run: Run
) -> None:
    workspace = open_workspace(server.home)
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Images")
    page.locator(".tiles .tile button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Prediction of epoch-0003")).to_be_visible()
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
    expect(page.get_by_text("1 flagged.").first).to_be_visible()
    expect(dialog.get_by_role("button", name="Unflag")).to_be_visible()  # the image stays open
    page.keyboard.press("Escape")
    expect(page.locator(".tiles .tile .line", has_text="flagged")).to_have_count(1)
    assert len(current_edits(workspace, "digits").flagged) == 1
    undo(workspace, "digits")


def test_the_slider_is_played_and_moves_everything_together(page: Page, evaluated_run: Run) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Epochs")
    bars = page.locator("[class*='st-key-epoch-classes-'] .bars .bartext")
    expect(bars.first).to_be_attached()
    filters = page.get_by_test_id("stImage").locator("img").last
    at_last = bars.all_text_contents(), filters.get_attribute("src")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", "0")
    expect(bars).not_to_have_text(at_last[0])
    expect(filters).not_to_have_attribute("src", at_last[1])
    expect(page.locator("[class*='st-key-pinned-'] .tile")).to_have_count(6)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", "3")
    expect(bars).to_have_text(at_last[0])


def test_a_pinned_picture_is_followed(page: Page, server: Server, evaluated_run: Run) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Images")
    page.locator(".tiles .tile button").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Pin").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Unpin")).to_be_visible()
    page.keyboard.press("Escape")
    view(page, "Epochs")
    expect(page.get_by_text("Pinned images")).to_be_visible()
    expect(page.locator("[class*='st-key-pinned-'] .tile")).to_have_count(1)
    assert len(pins_of(evaluated_run, 10_000)) == 1


def test_a_checkpoint_is_evaluated_and_calibrated_and_prediction_uses_it(page: Page, evaluated_run: Run) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    view(page, "Calibration")
    page.locator(".st-key-calibrate-now").get_by_role("button").click()
    expect(page.get_by_text("Divided by a temperature of")).to_be_visible()
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    expect(page.get_by_text(re.compile("^Coverage "))).to_be_visible()
    expect(slider).to_have_value("100")
    page.get_by_role("button", name="Use in predictions with").click()
    expect(page.get_by_text("In use: temperature")).to_be_visible()
    page.goto(f"/predict?run={evaluated_run.id}")
    page.get_by_role("tab", name="From the data").click()
    expect(page.get_by_role("heading", name="Not sure")).to_be_visible()
    save_calibration(find_checkpoint(evaluated_run, "last"), PLAIN)


def test_the_report_opens_without_a_server(page: Page, browser: Browser, evaluated_run: Run, tmp_path: Path) -> None:
    page.goto(f"/results?run={evaluated_run.id}")
    page.get_by_role("button", name="Report").click()
    link = page.get_by_role("link", name="Download the report")
    expect(link).to_be_visible(timeout=60_000)  # made by a process of its own
    with page.expect_download() as waiting:
        link.click()
    path = tmp_path / "report.html"
    waiting.value.save_as(path)
    context = browser.new_context(offline=True, color_scheme="dark", viewport={"width": 390, "height": 800})
    alone = context.new_page()
    errors: list[str] = []
    alone.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    alone.on("pageerror", lambda error: errors.append(str(error)))
    alone.goto(path.as_uri())
    expect(alone.get_by_role("heading", name="Surest mistakes")).to_be_visible()
    expect(alone.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(alone.locator("figure img").first).to_have_js_property("naturalWidth", 8)
    assert alone.evaluate("document.documentElement.scrollWidth") <= 390
    assert errors == []
    context.close()
