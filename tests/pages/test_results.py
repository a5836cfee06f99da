"""The views of Results without a browser: epochs, classes against others, evaluations made by hand, calibration, robustness."""

import os
import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.figures.runs import loss_curve
from core.inference.kept_evaluations import evaluate_and_keep
from core.insight.class_report import class_report
from core.insight.run_results import evaluated_after
from core.recipes import RECIPES
from core.running.session import run_session
from core.runs.calibration import PLAIN, calibration_of
from core.runs.checkpoints import find_checkpoint, list_checkpoints, remove_checkpoint
from core.runs.directory import Run, create_run
from core.runs.evaluations import list_evaluations
from core.runs.history import history_of
from core.runs.pins import MOST, pin, pins_of, unpin
from core.wording import percent
from core.workspace import Workspace
from pages.results.classes import table_rows
from tests.core.serving.test_launcher import tiny
from tests.pages.test_pages import texts, visit, workspace  # noqa: F401 a fixture


@pytest.fixture
def run(workspace: Workspace) -> Run:  # noqa: F811
    run = create_run(workspace, tiny(epochs=3, checkpoint={"every_epochs": 1}))
    assert run_session(workspace, run).reason == "finished"
    return run


def results(run: Run, view: str = "Curves") -> AppTest:
    app = visit("results")
    app.session_state["run"] = run.id
    turn(app, view)
    return app


def turn(app: AppTest, view: str) -> None:
    app.session_state["result-view"] = view
    app.run()
    assert not app.exception


def table(app: AppTest):
    (frame,) = app.dataframe
    return frame.value


def test_slider_moves_classes_and_pictures_and_stays_while_views_change(run):
    app = results(run, "Classes")
    last = table(app)["Recall"].tolist()
    app.select_slider[0].set_value(1).run()
    first = evaluated_after(run, 1)
    expected = [100 * float((first.predictions.predicted[first.labels == k] == k).mean()) for k in range(10)]
    assert table(app)["Recall"].tolist() == pytest.approx(expected)
    assert table(app)["Recall"].tolist() != last
    turn(app, "Epochs")
    assert app.select_slider[0].value == 1
    assert "First-layer filters" in texts(app)


def test_playing_goes_from_the_first_epoch_to_the_last_and_ends(run, monkeypatch):
    from pages.results import epoch_slider as _epochs

    clock = [0.0]
    monkeypatch.setattr(_epochs.time, "monotonic", lambda: clock[0])
    app = results(run, "Epochs")
    app.button(key="play-epochs").click().run()
    seen = [app.select_slider[0].value]
    for _ in range(6):
        clock[0] += _epochs.STEP_S
        app.run()
        seen.append(app.select_slider[0].value)
    assert not app.exception
    assert seen[:4] == [0, 1, 2, 3] and set(seen[4:]) == {3}
    assert app.button(key="play-epochs").label == "Play"
    app.button(key="play-epochs").click().run()
    app.run()
    assert app.select_slider[0].value == 0, "a click in between does not move it on"
    app.button(key="play-epochs").click().run()
    clock[0] += 10
    app.run()
    assert app.select_slider[0].value == 0


def test_pins_are_kept_in_their_order_and_bounded(run):
    for place in (5, 3, 5):
        pin(run, place, 359)
    assert pins_of(run, 359) == [3, 5]
    unpin(run, 3, 359)
    assert pins_of(run, 359) == [5]
    assert pins_of(run, 4) == []
    for place in range(40):
        pin(run, place, 359)
    assert pins_of(run, 359) == list(range(40 - MOST, 40))
    for hostile in ('{"x": [', "[Infinity]", "[" * 100_000, "[1e400, -1]", "null", '["a"]', "7"):
        (run.path / "pins.json").write_text(hostile)
        assert pins_of(run, 359) == []
    app = results(run, "Epochs")
    assert "Open any image and pin it" in texts(app)
    pin(run, 7, 359)
    app.run()
    assert "Pinned images" in texts(app)


def test_classes_against_an_earlier_epoch_and_another_run(run, workspace):  # noqa: F811
    other = create_run(workspace, tiny(epochs=1, seed=5))
    run_session(workspace, other)
    app = results(run, "Classes")
    assert "Recall ±" not in table(app)
    chooser = app.selectbox(key=f"against-{run.id}")
    chooser.set_value("epoch 0").run()
    before, now = evaluated_after(run, 0), evaluated_after(run, 3)
    recalls = [[100 * float((j.predictions.predicted[j.labels == k] == k).mean()) for k in range(10)] for j in (before, now)]
    np.testing.assert_allclose(table(app)["Recall ±"], np.subtract(recalls[1], recalls[0]), atol=1e-5)
    app.selectbox(key=f"against-{run.id}").set_value(other.id).run()
    theirs = evaluated_after(other, 1)
    recall = [100 * float((theirs.predictions.predicted[theirs.labels == k] == k).mean()) for k in range(10)]
    np.testing.assert_allclose(table(app)["Recall ±"], np.subtract(recalls[1], recall), atol=1e-5)
    shutil.rmtree(other.path)
    app.run()
    assert not app.exception
    assert "Recall ±" not in table(app)


def test_evaluation_on_another_split_is_made_shown_and_removed(run):
    app = results(run, "Classes")
    app.selectbox(key=f"evaluate-split--{run.id}").set_value("train").run()
    app.button(key="evaluate-now").click().run()
    assert not app.exception and not app.error
    (kept,) = list_evaluations(run)
    assert kept.about.split == "train"
    assert f"{kept.about.num_pictures:,} images, train of" in texts(app)
    assert table(app)["Images"].sum() == kept.about.num_pictures == 1438
    for view in ("Confusion", "Images", "Calibration"):
        turn(app, view)
    assert not app.get("select_slider")
    app.button(key="remove-evaluation").click().run()
    assert list_evaluations(run) == []
    turn(app, "Classes")
    assert table(app)["Images"].sum() == 359


def test_set_whose_classes_are_unknown_is_refused_in_words_and_nothing_is_kept(run, workspace, tmp_path):  # noqa: F811
    from core.data.imports import import_images
    from tests.core.inference.test_evaluations import images

    images(tmp_path / "farm", ["cow", "pig"])
    import_images(workspace, tmp_path / "farm", "farm")
    app = results(run, "Classes")
    app.selectbox(key=f"evaluate-dataset-{run.id}").set_value("farm").run()
    app.button(key="evaluate-now").click().run()
    assert "knows none of the classes" in app.error[0].value
    assert list_evaluations(run) == []
    assert table(app)["Images"].sum() == 359, "what was shown is still there"


def test_temperature_and_threshold_are_fitted_saved_and_removed(run):
    app = results(run, "Calibration")
    assert "Expected calibration error" in texts(app)
    app.button(key="calibrate-now").click().run()
    assert "Divided by a temperature" in texts(app)
    app.slider(key=f"threshold-{run.id}").set_value(20.0).run()
    assert "Coverage" in texts(app)
    app.button(key="keep-calibration").click().run()
    kept = calibration_of(find_checkpoint(run, "last"))
    assert kept.threshold == 0.2 and kept.temperature != 1 and "validation" in kept.fitted_on
    assert "In use" in texts(app)
    assert app.button(key="keep-calibration").disabled
    app.button(key="remove-calibration").click().run()
    assert calibration_of(find_checkpoint(run, "last")) == PLAIN


def test_calibration_of_a_checkpoint_that_is_gone_is_shown_and_not_offered_to_keep(run, workspace):  # noqa: F811
    first = list_checkpoints(run)[0]
    evaluate_and_keep(workspace, run, first, "validation")
    remove_checkpoint(run, first.name)
    app = visit("results")
    app.session_state[f"evaluation-of-{run.id}"] = list_evaluations(run)[0].name
    turn(app, "Calibration")
    assert "are not kept any more" in texts(app)
    assert "keep-calibration" not in [b.key for b in app.button]


def test_prediction_says_that_it_is_not_sure(run):
    from core.runs.calibration import Calibration, save_calibration

    save_calibration(find_checkpoint(run, "last"), Calibration(3.0, 0.99, "half of the test"))
    app = visit("predict", run=run.id)
    assert "Not sure" in texts(app)
    assert "temperature of 3" in texts(app).replace("\\", "")


def test_robustness_is_measured_on_a_sample_and_kept(run):
    app = results(run, "Robustness")
    assert "made worse in six ways" in texts(app)
    app.button(key="measure-robustness").click().run()
    assert "What costs most" in texts(app)
    app.selectbox(key="bench-class").set_value(3).run()
    assert not app.exception
    again = results(run, "Robustness")
    assert "What costs most" in texts(again)


@pytest.mark.parametrize(
    "view", ["Epochs", "Classes", "Confusion", "Images", "Calibration", "Explain", "Embedding map", "Robustness"]
)
def test_every_view_has_words_where_pictures_records_or_checkpoints_are_gone(run, workspace, view):  # noqa: F811
    shutil.rmtree(workspace.stores)
    results(run, view)
    shutil.rmtree(run.checkpoints)
    run.checkpoints.mkdir()
    results(run, view)
    for record in run.records.glob("epoch-*"):
        record.unlink()
    app = results(run, view)
    assert "record of this evaluation is missing" in " ".join(w.value for w in app.warning)


@pytest.mark.parametrize(
    "view", ["Epochs", "Classes", "Confusion", "Images", "Calibration", "Explain", "Embedding map", "Robustness"]
)
def test_every_view_shows_a_run_as_far_as_it_has_got(workspace, view):  # noqa: F811
    run = create_run(workspace, tiny(epochs=500))
    from core.runs.history import history_of

    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 1)
    app = results(run, view)
    assert not app.error
    assert app.session_state["result-view"] == view


def test_after_an_edit_training_again_is_offered_with_the_run_s_settings(run, workspace):  # noqa: F811
    from core.data.edits import Action, edit

    app = results(run, "Images")
    assert "train-again" not in [b.key for b in app.button]
    evaluated = evaluated_after(run, 3)
    edit(workspace, "digits", Action(kind="exclude", images=(f"#{evaluated.indices[0]}",)))
    app.run()
    assert "The set was edited since this run began: 1 excluded" in texts(app)
    app.button(key="train-again").click().run()
    app.switch_page("train/train.py").run()
    assert not app.exception
    assert "Has the settings of" in texts(app)
    assert "Your edits" in texts(app)
    app.button(key="fresh-weights").click().run()
    assert "Has the settings of" not in texts(app)


def test_runs_of_the_same_second_are_told_apart(run, workspace):  # noqa: F811
    """A list's options are known by their words: of two that read the same, the wrong one would be opened."""
    twin = create_run(workspace, tiny(epochs=1))
    run_session(workspace, twin)
    for n, of in enumerate((run, twin)):
        os.rename(of.path, of.path.with_name(f"20260101-120000-digits-mlp-000{n}"))
    app = visit("results")
    for n in (0, 1, 0):
        id = f"20260101-120000-digits-mlp-000{n}"
        app.query_params["run"] = id
        turn(app, "Classes")
        (box,) = [b for b in app.selectbox if b.key.startswith("run-of-results")]
        assert box.key == f"run-of-results-{id}"
        assert len(set(box.options)) == 2


def test_runs_that_are_marked_on_the_runs_page_leave_results_and_a_run_s_sheet_alone(run, workspace):  # noqa: F811
    app = visit("runs")
    app.session_state["to-compare"] = [run.id]
    app.run()
    for page in ("results", "run"):
        app.session_state["run"] = run.id
        app.switch_page(f"{page}/{page}.py").run()
        assert not app.exception
        assert "Compare" not in [title.value for title in app.title]
    app.switch_page("runs/runs.py").run()
    assert not app.exception
    assert app.button(key="unmark-all")


def test_run_that_was_deleted_meanwhile_is_said(run, workspace):  # noqa: F811
    other = create_run(workspace, tiny())
    run_session(workspace, other)
    app = results(run, "Classes")
    shutil.rmtree(run.path)
    app.run()
    assert not app.exception
    assert "may have been deleted" in " ".join(w.value for w in app.warning)


def test_untrained_network_has_no_pictures_that_were_never_learned(run):
    app = results(run, "Images")
    assert "Never learned" in app.selectbox(key="gallery-choice").options
    app.select_slider[0].set_value(0).run()
    assert "Never learned" not in app.selectbox(key="gallery-choice").options


def test_predict_says_where_a_calibration_is_kept(run):
    from core.runs.calibration import Calibration, save_calibration

    save_calibration(list_checkpoints(run)[0], Calibration(3.0, 0.99, "half of the test"))
    app = visit("predict", run=run.id)
    assert "are kept for epoch-0001" in texts(app)


def test_kept_evaluation_of_a_run_from_a_file_whose_checkpoint_is_damaged_has_words(run, workspace):  # noqa: F811
    evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "validation")
    run.events.write_bytes(b"")  # a run that never trained here has no events
    (find_checkpoint(run, "last").path / "network.json").write_bytes(b"rot")
    app = visit("results")
    app.session_state[f"evaluation-of-{run.id}"] = list_evaluations(run)[0].name
    app.session_state["run"] = run.id
    app.run()
    assert not app.exception
    assert "is damaged" in app.error[0].value


def test_first_view_has_curves_confusions_and_the_worst_mistakes(run: Run) -> None:
    app = results(run, "Overview")
    assert not app.exception
    said = " ".join(item.value for item in app.markdown)
    assert all(title in said for title in ("**Loss**", "**Accuracy**", "**Confusions**", "**Worst mistakes**"))
    after = evaluated_after(run, history_of(run).evaluations[-1].epoch)
    wrong = int((after.predictions.predicted != after.labels).sum())
    app.button(key="all-mistakes").click().run()
    assert app.segmented_control(key="result-view").value == "Images"
    assert f"{wrong} of {len(after.labels)} images" in " ".join(item.value for item in app.caption)


def test_figures_follow_the_slider(run: Run) -> None:
    app = results(run, "Classes")
    first = history_of(run).evaluations[0]
    app.select_slider(key=f"epoch-of-{run.id}").set_value(first.epoch).run()
    assert app.metric[0].value == percent(first.accuracy, 2)
    assert f"after epoch {first.epoch} of" in app.metric[0].label


def test_published_figures_stand_beside_the_measured_ones(run: Run) -> None:
    assert "published" not in " ".join(item.value for item in results(run, "Overview").caption)
    report = class_report(np.arange(10), np.arange(10), [str(k) for k in range(10)])
    published = RECIPES["cifar10-blitz"].published
    rows = table_rows(report, None, published.recall)
    assert [row["Published recall"] for row in rows] == [100 * share for share in published.recall]
    traces = {trace.name: trace for trace in loss_curve(history_of(run), x="step", published=published).data}
    per_epoch = history_of(run).started.steps_per_epoch
    assert list(traces["published"].x[:6]) == [2000 * k for k in range(1, 7)]
    assert traces["published"].x[6] == per_epoch + 2000
    assert list(traces["published"].y) == [loss for losses in published.losses for loss in losses]
