"""The Networks page without a browser: cards of every network, rows that become one, faults at their rows."""

import json
import random

import pytest
from streamlit.testing.v1 import AppTest

from core.config import CatalogueNetwork, LayerNetwork, Preprocessing
from core.data.sets import prepare_store
from core.layers import LAYERS, Conv2d, Flatten, Linear
from core.models.catalogue import MODELS, build_model
from core.models.from_rows import from_rows, in_words
from core.models.own_networks import from_json, own_networks, save_network
from core.runs.directory import Run
from core.workspace import Workspace
from tests.core.models.test_from_rows import shapes_made
from tests.pages.test_pages import finished, texts, visit, workspace  # noqa: F401 fixtures


def networks(view: str = "", **query: str) -> AppTest:
    app = visit("home")
    for name, value in ({"view": view} if view else {} | query).items():
        app.query_params[name] = value
    app.switch_page("networks/networks.py").run()
    assert not app.exception
    return app


def metric(app: AppTest, label: str) -> str:
    return next(found.value for found in app.metric if found.label == label)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_its_card(workspace: Workspace, name: str) -> None:  # noqa: F811
    app = networks(model=name)
    assert app.selectbox(key="network").value == name
    assert not app.error
    assert metric(app, "Parameters")
    app.segmented_control(key="network-part").set_value("Layers").run()
    table = next(frame.value for frame in app.dataframe if "Multiply-adds" in frame.value)
    assert table["Parameters"].sum() > 1000
    app.segmented_control(key="network-part").set_value("As PyTorch prints it").run()
    assert "(" in app.code[0].value


def test_a_card_is_for_any_size_and_number_of_classes_and_says_what_does_not_fit(workspace: Workspace) -> None:  # noqa: F811
    app = networks(model="mnist-first-cnn")
    assert metric(app, "Parameters") == "21.8 k"
    app.number_input(key="mnist-first-cnn-classes").set_value(100).run()
    assert metric(app, "Parameters") == "26.4 k"
    app.number_input(key="mnist-first-cnn-side").set_value(8).run()
    assert "needs images of at least 16 × 16" in app.error[0].value
    app.number_input(key="mnist-first-cnn-side").set_value(32).run()
    assert not app.error


def test_the_network_of_a_run_is_shown_and_one_that_is_gone_is_said(finished: Run) -> None:  # noqa: F811
    app = networks(run=finished.id)
    assert app.selectbox(key="network").value == f"run:{finished.id}"
    assert metric(app, "Parameters")
    app = networks(run="nobody")
    assert "There is no run" in app.warning[0].value
    assert metric(app, "Parameters")


def test_gradients_are_shown_on_what_has_been_read(workspace: Workspace) -> None:  # noqa: F811
    app = networks(model="mlp")
    app.segmented_control(key="network-part").set_value("Gradients").run()
    assert "No images have been read yet" in app.info[0].value
    prepare_store(workspace, "digits", Preprocessing())
    app.run()
    assert "Every layer learns" in texts(app)
    assert "images brought to 3 × 224 × 224" in texts(app)


def add(app: AppTest, layer: str) -> None:
    app.selectbox(key="builder-add").set_value(layer).run()
    app.button(key="builder-add-now").click().run()
    assert not app.exception


def test_rows_become_a_network_that_is_saved_and_trained(workspace: Workspace) -> None:  # noqa: F811
    app = networks("Builder")
    assert "2 rows, 7.8 k parameters" in texts(app)
    add(app, "conv2d")
    assert "Found 10 values, expected images" in texts(app)
    app.button(key="builder-mend").click().run()
    assert written(app) == ["16 × 26 × 26", "10,816 values", "10 values"], "the convolution now comes before the flatten row"
    next(button for button in app.button if button.key.endswith("-remove")).click().run()
    assert "2 rows, 7.8 k parameters" in texts(app)
    app.text_input(key="builder-name-1").set_value("My first").run()
    app.button(key="builder-save").click().run()
    assert own_networks(workspace) == {"My first": LayerNetwork(name="My first", rows=(Flatten(), Linear()))}
    app.button(key="builder-train").click().run()
    app.switch_page("train/train.py").run()
    assert not app.exception
    model = next(box for box in app.selectbox if box.label == "Model")
    assert model.value == ":own My first"
    model.set_value("mlp").run()
    assert not app.exception
    next(box for box in app.selectbox if box.label == "Model").set_value(":own My first").run()
    assert "Put together of 2 rows of layers" in texts(app)
    assert not app.error


def test_a_reference_network_is_begun_with_and_a_setting_out_of_bounds_is_said(workspace: Workspace) -> None:  # noqa: F811
    app = networks("Builder")
    app.selectbox(key="builder-start").set_value("mnist-first-cnn").run()
    app.button(key="builder-start-now").click().run()
    assert "12 rows, 21.8 k parameters" in texts(app)
    kernel = next(field for field in app.text_input if field.key.endswith("-kernel"))
    kernel.set_value("0").run()
    assert "Row 1. Kernel\\: found 0, expected a whole number, or two for height and width" in texts(app)
    kernel.set_value("three").run()
    assert "found 'three'" in texts(app)
    kernel.set_value("3 × 5").run()
    assert "→ **10 × 26 × 24**" in texts(app)
    kernel.set_value("x").run()
    assert app.button(key="builder-train").disabled
    kernel = next(field for field in app.text_input if field.key.endswith("-kernel"))
    kernel.set_value("40").run()
    assert "reaches over 40 px" in texts(app)
    app.button(key="builder-mend").click().run()
    assert "reaches over 40 px" not in texts(app)


def written(app: AppTest) -> list[str]:
    """The shape that stands at each row."""
    return [str(e.value).split("**")[1] for e in app.markdown if str(e.value).startswith("→ **")]


def test_whatever_is_edited_there_is_no_traceback_and_no_shape_that_pytorch_does_not_make(workspace: Workspace) -> None:  # noqa: F811
    draw = random.Random(7)
    save_network(workspace, LayerNetwork(name="mine", rows=(Conv2d(channels=3), Flatten(), Linear())))
    app = networks("Builder")
    app.selectbox(key="builder-start").set_value("own:mine").run()
    app.button(key="builder-start-now").click().run()
    num_sound = 0
    for _ in range(300):
        buttons = [b for b in app.button if b.key and (b.key.startswith("row-") or b.key == "builder-mend") and not b.disabled]
        numbers = [f for f in app.number_input if f.key and f.key.startswith("row-")]
        sizes = [f for f in app.text_input if f.key and f.key.startswith("row-")]
        mends = [button for button in buttons if button.key == "builder-mend"]
        removes = [button for button in buttons if button.key.endswith("-remove")]
        match draw.randrange(10):
            case 0 | 5 | 6 | 7 if mends:
                mends[0].click().run()
            case 8 | 9 if len(removes) > 6:
                draw.choice(removes).click().run()
            case 0 | 5 | 8:
                add(app, draw.choice(list(LAYERS)))
            case 1 if numbers:
                draw.choice(numbers).set_value(draw.choice([0, 1, 2, 3, 5, 9, 33])).run()
            case 3 if sizes:
                draw.choice(sizes).set_value(
                    draw.choice(["0", "1", "2", "3 × 5", "7,1", "33", "", "x", "1 2 3", "99999999"])
                ).run()
            case 2 if buttons:
                draw.choice(buttons).click().run()
            case _:
                box = draw.choice([b for b in app.selectbox if b.key and b.key.endswith("-layer")])
                box.set_value(draw.choice(list(LAYERS))).run()
        assert not app.exception
        if not app.button(key="builder-train").disabled:
            num_sound += 1
            builder = app.session_state["builder"]
            rows = from_json(json.dumps({"name": "mine", "rows": [entry["values"] for entry in builder["rows"]]}).encode()).rows
            shape = builder["channels"], builder["side"], builder["side"]
            assert written(app) == [in_words(s) for s in shapes_made(from_rows(rows, shape, builder["classes"]), shape)]
    assert num_sound > 30


def test_a_link_opens_its_view_whatever_was_looked_at_before(finished: Run) -> None:  # noqa: F811
    app = networks("layer lab")
    assert app.segmented_control(key="networks-view").value == "Layer lab"
    app.query_params["view"] = "look inside"
    app.query_params["run"] = finished.id
    app.run()
    assert app.segmented_control(key="networks-view").value == "Look inside"
    assert app.selectbox(key="network").value == f"run:{finished.id}"
    app.segmented_control(key="networks-view").set_value("Losses").run()
    assert app.segmented_control(key="networks-view").value == "Losses"
    assert app.query_params["view"] == "losses"


def test_train_page_leads_to_the_card_of_the_network_as_it_is_set_up(workspace: Workspace) -> None:  # noqa: F811
    app = visit("train")
    width = next(field for field in app.number_input if field.key.endswith("-model.width"))
    width.set_value(0.5).run()
    app.button(key="look-inside").click().run()
    asked = app.session_state["as-set-up"]
    assert (asked["model"]["width"], tuple(asked["shape"]), asked["num_classes"]) == (0.5, (1, 8, 8), 10)
    app.query_params["model"] = "as-set-up"
    app.switch_page("networks/networks.py").run()
    assert app.selectbox(key="network").value == "as-set-up"
    network = build_model(CatalogueNetwork(name="residual-light", width=0.5), (1, 8, 8), 10)
    assert metric(app, "Parameters") == f"{sum(p.numel() for p in network.parameters()) / 1000:.1f} k"


def test_network_built_for_larger_images_is_trained_on_images_of_that_size(workspace: Workspace) -> None:  # noqa: F811
    app = networks("Builder")
    app.selectbox(key="builder-start").set_value("mnist-first-cnn").run()
    app.button(key="builder-start-now").click().run()
    app.button(key="builder-train").click().run()
    app.switch_page("train/train.py").run()
    assert not app.exception and not app.error
    size = next(field for field in app.number_input if field.key.endswith("-preprocessing.size_px"))
    assert size.value == 28
    assert not app.button(key="start").disabled
    size.set_value(8).run()
    assert "reaches over 5 px" in app.error[0].value
    app.button(key="mend").click().run()
    assert not app.error and not app.button(key="start").disabled


def test_rows_before_one_that_is_refused_keep_their_shapes(workspace: Workspace) -> None:  # noqa: F811
    app = networks("Builder")
    app.selectbox(key="builder-start").set_value("mnist-first-cnn").run()
    app.button(key="builder-start-now").click().run()
    second = [field for field in app.text_input if field.key.endswith("-kernel")][1]
    second.set_value("0").run()
    assert written(app) == ["10 × 24 × 24"]
    assert "Row 2. Kernel\\: found 0" in texts(app)


def test_card_shows_both_last_layers_and_the_share_that_learns(workspace: Workspace) -> None:  # noqa: F811
    app = networks(model="vgg16")
    assert metric(app, "Parameters") == "134.3 M"
    app.segmented_control(key="vgg16-head").set_value("appended").run()
    assert metric(app, "Parameters") == "138.4 M"
    app.button(key="train-network").click().run()
    app.switch_page("train/train.py").run()
    assert next(box for box in app.selectbox if box.key.endswith("-model.head")).value == "appended"
