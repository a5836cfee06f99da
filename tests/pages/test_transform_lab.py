"""The transform lab without a browser: what moves what, what is saved, and that Train gets what was seen."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import Augmentation, Preprocessing
from core.data.transforms.lab import Composition
from core.data.transforms.presets import list_presets, save_preset
from core.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TRAINSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")
    return open_workspace()


def lab_page() -> None:
    """The lab on a page, as the Data page shows it, and the Train page beside it."""
    import streamlit as st

    from core.config import Preprocessing
    from core.data.sets import prepare_store
    from core.data.transforms.preprocessing import array_to_image
    from pages.data.transform_lab import transform_lab
    from pages.shared.actions import show_messages
    from pages.shared.session import workspace
    from pages.train.settings_form import settings_form

    show_messages()
    if st.toggle("Form", key="show-form"):
        config = settings_form()
        st.session_state["config"] = config
    else:
        store = prepare_store(workspace(), "digits", Preprocessing())
        transform_lab(store, "digits", array_to_image(store.images[5]), 5)


def visit() -> AppTest:
    app = AppTest.from_function(lab_page, default_timeout=30).run()
    assert not app.exception
    return app


def control(app: AppTest, kind: str, path: str):
    """The widget of a setting; its key changes when another composition is taken."""
    return app.get(kind) and next(w for w in app.get(kind) if w.key.startswith("lab-") and w.key.endswith(f"-{path}"))


def texts(app: AppTest) -> str:
    return " ".join(str(e.value) for kind in ("markdown", "caption", "warning", "error") for e in app.get(kind))


def test_digits_begin_with_a_small_shift_and_unmirrored(workspace: Workspace) -> None:
    app = visit()
    assert control(app, "slider", "augmentation.shift_px").value == 1
    assert control(app, "toggle", "augmentation.flip").value is False
    assert not app.warning
    assert not app.error


def test_slider_shows_its_step_and_zero_hides_it(workspace: Workspace) -> None:
    app = visit()
    assert "RandomRotation" not in texts(app)
    control(app, "slider", "augmentation.rotate_deg").set_value(20.0).run()
    assert not app.exception
    assert "RandomRotation" in texts(app)
    control(app, "slider", "augmentation.rotate_deg").set_value(0.0).run()
    assert "RandomRotation" not in texts(app)


def test_images_to_train_on_are_counted_before_any_are_held_out(workspace: Workspace) -> None:
    """All 1,797 digits are delivered in one split; that a training holds some of them out is said, not contradicted."""
    assert "the set brings 1,797 to train on, before any are held out" in texts(visit())


def test_every_setting_of_both_sections_can_be_set(workspace: Workspace) -> None:
    app = visit()
    kinds = ("slider", "toggle", "selectbox", "number_input", "text_input")
    keys = {widget.key.split("-", 2)[-1] for kind in kinds for widget in app.get(kind)}
    fields = {f"preprocessing.{name}" for name in Preprocessing.model_fields} | {
        f"augmentation.{name}" for name in Augmentation.model_fields
    }
    assert keys >= fields - {"preprocessing.drawing"}


def test_mirrored_digits_get_a_warning(workspace: Workspace) -> None:
    app = visit()
    control(app, "toggle", "augmentation.flip").set_value(True).run()
    assert any("Horizontal flip" in warning.value for warning in app.warning)


def test_all_changes_together_are_shown_and_cost_something(workspace: Workspace) -> None:
    app = visit()
    for name in ("brightness", "contrast", "saturation", "hue", "grey_probability", "invert_probability", "crop_area", "scale"):
        control(app, "slider", f"augmentation.{name}").set_value(0.4).run()
    assert not app.exception
    assert "ms for 1,000 images" in texts(app)
    assert "RandomResizedCrop" in texts(app)
    assert texts(app).count("min · mean · max") == 11  # to numbers, normalise, eight changes and the shift


def test_impossible_choice_is_said_and_can_not_be_trained_or_saved(workspace: Workspace) -> None:
    app = visit()
    control(app, "number_input", "preprocessing.size_px").set_value(32).run()
    control(app, "number_input", "preprocessing.short_side_px").set_value(16).run()
    assert not app.exception
    assert "size" in app.error[0].value
    assert app.button(key="lab-train").disabled
    control(app, "number_input", "preprocessing.short_side_px").set_value(40).run()
    assert not app.error
    assert not app.button(key="lab-train").disabled


@pytest.mark.parametrize("text", ["half", "0.5, 0.5, 0.5, 0.5", "nan", "1e9"])
def test_mean_that_is_no_mean_is_said(workspace: Workspace, text: str) -> None:
    app = visit()
    control(app, "text_input", "preprocessing.mean").set_value(text).run()
    assert not app.exception
    assert app.error


def test_own_mean_and_deviation_are_used(workspace: Workspace) -> None:
    app = visit()
    control(app, "text_input", "preprocessing.mean").set_value("0").run()
    control(app, "text_input", "preprocessing.std").set_value("0.5").run()
    assert not app.exception
    assert "0.00 · 0.33 · 1.00 | 0.00 · 0.67 · 2.00" in texts(app)  # (x - 0) / 0.5


def test_mean_for_other_channels_gets_a_warning_and_the_pictures_stay(workspace: Workspace) -> None:
    app = visit()
    control(app, "text_input", "preprocessing.mean").set_value("0.5, 0.5, 0.5").run()
    assert not app.exception
    assert any("3 numbers" in warning.value for warning in app.warning)


def test_saved_composition_is_listed_used_and_deleted(workspace: Workspace) -> None:
    app = visit()
    control(app, "slider", "augmentation.rotate_deg").set_value(10.0).run()
    app.text_input(key="lab-name").set_value("Gently *turned*").run()
    app.button(key="lab-save").click().run()
    assert not app.exception
    (preset,) = list_presets(workspace)
    assert (preset.name, preset.dataset) == ("Gently *turned*", "digits")
    assert preset.composition.augmentation == Augmentation(shift_px=1, rotate_deg=10)
    app.button(key="lab-reset").click().run()
    assert control(app, "slider", "augmentation.rotate_deg").value == 0
    app.button(key="lab-use-0").click().run()
    assert control(app, "slider", "augmentation.rotate_deg").value == 10
    app.button(key="lab-delete-0").click().run()
    assert not app.exception
    assert list_presets(workspace) == []


def test_preset_deleted_in_another_tab_does_no_harm(workspace: Workspace) -> None:
    save_preset(workspace, "one", "digits", Composition(Preprocessing(), Augmentation(shift_px=3)))
    app = visit()
    button = app.button(key="lab-use-0")
    next(workspace.home.glob("transforms/*.json")).unlink()
    button.click().run()
    assert not app.exception
    assert "lab-use-0" not in [button.key for button in app.button], "it is no longer listed"
    assert control(app, "slider", "augmentation.shift_px").value == 1, "what was composed stays"


def test_preset_beyond_the_sliders_is_shown(workspace: Workspace) -> None:
    """A shift of 64 on images of 8 pixels, a crop down to a hundredth."""
    save_preset(
        workspace, "wild", "digits", Composition(Preprocessing(), Augmentation(shift_px=64, crop_area=0.01, erase_px=512))
    )
    app = visit()
    app.button(key="lab-use-0").click().run()
    assert not app.exception
    assert control(app, "slider", "augmentation.shift_px").value == 64
    assert all(f"**{title}.**" in app.warning[0].value for title in ("Shift", "Random erasing", "Random crop, min. area"))


def test_form_offers_saved_transforms_only_where_there_are_any(workspace: Workspace) -> None:
    app = visit()
    app.toggle(key="show-form").set_value(True).run()
    assert not [w for w in app.selectbox if w.label == "Transforms"]
    save_preset(
        workspace, "Turned", "digits", Composition(Preprocessing(size_px=16, short_side_px=20), Augmentation(rotate_deg=15))
    )
    app.run()
    (choice,) = [w for w in app.selectbox if w.label == "Transforms"]
    assert choice.value is None
    choice.set_value("Turned").run()
    assert not app.exception
    config = app.session_state["config"]
    assert config.augmentation == Augmentation(rotate_deg=15)
    assert (config.preprocessing.size_px, config.preprocessing.short_side_px) == (16, 20)
    (choice,) = [w for w in app.selectbox if w.label == "Transforms"]
    assert choice.value == "Turned"


def test_train_gets_what_was_composed(workspace: Workspace) -> None:
    """The button fills the form, on another recipe's set too."""
    app = visit()
    control(app, "slider", "augmentation.rotate_deg").set_value(12.0).run()
    control(app, "number_input", "preprocessing.size_px").set_value(12).run()
    app.button(key="lab-train").click().run()  # there is no Train page in this test: what the form keeps is what counts
    changes = app.session_state["changes"]
    assert changes["data.dataset"] == "digits"
    assert changes["augmentation.rotate_deg"] == 12
    assert changes["preprocessing.size_px"] == 12
