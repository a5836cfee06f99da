"""Imported sets: by name, an upload kept once, twice costs nothing, and what is changed or removed is said or gone."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.config import Preprocessing
from core.data import sets
from core.data.edits import Action, current_edits, edit, edits_at, keep_revision
from core.data.imports import ImportedSet, import_images, imported_sets, remove_import
from core.data.sets import dataset_info, find_store, prepare_store, suiting
from core.errors import InputError
from core.recipes import recipe_named
from core.running.plan import complete
from core.settings import changed
from core.workspace import Workspace, open_workspace
from tests.fixtures.image_archives import Entry as ZipEntry
from tests.fixtures.image_archives import files, info_zip, pack, png, python_zipfile, unpacked_to


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path / "home")


@pytest.fixture
def pets(tmp_path) -> Path:
    return unpacked_to(tmp_path / "pets", files(with_strays=False))


def upload(workspace: Workspace, content: bytes, name: str = "") -> ImportedSet:
    """As the page does it."""
    folder = workspace.home / "upload-1"
    folder.mkdir(exist_ok=True)
    (folder / "upload.zip").write_bytes(content)
    try:
        return import_images(workspace, folder / "upload.zip", name, is_upload=True)
    finally:
        shutil.rmtree(folder)


def all_files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def built(workspace: Workspace, name: str, **preprocessing):
    return prepare_store(workspace, name, Preprocessing(**preprocessing))


def config_on(name: str, **changes):
    return changed(recipe_named("cifar10-blitz").config, {"data.dataset": name, **changes})


@pytest.mark.parametrize("kind", ["folder", "zip", "upload"])
def test_importing_the_same_thing_twice_builds_nothing_and_touches_no_file(workspace, tmp_path, pets, kind):
    (tmp_path / "pets.zip").write_bytes(info_zip())

    def once() -> ImportedSet:
        if kind == "upload":
            return upload(workspace, info_zip(), "pets")
        return import_images(workspace, pets if kind == "folder" else tmp_path / "pets.zip")

    first = once()
    store = built(workspace, "pets")
    before = all_files(tmp_path)
    assert once() == first
    assert built(workspace, "pets").path == store.path
    assert all_files(tmp_path) == before


def test_same_name_for_another_place_is_refused_with_both_and_nothing_changes(workspace, tmp_path, pets):
    import_images(workspace, pets)
    other = shutil.copytree(pets, tmp_path / "more" / "pets")
    before = all_files(tmp_path)
    with pytest.raises(InputError, match=f"already a set called 'pets', from {pets}"):
        import_images(workspace, other)
    with pytest.raises(InputError, match="already a set called 'pets'"):
        upload(workspace, info_zip(), "pets")
    assert all_files(tmp_path) == before
    assert import_images(workspace, other, "more pets").path == str(other)


def test_upload_is_moved_into_the_workspace_and_lies_there_once(workspace):
    one, other = upload(workspace, info_zip(), "one"), upload(workspace, info_zip(), "other")
    assert one.path == other.path
    assert Path(one.path).read_bytes() == info_zip()
    assert Path(one.path).parent == workspace.datasets / "uploads"
    remove_import(workspace, "one")
    assert Path(other.path).exists()
    assert built(workspace, "other").files
    remove_import(workspace, "other")
    assert not Path(other.path).exists()
    assert imported_sets(workspace) == {}


def test_zips_of_the_same_pictures_with_other_labels_are_two_sets(workspace):
    """Found by this test: only the images were looked at, and the second upload had the first one's labels."""

    def labelled(first: bytes, second: bytes) -> bytes:
        table = b"file,label\n1.png,%s\n2.png,%s\n3.png,%s\n" % (first, second, second)
        images = [ZipEntry(b"%d.png" % n, png(10 * n)) for n in (1, 2, 3)]
        return pack([*images, ZipEntry(b"labels.csv", table)])

    upload(workspace, labelled(b"cat", b"dog"), "one")
    upload(workspace, labelled(b"dog", b"cat"), "other")
    one, other = built(workspace, "one"), built(workspace, "other")
    assert [one.meta.class_names[n] for n in one.labels] == ["cat", "dog", "dog"]
    assert [other.meta.class_names[n] for n in other.labels] == ["dog", "cat", "cat"]


def test_corrected_table_of_a_folder_is_noticed(workspace, tmp_path):
    root = unpacked_to(tmp_path / "pets", {f"{n}.png": png(10 * n) for n in (1, 2, 3)})
    (root / "labels.csv").write_text("file,label\n1.png,cat\n2.png,dog\n3.png,dog\n")
    import_images(workspace, root)
    before = built(workspace, "pets").path
    (root / "labels.csv").write_text("file,label\n1.png,dog\n2.png,dog\n3.png,cat\n")
    import_images(workspace, root)
    store = built(workspace, "pets")
    assert store.path != before
    assert [store.meta.class_names[n] for n in store.labels] == ["dog", "dog", "cat"]


def test_changed_folder_is_used_as_it_was_imported_or_asked_to_be_imported_again(workspace, pets, monkeypatch):
    monkeypatch.setattr(sets, "LISTING_S", -1.0)  # the folder is looked at anew
    import_images(workspace, pets)
    store = built(workspace, "pets")
    (pets / "train" / "ants" / "new.png").write_bytes(png(99))
    assert built(workspace, "pets").path == store.path, "what was read is there"
    with pytest.raises(InputError, match=r"not those that 'pets' was read from: files were added.*Import it again"):
        built(workspace, "pets", size_px=16)
    import_images(workspace, pets)
    assert len(built(workspace, "pets").files) == len(store.files) + 1


def test_what_systems_leave_behind_is_no_change(workspace, pets):
    import_images(workspace, pets)
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "train" / "Thumbs.db").write_bytes(b"x")
    assert built(workspace, "pets", size_px=16).files


def test_removing_forgets_name_and_edits_and_leaves_the_person_s_folder_and_old_runs_their_own(workspace, pets):
    import_images(workspace, pets)
    edit(workspace, "pets", Action(kind="exclude", images=("train/ants/one.png",)))
    revision = keep_revision(workspace, "pets")
    before = all_files(pets)
    remove_import(workspace, "pets")
    assert all_files(pets) == before
    assert imported_sets(workspace) == {}
    import_images(workspace, pets)
    assert current_edits(workspace, "pets").is_empty
    assert edits_at(workspace, "pets", revision).excluded == {"train/ants/one.png"}
    with pytest.raises(InputError, match="no imported set 'cats'"):
        remove_import(workspace, "cats")


def test_size_of_the_import_and_the_edits_of_the_moment_are_settled(workspace, pets):
    import_images(workspace, pets, size_px=16, fit="pad")
    plain = complete(workspace, config_on("pets"))
    assert (plain.preprocessing.size_px, plain.preprocessing.fit, plain.data.edits) == (16, "pad", "")
    edit(workspace, "pets", Action(kind="exclude", images=("train/ants/one.png",)))
    edited = complete(workspace, config_on("pets"))
    assert edited.data.edits == keep_revision(workspace, "pets") != ""
    assert complete(workspace, edited) == edited, "what is settled stays"
    edit(workspace, "pets", Action(kind="exclude", images=("train/ants/two.PNG",)))
    assert complete(workspace, edited) == edited
    assert complete(workspace, config_on("pets", **{"data.edits": "none"})).data.edits == "none"
    assert complete(workspace, config_on("pets", **{"preprocessing.size_px": 24})).preprocessing.size_px == 24


def test_spec_before_and_after_reading_counts_the_edited_set(workspace, pets):
    import_images(workspace, pets, size_px=16)
    edit(workspace, "pets", Action(kind="exclude", images=("train/ants/one.png", "val/ants/three.Png")))
    config = complete(workspace, config_on("pets", **{"data.evaluate_on": "validation"}))
    for is_ready in (False, True):
        spec = dataset_info(workspace, config)
        assert (spec.splits, spec.shape, spec.is_ready) == ({"train": 3, "validation": 2}, (3, 16, 16), is_ready)
        assert spec.edits == "2 excluded"
        built(workspace, "pets", size_px=16)


def test_suiting_changes_bring_the_set_s_own_size(workspace, pets):
    import_images(workspace, pets, size_px=16, fit="stretch")
    built(workspace, "pets", size_px=16, fit="stretch")
    changes = suiting(workspace, "pets")
    assert (changes["preprocessing.size_px"], changes["preprocessing.fit"]) == (16, "stretch")
    assert (changes["data.evaluate_on"], changes["data.validation_fraction"]) == ("validation", 0.0)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"name": "x"}', '{"unknown": 1}', "\x00"])
def test_damaged_entry_hides_one_name_and_no_other(workspace, pets, content):
    import_images(workspace, pets)
    (workspace.datasets / "imported" / "0.json").write_text(content)
    assert list(imported_sets(workspace)) == ["pets"]


def test_zip_and_folder_of_the_same_pictures_hold_the_same(workspace, tmp_path, pets):
    (tmp_path / "zipped.zip").write_bytes(python_zipfile("inside/"))
    import_images(workspace, pets)
    import_images(workspace, tmp_path / "zipped.zip")
    one, other = built(workspace, "pets"), built(workspace, "zipped")
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.meta.splits == other.meta.splits
    assert [f"inside/{file}" for file in one.files] == other.files


def test_picture_that_vanishes_between_listing_and_reading_is_listed(workspace, pets, monkeypatch):
    from core.data.sources import own_images as own_images

    import_images(workspace, pets)
    listing = own_images.list_images(pets)
    os.unlink(pets / "train" / "ants" / "one.png")
    source = own_images.source_of(listing, "pets", Preprocessing())
    read = sum(len(block.images) for block in source.blocks(lambda *_: None))
    assert read == len(listing.layout.images) - 1
    assert [entry["file"] for entry in source.skipped] == ["train/ants/one.png"]
    assert "can't be opened" in source.skipped[0]["reason"]


def test_set_that_was_never_built_is_not_found(workspace, pets):
    import_images(workspace, pets)
    assert find_store(workspace, "pets", Preprocessing()) is None


def test_another_size_counts_neither_unreadable_images_nor_the_classes_they_leave_empty(workspace, tmp_path):
    """Found by hand: "learns 6 classes from 488 images", and then it were 3 and 480."""
    content = {f"train/{name}/{n}.png": png(10 * n + i) for i, name in enumerate("abc") for n in range(1, 9)}
    broken = {"train/a/broken.png": b"", "train/d/broken.png": b"\x89PNG", "train/e/broken.png": b"no"}
    unpacked_to(tmp_path / "pets", content | broken)
    name, store = sets.import_set(workspace, tmp_path / "pets")
    before = dataset_info(workspace, config_on(name, **{"preprocessing.size_px": 12, "data.validation_fraction": 0.25}))
    assert (before.num_classes, before.splits, before.is_ready) == (3, {"train": 18, "validation": 6}, False)
    assert before.shape == (3, 12, 12)
    assert dataset_info(workspace, config_on(name, **{"preprocessing.colour": "grey"})).shape == (1, *store.meta.shape[1:])
    built(workspace, name, size_px=12)
    after = dataset_info(workspace, config_on(name, **{"preprocessing.size_px": 12, "data.validation_fraction": 0.25}))
    assert (after.num_classes, after.splits, after.shape, after.is_ready) == (3, before.splits, before.shape, True)
