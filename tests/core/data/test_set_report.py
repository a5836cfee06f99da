"""The report on a set: counts, what was left out, what would spoil the result, and one click that mends the worst of it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import DataConfig, Preprocessing
from core.data.edits import NO_EDITS, Action, edits_of
from core.data.report import Report, by_reason, report_on, separation
from core.data.sets import divide, prepare_store
from core.data.sources.own_images import list_images, read_image
from core.data.store.image_store import ImageStore
from core.workspace import Workspace, open_workspace
from tests.fixtures.real_data import real_data


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path / "home")


def scene(number: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    """Patches of colour unlike those of any other number, soft enough for JPEG."""
    patches = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def make(root: Path, images: dict[str, Image.Image | bytes]) -> Path:
    for name, image in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(image, bytes):
            (root / name).write_bytes(image)
        else:
            image.save(root / name)
    return root


def built(workspace: Workspace, root: Path) -> ImageStore:
    return prepare_store(workspace, str(root), Preprocessing())


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def jpeg(image: Image.Image, quality: int = 60) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def clean(split: str = "train", start: int = 0, each: int = 10) -> dict[str, Image.Image]:
    return {f"{split}/{name}/{n}.png": scene(start + 100 * k + n) for k, name in enumerate(("cat", "dog")) for n in range(each)}


def test_clean_set_has_nothing_found(workspace, tmp_path):
    report = report_on(built(workspace, make(tmp_path / "pets", clean() | clean("test", 1000, 3))), NO_EDITS)
    assert report.findings == []
    assert "no data problems found" in report.headline()
    assert report.counts == {"train": {"cat": 10, "dog": 10}, "test": {"cat": 3, "dog": 3}}
    assert (report.smallest, report.largest, report.num_sizes, report.imbalance) == ((40, 40), (40, 40), 1, 1.0)
    assert report.num_pairs == {"splits": 0, "classes": 0, "same class": 0}


def test_everything_that_was_planted_is_found_and_counted(workspace, tmp_path):
    planted = clean(each=30) | clean("test", 1000, 3)
    planted |= {"test/cat/copy.png": scene(3), "test/cat/small.jpg": jpeg(scene(4).resize((30, 30)))}  # of train/cat
    planted |= {"train/dog/contradiction.png": scene(5)}  # of train/cat
    planted |= {"train/cat/again.png": scene(6)}
    planted |= {
        "train/bird/1.png": scene(5000),
        "test/fish/1.png": scene(5001),
        "train/cat/broken.jpg": b"\xff\xd8\xff",
        "train/notes.md": b"x",
    }
    store = built(workspace, make(tmp_path / "pets", planted))
    report = report_on(store, NO_EDITS)
    assert set(codes(report)) == {
        "unreadable",
        "duplicates-between-splits",
        "contradicting-labels",
        "empty-classes",
        "tiny-classes",
        "imbalance",
        "duplicates",
    }
    assert codes(report).count("empty-classes") == 2
    assert {store.files[i] for i in report.leaking} == {"train/cat/3.png", "train/cat/4.png"}
    assert {store.files[i] for i in report.contradicting} == {"train/cat/5.png", "train/dog/contradiction.png"}
    assert report.num_pairs == {"splits": 2, "classes": 1, "same class": 1}
    assert [pair.between for pair in report.pairs] == ["splits", "splits", "classes", "same class"]
    assert {pair.is_exact for pair in report.pairs if pair.between == "splits"} == {True, False}
    messages = " ".join(finding.message for finding in report.findings)
    assert "'fish' has no images in train" in messages
    assert "'bird' has no images in test" in messages
    assert "'bird' has fewer than 10 training images" in messages
    assert "1 file could not be read" in messages
    assert report.imbalance == 31
    assert "has 31 times as many training images" in messages
    assert [entry["file"] for entry in report.unreadable] == ["train/cat/broken.jpg"]
    assert by_reason(report.skipped) == {"not an image by its ending": 1}


def test_one_click_leaves_no_picture_on_both_sides_and_test_as_it_was(workspace, tmp_path):
    planted = clean() | clean("val", 1000, 3) | clean("test", 2000, 3)
    planted |= {
        "test/cat/a.png": scene(3),
        "val/cat/b.png": scene(3),
        "val/dog/c.png": scene(2001),
        "test/dog/d.jpg": jpeg(scene(105), 70),
    }
    store = built(workspace, make(tmp_path / "pets", planted))
    before = report_on(store, NO_EDITS)
    action = separation(store, before)
    assert set(action.images) == {"train/cat/3.png", "val/cat/b.png", "val/dog/c.png", "train/dog/5.png"}
    after = report_on(store, edits_of([action]))
    assert len(after.leaking) == 0
    assert "duplicates-between-splits" not in codes(after)
    assert after.counts["test"] == before.counts["test"]
    assert after.edits == "4 excluded"
    assert separation(store, after).images == ()


def test_set_without_anything_left_in_training_is_still_reported(workspace, tmp_path):
    store = built(workspace, make(tmp_path / "pets", clean(each=2)))
    report = report_on(store, edits_of([Action(kind="exclude", images=tuple(store.files))]))
    assert report.counts == {"train": {"cat": 0, "dog": 0}}
    assert codes(report) == ["empty-classes"]
    json.dumps(report.as_dict(store))


def test_report_is_plain_json_with_every_picture_by_its_file(workspace, tmp_path):
    store = built(workspace, make(tmp_path / "pets", clean() | {"test/cat/copy.png": scene(3), "test/dog/x.png": scene(999)}))
    report = report_on(store, NO_EDITS)
    plain = json.loads(json.dumps(report.as_dict(store), ensure_ascii=False).encode())
    assert plain["duplicates"]["leaking"] == ["train/cat/3.png"]
    assert plain["duplicates"]["pairs"] == {"splits": 1, "classes": 0, "same_class": 0}
    assert plain["duplicates"]["listed"] == [
        {"files": ["train/cat/3.png", "test/cat/copy.png"], "exact": True, "between": "splits"}
    ]
    assert plain["splits"]["test"] == {"cat": 1, "dog": 1}
    assert plain["path"] == str(tmp_path / "pets")


def test_relabelled_pictures_count_in_their_new_class_and_contradict_no_more(workspace, tmp_path):
    store = built(workspace, make(tmp_path / "pets", clean() | {"train/dog/same.png": scene(5)}))
    assert "contradicting-labels" in codes(report_on(store, NO_EDITS))
    report = report_on(store, edits_of([Action(kind="relabel", images=("train/dog/same.png",), label="cat")]))
    assert report.counts["train"] == {"cat": 11, "dog": 10}
    assert "contradicting-labels" not in codes(report)


# --- real photographs


@pytest.mark.real_data
def test_copies_planted_across_splits_of_a_real_set_are_found_and_removed(workspace, tmp_path):
    """Exact ones all, resized and recompressed ones 95 in 100; nothing that was not planted."""
    real = real_data("hymenoptera")
    root = tmp_path / "insects"
    originals = list_images(real)
    names = [image.name for image in originals.layout.images if image.split == "train"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((real / name).read_bytes())
    exact, changed = names[::12], names[1::6]
    for name in exact:
        (root / name.replace("train/", "test/")).parent.mkdir(parents=True, exist_ok=True)
        (root / name.replace("train/", "test/")).write_bytes((real / name).read_bytes())
    for number, name in enumerate(changed):
        image = read_image(originals.container, name).image
        scale = (0.5, 0.7, 1.3)[number % 3]
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        image.save(root / name.replace("train/", "test/").replace(".jpg", "-changed.jpg"), quality=(40, 60, 80)[number % 3])
    store = built(workspace, root)
    report = report_on(store, NO_EDITS)
    found = {store.files[i] for i in report.leaking}
    assert set(exact) <= found
    assert len(set(changed) & found) >= 0.95 * len(changed)
    assert found <= set(exact) | set(changed)
    after = report_on(store, edits_of([separation(store, report)]))
    assert len(after.leaking) == 0
    # and where splits are drawn anew, copies stay together without any edit
    division = divide(
        workspace, store, DataConfig(dataset=str(root), split_by="shares", test_fraction=0.3, validation_fraction=0.2)
    )
    split_of = np.zeros(len(store.labels), int)
    for code, indices in enumerate(division.splits.values()):
        split_of[indices] = code
    groups = store.duplicates.groups
    assert (split_of == split_of[groups]).all()
    assert {name: len(indices) > 10 for name, indices in division.splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), True
    )


def test_classes_of_which_nothing_can_be_read_are_named_and_are_no_classes(workspace, tmp_path):
    planted = clean() | {
        "train/broken/1.png": b"x",
        "train/broken/2.png": b"x",
        "train/notes/a.txt": b"x",
        "train/loose.png": scene(9),
    }
    root = make(tmp_path / "pets", planted)
    (root / "train" / "leer").mkdir()
    store = built(workspace, root)
    assert store.meta.class_names == ["cat", "dog"]
    report = report_on(store, NO_EDITS)
    messages = [finding.message for finding in report.findings if finding.code == "no-pictures"]
    assert messages == ["'leer', 'notes', 'broken' have no image that can be read. They are skipped."]
    assert set(store.labels.tolist()) == {0, 1}


def test_pictures_that_got_no_class_are_a_finding(workspace, tmp_path):
    root = make(tmp_path / "pets", {f"images/{n}.png": scene(n) for n in range(12)})
    rows = [f"{n}.png,{'cat' if n % 2 else 'dog'}" for n in range(9)] + ["10.png,cat", "10.png,dog"]
    (root / "labels.csv").write_text("\n".join(["file,label", *rows]))
    report = report_on(built(workspace, root), NO_EDITS)
    assert "3 images could be given no class and are skipped." in [finding.message for finding in report.findings]
