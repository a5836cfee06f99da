"""The pages' logic without a browser: what each shows for nothing, for bad input and for a finished run."""

import json
import re
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.insight.run_results import evaluated_after
from core.recipes import RECIPES, recipe_named
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.runs.notes import Notes, write_notes
from core.runs.records import evaluated_images
from core.runs.status import status_of
from core.settings import changed
from core.wording import percent
from core.workspace import Workspace, open_workspace
from pages.results.checkpoint_choice import checkpoint_titles
from pages.shared.text import escaped

NAVIGATION = str(Path(__file__).resolve().parents[2] / "pages" / "_navigation.py")
PAGES = ("data", "home", "train", "results", "predict", "runs")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TRAINSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")
    return open_workspace()


@pytest.fixture
def finished(workspace: Workspace) -> Run:
    config = changed(recipe_named("digits-quickstart").config, {"epochs": 2, "threads": 1, "tensorboard": False})
    run = create_run(workspace, config)
    assert run_session(workspace, run).reason == "finished"
    return run


def visit(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(NAVIGATION, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    if page != "home":
        data = "data/one_set.py" if "set" in query else "data/catalogue.py"
        app.switch_page(data if page == "data" else f"{page}/{page}.py").run()
    assert not app.exception
    return app


def run_rows(app: AppTest) -> list[dict]:
    """Those of the table on the Runs page, which is a component."""
    found = [element for element in app.get("bidi_component") if element.proto.component_name == "trainscope.runs_table"]
    return json.loads(found[0].proto.json)["rows"] if found else []


def texts(app: AppTest) -> str:
    return " ".join(
        str(e.value) for kind in ("markdown", "caption", "info", "error", "warning", "success") for e in app.get(kind)
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_words_for_an_empty_workspace(workspace: Workspace, page: str) -> None:
    app = visit(page)
    assert app.title[0].value
    assert len(texts(app)) > 40
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_finished_run(finished: Run, page: str) -> None:
    app = visit(page, run=finished.id)
    assert not app.error
    shown = " ".join([texts(app), *(str(metric.value) for metric in app.metric), *(str(box.value) for box in app.selectbox)])
    expected = {
        "data": "Digits",
        "home": percent(status_of(finished).accuracy),
        "train": "Best validation accuracy",
        "results": "359 images of the validation split",
        "predict": finished.id,
    }
    assert page == "runs" or expected[page] in shown
    if page == "runs":
        (row,) = run_rows(app)
        assert (row["cells"][0], row["cells"][7], len(row["course"])) == ("digits-quickstart", "2 of 2", 3)


@pytest.mark.parametrize("page", ("train", "results", "predict"))
@pytest.mark.parametrize("run_id", ("nobody", "../../etc/passwd", "20261120-000000-none-0000", "<b>x</b>"))
def test_an_unknown_run_in_the_address_is_said_and_forgotten(finished: Run, page: str, run_id: str) -> None:
    app = visit(page, run=run_id)
    assert not app.error
    assert "There is no run" in " ".join(warning.value for warning in app.warning)
    assert run_id not in str(app.query_params)


def choose_recipe(app: AppTest, name: str) -> None:
    """As a click on its card does it: the cards are a component, which AppTest does not press."""
    app.session_state["recipe-clicked"] = name
    app.run()


def test_a_late_update_from_the_form_of_the_recipe_before_changes_nothing(workspace: Workspace) -> None:
    """The cards ask for updates of their own accord: one sent just before the new form came carries all values of the old one."""
    app = visit("train")
    late = app._tree.get_widget_states()
    choose_recipe(app, "mnist-first-cnn")
    app._run(late)
    assert app.session_state["changes"] == {}
    assert app.number_input(key="set-1-epochs").value == recipe_named("mnist-first-cnn").config.epochs
    app.number_input(key="set-1-epochs").set_value(7).run()
    assert app.session_state["changes"] == {"epochs": 7}


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "ants-bees"])
def test_every_recipe_can_be_chosen_and_says_what_it_will_do(workspace: Workspace, recipe: str) -> None:
    app = visit("train")
    choose_recipe(app, recipe)
    assert not app.exception
    assert not app.error
    assert "split, each epoch" in texts(app)


def test_a_batch_larger_than_the_training_split_is_refused_before_the_start(workspace: Workspace) -> None:
    app = visit("train")
    app.number_input(key="set-0-batch_size").set_value(5000).run()
    assert "Batch size" in app.error[0].value
    assert "1,438" in app.error[0].value
    assert app.button(key="start").disabled


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("optimizer.lr", -1.0, "Found -1.0, expected a finite number above 0 and at most 100."),
        ("optimizer.momentum", 5.0, "Found 5.0, expected a finite number at least 0 and below 1."),
        ("batch_size", 1_000_000, "Found 1000000, expected a whole number at least 1 and at most 65,536."),
    ],
)
def test_what_is_wrong_in_a_field_stands_under_it_and_start_waits(
    workspace: Workspace, field: str, value: float, sentence: str
) -> None:
    app = visit("train")
    app.number_input(key=f"set-0-{field}").set_value(value).run()
    shown = [element.value for element in app.caption if element.value.startswith(":red[")]
    assert [escaped(sentence) in words for words in shown] == [True]
    assert app.number_input(key=f"set-0-{field}").value == value
    assert app.button(key="start").disabled
    app.number_input(key=f"set-0-{field}").set_value(0.5 if "optimizer" in field else 32).run()
    assert not app.button(key="start").disabled
    assert not [element for element in app.caption if element.value.startswith(":red[")]


def test_an_impossible_combination_is_said_in_words_and_can_be_undone(workspace: Workspace) -> None:
    app = visit("train")
    app.number_input(key="set-0-optimizer.momentum").set_value(0.0).run()
    assert "nesterov" in app.error[0].value
    app.button(key="back-to-recipe").click().run()
    assert not app.error
    assert app.button(key="start")


def test_another_optimizer_brings_its_own_settings(workspace: Workspace) -> None:
    app = visit("train")
    app.selectbox(key="set-0-optimizer.name").set_value("adamw").run()
    assert app.number_input(key="set-1-optimizer.beta2").value == 0.999
    assert app.number_input(key="set-1-optimizer.weight_decay").value == 0.01
    assert not app.error


def test_another_data_set_is_normalised_by_its_own_figures(workspace: Workspace) -> None:
    app = visit("train")
    choose_recipe(app, "mnist-first-cnn")
    assert app.text_input(key="set-1-preprocessing.mean").value == "0.1307"
    app.selectbox(key="set-1-data.dataset").set_value("cifar10").run()
    assert app.text_input(key="set-2-preprocessing.mean").value == ""
    assert not app.error


def test_numbers_that_are_none_are_refused_in_words(workspace: Workspace) -> None:
    app = visit("train")
    app.text_input(key="set-0-preprocessing.mean").set_value("a lot").run()
    [shown] = [element.value for element in app.caption if element.value.startswith(":red[")]
    assert shown.count("Found") == 1
    assert app.button(key="start").disabled
    assert not app.exception


def test_results_show_one_row_a_class_that_adds_up(finished: Run) -> None:
    app = visit("results", run=finished.id)
    app.segmented_control(key="result-view").set_value("Classes").run()
    table = app.dataframe[0].value
    assert list(table["Class"]) == [str(n) for n in range(10)]
    assert table["Images"].sum() == 359


def unstarted_runs(workspace: Workspace, count: int) -> list[Run]:
    return [create_run(workspace, recipe_named("digits-quickstart").config) for _ in range(count)]


def test_more_runs_than_fit_on_a_page_are_paged(workspace: Workspace) -> None:
    unstarted_runs(workspace, 51)
    app = visit("runs")
    assert len(run_rows(app)) == 50
    app.number_input(key="runs-page-2").set_value(2).run()
    assert len(run_rows(app)) == 1
    assert not app.exception


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_run_takes_no_page_down(finished: Run, workspace: Workspace, page: str) -> None:
    damaged = unstarted_runs(workspace, 1)[0]
    (damaged.path / "config.json").write_text('{"optimiser": ')
    app = visit(page, run=damaged.id)
    if page == "runs":
        assert "damaged" in {row["state"] for row in run_rows(app)}
        app.session_state["to-compare"] = [damaged.id]
        app.run()
        assert app.button(key=f"delete-for-good-{damaged.id}")


def test_predict_offers_only_checkpoints_that_are_there(finished: Run) -> None:
    (finished.checkpoints / "best.json").unlink()
    app = visit("predict", run=finished.id)
    assert app.selectbox(key=f"checkpoint-{finished.id}").options == ["last", "epoch-0001", "epoch-0002"]


def test_another_optimizer_beside_an_impossible_value_leaves_that_to_be_put_right(workspace: Workspace) -> None:
    app = visit("train")
    app.text_input(key="set-0-preprocessing.mean").set_value("abc").run()
    app.selectbox(key="set-0-optimizer.name").set_value("adam").run()
    assert app.text_input(key="set-0-preprocessing.mean").value == "abc"
    assert app.button(key="start").disabled
    app.text_input(key="set-0-preprocessing.mean").set_value("").run()
    assert app.selectbox(key="set-0-optimizer.name").value == "adam"
    assert not app.button(key="start").disabled


def test_a_recipe_that_mirrors_does_not_mirror_digits(workspace: Workspace) -> None:
    app = visit("train")
    choose_recipe(app, "cifar10-fast")
    app.selectbox(key="set-1-data.dataset").set_value("mnist").run()
    assert app.checkbox(key="set-2-augmentation.flip").value is False


@pytest.mark.parametrize(
    "name", ["www.evil.example", "me@evil.example", "http://evil.example", "[a](b)", "![x](http://y/z.png)", "<b>"]
)
def test_a_name_made_inert_holds_nothing_that_markdown_acts_on(name: str) -> None:
    shown = escaped(name)
    assert not re.search(r"(?i)(www|@|https?)[a-z.:]", shown)
    assert not re.search(r"(?<!\\)[\[\]()<>!*_]", shown)


def test_a_picture_of_the_data_is_predicted_beside_its_true_class(finished: Run, workspace: Workspace) -> None:
    app = visit("predict", run=finished.id)
    indices, labels = evaluated_images(finished)
    app.number_input(key=f"sample-{finished.id}").set_value(len(indices)).run()
    assert f"\\#{indices[-1]}, true class\\: {labels[-1]}" in texts(app)
    app.button(key="another-sample").click().run()
    assert not app.exception
    shutil.rmtree(workspace.stores)
    app.run()
    assert "not on this machine" in texts(app)


def test_results_of_every_epoch_are_there_by_one_slider(finished: Run) -> None:
    app = visit("results", run=finished.id)
    app.segmented_control(key="result-view").set_value("Classes").run()
    last = list(app.dataframe[0].value["Recall"])
    app.select_slider(key=f"epoch-of-{finished.id}").set_value(0).run()
    assert not app.exception
    assert list(app.dataframe[0].value["Recall"]) != last
    for view in ("Confusion", "Images"):
        app.segmented_control(key="result-view").set_value(view).run()
        assert not app.exception
        assert app.select_slider(key=f"epoch-of-{finished.id}").value == 0


def test_pictures_behind_the_numbers_are_chosen_by_kind_and_class(finished: Run) -> None:
    app = visit("results", run=finished.id)
    app.segmented_control(key="result-view").set_value("Images").run()
    evaluated = evaluated_after(finished, 2)
    wrong = evaluated.predictions.predicted != evaluated.labels
    assert f"{wrong.sum():,} of 359 images" in texts(app)
    app.selectbox(key="gallery-choice").set_value("all").run()
    app.selectbox(key="gallery-true").set_value(3).run()
    assert f"{(evaluated.labels == 3).sum()} of 359 images" in texts(app)
    for choice in ("never", "forgotten", "early", "late", "suspicious labels", "right by luck", "certain and wrong"):
        app.selectbox(key="gallery-choice").set_value(choice).run()
        assert not app.exception


def test_a_fault_of_ours_shows_a_reference_under_which_the_log_has_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def page() -> None:
        from streamlit_app import show_reference

        try:
            raise KeyError("of our own")
        except KeyError as error:
            show_reference(error)

    app = AppTest.from_function(page, default_timeout=30).run()
    said = re.search(r"\(reference ([0-9a-f]{8})\)", app.error[0].value)
    assert said and "Running trainings are not affected" in app.error[0].value
    assert "of our own" not in app.error[0].value
    (logged,) = [record for record in caplog.records if said[1] in record.getMessage()]
    assert logged.exc_info and isinstance(logged.exc_info[1], KeyError)


MARKER = "![x](http://127.0.0.1:9/beacon.png)[a](http://b) :streamlit: -- -> >="


def test_a_run_s_name_reaches_no_widget_as_markdown(finished: Run, workspace: Workspace) -> None:
    """Labels that are hidden are rendered too: an image in one would be fetched from wherever the name says."""
    write_notes(finished, Notes(name=MARKER, note=MARKER))
    for page in (*PAGES, "compare", "activity", "run"):
        app = visit(page, run=finished.id)
        assert not app.exception
        seen = [str(getattr(block, "label", "") or "") for block in app.main if hasattr(block, "label")]
        seen += [
            element.value for kind in ("markdown", "caption", "info", "success", "error", "warning") for element in app.get(kind)
        ]
        assert not [text for text in seen if "![x](" in text or "[a](http" in text], page


def test_the_view_of_the_results_is_in_the_address(finished: Run) -> None:
    app = visit("results", run=finished.id, view="confusion")
    assert app.segmented_control(key="result-view").value == "Confusion"
    app.segmented_control(key="result-view").set_value("Classes").run()
    assert app.query_params["view"] in ("classes", ["classes"])
    assert visit("results", run=finished.id, view="nonsense").segmented_control(key="result-view").value == "Overview"
    assert (
        visit("results", run=finished.id, view="pictures").segmented_control(key="result-view").value == "Images"
    )  # of old links


def test_checkpoints_are_offered_beginning_with_the_last(workspace: Workspace) -> None:
    """However many were saved within the last epoch."""
    config = changed(recipe_named("digits-quickstart").config, {"epochs": 2, "threads": 1, "tensorboard": False})
    run = create_run(workspace, changed(config, {"checkpoint.every_seconds": 0.1}))
    run_session(workspace, run)
    shutil.copytree(find_checkpoint(run, "last").path, run.checkpoints / "step-0000099999")
    titles = list(checkpoint_titles(run))
    assert titles[0] == find_checkpoint(run, "last").name
    assert "step-0000099999" in titles


def test_a_run_paused_within_its_second_epoch_says_so_and_shows_its_results(workspace: Workspace) -> None:
    config = changed(recipe_named("digits-quickstart").config, {"epochs": 2, "threads": 1, "tensorboard": False})
    run = create_run(workspace, config)
    ended = run_session(workspace, run, lambda: len(history_of(run).evaluations) == 2 and history_of(run).steps["step"][-1] > 25)
    assert (ended.reason, ended.epoch) == ("paused", 1)
    app = visit("train", run=run.id)
    assert next(metric.value for metric in app.metric if metric.label == "Epoch") == "2 of 2"
    assert app.button(key="see-results")
    assert app.button(key="try-it").label == "Draw a digit"
