"""The layer lab and losses without a browser: what moves what, what is kept, what is refused under its field."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import Preprocessing
from core.data.sets import prepare_store
from core.layer_lab.chain import LAB_LAYERS
from core.layer_lab.examples import EXAMPLES
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.directory import create_run
from core.settings import changed
from core.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TRAINSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")
    return open_workspace()


def lab_page() -> None:
    from pages.networks.layer_lab import layer_lab

    layer_lab()


def losses_page() -> None:
    from pages.networks.losses import losses

    losses()


def visit(page=lab_page) -> AppTest:
    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception
    return app


def control(app: AppTest, kind: str, name: str):
    """A widget of the form as it is now."""
    return next(widget for widget in app.get(kind) if widget.key.endswith(f"-{name}"))


def take(app: AppTest, kind: str, name: str, value: object) -> None:
    control(app, kind, name).set_value(value).run()
    assert not app.exception


def headline(app: AppTest) -> str:
    return next(str(e.value) for e in app.markdown if str(e.value).startswith("## "))


def texts(app: AppTest) -> str:
    return " ".join(str(e.value) for kind in ("markdown", "caption", "code") for e in app.get(kind)).replace("\\", "")


def errors(app: AppTest) -> list[str]:
    return [str(e.value).replace("\\", "") for e in app.error]


def test_it_begins_with_the_tutorials_kernel_on_five_by_five_and_sliders_move_it(workspace: Workspace) -> None:
    app = visit()
    assert headline(app) == "## Conv2d: 1 × 5 × 5 → 1 × 3 × 3"
    take(app, "slider", "stride", 2)
    assert headline(app).endswith("1 × 2 × 2")
    assert "nn.Conv2d(1, 1, 3, stride=2, bias=False)" in texts(app)
    assert "Height = ⌊(5 + 2 · 0 − 1 · (3 − 1) − 1) / 2⌋ + 1 = 2" in texts(app)
    take(app, "slider", "padding", 1)
    assert headline(app).endswith("1 × 3 × 3")


def test_every_example_works(workspace: Workspace) -> None:
    app = visit()
    for name, example in EXAMPLES.items():
        take(app, "selectbox", "example", name)
        assert not errors(app)
        assert headline(app).startswith(f"## {LAB_LAYERS[example.rows[0].layer.layer].title}: ")


def test_every_layer_can_be_chosen_and_works_or_says_what_it_needs(workspace: Workspace) -> None:
    app, last = visit(), "Conv2d"
    for name, entry in LAB_LAYERS.items():
        take(app, "selectbox", "kind", name)
        assert bool(errors(app)) == (entry.takes == (1,))
        last = last if errors(app) else entry.title
        assert headline(app).startswith(f"## {last}:")  # of an impossible one what last worked stays


def test_what_is_typed_wrong_is_said_and_the_last_that_worked_stays(workspace: Workspace) -> None:
    app = visit()
    take(app, "text_area", "input-text", "1 2\n3")
    assert errors(app) == ["The matrix: row 2 has 1 number, row 1 has 2. Give every row as many."]
    assert headline(app).startswith("## Conv2d: 1 × 5 × 5")
    take(app, "text_area", "input-text", "1 2 3 4\n" * 4)
    assert not errors(app)
    assert headline(app) == "## Conv2d: 1 × 4 × 4 → 1 × 2 × 2"
    take(app, "text_area", "row-0-text", "1 <b>\n2 3")
    assert errors(app) == ["The kernel: '<b>' is not a number. Write numbers such as 2, -1 or 0.5."]
    assert headline(app) == "## Conv2d: 1 × 4 × 4 → 1 × 2 × 2"


def test_impossible_settings_get_a_sentence(workspace: Workspace) -> None:
    app = visit()
    take(app, "selectbox", "weights", "random")
    take(app, "slider", "kernel", 7)
    assert errors(app)[0].startswith("Layer 1 (Conv2d): found a kernel that reaches over 7 px, expected at most the 5 px")
    take(app, "slider", "padding", 1)
    assert not errors(app)
    take(app, "slider", "groups", 2)
    assert errors(app)[0].startswith("Layer 1 (Conv2d): found 2 groups, expected a number that divides the 1 channel")
    take(app, "selectbox", "kind", "max-pool2d")
    take(app, "slider", "padding", 2)
    assert errors(app) == ["Layer 1 (MaxPool2d): padding 2 is more than half of kernel 2, which pooling does not take."]


def test_height_and_width_are_moved_apart_and_together_again(workspace: Workspace) -> None:
    app = visit()
    take(app, "selectbox", "weights", "random")
    take(app, "toggle", "apart", True)
    take(app, "slider", "kernel-width", 5)
    assert headline(app).endswith("1 × 3 × 1")
    assert "nn.Conv2d(1, 1, (3, 5), bias=False)" in texts(app)
    take(app, "toggle", "apart", False)
    assert headline(app).endswith("1 × 3 × 3")


def test_a_named_kernel_can_be_typed_on(workspace: Workspace) -> None:
    app = visit()
    take(app, "selectbox", "weights", "sharpen")
    take(app, "selectbox", "weights", "typed")
    assert control(app, "text_area", "row-0-text").value == "0 -1 0\n-1 5 -1\n0 -1 0"


def test_layers_are_added_moved_and_removed(workspace: Workspace) -> None:
    app = visit()
    take(app, "selectbox", "add", "max-pool2d")
    assert headline(app) == "## MaxPool2d: 1 × 3 × 3 → 1 × 1 × 1"
    assert "**1. Conv2d** &nbsp; 1 × 3 × 3" in texts(app)
    take(app, "selectbox", "add", "linear")
    assert errors(app)[0].startswith("Layer 3 (Linear): found 1 × 1 × 1, expected a row of values. Put a flatten row before it.")
    take(app, "selectbox", "kind", "flatten")
    assert headline(app) == "## Flatten: 1 × 1 × 1 → 1 value"
    app.button(key="layer-lab-up").click().run()
    assert [row["layer"]["layer"] for row in app.session_state["layer-lab"]["rows"]] == ["conv2d", "flatten", "max-pool2d"]
    assert errors(app)
    app.button(key="layer-lab-remove").click().run()
    assert not errors(app)
    assert headline(app) == "## Conv2d: 1 × 5 × 5 → 1 × 3 × 3"
    take(app, "radio", "at", 1)
    assert headline(app) == "## MaxPool2d: 1 × 3 × 3 → 1 × 1 × 1"
    assert "nn.Sequential(" in texts(app)


def test_an_image_of_a_set_and_the_filters_of_a_run(workspace: Workspace) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    rows = [{"layer": "conv2d", "channels": 4, "padding": 1}, {"layer": "flatten"}, {"layer": "linear"}]
    config = changed(recipe_named("digits-quickstart").config, {"epochs": 1, "threads": 1, "tensorboard": False})
    config = changed(config, {"model.kind": "layers", "model.rows": rows})
    assert run_session(workspace, create_run(workspace, config)).reason == "finished"
    app = visit()
    take(app, "segmented_control", "source", "set")
    assert headline(app) == "## Conv2d: 1 × 8 × 8 → 1 × 6 × 6"
    take(app, "number_input", "number", 7)
    assert app.session_state["layer-lab"]["input"]["index"] == 6
    take(app, "selectbox", "weights", "run")
    assert headline(app) == "## Conv2d: 1 × 8 × 8 → 4 × 8 × 8"
    assert control(app, "selectbox", "of-layer").value == "0"
    take(app, "slider", "stride", 2)
    assert headline(app) == "## Conv2d: 1 × 8 × 8 → 4 × 4 × 4"
    assert not errors(app)


def late_page() -> None:
    """The browser sends a slider of a form that is gone."""
    import streamlit as st

    from pages.networks import lab_state, row_fields

    lab_state.lab_state()
    earlier = lab_state.row_key("stride")
    st.session_state[earlier] = 5
    if st.toggle("Renewed", key="renewed"):
        lab_state.renew()
    row_fields._note("stride", earlier)
    st.markdown(f"stride {lab_state.chosen_row()['layer']['stride']}")


def test_a_late_update_of_a_widget_that_is_gone_changes_nothing(workspace: Workspace) -> None:
    assert visit(late_page).markdown[0].value == "stride 5"
    app = AppTest.from_function(late_page, default_timeout=30)
    app.session_state["renewed"] = True
    assert app.run().markdown[0].value == "stride 1"


def test_a_loss_is_worked_out_and_what_is_wrong_stands_under_its_field(workspace: Workspace) -> None:
    app = visit(losses_page)
    assert app.metric[0].value == "0.6667"
    take(app, "segmented_control", "reduction", "sum")
    assert app.metric[0].value == "2"
    assert "|3 − 5| = 2" in texts(app)
    take(app, "text_area", "target", "1, 2")
    assert errors(app)[0].startswith("Target: found 1 × 2 numbers, expected 1 × 3")
    assert app.metric[0].value == "2"
    take(app, "selectbox", "name", "cross-entropy")
    assert app.metric[0].value == "1.102"
    take(app, "selectbox", "name", "l1")  # as it was left
    assert errors(app)
