"""A person's own pictures by clicks: a zip comes in, its report is read, its pictures looked at and edited, a network learns from it."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.data.edits import current_edits
from core.data.imports import imported_sets
from core.runs.status import status_of
from core.workspace import open_workspace
from tests.browser.conftest import Server, run_shown, view
from tests.real_data import real_data
from tests.waiting import until

# what Markdown, HTML, formulas, links and terminals would make something of
NAMES = (
    "![x](http://evil.example/p.png)", "<img src=http:⁄⁄evil.example⁄x onerror=alert(1)>", "[go](http:evil.example)", "www.evil.example",
    "**bold** $x^2$ :red[a]", "a\u202egnp.exe", "| table | `code` |",
)  # fmt: skip


def upload(page: Page, name: str, content: bytes) -> None:
    """Drops a zip on the Data page and imports it under its own name."""
    page.goto("/data")
    page.locator("input[type=file]").set_input_files({"name": f"{name}.zip", "mimeType": "application/zip", "buffer": content})
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible(timeout=60_000)


def grid_pictures(page: Page):
    """The pictures of a grid that have come and can be seen."""
    return page.locator(".tiles img").evaluate_all("images => images.filter(i => i.complete && i.naturalWidth > 0).length")


@pytest.mark.real_data
def test_ants_and_bees_from_their_zip_to_a_prediction(page: Page, server: Server, tmp_path: Path) -> None:
    archive = real_data("hymenoptera").with_suffix(".zip")
    upload(page, "insects", archive.read_bytes())
    expect(page.get_by_text("398 pictures, 2 classes, stored at 64 × 64 pixels")).to_be_visible()
    view(page, "Pictures")
    expect(page.get_by_text("1 to 60 of 398 pictures")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.tiles img').length === 60")
    until(lambda: grid_pictures(page) > 10)
    page.locator(".tiles .tile button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile(r"ants, train, \d+ × \d+ pixels, number 1"))).to_be_visible()
    page.wait_for_function(
        "document.querySelector('[role=dialog] .tiles img')?.naturalWidth > 64"
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
    with zipfile.ZipFile(archive) as pictures:
        name = next(n for n in pictures.namelist() if "val/bees/" in n and n.endswith(".jpg"))
        content = pictures.read(name)
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
                    picture = io.BytesIO()
                    Image.fromarray(rng.integers(0, 255, (24, 24, 3)).astype(np.uint8)).save(picture, "PNG")
                    archive.writestr(f"{split}/{name.replace('/', '⁄')}/{i}.png", picture.getvalue())
                    if with_copy and split == "train" and i == 0:
                        archive.writestr(f"val/{name}/copy.png", picture.getvalue())
        archive.writestr("train/notes.txt", "no picture")
        archive.writestr(f"train/{names[0].replace('/', '⁄')}/broken.png", b"no picture either")
    return content.getvalue()


def test_labels_of_a_table_that_plotly_would_make_links_of_are_plain_text(page: Page, server: Server) -> None:
    content, label = io.BytesIO(), '<a href="http://evil.example/">go</a>'
    with zipfile.ZipFile(io.BytesIO(zip_of(("a", "b")))) as pictures, zipfile.ZipFile(content, "w") as archive:
        names = [name for name in pictures.namelist() if name.endswith(".png") and "broken" not in name]
        rows = [
            f"{n}.png,{'plain' if n % 2 else chr(34) + label.replace(chr(34), 2 * chr(34)) + chr(34)}" for n in range(len(names))
        ]
        archive.writestr("labels.csv", "\n".join(["file,label", *rows]))
        for n, name in enumerate(names):
            archive.writestr(f"pictures/{n}.png", pictures.read(name))
    upload(page, "table", content.getvalue())
    expect(page.locator(".ytick text", has_text="evil.example").first).to_be_visible()
    assert page.locator("[data-testid='stMain'] a[href*=evil]").count() == 0
    assert page.locator("svg a").count() == 0


def test_names_full_of_markup_are_plain_text_everywhere_and_load_nothing(page: Page, server: Server) -> None:
    """The page fixture sees to it that no other host was asked."""
    upload(page, "markup", zip_of(NAMES))
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    for name in ("Report", "Pictures", "Figures", "Splits", "Transforms"):
        view(page, name)
        page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
        links = page.locator("[data-testid='stMain'] a").evaluate_all("links => links.map(l => l.href)")
        assert not [link for link in links if "evil" in link], name
    view(page, "Pictures")
    expect(page.locator(".tiles .line", has_text="![x](http")).not_to_have_count(0)
    page.goto("/train")
    page.goto("/data")
    assert page.locator("[data-testid='stMain'] img[src*=evil]").count() == 0
    assert alerts == []


def test_copies_between_splits_are_seen_side_by_side_and_left_out_by_one_click(page: Page, server: Server) -> None:
    upload(page, "leaky", zip_of(("cat", "dog"), with_copy=True))
    expect(page.get_by_text("2 pictures to learn from also stand in a split that judges")).to_be_visible()
    expect(page.get_by_text("1 file could not be read")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.tiles .tile:first-child img').length === 2")
    page.get_by_role("button", name="Leave out 2").click()
    expect(page.get_by_text("Edited: 2 left out")).to_be_visible()
    expect(page.get_by_text("also stand in a split that judges")).to_have_count(0)


def test_marked_pictures_are_relabelled_by_keyboard_and_mouse_and_undone(page: Page, server: Server) -> None:
    upload(page, "marks", zip_of(("cat", "dog")))
    view(page, "Pictures")
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
