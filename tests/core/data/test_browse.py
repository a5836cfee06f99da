"""Looking through a set: each filter shows the images that fit and no other, edits taken into account."""

import numpy as np
import pytest

from core.config import Preprocessing
from core.data.browse import MEAN_OF, Browser, Filter, some_of
from core.data.edits import NO_EDITS, Action, edits_of
from core.data.sets import prepare_store
from core.data.store.image_store import ImageStore
from core.workspace import open_workspace
from tests.fixtures.image_archives import files, png, unpacked_to

EDITS = edits_of(
    [
        Action(kind="exclude", images=("train/ants/one.png",)),
        Action(kind="relabel", images=("train/bees/one.png",), label="ants"),
        Action(kind="flag", images=("val/ants/three.Png", "train/ants/one.png")),
    ]
)


@pytest.fixture
def store(tmp_path) -> ImageStore:
    root = unpacked_to(
        tmp_path / "insects", files(with_strays=False) | {"val/ants/copy.png": png(20)}
    )  # flat: equal alone is alike
    return prepare_store(open_workspace(tmp_path / "home"), str(root), Preprocessing())


def shown(store: ImageStore, edits=EDITS, **wanted) -> set[str]:
    return {store.files[i] for i in Browser(store, edits).select(Filter(**wanted))}


def test_everything_is_shown_first_and_in_the_store_s_order(store):
    found = Browser(store, EDITS).select(Filter())
    assert found.tolist() == list(range(len(store.files))) == list(range(8))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"show": "excluded"}, {"train/ants/one.png"}),
        ({"show": "relabelled"}, {"train/bees/one.png"}),
        ({"show": "flagged"}, {"val/ants/three.Png", "train/ants/one.png"}),
        ({"show": "flagged", "split": "validation"}, {"val/ants/three.Png"}),
        ({"show": "duplicates"}, {"train/ants/two.PNG", "val/ants/copy.png"}),
        ({"class_name": "ants", "split": "train"}, {"train/ants/one.png", "train/ants/two.PNG", "train/bees/one.png"}),
        ({"class_name": "ants", "split": "train", "show": "in use"}, {"train/ants/two.PNG", "train/bees/one.png"}),
        ({"class_name": "bees", "show": "in use"}, {"val/bees/deeper/two.png"}),
        ({"text": " TWO "}, {"train/ants/two.PNG", "val/bees/deeper/two.png"}),
        ({"text": "u\u0308 1"}, {"train/größe é/ü 1.png"}),
        ({"text": "nothing of the kind"}, set()),
        ({"split": "test"}, set()),
        ({"class_name": "a class of another set"}, set()),
        ({"split": "validation", "show": "excluded"}, set()),
    ],
)
def test_filter_shows_what_fits(store, wanted, expected):
    assert shown(store, **wanted) == expected


def test_every_picture_is_either_in_use_or_left_out(store):
    one, other = shown(store, show="in use"), shown(store, show="excluded")
    assert one | other == set(store.files)
    assert not one & other


def test_set_without_edits_has_nothing_left_out_relabelled_or_flagged(store):
    for show in ("excluded", "relabelled", "flagged"):
        assert shown(store, NO_EDITS, show=show) == set()


def test_class_mean_is_of_the_training_pictures_in_use_with_their_new_labels(store):
    browser = Browser(store, EDITS)
    ants = browser.class_mean(store.meta.class_names.index("ants"))
    assert np.unique(ants).tolist() == [25]  # 20 and, relabelled, 30; 10 is left out
    assert browser.class_mean(store.meta.class_names.index("bees")) is None
    assert ants.shape == store.meta.shape


def test_mean_of_a_large_class_is_taken_over_all_of_it(tmp_path):
    shades = np.arange(MEAN_OF + 300) % 256
    root = tmp_path / "many"
    unpacked_to(root, {f"a/{n:05}.png": png(int(shade), (2, 2)) for n, shade in enumerate(shades)} | {"b/1.png": png(1, (2, 2))})
    store = prepare_store(open_workspace(tmp_path / "home"), str(root), Preprocessing())
    assert np.abs(Browser(store, NO_EDITS).class_mean(0).astype(float) - shades.mean()).max() < 3


def test_set_without_files_is_found_by_number(tmp_path):
    store = prepare_store(open_workspace(tmp_path / "home"), "digits", Preprocessing())
    browser = Browser(store, edits_of([Action(kind="exclude", images=("#17",))]))
    assert browser.select(Filter(show="excluded")).tolist() == [17]
    assert browser.select(Filter(text="#1796")).tolist() == [1796]


def test_a_change_is_of_those_pictures_alone_that_it_changes(store):
    browser, everything = Browser(store, EDITS), range(8)
    label = browser.change("relabel", everything, "ants")
    assert set(label.images) == {f for f in store.files if "/ants/" not in f} - {
        "train/bees/one.png"
    }  # that one is an ant already
    assert set(browser.change("include", everything).images) == {"train/ants/one.png"}
    assert set(browser.change("exclude", everything).images) == set(store.files) - {"train/ants/one.png"}
    assert set(browser.change("unflag", everything).images) == set(EDITS.flagged)
    assert set(browser.change("flag", everything).images) == set(store.files) - EDITS.flagged
    one = store.files.index("train/ants/one.png")
    for kind in ("exclude", "flag"):
        assert browser.change(kind, [one]) is None
    assert browser.change("relabel", [one], "ants") is None


def test_relabelling_back_to_the_delivered_class_leaves_nothing_edited(store):
    bee = store.files.index("val/bees/deeper/two.png")
    there = Browser(store, NO_EDITS).change("relabel", [bee], "ants")
    back = Browser(store, edits_of([there])).change("relabel", [bee, 0], store.meta.class_names[store.labels[bee]])
    assert edits_of([there, back]).relabelled == {store.files[0]: "bees"}
    alone = Browser(store, edits_of([there])).change("relabel", [bee], "bees")
    assert edits_of([there, alone]) == NO_EDITS
    assert edits_of([there, alone]).revision == edits_of([there, alone]).summary == ""


def test_some_images_are_of_as_many_classes_as_there_are(workspace):
    digits = prepare_store(workspace, "digits", Preprocessing())
    assert len({int(digits.labels[index]) for index in some_of(digits, 9)}) == 9
    assert len(set(some_of(digits, 24))) == 24
