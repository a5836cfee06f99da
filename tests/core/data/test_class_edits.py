"""Classes renamed, merged, dropped and kept again: the set follows, in every figure of it, and undo takes back what was done."""

import json

import numpy as np
import pytest
from PIL import Image

from core.commands.parser import main
from core.config import DataConfig
from core.data.browse import Browser, Filter
from core.data.edits import Action, actions_on, applied, current_edits, edit, edits_at, edits_of, keep_revision, undo
from core.data.report import report_on
from core.data.sets import dataset_info, divide, import_set
from core.errors import InputError
from core.recipes import recipe_named
from core.settings import changed

COUNTS = {"daisy": 6, "rose": 8, "sea": 1, "tulip": 10}


@pytest.fixture
def flowers(workspace, tmp_path):
    random = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for n in range(count):
            Image.fromarray(random.integers(0, 256, (20, 20, 3)).astype(np.uint8)).save(tmp_path / "flowers" / name / f"{n}.png")
    return import_set(workspace, tmp_path / "flowers")[1]


def browser_of(workspace, store) -> Browser:
    return Browser(store, current_edits(workspace, "flowers"))


def change(workspace, store, kind, *names, label="") -> Action:
    action = browser_of(workspace, store).change_classes(kind, names, label)
    edit(workspace, "flowers", action)
    return action


def test_dropped_class_is_none_of_the_set_and_comes_back_by_undo_or_by_keeping_it(workspace, flowers):
    action = change(workspace, flowers, "drop", "sea")
    assert action.summary == current_edits(workspace, "flowers").summary == "class sea dropped"
    seen = browser_of(workspace, flowers)
    assert seen.class_names == ["daisy", "rose", "tulip"]
    assert seen.all_names == ["daisy", "rose", "tulip", "sea"]
    assert seen.class_counts() == {"daisy": 6, "rose": 8, "tulip": 10, "sea": 1}
    assert [flowers.files[i] for i in seen.select(Filter(show="excluded"))] == ["sea/0.png"]
    assert [flowers.files[i] for i in seen.select(Filter(class_name="sea"))] == ["sea/0.png"]
    change(workspace, flowers, "keep", "sea")
    assert browser_of(workspace, flowers).class_names == flowers.meta.class_names
    assert current_edits(workspace, "flowers").revision == ""
    undo(workspace, "flowers")
    undo(workspace, "flowers")
    assert actions_on(workspace, "flowers") == []


def test_renamed_class_keeps_its_images_and_place_and_merged_ones_are_one(workspace, flowers):
    change(workspace, flowers, "rename", "rose", label=" Rosa ")
    assert browser_of(workspace, flowers).class_counts() == {"daisy": 6, "Rosa": 8, "sea": 1, "tulip": 10}
    change(workspace, flowers, "rename", "Rosa", "daisy", label="tulip")
    seen = browser_of(workspace, flowers)
    assert seen.class_counts() == {"tulip": 24, "sea": 1}
    assert seen.delivered_as("tulip") == ["daisy", "rose", "tulip"]
    assert seen.edits.summary == "daisy → tulip, rose → tulip"
    assert not seen.is_relabelled.any()
    change(workspace, flowers, "rename", "tulip", label="flower")
    assert browser_of(workspace, flowers).class_counts() == {"flower": 24, "sea": 1}


def test_relabelled_images_go_with_the_class_they_were_given(workspace, flowers):
    edit(workspace, "flowers", browser_of(workspace, flowers).change("relabel", [0], "rose"))
    change(workspace, flowers, "rename", "rose", label="Rosa")
    seen = browser_of(workspace, flowers)
    assert seen.class_names[seen.labels[0]] == "Rosa"
    assert np.flatnonzero(seen.is_relabelled).tolist() == [0]
    change(workspace, flowers, "drop", "Rosa")
    assert browser_of(workspace, flowers).class_counts()["Rosa"] == 9
    assert not browser_of(workspace, flowers).kept[0]
    back = browser_of(workspace, flowers).change("relabel", [0], "daisy")
    assert back is not None and back.as_delivered == ("daisy/0.png",)
    edit(workspace, "flowers", back)
    assert browser_of(workspace, flowers).kept[0]
    assert current_edits(workspace, "flowers").relabelled == {}


def test_report_splits_and_what_is_said_before_a_training_know_the_classes_as_they_are(workspace, flowers):
    change(workspace, flowers, "drop", "sea")
    change(workspace, flowers, "rename", "rose", label="tulip")
    edits = current_edits(workspace, "flowers")
    report = report_on(flowers, edits)
    assert report.counts == {"train": {"daisy": 6, "tulip": 18}}
    assert "sea" not in str(report.findings)
    division = divide(workspace, flowers, DataConfig(dataset="flowers", edits=edits.revision, validation_fraction=0.5))
    assert division.class_names == ("daisy", "tulip")
    assert {name: np.bincount(division.labels[part]).tolist() for name, part in division.splits.items()} == {
        "train": [3, 9],
        "validation": [3, 9],
    }
    assert division.labels.max() == 1, "a run's records have room for its own classes alone"
    config = changed(recipe_named("cifar10-quick").config, {"data.dataset": "flowers", "data.edits": edits.revision})
    for size in (None, 12):
        info = dataset_info(workspace, changed(config, {"preprocessing.size_px": size}))
        assert (info.num_classes, info.splits["train"]) == (2, 24)


def test_report_offers_to_drop_a_class_of_which_nothing_is_left_to_learn_from(workspace, flowers):
    """Found by hand: all images of a class left out one by one, and it stayed, without a remedy."""
    seen = browser_of(workspace, flowers)
    edit(workspace, "flowers", seen.change("exclude", seen.select(Filter(class_name="sea")).tolist()))
    report = report_on(flowers, current_edits(workspace, "flowers"))
    assert report.untaught == ["sea"]
    assert [f.remedy for f in report.findings if f.code == "empty-classes"] == ["drop"]
    change(workspace, flowers, "drop", *report.untaught)
    assert report_on(flowers, current_edits(workspace, "flowers")).untaught == []


def test_revision_names_edits_of_classes_and_is_found_again_after_undo(workspace, flowers):
    change(workspace, flowers, "drop", "sea")
    change(workspace, flowers, "rename", "rose", label="tulip")
    edits, revision = current_edits(workspace, "flowers"), keep_revision(workspace, "flowers")
    undo(workspace, "flowers")
    assert current_edits(workspace, "flowers").revision not in ("", revision)
    found = edits_at(workspace, "flowers", revision)
    assert (found.renamed, found.dropped) == (edits.renamed, edits.dropped) == ({"rose": "tulip"}, frozenset({"sea"}))


def test_revisions_of_before_classes_could_be_edited_are_the_same():
    """A run names its edits by this; the value is that of the code before."""
    edits = edits_of([Action(kind="exclude", images=("x",)), Action(kind="relabel", images=("y",), label="a")])
    assert edits.revision == "f1db4cbef510175a"


@pytest.mark.parametrize(
    ("kind", "names", "label", "says"),
    [
        ("drop", ["daisy", "rose", "tulip"], "", "Two classes are needed"),
        ("rename", ["daisy", "rose", "tulip", "sea"], "x", "Two classes are needed"),
        ("rename", ["rose"], "  ", "can't be the name of a class"),
        ("rename", ["rose"], "a\nb", "can't be the name of a class"),
        ("rename", ["rose"], "x" * 201, "can't be the name of a class"),
        ("drop", ["lily"], "", "no class 'lily'"),
        ("keep", ["rose"], "", "no class 'rose' to change"),
    ],
)
def test_what_can_t_be_done_with_classes_is_refused(workspace, flowers, kind, names, label, says):
    with pytest.raises(InputError, match=says):
        browser_of(workspace, flowers).change_classes(kind, names, label)


def test_dropped_class_is_no_name_for_another_and_a_name_of_its_own_changes_nothing(workspace, flowers):
    assert browser_of(workspace, flowers).change_classes("rename", ["rose"], "rose") is None
    change(workspace, flowers, "drop", "sea")
    with pytest.raises(InputError, match="'sea' is dropped"):
        browser_of(workspace, flowers).change_classes("rename", ["rose"], "sea")


def test_edits_from_elsewhere_that_leave_one_class_are_told_where_the_set_is_divided(workspace, flowers):
    for name in ("sea", "rose", "daisy"):
        edit(workspace, "flowers", Action(kind="drop", images=(), sources=(name,), classes=(name,)))
    with pytest.raises(InputError, match="leave fewer than two classes"):
        divide(workspace, flowers, DataConfig(dataset="flowers", edits=current_edits(workspace, "flowers").revision))
    report_on(flowers, current_edits(workspace, "flowers"))


def test_damaged_revision_with_classes_is_not_used(workspace, flowers):
    change(workspace, flowers, "drop", "sea")
    revision = keep_revision(workspace, "flowers")
    (file,) = (workspace.datasets / "edits").rglob(f"{revision}.json")
    undo(workspace, "flowers")
    for content in ({"dropped": 7}, {"renamed": 7}, {"renamed": [[1]]}, {"dropped": ["rose"]}):
        file.write_text(json.dumps({"relabelled": {}, "excluded": [], **content}))
        with pytest.raises(InputError, match="are not here"):
            edits_at(workspace, "flowers", revision)


def test_classes_of_edits_that_the_set_has_not_are_passed_over():
    dropped = Action(kind="drop", images=(), sources=("gone",))
    edits = edits_of([dropped, Action(kind="rename", images=(), sources=("old",), classes=("old",), label="new")])
    edited = applied(edits, {}, np.array([0, 1, 1]), ["a", "b"])
    assert (edited.class_names, edited.dropped, edited.labels.tolist(), edited.kept.all()) == (["a", "b"], [], [0, 1, 1], True)


def test_many_changes_of_classes_are_summed_up():
    edits = edits_of([Action(kind="drop", images=(), sources=tuple(f"c{n:02}" for n in range(12)))])
    assert (
        edits.summary
        == "class c00 dropped, class c01 dropped, class c02 dropped, class c03 dropped, class c04 dropped, 7 more classes changed"
    )


def test_classes_are_chosen_at_import_on_the_command_line(workspace, tmp_path, flowers, capsys):
    def imported(*chosen: str) -> tuple[int, dict]:
        options = [option for name in chosen for option in ("--class", name)]
        status = main(["--home", str(workspace.home), "import", str(tmp_path / "flowers"), *options, "--json"])
        return status, json.loads(capsys.readouterr().out)

    status, said = imported("rose", "lily")
    assert status == 2
    assert said["error"]["message"] == "'flowers' has no class 'lily'."
    assert "daisy, rose, sea, tulip" in said["error"]["hint"]
    status, said = imported("rose", "tulip")
    assert (status, said["class_names"], said["edits"]) == (0, ["rose", "tulip"], "class daisy dropped, class sea dropped")
    assert imported("rose", "tulip")[1]["class_names"] == ["rose", "tulip"]
    assert imported("rose")[0] == 2
    assert imported()[1]["class_names"] == ["rose", "tulip"], "imported again without a word, it stays as it was"
