"""Zips of images from three systems are imported whole, hostile ones refused or made harmless, and nothing is written elsewhere."""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from core.commands.images import show_report
from core.config import Preprocessing
from core.data.edits import Action, current_edits, edit, keep_revision, undo
from core.data.imports import import_images
from core.data.report import report_on
from core.data.sets import prepare_store
from core.data.sources.own_images import list_images
from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.workspace import Workspace, open_workspace
from tests.fixtures.image_archives import (
    GREAT,
    IMAGES,
    Entry,
    files,
    honest_archives,
    hostile_archives,
    many_images,
    pack,
    png,
    unpacked_to,
)

HONEST, HOSTILE = list(honest_archives()), list(hostile_archives())
WITHIN_S = 5  # the goal is 2 on a machine of one's own; measured: 0.1 for all refusals but of crowds


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path / "around" / "home")


def zipped(tmp_path: Path, content: bytes) -> Path:
    place = tmp_path / "around" / "given" / "set.zip"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below but the workspace, with size and time of change."""
    found = {}
    for path in folder.rglob("*"):
        if "home" not in path.relative_to(folder).parts and path.is_file():
            found[str(path)] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def imported(workspace: Workspace, path: Path) -> ImageStore:
    entry = import_images(workspace, path, "set")
    return prepare_store(workspace, entry.name, Preprocessing())


def use_all(workspace: Workspace, store: ImageStore, capsys) -> None:
    """Every step that a name from outside goes through: report, its JSON, edits and undo, the command line."""
    report = report_on(store, current_edits(workspace, "set")).as_dict(store)
    text = json.dumps(report, ensure_ascii=False)
    text.encode()
    assert all(character.isprintable() or character == "\n" for character in text)
    keys = tuple(store.key(i) for i in range(len(store.labels)))
    edit(workspace, "set", Action(kind="exclude", images=keys[:2]))
    edit(workspace, "set", Action(kind="relabel", images=keys[-1:], label=store.meta.class_names[0]))
    assert keep_revision(workspace, "set")
    assert current_edits(workspace, "set").excluded == set(keys[:2])
    report_on(store, current_edits(workspace, "set"))
    undo(workspace, "set")
    undo(workspace, "set")
    show_report({"dataset": "set", **report, "warnings": []})
    capsys.readouterr().out.encode()


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_honest_zip_is_imported_with_every_picture_in_its_class_and_the_rest_listed(workspace, tmp_path, honest, capsys):
    path = zipped(tmp_path, honest.make())
    before = tree(tmp_path / "around")
    store = imported(workspace, path)
    names, (first, _) = store.meta.class_names, store.meta.splits["validation"]
    found = {
        int(image[0, 0, 0]): ("train" if n < first else "validation", names[label])
        for n, (image, label) in enumerate(zip(store.images, store.labels, strict=True))
    }
    assert found == {shade: (split, name) for shade, split, name in IMAGES.values()}
    assert len(store.labels) == len(IMAGES)
    assert {entry["file"] for entry in store.skipped} == honest.strays
    assert len(store.skipped) == len(honest.strays), "nothing is listed twice"
    use_all(workspace, store, capsys)
    assert tree(tmp_path / "around") == before


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_hostile_zip_is_refused_in_words_or_harmless_and_nothing_is_written_outside(workspace, tmp_path, hostile, capsys):
    path = zipped(tmp_path, hostile.make())
    before = tree(tmp_path / "around")
    began = time.monotonic()
    try:
        listing = list_images(path)
    except InputError as refusal:
        assert time.monotonic() - began < WITHIN_S
        assert hostile.says in str(refusal)
        assert str(refusal).isprintable()
        with pytest.raises(InputError):
            import_images(workspace, path, "set")
    else:
        assert hostile.says == ""
        if len(listing.layout.images) < 100:
            store = imported(workspace, path)
            assert len(store.labels) >= len(IMAGES)
            use_all(workspace, store, capsys)
    assert tree(tmp_path / "around") == before
    outside = {path.name for path in tmp_path.iterdir()} | {path.name for path in (tmp_path / "around").iterdir()}
    assert outside == {"around", "home", "given"}


@pytest.mark.parametrize("name", ["larger-than-said", "smaller-than-said", "other-checksum", "pixel-bomb"])
def test_picture_that_lies_about_itself_is_listed_and_the_others_are_imported(workspace, tmp_path, name):
    (hostile,) = (sample for sample in HOSTILE if sample.name == name)
    store = imported(workspace, zipped(tmp_path, hostile.make()))
    assert len(store.labels) == len(IMAGES)
    assert [entry["file"] for entry in store.skipped if entry.get("kind") == "unreadable"] == ["train/ants/x.png"]


def test_zip_is_refused_for_control_characters_where_paths_are_made_of_names(tmp_path):
    from core.zips import ZipLimits, open_zip

    limits = ZipLimits(num_entries=100, total_bytes=10**6, entry_bytes=10**6)
    for name in (b"a\nb", b"Icon\r", b"a\x1b[31m"):
        with pytest.raises(InputError, match="control characters"):
            open_zip(zipped(tmp_path, pack([Entry(name, b"x")])), limits)


@pytest.mark.parametrize("wrapped_count", [False, True], ids=["zip64", "count-begins-again"])
def test_seventy_thousand_pictures_are_listed_as_zip64_says_and_as_macos_does(tmp_path, wrapped_count):
    listing = list_images(zipped(tmp_path, many_images(70_000, wrapped_count)))
    assert Counter(image.class_name for image in listing.layout.images) == dict.fromkeys("abcd", 17_500)
    assert listing.layout.skipped == []


# --- folders


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX alone")
def test_folder_with_names_that_are_no_utf_8_goes_through_every_step(workspace, tmp_path, capsys):
    root = tmp_path / "around" / "given"
    unpacked_to(root, files(with_strays=False))
    strange = [b"\xff\xfe.png", b"a\nb.png", b"\x1b[31m.png", "\u202egnp.png".encode(), b"x" * 250 + b".png", b"\xe9t\xe9.txt"]
    for shade, name in enumerate(strange, start=100):
        for folder in (b"train/ants", b"train/\xe9t\xe9"):
            place = os.path.join(os.fsencode(root), folder)
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, name), "wb") as file:
                file.write(png(shade))
    before = tree(tmp_path / "around")
    store = imported(workspace, root)
    assert len(store.labels) == len(IMAGES) + 2 * (len(strange) - 1)
    assert len(store.skipped) == 2
    assert store.meta.class_names == sorted(["ants", "bees", GREAT, "?t?"])
    use_all(workspace, store, capsys)
    assert tree(tmp_path / "around") == before


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX alone")
def test_folder_whose_own_path_is_no_utf_8_is_refused_in_words(workspace, tmp_path):
    place = os.path.join(os.fsencode(tmp_path), b"bilder-\xe9")
    os.makedirs(place)
    with pytest.raises(InputError, match="other letters than UTF-8"):
        import_images(workspace, os.fsdecode(place), "set")


def test_pipes_links_and_locked_folders_are_listed_and_not_waited_for(workspace, tmp_path):
    root = unpacked_to(tmp_path / "around" / "given", files(with_strays=False))
    os.mkfifo(root / "train" / "ants" / "pipe.png")
    (root / "train" / "ants" / "link.png").symlink_to("/etc/passwd")
    (root / "train" / "out").symlink_to("/")
    (root / "train" / "gone.png").symlink_to("nowhere")
    store = imported(workspace, root)
    assert len(store.labels) == len(IMAGES)
    assert {entry["file"]: entry["reason"] for entry in store.skipped} == {
        "train/ants/pipe.png": "neither a file nor a folder",
        "train/ants/link.png": "a link, which is not followed",
        "train/out": "a link, which is not followed",
        "train/gone.png": "a link, which is not followed",
    }
