"""Networks by clicks: one is looked into and folded, the first CNN is built from nothing, a fault is mended, it is trained and its maps are seen."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from core.models.own_networks import own_networks
from core.runs.status import status_of
from core.workspace import open_workspace
from tests.browser.conftest import Server, choose, run_shown, view
from tests.fixtures.waiting import until

FIRST_CNN = ("Conv2d", "MaxPool2d", "ReLU", "Flatten", "Linear", "ReLU", "Linear")


def test_a_network_is_drawn_folded_zoomed_and_saved(page: Page, tmp_path: Path) -> None:
    page.goto("/networks?model=resnet18")
    graph = page.locator(".network-graph")
    expect(graph.get_by_text("▸ layer1.0 · BasicBlock")).to_be_visible()
    graph.get_by_role("button", name="Unfold layer1.0").click()
    expect(graph.get_by_text("▾ layer1.0 · BasicBlock")).to_be_visible()
    expect(graph.get_by_text("add", exact=True)).to_be_visible()
    graph.get_by_role("button", name="Fold layer1", exact=True).focus()
    page.keyboard.press("Enter")
    expect(graph.get_by_text("▸ layer1 · Sequential")).to_be_visible()
    wide = graph.locator("svg").bounding_box()["width"]
    graph.get_by_role("button", name="Zoom in").click()
    assert graph.locator("svg").bounding_box()["width"] > 1.2 * wide
    with page.expect_download() as download:
        graph.get_by_role("button", name="Save the drawing as SVG").click()
    saved = tmp_path / "graph.svg"
    download.value.save_as(saved)
    assert download.value.suggested_filename == "ResNet-18.svg"
    assert "layer1 · Sequential" in saved.read_text()
    page.get_by_role("radio", name="Layers").or_(page.get_by_role("button", name="Layers")).first.click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


def test_the_first_cnn_is_built_from_nothing_trained_on_digits_and_its_maps_are_seen(page: Page, server: Server) -> None:
    page.goto("/networks?view=Builder")
    expect(page.get_by_text("2 rows,")).to_be_visible()
    size = page.locator("[class*='st-key-builder-side']").get_by_role("spinbutton")
    size.fill("8")
    size.press("Tab")
    expect(page.get_by_text("1 × 8 × 8")).to_be_visible()
    for _ in range(2):  # Flatten and Linear, with which it begins
        rows = page.get_by_role("button", name="Remove", exact=True)
        count = rows.count()
        if count > 1:
            rows.last.click()
            expect(rows).to_have_count(count - 1)
    choose(page, "row-", "Conv2d")
    expect(page.get_by_text("16 × 6 × 6", exact=True)).to_be_visible()
    for layer in FIRST_CNN[1:]:
        choose(page, "builder-add", layer)
        count = page.get_by_role("button", name="Remove", exact=True).count()
        page.get_by_role("button", name="Add row").click()
        expect(page.get_by_role("button", name="Remove", exact=True)).to_have_count(count + 1)
    features = page.get_by_role("spinbutton", name="Features").first
    features.fill("32")
    features.press("Tab")
    expect(page.get_by_text("7 rows,")).to_be_visible()

    kernel = page.get_by_role("textbox", name="Kernel (px)").first
    kernel.fill("12")
    kernel.press("Tab")
    expect(page.get_by_text("Found a kernel that reaches over 12 px, expected at most the 8 px that arrive.")).to_be_visible()
    expect(page.get_by_role("button", name="Train it")).to_be_disabled()
    kernel.fill("3")
    kernel.press("Tab")
    expect(page.get_by_text("7 rows,")).to_be_visible()

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved as My network.")).to_be_visible()
    network = own_networks(open_workspace(server.home))["My network"]
    assert [row.layer for row in network.rows] == ["conv2d", "max-pool2d", "relu", "flatten", "linear", "relu", "linear"]
    page.get_by_role("button", name="Train it").click()
    expect(page.get_by_text("Put together of 7 rows of layers.")).to_be_visible()
    epochs = page.locator("[class*='-epochs']").get_by_role("spinbutton").first
    epochs.fill("2")
    epochs.press("Enter")
    expect(page.get_by_text("2 epochs of 23 steps")).to_be_visible()
    page.get_by_role("button", name="Start training").click()
    run = run_shown(page, server)
    until(lambda: status_of(run).state == "finished", timeout_s=60)
    page.goto(f"/results?run={run.id}")
    view(page, "Explain")
    expect(page.get_by_text(re.compile("maps? of 6 × 6"))).to_be_visible(timeout=30_000)
