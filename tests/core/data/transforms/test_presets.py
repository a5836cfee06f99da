"""Compositions saved under a name: there and back, whatever the name; a damaged one hides nothing but itself."""

import json
import logging

import pytest

from core.config import Augmentation, Preprocessing
from core.data.transforms.lab import Composition
from core.data.transforms.presets import Preset, delete_preset, find_preset, list_presets, save_preset
from core.errors import InputError
from core.workspace import Workspace
from tests.core.data.transforms.test_lab import EVERYTHING

PLAIN = Composition(Preprocessing(mean=(0.1307,), std=(0.3081,)), Augmentation(shift_px=2))
NAMES = ["Flowers", "../../etc/passwd", "a" * 100, "Größe 64 · 日本", "<b>x</b>", "CON", ".hidden", "a/b\\c", "%00", "🐜 and 🐝"]


@pytest.mark.parametrize("name", NAMES)
def test_saved_is_found_again_whatever_its_name(workspace: Workspace, name: str):
    assert list_presets(workspace) == []
    save_preset(workspace, name, "cifar10", EVERYTHING)
    assert list_presets(workspace) == [Preset(name, "cifar10", EVERYTHING)]
    assert find_preset(workspace, name).composition == EVERYTHING


def test_files_lie_in_the_workspace_under_names_of_ours(workspace: Workspace):
    before = set(workspace.home.parent.rglob("*"))
    for name in NAMES:
        save_preset(workspace, name, "digits", PLAIN)
    files = {path for path in set(workspace.home.parent.rglob("*")) - before if path.is_file()}
    assert len(files) == len(NAMES)
    assert all(path.parent == workspace.home / "transforms" and path.stem.isalnum() and path.suffix == ".json" for path in files)


@pytest.mark.parametrize("name", ["", "   ", "a" * 101, "two\nlines", "tab\t.", "\x00", "a\u202eb"])
def test_name_that_can_not_be_is_refused(workspace: Workspace, name: str):
    with pytest.raises(InputError, match="can't be the name"):
        save_preset(workspace, name, "digits", PLAIN)
    assert list_presets(workspace) == []


def test_saving_again_replaces_and_names_are_told_apart_by_every_letter(workspace: Workspace):
    save_preset(workspace, "strong", "digits", PLAIN)
    save_preset(workspace, " strong ", "digits", EVERYTHING)
    save_preset(workspace, "Strong", "digits", PLAIN)
    assert [(preset.name, preset.composition) for preset in list_presets(workspace)] == [
        ("Strong", PLAIN),
        ("strong", EVERYTHING),
    ]


def test_list_is_sorted_as_people_do(workspace: Workspace):
    for name in ("b", "A", "c", "B"):
        save_preset(workspace, name, "digits", PLAIN)
    assert [preset.name for preset in list_presets(workspace)] == ["A", "B", "b", "c"]


def test_deleted_is_gone_and_deleting_again_is_no_error(workspace: Workspace):
    save_preset(workspace, "one", "digits", PLAIN)
    save_preset(workspace, "two", "digits", PLAIN)
    delete_preset(workspace, "one")
    delete_preset(workspace, "one")
    delete_preset(workspace, "../runs")
    assert [preset.name for preset in list_presets(workspace)] == ["two"]
    with pytest.raises(InputError, match="no saved transforms called 'one'"):
        find_preset(workspace, "one")


DAMAGED = {
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "a number": lambda text: "7",
    "deep": lambda text: "[" * 100_000,
    "not text": lambda text: "\udcff\udcfe",
    "without settings": lambda text: json.dumps({"name": "broken", "dataset": "digits"}),
    "name of another kind": lambda text: json.dumps(json.loads(text) | {"name": ["broken"]}),
    "unknown setting": lambda text: text.replace('"shift_px"', '"shift_py"'),
    "out of range": lambda text: text.replace('"shift_px": 2', '"shift_px": 2000'),
    "not a number": lambda text: text.replace('"shift_px": 2', '"shift_px": NaN'),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_one_is_left_out_and_logged_and_saving_mends_it(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, damage: str
):
    save_preset(workspace, "sound", "digits", PLAIN)
    before = set((workspace.home / "transforms").iterdir())
    save_preset(workspace, "broken", "digits", PLAIN)
    (file,) = set((workspace.home / "transforms").iterdir()) - before
    file.write_text(DAMAGED[damage](file.read_text()), errors="surrogateescape")
    with caplog.at_level(logging.WARNING, logger="trainscope"):
        assert [preset.name for preset in list_presets(workspace)] == ["sound"]
    assert file.name in caplog.text
    save_preset(workspace, "broken", "digits", PLAIN)
    assert [preset.name for preset in list_presets(workspace)] == ["broken", "sound"]


def test_one_saved_before_a_setting_was_added_gets_its_default(workspace: Workspace):
    save_preset(workspace, "old", "digits", PLAIN)
    (file,) = (workspace.home / "transforms").iterdir()
    entry = json.loads(file.read_text())
    del entry["augmentation"]["hue"], entry["preprocessing"]["invert"]
    file.write_text(json.dumps(entry))
    assert find_preset(workspace, "old").composition == PLAIN


def test_copy_of_a_file_is_not_listed_twice(workspace: Workspace):
    save_preset(workspace, "one", "digits", PLAIN)
    (file,) = (workspace.home / "transforms").iterdir()
    (file.parent / "copy.json").write_text(file.read_text())
    assert len(list_presets(workspace)) == 1
