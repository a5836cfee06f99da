"""Look inside and the map of images without a browser: what they show, and their words for too little, too much and nothing."""

import io
import shutil
from threading import Event

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.errors import InputError
from core.inference.kept_maps import TSNE
from core.inference.predictor import predict
from core.insight.run_results import evaluated_after, evaluated_image
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.artifacts import list_kept
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.settings import changed
from core.workspace import Workspace
from tests.core.serving.test_launcher import tiny
from tests.fixtures.waiting import until
from tests.pages.test_pages import finished, texts, visit, workspace  # noqa: F401 fixtures


def inside(run: Run) -> AppTest:
    return view(run, "Explain")


def view(run: Run, name: str) -> AppTest:
    app = visit("results", run=run.id)
    app.segmented_control(key="result-view").set_value(name).run()
    assert not app.exception
    return app


def box(app: AppTest, start: str):
    return next(box for box in app.selectbox if box.key.startswith(start))


def settled(app: AppTest, words: str) -> AppTest:
    """Once what is worked out in the background is on the page."""

    def is_there() -> bool:
        assert not app.exception
        return words in texts(app.run())

    until(is_there, 30)
    return app


def captions(app: AppTest) -> list[str]:
    return [caption for image in app.get("image") for caption in [img.caption for img in image.proto.imgs]]


def test_a_picture_is_explained_for_the_class_it_was_taken_for(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    app = inside(finished)
    assert not app.error
    said = predict(find_checkpoint(finished, "last"), evaluated_image(workspace, finished, 0).image)
    name = said.top(1)[0][0]
    assert f"Grad-CAM for {name}, from maps of" in " ".join(captions(app))
    assert f"Occlusion for {name} by grey squares of 2 × 2 pixels" in " ".join(captions(app))
    assert "32 maps of 4 × 4 positions" in texts(app)
    assert "32 filters of 4 × 4 weights on 1 input channel" in texts(app)


def test_another_class_another_layer_and_another_picture_are_a_click_away(finished: Run) -> None:  # noqa: F811
    app = inside(finished)
    box(app, "inside-class").set_value(3).run()
    assert "for 3" in " ".join(captions(app)) or "no place speaks for 3" in texts(app)
    layer = box(app, "inside-layer")
    layer.set_value(next(i for i, option in enumerate(layer.options) if option.startswith("batch norm"))).run()
    assert "This layer (batch norm) has no filters" in texts(app)
    layer = box(app, "inside-layer")
    layer.set_value(len(layer.options) - 1).run()
    assert "10 values, one for each unit." in texts(app)
    assert "10 × 128 weights" in texts(app)
    layer = box(app, "inside-layer")
    layer.set_value(next(i for i, option in enumerate(layer.options) if "features.3" in option)).run()
    box(app, "inside-channel").set_value(5).run()
    assert not app.exception
    app.button(key="inside-next").click().run()
    assert app.number_input(key=f"inside-number-{finished.id}").value == 2
    app.number_input(key=f"inside-number-{finished.id}").set_value(359).run()
    assert app.button(key="inside-next").disabled
    app.button(key="inside-another").click().run()
    assert not app.exception


def test_the_picture_last_opened_large_is_looked_into(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    app = visit("results", run=finished.id)
    app.session_state["open-evaluated"] = 41
    app.session_state["gallery-choice"] = "all"
    app.segmented_control(key="result-view").set_value("Images").run()
    app.button(key="look-inside-41").click().run()
    app.run()
    assert app.segmented_control(key="result-view").value == "Explain"
    assert app.number_input(key=f"inside-number-{finished.id}").value == 42


def test_checkpoint_follows_the_epoch_chosen_above_until_another_is_picked(finished: Run) -> None:  # noqa: F811
    app = inside(finished)
    assert box(app, "inside-checkpoint").value == "epoch-0002"
    assert "last" in box(app, "inside-checkpoint").options[0]
    app.select_slider(key=f"epoch-of-{finished.id}").set_value(1).run()
    assert box(app, "inside-checkpoint").value == "epoch-0001"
    box(app, "inside-checkpoint").set_value("epoch-0002").run()
    assert box(app, "inside-checkpoint").value == "epoch-0002"
    app.select_slider(key=f"epoch-of-{finished.id}").set_value(2).run()
    assert box(app, "inside-checkpoint").value == "epoch-0002"
    shutil.rmtree(finished.checkpoints / "epoch-0001")
    app.select_slider(key=f"epoch-of-{finished.id}").set_value(1).run()
    assert "The checkpoint of epoch 1 is not kept; epoch-0002 is shown." in texts(app).replace("\\", "")


def test_a_checkpoint_that_is_pruned_meanwhile_gives_way_to_the_last(finished: Run) -> None:  # noqa: F811
    app = inside(finished)
    box(app, "inside-checkpoint").set_value("epoch-0001").run()
    shutil.rmtree(finished.checkpoints / "epoch-0001")
    app.run()
    assert not app.exception
    assert box(app, "inside-checkpoint").value == "epoch-0002"
    for path in finished.checkpoints.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in ("Explain", "Embedding map"):
        assert "kept no checkpoint" in texts(view(finished, name))


def test_a_damaged_checkpoint_has_words(finished: Run) -> None:  # noqa: F811
    (find_checkpoint(finished, "last").path / "weights.safetensors").write_bytes(b"rot")
    for name in ("Explain", "Embedding map"):
        app = view(finished, name)
        assert "is damaged" in texts(app)
        assert "Choose another one" in texts(app).replace("\\", "")


def test_without_the_pictures_one_may_be_uploaded_and_the_map_says_why_not(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    shutil.rmtree(workspace.stores)
    workspace.stores.mkdir()
    app = inside(finished)
    assert "no longer on this machine" in texts(app)
    assert "no longer on this machine" in texts(view(finished, "Embedding map"))
    app.segmented_control(key="inside-source").set_value("Upload").run()
    assert "It stays on this machine" in texts(app)
    file = io.BytesIO()
    Image.new("RGB", (50, 30), "white").save(file, "PNG")
    app.file_uploader(key="inside-upload").upload("photo.png", file.getvalue(), "image/png").run()
    assert not app.exception
    assert "What the network sees: 8 × 8 pixels" in captions(app)
    app.file_uploader(key="inside-upload").upload("photo.png", b"no image", "image/png").run()
    assert app.error


def test_a_network_without_convolutions_says_so_and_shows_what_its_units_look_for(workspace: Workspace) -> None:  # noqa: F811
    run = create_run(workspace, tiny(model={"name": "mlp", "width": 0.2}))
    run_session(workspace, run)
    app = inside(run)
    assert "no convolution whose output has positions, so there is no Grad-CAM" in texts(app)
    assert "Occlusion for" in " ".join(captions(app))
    layer = box(app, "inside-layer")
    layer.set_value(next(i for i, option in enumerate(layer.options) if option.startswith("dense"))).run()
    assert "51 filters of 8 × 8 weights" in texts(app)


def test_a_run_that_still_trains_is_looked_into_as_far_as_it_has_got(workspace: Workspace) -> None:  # noqa: F811
    run = create_run(workspace, tiny(epochs=500))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 3)
    lock = run.hold()
    try:
        for name, key in (("Explain", "inside"), ("Embedding map", "map")):
            app = view(run, name)
            assert not app.error
            last = history_of(run).last_evaluation.epoch
            assert box(app, f"{key}-checkpoint").value == f"epoch-{last:04d}"
            if name == "Embedding map":
                settled(app, "PCA: the two directions")
    finally:
        lock.release()


def test_the_map_shows_all_pictures_by_class_outcome_or_one_class(finished: Run) -> None:  # noqa: F811
    app = settled(view(finished, "Embedding map"), "PCA: the two directions")
    assert not app.error
    assert "All 359 evaluated images, placed by the 128 features" in texts(app)
    evaluated = evaluated_after(finished, 2)
    for colour in ("Predicted class", "Right or wrong", "One class"):
        box(app, "map-colour").set_value(colour).run()
        assert not app.exception
    assert len(evaluated.labels) == 359
    app.segmented_control(key="map-projection").set_value("t-SNE").run()
    settled(app, "t-SNE: near points are alike")
    assert len(list_kept(finished, TSNE)) == 1


def test_a_picture_of_the_map_opens_large(finished: Run) -> None:  # noqa: F811
    app = settled(view(finished, "Embedding map"), "PCA: the two directions")
    app.session_state["open-evaluated"] = 7
    app.run()
    assert not app.exception
    assert "True class:" in texts(app)


def test_a_map_of_large_pictures_waits_for_a_click(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    import pages.results.map

    monkeypatch.setattr(pages.results.map, "AT_ONCE_PIXELS", 100)
    monkeypatch.setattr(pages.results.map, "QUICK_PIXELS", 100)
    app = view(finished, "Embedding map")
    assert "The network passes over each image once" in texts(app)
    app.button(key="make-map").click().run()
    settled(app, "All 359 evaluated images")


def test_work_that_takes_long_can_be_cancelled_and_its_failure_is_told(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    may_end = Event()

    def slow(run, inputs, points, progress):
        while not may_end.wait(0.02):
            progress("t-SNE, iterations", 10, 750)
        raise InputError("It could not be done.")

    monkeypatch.setattr("core.inference.kept_maps.tsne_for", slow)
    app = settled(view(finished, "Embedding map"), "PCA: the two directions")
    app.segmented_control(key="map-projection").set_value("t-SNE").run()
    assert "PCA: the two directions" not in texts(app)
    next(button for button in app.button if button.label == "Cancel").click().run()
    settled(app, "PCA: the two directions")
    assert app.segmented_control(key="map-projection").value == "PCA"
    app.segmented_control(key="map-projection").set_value("t-SNE").run()
    app.button(key="make-tsne").click().run()
    may_end.set()
    settled(app, "It could not be done")


def test_a_map_of_fewer_than_five_pictures_says_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    import pages.results.map

    config = changed(recipe_named("digits-quickstart").config, {"epochs": 1, "threads": 1, "tensorboard": False})
    run = create_run(workspace, config)
    run_session(workspace, run)
    monkeypatch.setattr(pages.results.map, "FEWEST_POINTS", 400)
    assert "A map needs at least 400 evaluated images, there are 359." in texts(view(run, "Embedding map"))


def test_covering_that_waits_for_a_click_and_changes_nothing_has_words(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    import pages.results.inside

    monkeypatch.setattr("core.inference.saliency.QUICK_PIXELS", 0)
    monkeypatch.setattr(pages.results.inside, "NOTHING", 2.0)
    app = inside(finished)
    assert "The image is evaluated once for each" in texts(app)
    app.button(key="inside-cover").click().run()
    assert "changes nothing about the probability" in texts(app)
    assert "inside-cover" not in [button.key for button in app.button]
