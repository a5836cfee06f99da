"""Classes as things to handle on the Data page: all that were found are marked at once; classes are dropped, renamed, merged, kept."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.data.edits import Action, current_edits, edit
from core.data.sets import import_set
from core.workspace import Workspace
from tests.pages.test_pages import texts, visit

COUNTS = {"forest": 70, "sea": 1, "street": 8}


@pytest.fixture(autouse=True)
def scenes(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")
    random = np.random.default_rng(0)
    for name, count in COUNTS.items():
        (tmp_path / "scenes" / name).mkdir(parents=True)
        for n in range(count):
            Image.fromarray(random.integers(0, 256, (12, 12, 3)).astype(np.uint8)).save(tmp_path / "scenes" / name / f"{n}.png")
    import_set(workspace, tmp_path / "scenes")


def view(name: str) -> AppTest:
    return visit("data", set="scenes", view=name)


def test_all_images_that_were_found_are_marked_at_once_beyond_the_page_and_changed_together(workspace: Workspace) -> None:
    app = view("Images")
    app.selectbox(key="filter-class").set_value("forest").run()
    assert app.button(key="mark-all").label == "Mark all 70 found"
    app.button(key="mark-all").click().run()
    assert "**70 marked**, 10 not on this page" in texts(app)
    app.button(key="exclude-marked").click().run()
    assert len(current_edits(workspace, "scenes").excluded) == 70
    assert "marked**" not in texts(app)


def test_marks_of_all_are_taken_away_again(workspace: Workspace) -> None:
    app = view("Images")
    app.button(key="mark-all").click().run()
    assert "**79 marked**" in texts(app)
    app.button(key="unmark-all").click().run()
    assert "marked**" not in texts(app)


def test_class_is_dropped_and_the_set_has_one_less_everywhere(workspace: Workspace) -> None:
    app = view("Classes")
    assert app.button(key="drop-classes").disabled
    app.multiselect(key="classes-chosen-scenes").set_value(["sea"]).run()
    app.button(key="drop-classes").click().run()
    assert not app.exception
    assert current_edits(workspace, "scenes").dropped == {"sea"}
    assert "2 classes" in texts(app)
    assert app.multiselect(key="classes-chosen-scenes").value == []
    app.button(key="train-on-set").click().run()
    app.switch_page("train/train.py").run()
    assert "2 classes" in texts(app)
    assert "class sea dropped" in texts(app)


def test_dropped_class_is_kept_again(workspace: Workspace) -> None:
    edit(workspace, "scenes", Action(kind="drop", images=(), sources=("sea",), classes=("sea",)))
    app = view("Classes")
    app.multiselect(key="classes-chosen-scenes").set_value(["sea"]).run()
    assert app.button(key="drop-classes").disabled
    app.button(key="keep-classes").click().run()
    assert current_edits(workspace, "scenes").is_empty


def test_only_the_chosen_classes_are_kept(workspace: Workspace) -> None:
    app = view("Classes")
    app.multiselect(key="classes-chosen-scenes").set_value(["forest", "street"]).run()
    app.button(key="keep-only").click().run()
    assert current_edits(workspace, "scenes").dropped == {"sea"}


def test_class_is_merged_into_another_and_the_last_change_can_be_undone(workspace: Workspace) -> None:
    app = view("Classes")
    app.multiselect(key="classes-chosen-scenes").set_value(["sea"]).run()
    app.selectbox(key="class-name").set_value("street").run()
    assert app.button(key="rename-classes").label == "Merge"
    app.button(key="rename-classes").click().run()
    assert current_edits(workspace, "scenes").renamed == {"sea": "street"}
    (table,) = [frame.value for frame in app.dataframe if "As delivered" in frame.value]
    assert table.set_index("Class").loc["street"].tolist() == [9, "sea, street", "in use"]
    app.button(key="undo-edit").click().run()
    assert current_edits(workspace, "scenes").is_empty


def test_dropping_all_but_one_is_refused_in_words(workspace: Workspace) -> None:
    app = view("Classes")
    app.multiselect(key="classes-chosen-scenes").set_value(["sea", "street"]).run()
    app.button(key="drop-classes").click().run()
    assert "Two classes are needed" in app.error[0].value
    assert current_edits(workspace, "scenes").is_empty


def test_class_without_an_image_to_learn_from_is_dropped_from_the_report(workspace: Workspace) -> None:
    edit(workspace, "scenes", Action(kind="exclude", images=("sea/0.png",)))
    app = view("Report")
    app.button(key="drop-untaught").click().run()
    assert current_edits(workspace, "scenes").dropped == {"sea"}
    assert "has no images in train" not in texts(app)


def test_edits_from_elsewhere_that_leave_one_class_are_told_in_every_view(workspace: Workspace) -> None:
    edit(workspace, "scenes", Action(kind="drop", images=(), sources=("sea", "street"), classes=("sea", "street")))
    for name in ("Report", "Images", "Classes", "Statistics", "Splits", "Transforms"):
        app = view(name)
        assert not app.exception
        assert bool(app.error) == (name == "Splits")


def test_names_of_edited_classes_are_shown_and_do_nothing(workspace: Workspace) -> None:
    hostile = "![x](http://evil.example/p.png) **b**"
    edit(workspace, "scenes", Action(kind="rename", images=(), sources=("sea",), classes=("sea",), label=hostile))
    app = view("Classes")
    shown = [element.value for element in [*app.caption, *app.markdown]]
    assert any("evil" in text for text in shown)
    app.button(key="train-on-set").click().run()
    app.switch_page("train/train.py").run()
    shown += [element.value for element in [*app.caption, *app.markdown]]
    assert not any("](http" in text or "**b**" in text for text in shown)
