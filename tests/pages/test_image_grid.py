"""The images of a set as scripts see them: which marks count, what Undo takes back, what the report still offers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import Preprocessing
from core.data.edits import Action, actions_on, current_edits, edit
from core.data.sets import import_set, prepare_store
from core.workspace import Workspace
from pages.components.image_grid import marks_of
from tests.pages.test_pages import texts, visit


@pytest.fixture(autouse=True)
def home(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")


def images_of_digits(workspace: Workspace):
    prepare_store(workspace, "digits", Preprocessing())
    app = visit("data", set="digits")
    return app.segmented_control(key="data-view").set_value("Images").run()


def test_marks_of_before_an_action_do_not_count():
    assert marks_of({"generation": 3, "ids": [7, 2, 7]}, 3) == [2, 7]
    assert marks_of({"generation": 2, "ids": [7, 2]}, 3) == []
    assert marks_of(None, 0) == []


def test_undo_takes_back_what_the_page_shows_or_nothing(workspace: Workspace) -> None:
    shown, elsewhere = Action(kind="exclude", images=("#1", "#2")), Action(kind="relabel", images=("#3",), label="7")
    edit(workspace, "digits", shown)
    app = images_of_digits(workspace)
    assert "Last: 2 excluded" in texts(app)
    edit(workspace, "digits", elsewhere)
    app.button(key="undo-edit").click().run()
    assert "Nothing was undone" in app.error[0].value
    assert "Last: 1 relabelled to 7" in texts(app)
    assert actions_on(workspace, "digits") == [shown, elsewhere]
    app.button(key="undo-edit").click().run()
    assert not app.error
    assert actions_on(workspace, "digits") == [shown]


def test_undo_says_so_when_another_tab_has_undone_it_already(workspace: Workspace) -> None:
    edit(workspace, "digits", Action(kind="exclude", images=("#1",)))
    app = images_of_digits(workspace)
    (file,) = (workspace.datasets / "edits").rglob("actions.json")
    file.unlink()
    app.button(key="undo-edit").click().run()
    assert "There are none any more" in app.error[0].value
    assert "Last:" not in texts(app)


def test_all_changes_are_taken_back_after_a_question(workspace: Workspace) -> None:
    edit(workspace, "digits", Action(kind="exclude", images=("#1", "#2")))
    app = images_of_digits(workspace)
    assert not [button for button in app.button if button.key == "undo-all-now"], "one change is what Undo is for"
    edit(workspace, "digits", Action(kind="flag", images=("#3",)))
    app.run()
    assert "Takes back all 2 changes" in texts(app)
    app.button(key="undo-all-now").click().run()
    assert actions_on(workspace, "digits") == []
    assert "Edited:" not in texts(app)


def test_contradicting_pictures_are_offered_to_be_flagged_until_they_are(workspace: Workspace, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for i in range(3):
                Image.fromarray(rng.integers(0, 255, (20, 20, 3)).astype(np.uint8)).save(
                    tmp_path / "pets" / split / name / f"{i}.png"
                )
    same = (tmp_path / "pets" / "train" / "cat" / "0.png").read_bytes()
    (tmp_path / "pets" / "train" / "dog" / "same.png").write_bytes(same)
    import_set(workspace, tmp_path / "pets")
    app = visit("data", set="pets", view="Report")
    edit(workspace, "pets", Action(kind="flag", images=("train/cat/0.png",)))
    app.run()
    app.button(key="flag-contradicting").click().run()
    assert current_edits(workspace, "pets").flagged == {"train/cat/0.png", "train/dog/same.png"}
    assert actions_on(workspace, "pets")[-1].images == ("train/dog/same.png",)
    assert not [button for button in app.button if button.key == "flag-contradicting"]
    assert "All flagged" in texts(app)
