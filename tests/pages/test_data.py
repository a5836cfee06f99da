"""The Data page as scripts see it: what is imported, said, remedied, edited and undone, and what training then uses."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.config import Preprocessing
from core.data.edits import Action, current_edits, edit
from core.data.imports import imported_sets
from core.data.sets import find_store, import_set, prepare_store
from core.errors import InputError
from core.workspace import Workspace
from tests.fixtures.waiting import until
from tests.pages.test_pages import texts, visit


@pytest.fixture(autouse=True)
def home(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")


def image_folder(root: Path) -> Path:
    """Two classes of small images with names that Markdown would take, a stray file, a broken image, and a copy in val."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name in ("*red*", "[blue](x)"):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(rng.integers(0, 255, (20, 24, 3)).astype(np.uint8)).save(root / split / name / f"{i}.png")
    (root / "val" / "*red*" / "copy.png").write_bytes((root / "train" / "*red*" / "3.png").read_bytes())
    (root / "train" / "*red*" / "notes.txt").write_text("not an image")
    (root / "train" / "*red*" / "broken.PNG").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    return root


def imported(tmp_path: Path) -> AppTest:
    """The page after the folder was imported by its path."""
    app = visit("data")
    app.text_input(key="path-0").set_value(str(image_folder(tmp_path / "mine" / "colours"))).run()
    app.button(key="import-0").click().run()
    until(lambda: app.run().title[0].value != "Data", 30)  # a page of AppTest does not run again by itself
    assert not app.exception
    assert app.segmented_control(key="data-view").value == "Report"
    return app.switch_page("data/one_set.py").run()  # where the page has led by now, which AppTest does not know


def test_folder_is_imported_and_its_report_names_what_was_left_out(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(tmp_path)
    assert app.title[0].value == "colours"
    assert "33 images" in texts(app)
    assert "1 file could not be read" in texts(app)
    listed = [set(table.value["File"]) for table in app.dataframe if "File" in table.value]
    assert listed == [{"train/*red*/broken.PNG"}, {"train/*red*/notes.txt"}]


def test_copies_between_splits_are_left_out_by_one_click_and_come_back_by_another(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(tmp_path)
    assert "1 training image is also in an evaluation split" in texts(app)
    app.button(key="separate").click().run()
    assert current_edits(workspace, "colours").excluded == {"train/*red*/3.png"}
    assert "also stands in an evaluation split" not in texts(app)
    assert "Edited: 1 excluded" in texts(app)
    app.segmented_control(key="data-view").set_value("Images").run()
    app.button(key="undo-edit").click().run()
    assert current_edits(workspace, "colours").is_empty


def test_training_uses_the_edited_set_and_says_so(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(tmp_path)
    edit(workspace, "colours", Action(kind="exclude", images=("train/*red*/3.png", "train/*red*/4.png")))
    app.button(key="train-on-set").click().run()
    app.switch_page("train/train.py").run()
    assert not app.error
    assert "Your edits" in texts(app) and "2 excluded" in texts(app)
    assert "22 images of colours" in texts(app)
    assert "1 file could not be read" in texts(app)


def test_training_is_offered_at_the_size_of_the_import_with_its_report_and_room_for_small_sets(
    workspace: Workspace, tmp_path: Path
) -> None:
    app = imported(tmp_path)
    app.button(key="train-on-set").click().run()
    app.switch_page("train/train.py").run()
    assert not app.error
    assert "colours, 24 × 20 pixels" in texts(app)
    assert "read at this size" not in texts(app)
    assert "Checked\\: 1 file could not be read" in texts(app)
    assert app.number_input(key="set-1-batch_size").value == 4  # of 24 images
    assert app.button(key="start")


def test_a_set_to_train_on_comes_before_a_run_that_is_being_watched(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(tmp_path)
    app.session_state["run"] = "20261120-000000-something-0000"
    app.button(key="train-on-set").click().run()
    assert "run" not in app.session_state


def test_doubtful_transforms_are_said_before_the_start(workspace: Workspace) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    app = visit("train")
    app.checkbox(key="set-0-augmentation.flip").set_value(True).run()
    assert any("mirror" in warning.value.lower() for warning in app.warning)


def test_a_set_imported_under_a_second_name_is_not_read_again(workspace: Workspace, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "mine" / "colours")
    _, first = import_set(workspace, folder)
    name, second = import_set(workspace, folder, "twice")
    assert (name, second.path) == ("twice", first.path)
    assert len(list(workspace.stores.iterdir())) == 1


def test_shares_that_leave_too_little_are_refused_and_others_are_of_all_pictures(workspace: Workspace) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    app = visit("data", set="digits", view="Splits")
    app.number_input(key="split-test-shares").set_value(20).run()
    counts = [int(n.replace(",", "")) for n in re.findall(r"\*\*([\d,]+)\*\* (?:train|validation|test)", texts(app))]
    assert sorted(counts)[:2] == pytest.approx([359, 359], abs=6)
    app.number_input(key="split-test-shares").set_value(80).run()
    assert "at most 90 % can be held out" in app.error[0].value


def test_a_set_can_be_planned_at_another_size_than_it_was_read_at(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(tmp_path)
    app.button(key="train-on-set").click().run()
    app.switch_page("train/train.py").run()
    app.number_input(key="set-1-preprocessing.size_px").set_value(32).run()
    assert not app.error
    assert "32 × 32 pixels" in texts(app)


def test_a_path_that_is_not_there_is_refused_in_words(workspace: Workspace) -> None:
    app = visit("data")
    app.text_input(key="path-0").set_value("/nowhere/at/all").run()
    app.button(key="import-0").click().run()
    until(lambda: app.error or (app.run() and app.error), 30)
    assert "There is no folder and no zip" in app.error[0].value
    assert imported_sets(workspace) == {}


def test_what_can_t_be_read_leaves_no_set_behind_and_an_earlier_one_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "mine" / "colours")
    before = import_set(workspace, folder)
    for file in folder.rglob("*.png"):
        file.write_bytes(b"broken")
    with pytest.raises(InputError):
        import_set(workspace, folder)
    assert find_store(workspace, "colours", Preprocessing()).path == before[1].path
    with pytest.raises(InputError):
        import_set(workspace, folder, "another")
    assert list(imported_sets(workspace)) == ["colours"]


def test_pictures_are_filtered_and_paged(workspace: Workspace) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    app = visit("data", set="digits")
    app.segmented_control(key="data-view").set_value("Images").run()
    assert "1 to 60 of 1,797 images" in texts(app)
    app.button(key="page-next").click().run()
    assert "61 to 120 of 1,797 images" in texts(app)
    app.selectbox(key="filter-class").set_value("7").run()
    assert "1 to 60 of 179 images" in texts(app)
    app.selectbox(key="filter-show").set_value("flagged").run()
    assert "No image fits" in texts(app)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("Report", "1,797"),
        ("Images", "1 to 60 of 1,797 images"),
        ("Statistics", "Of up to 1,000 training images of the class"),
        ("Splits", "1,797"),
        ("Transforms", "8 × 8"),
    ],
)
def test_every_view_of_a_set_opens(workspace: Workspace, view: str, words: str) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    app = visit("data", set="digits")
    app.segmented_control(key="data-view").set_value(view).run()
    assert not app.exception
    assert not app.error
    assert words in texts(app)
    assert app.query_params["view"] in (view, [view])


def test_splits_by_shares_are_shown_and_go_to_the_training_form(workspace: Workspace) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    app = visit("data", set="digits")
    app.segmented_control(key="data-view").set_value("Splits").run()
    app.number_input(key="split-test-shares").set_value(10).run()
    assert re.search(r"\*\*1(79|80)\*\* test", texts(app))
    app.button(key="train-with-splits").click().run()
    app.switch_page("train/train.py").run()
    assert app.number_input(key="set-1-data.test_fraction").value == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["nobody", "../../etc", "<b>x</b>", "x" * 5000])
def test_a_set_that_is_not_there_is_said_and_left(workspace: Workspace, name: str) -> None:
    app = visit("data", set=name)
    assert "There is no set called" in texts(app)
    app.button(key="all-sets").click().run()
    assert app.title[0].value == "Data"


def test_a_removed_set_leaves_the_list_and_its_folder_stays(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(tmp_path)
    app.button(key="remove-set-now").click().run()
    assert imported_sets(workspace) == {}
    assert (tmp_path / "mine" / "colours" / "train" / "*red*" / "0.png").is_file()
    assert app.title[0].value == "Data"


def test_class_that_a_drawn_split_lacks_is_told_where_it_is_drawn_and_where_it_is_trained_with(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Found by hand: "every class keeps its share" beside a class with no image in validation."""
    for name, count in (("forest", 8), ("sea", 1), ("street", 8)):
        (tmp_path / "scenes" / name).mkdir(parents=True)
        for n in range(count):
            Image.new("RGB", (20, 20), (10 * n, len(name) * 20, 99)).save(tmp_path / "scenes" / name / f"{n}.png")
    import_set(workspace, tmp_path / "scenes")
    app = visit("data", set="scenes", view="Splits")
    words = "'sea' has no images in the drawn validation split"
    assert any(words in warning.value.replace("\\", "") for warning in app.warning)
    assert "Every class keeps its share" not in texts(app)
    app.button(key="train-with-splits").click().run()
    app.switch_page("train/train.py").run()
    assert any(words in warning.value.replace("\\", "") for warning in app.warning)


def test_only_some_classes_are_taken_at_the_import(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "flowers"
    for number, name in enumerate(("aster", "rose", "tulip")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (80 * number, 60 * i, 9)).save(folder / name / f"{i}.png")
    app = visit("data")
    app.text_input(key="path-0").set_value(str(folder)).run()
    app.text_input(key="set-classes-0").set_value("tulip, aster").run()
    app.button(key="import-0").click().run()
    until(lambda: app.run().title[0].value != "Data", 30)
    edits = current_edits(workspace, "flowers")
    assert edits.dropped == {"rose"}
    assert edits.summary == "class rose dropped"
