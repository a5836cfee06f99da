"""The layer lab as a person uses it: a typed matrix, the sum under the pointer and by keyboard, sliders, a chain, a wrong matrix."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import choose


def cell(page: Page, row: int, column: int, columns: int) -> dict[str, float]:
    """The middle of a cell of the output, as a place to point at."""
    width = page.locator(".layer-view canvas.output").bounding_box()["width"] / columns
    return {"x": (column - 0.5) * width, "y": (row - 0.5) * width}


def test_a_layer_is_looked_into_moved_and_put_in_a_row(page: Page) -> None:
    page.goto("/networks?view=layer lab")
    headline, output = page.get_by_role("heading", level=2).first, page.locator(".layer-view canvas.output")
    worked = page.locator(".layer-view .worked")
    expect(headline).to_contain_text("1 × 5 × 5")
    expect(worked).to_contain_text("1 · 1 + 2 · 2 + 0 · 1 + 0 · 0 + 1 · 1 + 2 · 0 + 1 · 2 + 2 · 1 + 1 · 0 = 10")

    output.hover(position=cell(page, 2, 1, 3))  # by hand: 0 + 2 + 2 + 2 + 10 + 2
    expect(worked).to_contain_text("Row 2, column 1")
    expect(worked).to_contain_text("0 · 1 + 1 · 2 + 2 · 1 + 1 · 0 + 2 · 1 + 1 · 0 + 5 · 2 + 2 · 1 + 3 · 0 = 18")
    output.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):  # the edge is the end
        page.keyboard.press(key)
    expect(worked).to_contain_text("Row 3, column 3")
    expect(worked).to_contain_text("= 3")

    page.get_by_role("slider", name="Stride").press("ArrowRight")
    expect(headline).to_contain_text("1 × 2 × 2")
    expect(worked).to_contain_text("Row 2, column 2")  # the nearest that there still is

    matrix = page.get_by_role("textbox", name="Matrix")
    matrix.fill("1 2\n3")
    matrix.press("Control+Enter")
    expect(page.get_by_text("row 2 has 1 number, row 1 has 2")).to_be_visible()
    expect(headline).to_contain_text("1 × 5 × 5")
    matrix.fill("1 -2 3 4\n5 6 7 -8\n9 10 11 12\n13 14 15 16")
    matrix.press("Control+Enter")
    expect(headline).to_contain_text("1 × 4 × 4")

    layers = page.locator("[class*='-input-at']")
    choose(page, "layer-lab-1-input-add", "MaxPool2d")
    expect(page.get_by_text("found a kernel that reaches over 2 px, expected at most the 1 px that arrive")).to_be_visible()
    layers.get_by_text("1. Conv2d").click()
    choose(page, "layer-lab-2-row-0-kind", "ReLU")
    expect(headline).to_contain_text("ReLU: 1 × 4 × 4")
    output.hover(position=cell(page, 1, 2, 4))
    expect(worked).to_contain_text("max(0, −2) = 0")
    layers.get_by_text("2. MaxPool2d").click()
    expect(headline).to_contain_text("MaxPool2d: 1 × 4 × 4")
    output.hover(position=cell(page, 1, 2, 2))
    expect(worked).to_contain_text("The largest of 3, 4, 7, 0 = 7")
    choose(page, "layer-lab-3-row-1-kind", "Flatten")
    expect(headline).to_contain_text("Flatten: 1 × 4 × 4")
    output.focus()
    page.keyboard.press("ArrowRight")
    expect(worked).to_contain_text("From row 1, column 2: 0 stays 0")
