"""torchvision's networks on the pages: what is adapted is said before the start, and frozen layers can be unfrozen there."""

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.config import LayerNetwork
from core.intake.pretrained import make_pretrained_ready
from core.layers import Conv2d, Flatten, Linear, ReLU
from core.models.from_rows import from_rows
from core.models.own_networks import save_network
from core.running.session import run_session
from core.runs.control import waiting_commands
from core.runs.directory import Run, create_run, list_runs
from core.settings import config_from
from core.workspace import Workspace
from tests.core.intake.test_recognise import saved
from tests.core.models.test_pretrained import put_weights
from tests.pages.test_pages import choose_recipe, texts, workspace  # noqa: F401 a fixture
from tests.pages.test_runs import nobody_trains, visit  # noqa: F401 a fixture


def said(app: AppTest) -> str:
    return texts(app).replace("\\", "")


def with_model(app: AppTest, name: str) -> AppTest:
    box = next(box for box in app.selectbox if box.key.endswith("-model.name"))
    return box.set_value(name).run()


def test_plan_says_how_the_network_is_fitted_to_grey_images(workspace: Workspace) -> None:  # noqa: F811
    app = visit("train")
    choose_recipe(app, "mnist-first-cnn")
    next(field for field in app.number_input if field.key.endswith("-preprocessing.size_px")).set_value(32).run()
    with_model(app, "vgg11")
    assert [error.value for error in app.error] == []
    assert "The last layer is replaced: 4,096 → 10." in said(app)
    assert "one grey channel" in said(app)
    next(box for box in app.selectbox if box.key.endswith("-model.head")).set_value("appended").run()
    assert "A layer is appended behind the last one: 1,000 → 10." in said(app)


def test_images_too_small_are_refused_before_the_start_with_the_smallest_size(workspace: Workspace) -> None:  # noqa: F811
    app = visit("train")
    with_model(app, "vgg16")
    assert "at least 32 × 32 pixels" in app.error[0].value
    assert app.button(key="start").disabled
    assert app.button(key="mend").label == "Set 'Image size' to 32"
    app.button(key="mend").click().run()
    assert not app.error
    assert not app.button(key="start").disabled
    with_model(app, "vit-b-16")
    size = next(field for field in app.number_input if field.key.endswith("-preprocessing.size_px"))
    assert size.value == 32
    size.set_value(40).run()
    assert "a multiple of 16" in app.error[0].value
    app.button(key="mend").click().run()
    assert not app.error


@pytest.fixture
def frozen(workspace: Workspace) -> Run:  # noqa: F811
    put_weights(workspace)
    settings = {
        "data": {
            "dataset": "digits",
            "split_by": "shares",
            "validation_fraction": 0.1,
            "test_fraction": 0.8,
            "evaluate_on": "validation",
        },
        "preprocessing": {"size_px": 32, "colour": "rgb"},
        "model": {"name": "mobilenet-v3-small", "weights": "pretrained", "frozen": True},
        "epochs": 500,
        "batch_size": 90,
        "threads": 1,
        "tensorboard": False,
    }
    run = create_run(workspace, config_from(settings))
    make_pretrained_ready(workspace, run.config.model)
    run_session(workspace, run, should_pause=lambda: (run.path / "records" / "epoch-0001.npy").exists())
    return run


def test_frozen_layers_are_unfrozen_where_a_run_goes_on_with_changes(frozen: Run, nobody_trains: None) -> None:  # noqa: F811
    app = visit("run", run=frozen.id)
    field = app.number_input(key=f"unfreeze-of-{frozen.id}")
    assert field.value is None
    assert field.placeholder == "they stay frozen"
    field.set_value(1)
    app.button(key="go-on").click().run()
    assert not app.exception
    (command,) = waiting_commands(frozen)
    assert (command.setting, command.value) == ("model.unfreeze_epoch", 1)


def loading(path: Path) -> AppTest:
    app = visit("runs")
    app.text_input(key="load-path").set_value(str(path)).run()
    assert not app.exception
    return app


def loaded(app: AppTest, workspace: Workspace) -> Run:  # noqa: F811
    app.button(key="load-now").click().run()
    assert not app.exception
    assert [error.value for error in app.error] == []
    (run,) = list_runs(workspace)
    return run


def test_file_of_a_known_network_needs_its_set_and_size_alone(workspace: Workspace, tmp_path: Path, nobody_trains: None) -> None:  # noqa: F811
    path, _ = saved(tmp_path, "appended")
    app = loading(path)
    assert "MobileNet v3, small with a layer appended, for 10 classes and colour images" in said(app)
    assert app.selectbox(key="load-model-mobilenet-v3-small").value == "mobilenet-v3-small"
    app.selectbox(key="load-dataset").set_value("digits").run()
    app.number_input(key="load-side-mobilenet-v3-small").set_value(32).run()
    config = loaded(app, workspace).config
    assert (config.model.name, config.model.head) == ("mobilenet-v3-small", "appended")
    assert (config.preprocessing.size_px, config.preprocessing.colour) == (32, "rgb")


def test_weights_of_a_network_of_ones_own_are_loaded(workspace: Workspace, tmp_path: Path, nobody_trains: None) -> None:  # noqa: F811
    network = save_network(workspace, LayerNetwork(name="Mine", rows=(Conv2d(channels=3), ReLU(), Flatten(), Linear())))
    torch.save(from_rows(network.rows, (1, 8, 8), 10).state_dict(), tmp_path / "mine.pt")
    app = loading(tmp_path / "mine.pt")
    app.selectbox(key="load-recipe-any").set_value("other").run()
    app.selectbox(key="load-model-any").set_value(":own Mine").run()
    app.selectbox(key="load-dataset").set_value("digits").run()
    assert loaded(app, workspace).config.model == network
