"""The pages' logic without a browser: what each shows for nothing, for bad input and for a finished run."""

import re
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.insight.run_results import evaluated_after
from core.recipes import RECIPES, recipe_named
from core.running.session import run_session
from core.runs.directory import Run, create_run
from core.runs.records import evaluated_images
from core.settings import changed
from core.workspace import Workspace, open_workspace
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
        app.switch_page(f"{page}/{page}.py").run()
    assert not app.exception
    return app


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
        "home": "epoch 2 of 2",
        "train": "Best validation accuracy",
        "results": "359 pictures of the validation split",
        "predict": finished.id,
        "runs": "epoch 2 of 2",
    }
    assert expected[page] in shown


@pytest.mark.parametrize("page", ("train", "results", "predict"))
@pytest.mark.parametrize("run_id", ("nobody", "../../etc/passwd", "20261120-000000-none-0000", "<b>x</b>"))
def test_an_unknown_run_in_the_address_is_said_and_forgotten(finished: Run, page: str, run_id: str) -> None:
    app = visit(page, run=run_id)
    assert not app.error
    assert "There is no run" in " ".join(warning.value for warning in app.warning)
    assert run_id not in str(app.query_params)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "ants-bees"])
def test_every_recipe_can_be_chosen_and_says_what_it_will_do(workspace: Workspace, recipe: str) -> None:
    app = visit("train")
    app.selectbox(key="recipe-0").set_value(recipe).run()
    assert not app.exception
    assert not app.error
    assert "After each epoch it is judged on" in texts(app)


def test_a_batch_larger_than_the_training_split_is_refused_before_the_start(workspace: Workspace) -> None:
    app = visit("train")
    app.number_input(key="set-0-batch_size").set_value(5000).run()
    assert "Batch size" in app.error[0].value
    assert "1,438" in app.error[0].value
    assert not [button for button in app.button if button.key == "start"]


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
    app.selectbox(key="recipe-0").set_value("mnist-first-cnn").run()
    assert app.text_input(key="set-1-preprocessing.mean").value == "0.1307"
    app.selectbox(key="set-1-data.dataset").set_value("cifar10").run()
    assert app.text_input(key="set-2-preprocessing.mean").value == ""
    assert not app.error


def test_numbers_that_are_none_are_refused_in_words(workspace: Workspace) -> None:
    app = visit("train")
    app.text_input(key="set-0-preprocessing.mean").set_value("a lot").run()
    assert app.error[0].value.startswith("Mean")
    assert app.error[0].value.count("found") == 1
    assert not app.exception


def test_results_show_one_row_a_class_that_adds_up(finished: Run) -> None:
    app = visit("results", run=finished.id)
    app.segmented_control(key="result-view").set_value("Classes").run()
    table = app.dataframe[0].value
    assert list(table["Class"]) == [str(n) for n in range(10)]
    assert table["Pictures"].sum() == 359


def unstarted_runs(workspace: Workspace, count: int) -> list[Run]:
    return [create_run(workspace, recipe_named("digits-quickstart").config) for _ in range(count)]


def test_more_runs_than_fit_on_a_page_are_paged(workspace: Workspace) -> None:
    unstarted_runs(workspace, 21)
    app = visit("runs")
    assert len([b for b in app.button if b.key.startswith("run-open-")]) == 20
    app.number_input(key="runs-page-2").set_value(2).run()
    assert len([b for b in app.button if b.key.startswith("run-open-")]) == 1
    assert not app.exception


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_run_takes_no_page_down(finished: Run, workspace: Workspace, page: str) -> None:
    damaged = unstarted_runs(workspace, 1)[0]
    (damaged.path / "config.json").write_text('{"optimiser": ')
    app = visit(page, run=damaged.id)
    if page == "runs":
        assert "damaged" in texts(app)
        assert app.button(key=f"delete-for-good-{damaged.id}")


def test_predict_offers_only_checkpoints_that_are_there(finished: Run) -> None:
    (finished.checkpoints / "best.json").unlink()
    app = visit("predict", run=finished.id)
    assert app.selectbox(key=f"checkpoint-{finished.id}").options == ["last", "epoch-0001", "epoch-0002"]


def test_another_optimizer_after_an_impossible_value_leaves_a_form_that_works(workspace: Workspace) -> None:
    app = visit("train")
    app.text_input(key="set-0-preprocessing.mean").set_value("abc").run()
    assert app.error
    app.selectbox(key="set-0-optimizer.name").set_value("adam").run()
    assert not app.error
    assert app.selectbox(key="set-1-optimizer.name").value == "adam"


def test_a_recipe_that_mirrors_does_not_mirror_digits(workspace: Workspace) -> None:
    app = visit("train")
    app.selectbox(key="recipe-0").set_value("cifar10-fast").run()
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
    last = list(app.dataframe[0].value["Accuracy"])
    app.select_slider(key=f"epoch-of-{finished.id}").set_value(0).run()
    assert not app.exception
    assert list(app.dataframe[0].value["Accuracy"]) != last
    for view in ("Confusion", "Pictures"):
        app.segmented_control(key="result-view").set_value(view).run()
        assert not app.exception
        assert app.select_slider(key=f"epoch-of-{finished.id}").value == 0


def test_pictures_behind_the_numbers_are_chosen_by_kind_and_class(finished: Run) -> None:
    app = visit("results", run=finished.id)
    app.segmented_control(key="result-view").set_value("Pictures").run()
    evaluated = evaluated_after(finished, 2)
    wrong = evaluated.predictions.predicted != evaluated.labels
    assert f"{wrong.sum():,} of 359 pictures" in texts(app)
    app.selectbox(key="gallery-choice").set_value("all").run()
    app.selectbox(key="gallery-true").set_value(3).run()
    assert f"{(evaluated.labels == 3).sum()} of 359 pictures" in texts(app)
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
