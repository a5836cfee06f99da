"""Edits: labels corrected and images left out without touching a file, taken back in order, and found again by their runs."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.data.edits import (
    AS_DELIVERED,
    NO_EDITS,
    Action,
    Edits,
    actions_on,
    applied,
    current_edits,
    edit,
    edits_at,
    edits_of,
    forget_edits,
    keep_revision,
    undo,
    undo_all,
)
from core.errors import InputError

KEYS = ["a/1.png", "a/2.png", "b/3.png", "b/4.png"]
POSITIONS = {key: n for n, key in enumerate(KEYS)}
LABELS = np.array([0, 0, 1, 1])
NOT_UTF_8 = os.fsdecode(b"a/\xff\xfe.png")


def after(*actions: Action) -> tuple[list[int], list[bool]]:
    edited = applied(edits_of(actions), POSITIONS, LABELS, ["a", "b"])
    return edited.labels.tolist(), edited.kept.tolist()


def test_set_without_edits_is_as_delivered(workspace):
    assert current_edits(workspace, "pets") == NO_EDITS
    assert keep_revision(workspace, "pets") == ""
    edited = applied(NO_EDITS, {}, LABELS, ["a", "b"])
    assert edited.labels.tolist() == LABELS.tolist()
    assert edited.kept.all()
    assert not (workspace.datasets / "edits").exists(), "looking makes nothing"


def test_later_actions_count_and_earlier_ones_come_back_with_undo(workspace):
    first, second = (
        Action(kind="relabel", images=("a/1.png", "a/2.png"), label="b"),
        Action(kind="relabel", images=("a/1.png",), label="a"),
    )
    edit(workspace, "pets", first)
    edit(workspace, "pets", second)
    assert current_edits(workspace, "pets").relabelled == {"a/1.png": "a", "a/2.png": "b"}
    assert undo(workspace, "pets") == second
    assert current_edits(workspace, "pets").relabelled == {"a/1.png": "b", "a/2.png": "b"}
    assert undo(workspace, "pets") == first
    assert undo(workspace, "pets") is None
    assert current_edits(workspace, "pets") == NO_EDITS


def test_an_action_that_is_not_the_last_any_more_is_not_undone(workspace):
    shown, later = Action(kind="exclude", images=("a/1.png",)), Action(kind="relabel", images=("a/2.png",), label="b")
    edit(workspace, "pets", shown)
    edit(workspace, "pets", later)
    with pytest.raises(InputError, match=r"Nothing was undone.*now: 1 relabelled to b"):
        undo(workspace, "pets", shown)
    assert actions_on(workspace, "pets") == [shown, later]
    assert undo(workspace, "pets", later) == later
    assert undo(workspace, "pets", shown) == shown
    with pytest.raises(InputError, match="none any more"):
        undo(workspace, "pets", shown)


def test_all_actions_are_taken_back_at_once_unless_there_are_others_by_now(workspace):
    edit(workspace, "pets", Action(kind="exclude", images=("a/1.png",)))
    shown = actions_on(workspace, "pets")
    edit(workspace, "pets", Action(kind="flag", images=("a/2.png",)))
    with pytest.raises(InputError, match=r"Nothing was undone.*now: 1 flagged"):
        undo_all(workspace, "pets", shown)
    assert len(actions_on(workspace, "pets")) == 2
    undo_all(workspace, "pets", actions_on(workspace, "pets"))
    assert current_edits(workspace, "pets") == NO_EDITS


def test_a_label_put_back_to_the_delivered_one_is_no_edit(workspace):
    edit(workspace, "pets", Action(kind="relabel", images=("a/1.png", "b/3.png"), label="b"))
    edit(workspace, "pets", Action(kind="relabel", images=("a/1.png", "a/2.png"), label="a", as_delivered=("a/1.png",)))
    assert current_edits(workspace, "pets").relabelled == {"a/2.png": "a", "b/3.png": "b"}
    edit(workspace, "pets", Action(kind="relabel", images=("a/2.png", "b/3.png"), label="b", as_delivered=("a/2.png", "b/3.png")))
    assert current_edits(workspace, "pets") == NO_EDITS
    assert keep_revision(workspace, "pets") == ""


def test_actions_of_before_this_was_noted_are_read(workspace):
    edit(workspace, "pets", Action(kind="relabel", images=("a/1.png",), label="b"))
    (file,) = (workspace.datasets / "edits").rglob("actions.json")
    content = json.loads(file.read_text())
    del content["actions"][0]["as_delivered"]
    file.write_text(json.dumps(content))
    assert current_edits(workspace, "pets").relabelled == {"a/1.png": "b"}


def test_labels_and_use_follow_from_the_actions():
    assert after(Action(kind="exclude", images=("a/1.png",))) == ([0, 0, 1, 1], [False, True, True, True])
    assert after(Action(kind="exclude", images=("a/1.png", "b/3.png")), Action(kind="include", images=("a/1.png",)))[1] == [
        True,
        True,
        False,
        True,
    ]
    assert after(Action(kind="relabel", images=("b/4.png",), label="a")) == ([0, 0, 1, 0], [True] * 4)
    assert after(Action(kind="flag", images=tuple(KEYS))) == ([0, 0, 1, 1], [True] * 4)


def test_delivered_labels_are_not_changed_in_place():
    labels = LABELS.copy()
    applied(edits_of([Action(kind="relabel", images=("b/4.png",), label="a")]), POSITIONS, labels, ["a", "b"])
    assert labels.tolist() == LABELS.tolist()


def test_pictures_and_classes_that_are_not_there_any_more_are_passed_over():
    assert after(
        Action(kind="relabel", images=("gone.png",), label="a"),
        Action(kind="relabel", images=("a/1.png",), label="gone"),
        Action(kind="exclude", images=("gone.png",)),
    ) == (
        [0, 0, 1, 1],
        [True] * 4,
    )


def test_edits_of_one_set_are_not_those_of_another(workspace):
    edit(workspace, "pets", Action(kind="exclude", images=("a/1.png",)))
    assert current_edits(workspace, "Pets") == current_edits(workspace, "../pets") == NO_EDITS


def test_same_edits_have_one_revision_however_they_came_about_and_flags_are_none():
    one = edits_of([Action(kind="exclude", images=("x", "y"))])
    other = edits_of(
        [
            Action(kind="exclude", images=("y",)),
            Action(kind="exclude", images=("z", "x")),
            Action(kind="include", images=("z",)),
            Action(kind="flag", images=("x",)),
        ]
    )
    assert one.revision == other.revision
    assert len(one.revision) == 16
    assert edits_of([Action(kind="flag", images=("x",))]).revision == ""
    assert one.revision != edits_of([Action(kind="exclude", images=("x",))]).revision
    assert one.revision != edits_of([Action(kind="relabel", images=("x", "y"), label="a")]).revision


def test_summary_counts_in_words():
    assert (
        edits_of(
            [Action(kind="relabel", images=("x",), label="a"), Action(kind="exclude", images=tuple(map(str, range(1200))))]
        ).summary
        == "1 relabelled, 1,200 excluded"
    )
    assert NO_EDITS.summary == ""


def test_revision_of_a_run_is_found_after_later_edits_undo_and_forgetting(workspace):
    edit(workspace, "pets", Action(kind="exclude", images=("a/1.png",)))
    revision = keep_revision(workspace, "pets")
    edit(workspace, "pets", Action(kind="relabel", images=("a/2.png",), label="b"))
    for change in (undo, undo, forget_edits):
        change(workspace, "pets")
        assert edits_at(workspace, "pets", revision) == Edits(excluded=frozenset({"a/1.png"}))
    assert actions_on(workspace, "pets") == []
    assert edits_at(workspace, "pets", "") == edits_at(workspace, "pets", AS_DELIVERED) == NO_EDITS


def test_revision_the_set_is_in_needs_no_file_of_its_own(workspace):
    edits = edit(workspace, "pets", Action(kind="exclude", images=("a/1.png",)))
    assert edits_at(workspace, "pets", edits.revision) == edits
    undo(workspace, "pets")
    with pytest.raises(InputError, match="are not here"):
        edits_at(workspace, "pets", edits.revision)


@pytest.mark.parametrize("revision", ["0123456789abcdef", "../../x", "a\0b", "x" * 5000])
def test_revision_that_is_not_here_is_refused_by_its_name(workspace, revision):
    with pytest.raises(InputError, match="that this run used are not here"):
        edits_at(workspace, "pets", revision)


def test_revision_that_was_changed_on_disk_is_not_used(workspace):
    edit(workspace, "pets", Action(kind="exclude", images=("a/1.png",)))
    revision = keep_revision(workspace, "pets")
    (file,) = (workspace.datasets / "edits").rglob(f"{revision}.json")
    undo(workspace, "pets")
    for content in ('{"relabelled": {}, "excluded": ["a/2.png"]}', "[]", "{", '{"relabelled": 1, "excluded": [[1]]}', "\udcff"):
        file.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(InputError, match="are not here"):
            edits_at(workspace, "pets", revision)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b'{"actions": 7}', b'{"actions": [{}]}', b'{"actions": [7]}', b"\xff", b"null"]
)
def test_damaged_edits_are_told_with_the_file_and_not_overwritten(workspace, content):
    edit(workspace, "pets", Action(kind="exclude", images=("a/1.png",)))
    (file,) = (workspace.datasets / "edits").rglob("actions.json")
    file.write_bytes(content)
    for attempt in (lambda: current_edits(workspace, "pets"), lambda: edit(workspace, "pets", Action(kind="flag", images=()))):
        with pytest.raises(InputError, match="can't be read") as refusal:
            attempt()
        assert str(file) in refusal.value.hint
    assert file.read_bytes() == content


@pytest.mark.parametrize("key", [NOT_UTF_8, "a\nb.png", "\u202ex", "x" * 4000, "größe é", "a/\x00"])
def test_names_of_any_kind_are_kept_as_they_are(workspace, key):
    edit(workspace, "pets", Action(kind="exclude", images=(key,)))
    edit(workspace, "pets", Action(kind="relabel", images=(key,), label="größe"))
    assert current_edits(workspace, "pets").excluded == {key}
    revision = keep_revision(workspace, "pets")
    assert edits_at(workspace, "pets", revision).relabelled == {key: "größe"}
    for file in (workspace.datasets / "edits").rglob("*.json"):
        json.loads(file.read_bytes().decode("ascii"))


def test_edits_made_at_once_are_all_kept(workspace):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: edit(workspace, "pets", Action(kind="exclude", images=(f"{n}.png",))), range(40)))
    assert current_edits(workspace, "pets").excluded == {f"{n}.png" for n in range(40)}
    assert len(actions_on(workspace, "pets")) == 40
