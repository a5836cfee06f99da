"""A person's own images by clicks: a zip comes in, its report is read, its images looked at and edited, a network learns from it."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.data.edits import Action, actions_on, current_edits, edit, forget_edits
from core.data.imports import imported_sets
from core.data.sets import import_set
from core.runs.status import status_of
from core.workspace import open_workspace
from tests.browser.conftest import Server, run_shown, view
from tests.fixtures.real_data import real_data
from tests.fixtures.waiting import until

# what Markdown, HTML, formulas, links and terminals would make something of
NAMES = (
    "![x](http://evil.example/p.png)",
    "<img src=http:⁄⁄evil.example⁄x onerror=alert(1)>",
    "[go](http:evil.example)",
    "www.evil.example",
    "**bold** $x^2$ :red[a]",
    "a\u202egnp.exe",
    "| table | `code` |",
)


def upload(page: Page, name: str, content: bytes) -> None:
    """Drops a zip on the Data page and imports it under its own name."""
    page.goto("/data")
    page.locator("input[type=file]").set_input_files({"name": f"{name}.zip", "mimeType": "application/zip", "buffer": content})
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible(timeout=60_000)


def grid_images(page: Page):
    """The images of a grid that have come and can be seen."""
    return page.locator(".tiles img").evaluate_all("images => images.filter(i => i.complete && i.naturalWidth > 0).length")


@pytest.mark.real_data
def test_ants_and_bees_from_their_zip_to_a_prediction(page: Page, server: Server, tmp_path: Path) -> None:
    archive = real_data("hymenoptera").with_suffix(".zip")
    upload(page, "insects", archive.read_bytes())
    expect(page.get_by_text("398 images, 2 classes, stored at 64 × 64 pixels")).to_be_visible()
    view(page, "Images")
    expect(page.get_by_text("1 to 60 of 398 images")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.tiles img').length === 60")
    until(lambda: grid_images(page) > 10)
    page.locator(".tiles .tile button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile(r"ants, train, \d+ × \d+ pixels, number 1"))).to_be_visible()
    page.wait_for_function(
        "document.querySelector('[role=dialog] .large-picture img')?.naturalWidth > 64"
    )  # the file's own, not the stored
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Train on it").click()
    expect(page.get_by_text("Checked:")).to_be_visible()
    epochs = page.locator("[class*='-epochs']").get_by_role("spinbutton").first
    epochs.fill("1")
    epochs.press("Tab")
    expect(page.get_by_text(re.compile("1 epochs? of"))).to_be_visible()
    page.get_by_role("button", name="Start training").click()
    run = run_shown(page, server)
    until(lambda: status_of(run).state == "finished", timeout_s=120)
    with zipfile.ZipFile(archive) as images:
        name = next(n for n in images.namelist() if "val/bees/" in n and n.endswith(".jpg"))
        content = images.read(name)
    page.goto(f"/predict?run={run.id}")
    page.get_by_text("Upload", exact=True).first.click()
    page.locator("input[type=file]").set_input_files({"name": "bee.jpg", "mimeType": "image/jpeg", "buffer": content})
    expect(page.get_by_text(re.compile(r"(ants|bees)")).first).to_be_visible()


def zip_of(names: tuple[str, ...], with_copy: bool = False) -> bytes:
    content, rng = io.BytesIO(), np.random.default_rng(1)
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            for split, count in (("train", 6), ("val", 3)):
                for i in range(count):
                    image = io.BytesIO()
                    Image.fromarray(rng.integers(0, 255, (24, 24, 3)).astype(np.uint8)).save(image, "PNG")
                    archive.writestr(f"{split}/{name.replace('/', '⁄')}/{i}.png", image.getvalue())
                    if with_copy and split == "train" and i == 0:
                        archive.writestr(f"val/{name}/copy.png", image.getvalue())
        archive.writestr("train/notes.txt", "no image")
        archive.writestr(f"train/{names[0].replace('/', '⁄')}/broken.png", b"no image either")
    return content.getvalue()


def test_labels_of_a_table_that_plotly_would_make_links_of_are_plain_text(page: Page, server: Server) -> None:
    content, label = io.BytesIO(), '<a href="http://evil.example/">go</a>'
    with zipfile.ZipFile(io.BytesIO(zip_of(("a", "b")))) as images, zipfile.ZipFile(content, "w") as archive:
        names = [name for name in images.namelist() if name.endswith(".png") and "broken" not in name]
        rows = [
            f"{n}.png,{'plain' if n % 2 else chr(34) + label.replace(chr(34), 2 * chr(34)) + chr(34)}" for n in range(len(names))
        ]
        archive.writestr("labels.csv", "\n".join(["file,label", *rows]))
        for n, name in enumerate(names):
            archive.writestr(f"pictures/{n}.png", images.read(name))
    upload(page, "table", content.getvalue())
    expect(page.locator(".ytick text", has_text="evil.example").first).to_be_visible()
    assert page.locator("[data-testid='stMain'] a[href*=evil]").count() == 0
    assert page.locator("svg a").count() == 0


def test_names_full_of_markup_are_plain_text_everywhere_and_load_nothing(page: Page, server: Server) -> None:
    """The page fixture sees to it that no other host was asked."""
    upload(page, "markup", zip_of(NAMES))
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    for name in ("Report", "Images", "Statistics", "Splits", "Transforms"):
        view(page, name)
        page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
        links = page.locator("[data-testid='stMain'] a").evaluate_all("links => links.map(l => l.href)")
        assert not [link for link in links if "evil" in link], name
    view(page, "Images")
    expect(page.locator(".tiles .line", has_text="![x](http")).not_to_have_count(0)
    page.goto("/train")
    page.goto("/data")
    assert page.locator("[data-testid='stMain'] img[src*=evil]").count() == 0
    assert alerts == []


def test_copies_between_splits_are_seen_side_by_side_and_left_out_by_one_click(page: Page, server: Server) -> None:
    upload(page, "leaky", zip_of(("cat", "dog"), with_copy=True))
    expect(page.get_by_text("2 training images are also in an evaluation split (data leakage)")).to_be_visible()
    expect(page.get_by_text("1 file could not be read")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.tiles .tile:first-child img').length === 2")
    page.get_by_role("button", name="Exclude 2").click()
    expect(page.get_by_text("Edited: 2 excluded")).to_be_visible()
    expect(page.get_by_text("also stand in an evaluation split")).to_have_count(0)


def test_marked_pictures_are_relabelled_by_keyboard_and_mouse_and_undone(page: Page, server: Server) -> None:
    upload(page, "marks", zip_of(("cat", "dog")))
    view(page, "Images")
    tiles = page.locator(".tiles .tile")
    expect(tiles).to_have_count(18)
    tiles.nth(0).locator("input").click()
    expect(page.get_by_text("1 marked")).to_be_visible()
    tiles.nth(2).locator("input").click(modifiers=["Shift"])
    expect(page.get_by_text("3 marked")).to_be_visible()
    tiles.nth(3).locator("button").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("4 marked")).to_be_visible()
    page.locator("[class*='st-key-new-class-marked']").get_by_role("combobox").click()
    page.get_by_role("option", name="dog").click()
    page.get_by_role("button", name="Relabel").click()
    expect(page.get_by_text("Edited: 4 relabelled")).to_be_visible()
    workspace = open_workspace(server.home)
    assert current_edits(workspace, "marks").relabelled == {f"train/cat/{i}.png": "dog" for i in range(4)}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Edited:")).to_have_count(0)
    assert current_edits(workspace, "marks").is_empty


def folder_of_noise(root: Path, count: int) -> Path:
    """Two classes of so many training images each, on disk."""
    rng = np.random.default_rng(2)
    for split, number in (("train", count), ("val", 3)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for i in range(number):
                Image.fromarray(rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)).save(root / split / name / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def noise(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A set of 146 images, so three pages."""
    import_set(open_workspace(server.home), folder_of_noise(tmp_path_factory.mktemp("sets") / "noise", 70))
    return "noise"


@pytest.fixture
def images(page: Page, server: Server, noise: str) -> Page:
    """The images of that set, as delivered."""
    forget_edits(open_workspace(server.home), noise)
    page.goto(f"/data?set={noise}")
    view(page, "Images")
    expect(page.locator(".tiles .tile")).to_have_count(60)
    return page


def resting_place(page: Page, locator) -> dict[str, float]:
    """Where it stands once the page has come to rest: the same in 20 frames one after another."""
    box, same = locator.bounding_box(), 0

    def is_at_rest() -> bool:
        nonlocal box, same
        page.evaluate("() => new Promise(requestAnimationFrame)")
        now = locator.bounding_box()
        box, same = now, same + 1 if now == box else 0
        return same >= 20

    until(is_at_rest)
    return box


def test_what_is_done_with_marked_pictures_stands_above_the_grid_stays_in_sight_and_is_one_tab_away(images: Page) -> None:
    tiles, bar = images.locator(".tiles .tile"), images.locator(".st-key-picture-actions")
    place = resting_place(images, tiles.first)
    tiles.first.locator("input").click()
    expect(bar.get_by_text("1 marked")).to_be_visible()
    assert tiles.first.bounding_box() == place, "marking moves nothing"
    assert bar.bounding_box()["y"] + bar.bounding_box()["height"] <= place["y"]
    tiles.nth(58).locator("button").focus()
    images.keyboard.press("ArrowRight")
    images.keyboard.press("Space")
    expect(bar.get_by_text("2 marked")).to_be_visible()
    expect(tiles.nth(59).locator("button")).to_be_focused()
    expect(bar).to_be_in_viewport(ratio=1)
    images.keyboard.press("Shift+Tab")
    expect(bar.get_by_role("button", name="Flag")).to_be_focused()
    images.keyboard.press("Enter")
    expect(images.get_by_text("Last: 2 flagged")).to_be_attached()
    expect(tiles.nth(59).locator("button")).to_be_focused()


def test_pictures_stay_where_they_are_when_marked_ones_are_changed(images: Page) -> None:
    tiles = images.locator(".tiles .tile")
    tiles.nth(30).locator("input").click()
    expect(images.get_by_text("1 marked")).to_be_visible()
    images.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 300)")
    images.evaluate("""() => {
        window.grid = document.querySelector('.tiles'), window.images = [...grid.querySelectorAll('img')];
        window.heights = [], window.places = [];
        (function look() {
            heights.push(document.querySelector('.tiles')?.offsetHeight ?? 0);
            places.push(document.querySelectorAll('.tile')[30]?.getBoundingClientRect().top);
            requestAnimationFrame(look);
        })();
    }""")
    images.get_by_role("button", name="Exclude").click()
    expect(images.locator(".tile.dimmed")).to_have_count(1)
    expect(images.locator(".tile.marked")).to_have_count(0)
    assert images.evaluate("grid === document.querySelector('.tiles')")
    assert images.evaluate("images.every((image, n) => image === grid.querySelectorAll('img')[n])")
    assert images.evaluate("Math.min(...heights) > 0.95 * Math.max(...heights)")
    places = images.evaluate("places")
    assert max(places) - min(places) < 20, "nothing is seen to jump; the page scrolled to its top and back before"
    images.evaluate("heights.length = 0")
    images.get_by_role("button", name="Next", exact=True).click()
    expect(images.get_by_text("61 to 120 of 146")).to_be_attached()
    assert images.evaluate("Math.min(...heights) > 0.9 * Math.max(...heights)"), "no empty frame"


def test_marks_outlive_the_page_until_they_are_acted_on_or_taken_off(images: Page, server: Server) -> None:
    tiles = images.locator(".tiles .tile")
    tiles.nth(0).locator("input").click()
    tiles.nth(1).locator("input").click()
    expect(images.get_by_text("2 marked")).to_be_visible()
    images.get_by_role("button", name="Next", exact=True).click()
    expect(images.get_by_text("2 marked, 2 not on this page")).to_be_visible()
    expect(images.locator(".tile.marked")).to_have_count(0)
    tiles.nth(0).locator("input").click()
    expect(images.get_by_text("3 marked, 2 not on this page")).to_be_visible()
    images.get_by_role("button", name="Back", exact=True).click()
    expect(images.get_by_text("3 marked, 1 not on this page")).to_be_visible()
    expect(images.locator(".tile.marked")).to_have_count(2)
    images.get_by_role("button", name="Exclude").click()
    expect(images.get_by_text("Last: 3 excluded")).to_be_visible()
    expect(images.get_by_text("marked")).to_have_count(0)
    expect(images.locator(".tiles input:checked")).to_have_count(0)
    tiles.nth(5).locator("input").click()
    expect(images.get_by_text("1 marked")).to_be_visible()
    images.get_by_role("button", name="Unmark all").click()
    expect(images.get_by_text("marked")).to_have_count(0)
    expect(images.locator(".tile.marked")).to_have_count(0)
    excluded = current_edits(open_workspace(server.home), "noise").excluded
    assert excluded == {"train/cat/000.png", "train/cat/001.png", "train/cat/060.png"}


def test_relabelling_to_the_class_a_picture_has_is_no_edit_and_back_leaves_none(images: Page, server: Server) -> None:
    tiles, workspace = images.locator(".tiles .tile"), open_workspace(server.home)

    def relabel(class_name: str) -> None:
        expect(images.locator(".tile.marked")).to_have_count(0)
        tiles.nth(0).locator("input").click()
        expect(images.get_by_text("1 marked")).to_be_visible()
        images.locator("[class*='st-key-new-class-marked']").get_by_role("combobox").click()
        images.get_by_role("option", name=class_name).click()
        images.get_by_role("button", name="Relabel", exact=True).click()

    relabel("cat")
    expect(images.get_by_text("Nothing to change: it is cat already.")).to_be_visible()
    assert actions_on(workspace, "noise") == []
    images.get_by_role("button", name="Unmark all").click()
    relabel("dog")
    expect(images.get_by_text("Edited: 1 relabelled")).to_be_visible()
    relabel("cat")
    expect(images.get_by_text("Edited:")).to_have_count(0)
    assert current_edits(workspace, "noise").is_empty


def test_undo_of_something_else_than_is_shown_is_refused(images: Page, server: Server) -> None:
    workspace = open_workspace(server.home)
    edit(workspace, "noise", Action(kind="exclude", images=("train/cat/000.png",)))
    images.get_by_role("button", name="Next", exact=True).click()
    expect(images.get_by_text("Last: 1 excluded.")).to_be_visible()
    edit(workspace, "noise", Action(kind="flag", images=("train/cat/001.png", "train/cat/002.png")))
    images.get_by_role("button", name="Undo", exact=True).click()
    expect(images.get_by_text("Nothing was undone")).to_be_visible()
    expect(images.get_by_text("Last: 2 flagged.")).to_be_visible()
    assert len(actions_on(workspace, "noise")) == 2
    images.get_by_role("button", name="Undo all").click()
    images.get_by_role("button", name="Undo 2 changes").click()
    expect(images.get_by_text("Last:")).to_have_count(0)
    assert actions_on(workspace, "noise") == []


def test_a_picture_is_shown_large_with_its_neighbours_and_as_stored_where_its_file_is_gone(
    page: Page, server: Server, tmp_path: Path
) -> None:
    folder = folder_of_noise(tmp_path / "going", 5)
    import_set(open_workspace(server.home), folder)
    (folder / "train" / "cat" / "001.png").unlink()
    page.goto("/data?set=going")
    view(page, "Images")
    tiles, dialog = page.locator(".tiles .tile"), page.get_by_role("dialog")
    tiles.first.locator("button").focus()
    page.keyboard.press("Enter")
    image = dialog.locator(".large-picture img")
    expect(image).to_have_js_property("naturalWidth", 30)
    # 30 × 20 pixels: up to 65 % of 900 high and some 1,200 wide
    size = image.bounding_box()
    assert size["width"] % 30 == 0 and size["width"] / 30 == size["height"] / 20
    assert size["height"] <= 585 < size["height"] + 20
    expect(image).to_have_css("image-rendering", "pixelated")
    expect(dialog.get_by_text("1 of 16")).to_be_visible()
    expect(dialog.locator(".gone")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text("train/cat/001.png")).to_be_visible()
    expect(dialog.get_by_text("Its file is gone")).to_be_visible()
    page.wait_for_function("document.querySelector('.large-picture img').naturalWidth > 0")
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("train/cat/002.png")).to_be_visible()
    expect(dialog.locator(".gone")).to_have_count(0)
    dialog.get_by_role("button", name="Previous").click()
    expect(dialog.get_by_text("2 of 16")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(tiles.first.locator("button")).to_be_focused()


def test_a_pair_opens_large_side_by_side_and_either_can_be_left_out(page: Page, server: Server) -> None:
    upload(page, "twins", zip_of(("cat", "dog"), with_copy=True))
    page.locator(".tiles .tile button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".large-picture img")).to_have_count(2)
    left, right = (dialog.locator(".large-picture img").nth(n).bounding_box() for n in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    expect(dialog.get_by_text(re.compile("cat, train, 24 × 24 pixels"))).to_be_visible()
    expect(dialog.get_by_text("val/cat/copy.png")).to_be_visible()
    expect(dialog.get_by_text(re.compile("cat, validation, 24 × 24 pixels"))).to_be_visible()
    dialog.get_by_role("button", name="Exclude").last.click()
    expect(dialog.get_by_role("button", name="Take back in")).to_be_visible()  # both stay open
    page.keyboard.press("Escape")
    expect(page.get_by_text("Edited: 1 excluded")).to_be_visible()
    assert current_edits(open_workspace(server.home), "twins").excluded == {"val/cat/copy.png"}


def test_a_hostile_zip_is_refused_in_words_and_leaves_nothing(page: Page, server: Server) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../../outside.png", b"x")
    page.goto("/data")
    page.locator("input[type=file]").set_input_files(
        {"name": "evil.zip", "mimeType": "application/zip", "buffer": content.getvalue()}
    )
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("leads out of the zip's own folder")).to_be_visible()
    assert "evil" not in imported_sets(open_workspace(server.home))
