"""A folder of images as a data set: its layouts, what is passed over and why, and the size and colour it is stored at."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import Preprocessing
from core.data.imports import import_images, imported_sets
from core.data.sets import dataset_info, find_store, place_of, prepare_store
from core.data.sources.own_images import DEFAULT_SIZE_PX, list_images
from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.recipes import recipe_named
from core.running.plan import complete
from core.settings import changed
from core.workspace import Workspace, open_workspace
from tests.fixtures.real_data import real_data


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path / "home")


def make(root: Path, *files: str, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
    """Image files, each of a shade of its own: the n-th has the value 10 n."""
    for number, file in enumerate(files, start=1):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 10 * number).convert(mode).save(path)
    return root


def store_of(workspace: Workspace, root: Path, **preprocessing) -> ImageStore:
    return prepare_store(workspace, str(root), Preprocessing(**preprocessing))


def contents(store: ImageStore) -> dict[str, list[tuple[int, str]]]:
    """(shade, class) of each image, by split."""
    return {
        split: [(int(store.images[i, 0, 0, 0]), store.meta.class_names[store.labels[i]]) for i in range(first, end)]
        for split, (first, end) in store.meta.splits.items()
    }


# --- layouts


@pytest.mark.parametrize(
    ("folder", "split"),
    [("test", "test"), ("testing", "test"), ("val", "validation"), ("valid", "validation"), ("Validation", "validation")],
)
def test_divided_folder_keeps_its_splits(workspace, tmp_path, folder, split):
    root = make(tmp_path / "pets", "train/cat/a.png", "train/dog/b.png", f"{folder}/cat/c.png", f"{folder}/dog/d.png")
    assert contents(store_of(workspace, root)) == {"train": [(10, "cat"), (20, "dog")], split: [(30, "cat"), (40, "dog")]}


def test_all_three_splits_are_taken(workspace, tmp_path):
    root = make(tmp_path / "pets", "train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "test/dog/d.png")
    assert {split: len(rows) for split, rows in contents(store_of(workspace, root)).items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }


def test_undivided_folder_is_all_training(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png", "dog/c.png")
    assert contents(store_of(workspace, root)) == {"train": [(10, "cat"), (20, "dog"), (30, "dog")]}


def test_folder_around_everything_is_unwrapped(workspace, tmp_path):
    root = make(tmp_path / "download", "pets/cat/a.png", "pets/dog/b.png", "__MACOSX/pets/cat/._a.png")
    assert contents(store_of(workspace, root)) == {"train": [(10, "cat"), (20, "dog")]}


def test_pictures_deeper_in_a_class_belong_to_it(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/2020/june/a.png", "cat/b.png", "dog/c.png")
    assert sorted(contents(store_of(workspace, root))["train"]) == [(10, "cat"), (20, "cat"), (30, "dog")]


def test_class_names_are_data_whatever_they_hold(workspace, tmp_path):
    names = ["![x](http://evil.example/p.png)", "<b>bold</b>", "größer 中", "a b"]
    root = make(tmp_path / "pets", *[f"{name.replace('/', '∕')}/a.png" for name in names])
    store = store_of(workspace, root)
    assert store.meta.class_names == sorted(name.replace("/", "∕") for name in names)
    assert store.path.parent == workspace.stores
    assert store.path.name.isascii()


# --- what is passed over


def test_everything_that_is_no_picture_is_listed_with_its_reason(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png", "dog/.hidden.png", ".git/x.png", "__MACOSX/cat/a.png", "stray.png")
    (root / "cat" / "notes.txt").write_text("x")
    (root / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "cat" / "empty.png").write_bytes(b"")
    store = store_of(workspace, root)
    assert contents(store) == {"train": [(10, "cat"), (20, "dog")]}
    reasons = {row["file"]: row["reason"] for row in store.skipped}
    assert set(reasons) == {
        "dog/.hidden.png",
        ".git/x.png",
        "__MACOSX/cat/a.png",
        "stray.png",
        "cat/notes.txt",
        "cat/broken.jpg",
        "cat/empty.png",
    }
    assert reasons["cat/notes.txt"] == "not an image by its ending"
    assert reasons["stray.png"] == "lies in no class folder"
    assert reasons[".git/x.png"] == reasons["__MACOSX/cat/a.png"] == "hidden, or left by an archiver or a file manager"
    assert "image" in reasons["cat/broken.jpg"]


def test_files_are_found_again_by_their_place_in_the_store(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "cat/b.png", "dog/c.png")
    (root / "cat" / "aa.png").write_bytes(b"broken")
    store = store_of(workspace, root)
    assert store.files == ["cat/a.png", "cat/b.png", "dog/c.png"]
    for file, image in zip(store.files, store.images, strict=True):
        assert image[0, 0, 0] == np.asarray(Image.open(root / file))[0, 0, 0]


def test_links_are_not_followed(workspace, tmp_path):
    outside = make(tmp_path / "outside", "secret.png")
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    (root / "cat" / "loop").symlink_to(root)
    (root / "cat" / "secret.png").symlink_to(outside / "secret.png")
    assert contents(store_of(workspace, root)) == {"train": [(10, "cat"), (20, "dog")]}


def test_nothing_in_the_folder_is_changed(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*.png")}
    store_of(workspace, root)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "No images in class folders were found"),
        (["a.png", "b.png"], r"No images in class folders were found among 2 files"),
        (["cat/a.png"], "Only one class was found"),
        (["test/cat/a.png", "val/dog/b.png"], "has no training images"),
        (["test/cat/a.png", "test/dog/b.png"], "has no training images"),
    ],
)
def test_folder_that_is_no_data_set_is_refused_with_what_was_found(workspace, tmp_path, files, words):
    root = tmp_path / "pets"
    root.mkdir()
    make(root, *files)
    with pytest.raises(InputError, match=words) as refusal:
        store_of(workspace, root)
    assert refusal.value.code == "dataset"
    assert list(workspace.stores.iterdir()) == []


def test_place_of_broken_pictures_is_refused_and_leaves_no_store(workspace, tmp_path):
    root = tmp_path / "pets"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        (root / name / "a.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"can be read|No readable"):
        store_of(workspace, root)
    assert list(workspace.stores.iterdir()) == []


def test_folder_that_is_not_there_is_refused_by_its_path(workspace, tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        store_of(workspace, tmp_path / "none")


# --- size and colour


def test_pictures_of_one_size_keep_it(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png", size=(20, 10))
    assert store_of(workspace, root).meta.shape == (3, 10, 20)


def test_pictures_of_different_sizes_become_squares(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", size=(200, 100))
    make(root, "dog/b.png", size=(90, 300))
    store = store_of(workspace, root)
    assert store.meta.shape == (3, DEFAULT_SIZE_PX, DEFAULT_SIZE_PX) == (3, 64, 64)


def test_chosen_size_and_colour_are_the_store_s(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    assert store_of(workspace, root, size_px=16).meta.shape == (3, 16, 16)
    assert store_of(workspace, root, size_px=16, colour="grey").meta.shape == (1, 16, 16)
    assert len(list(workspace.stores.iterdir())) == 2


def test_grey_pictures_have_one_channel_and_a_single_colour_one_makes_three(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png", mode="L")
    assert store_of(workspace, root).meta.shape[0] == 1
    make(root, "dog/c.png")
    assert store_of(workspace, root).meta.shape[0] == 3


# --- found again


def test_store_is_built_once_and_again_when_a_file_changes(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    first = store_of(workspace, root)
    assert find_store(workspace, str(root), Preprocessing()) == first
    assert store_of(workspace, root).path == first.path
    Image.new("RGB", (8, 6), (99, 99, 99)).save(root / "cat" / "a.png")
    os.utime(root / "cat" / "a.png", ns=(1, 1))
    assert find_store(workspace, str(root), Preprocessing()) is None
    assert contents(store_of(workspace, root))["train"][0] == (99, "cat")


def test_listing_changes_with_any_file_added_removed_or_renamed(tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    seen = {list_images(root).fingerprint}
    make(root, "dog/c.png")
    seen.add(list_images(root).fingerprint)
    (root / "dog" / "c.png").rename(root / "dog" / "d.png")
    seen.add(list_images(root).fingerprint)
    assert len(seen) == 3
    (root / "dog" / "d.png").unlink()
    assert list_images(root).fingerprint in seen


def test_imported_folder_is_known_by_its_name(workspace, tmp_path):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    assert import_images(workspace, root).name == "pets"
    assert import_images(workspace, root, "meine Tiere").name == "meine Tiere"
    assert {name: entry.path for name, entry in imported_sets(workspace).items()} == {"pets": str(root), "meine Tiere": str(root)}
    assert place_of(workspace, "meine Tiere") == root
    assert place_of(workspace, "mnist") is None


@pytest.mark.parametrize("name", ["mnist", "a/b", "..\\x", "x" * 101, "a\nb", "a\x00b"])
def test_name_that_can_t_be_a_set_s_is_refused(workspace, tmp_path, name):
    root = make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    with pytest.raises(InputError):
        import_images(workspace, root, name)
    assert imported_sets(workspace) == {}


def test_path_in_a_configuration_is_made_absolute(workspace, tmp_path, monkeypatch):
    make(tmp_path / "pets", "cat/a.png", "dog/b.png")
    monkeypatch.chdir(tmp_path)
    config = changed(recipe_named("cifar10-quick").config, {"data.dataset": "./pets"})
    assert complete(workspace, config).data.dataset == str(tmp_path / "pets")


def test_folder_is_planned_by_its_files_names_before_its_pictures_are_read(workspace, tmp_path):
    root = make(tmp_path / "pets", *[f"{name}/{i}.png" for name in ("cat", "dog") for i in range(4)])
    config = changed(recipe_named("cifar10-blitz").config, {"data.dataset": str(root), "data.test_fraction": 0.5})
    for is_ready in (False, True):
        spec = dataset_info(workspace, config)
        assert (spec.splits, spec.shape, spec.num_classes) == ({"train": 4, "test": 4}, (3, 6, 8), 2)
        assert spec.is_ready is is_ready
        store_of(workspace, root)


def test_files_beside_the_split_folders_and_links_are_listed_and_no_class(tmp_path):
    root = make(tmp_path / "pets", "train/cat/a.png", "train/dog/b.png", "test/cat/c.png", "samples/d.png", "samples/e.png")
    (root / "train" / "bird").symlink_to(root / "train" / "cat")
    listing = list_images(root)
    assert listing.layout.class_names == ["cat", "dog"]
    reasons = {entry["file"]: entry["reason"] for entry in listing.layout.skipped}
    assert reasons["train/bird"] == "a link, which is not followed"
    assert reasons["samples/d.png"] == reasons["samples/e.png"] == "lies outside of the split folders"


@pytest.mark.parametrize("path", ["~nosuchuser/x", "/a\0b", "/" + "x" * 5000, "/proc/1/fd/nothing"])
def test_path_that_can_t_be_used_is_refused_in_words(workspace, path):
    with pytest.raises(InputError):
        import_images(workspace, path)


@pytest.mark.real_data
def test_cifar10_pictures_as_a_folder_come_out_as_they_are(workspace, tmp_path):
    """Some of each class, copied: ten classes in their order, 3 × 32 × 32, and the very pixels of the files."""
    real = real_data("cifar10_images")
    for split in ("train", "test"):
        for folder in sorted((real / split).iterdir()):
            (tmp_path / "cifar" / split / folder.name).mkdir(parents=True)
            for file in sorted(folder.iterdir())[:15]:
                shutil.copy(file, tmp_path / "cifar" / split / folder.name)
    store = store_of(workspace, tmp_path / "cifar")
    assert store.meta.shape == (3, 32, 32)
    assert store.meta.splits == {"train": (0, 150), "test": (150, 300)}
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert store.meta.class_names == names
    assert store.skipped == []
    for index in (0, 77, 299):
        expected = np.asarray(Image.open(tmp_path / "cifar" / store.files[index]).convert("RGB")).transpose(2, 0, 1)
        np.testing.assert_array_equal(store.images[index], expected)
        assert names[store.labels[index]] in store.files[index]
