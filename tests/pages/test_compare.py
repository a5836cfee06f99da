"""The Compare page without a browser: none, one, two and eight runs, gone and damaged ones, other data, one that still trains."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from core.insight.comparison import compared, evaluated, evidence, match, verdict
from core.running.branch import begun_from, config_to_branch
from core.running.plan import plan_run
from core.running.session import run_session
from core.runs.checkpoints import list_checkpoints
from core.runs.directory import Run, create_run, delete_run
from core.runs.history import history_of
from core.runs.records import evaluated_images
from core.serving.new_run import new_run
from core.settings import changed
from core.workspace import Workspace
from pages.shared.text import escaped
from tests.core.serving.test_launcher import tiny
from tests.pages.test_pages import texts, visit, workspace  # noqa: F401 a fixture


def trained(workspace: Workspace, **changes) -> Run:  # noqa: F811
    run = create_run(workspace, tiny(**changes))
    assert run_session(workspace, run).reason == "finished"
    return run


@pytest.fixture
def two(workspace: Workspace) -> list[Run]:  # noqa: F811
    return [trained(workspace, epochs=1), trained(workspace, epochs=6, optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9})]


def compare(*run_ids: str) -> AppTest:
    """The page under an address with these runs."""
    app = visit("home")
    app.query_params["runs"] = ",".join(run_ids)
    app.switch_page("compare/compare.py").run()
    assert not app.exception
    return app


def frame(app: AppTest, column: str):
    return next(f.value for f in app.dataframe if column in f.value.columns)


def test_nothing_to_compare_is_said_with_what_to_do(workspace: Workspace) -> None:  # noqa: F811
    app = visit("compare")
    assert "There are no runs yet" in texts(app)
    assert app.button(key="go-train")


def test_without_a_choice_the_page_says_what_it_does(two: list[Run]) -> None:
    app = visit("compare")
    assert "Choose two runs or more, up to eight" in texts(app)


def test_one_run_is_shown_alone(two: list[Run]) -> None:
    app = compare(two[0].id)
    assert "Choose another run" in texts(app)
    assert list(frame(app, "Accuracy")["Run"]) == ["digits-mlp"]
    assert "Settings that differ" not in [h.value for h in app.header]


def test_two_runs_are_compared_with_the_figures_of_their_records(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    app = compare(*(run.id for run in two))
    overview = frame(app, "Accuracy")
    for n, run in enumerate(two):
        last = history_of(run).last_evaluation
        assert overview["Accuracy"][n] == f"{100 * last.accuracy:.2f} %"
        assert overview["Loss"][n] == f"{last.loss:.4f}"
    differ = frame(app, "Setting")
    assert dict(zip(differ["Setting"], zip(differ["A"], differ["B"], strict=True), strict=True)) == {
        "Learning rate": ("0.01", "0.1"),
        "Momentum": ("0", "0.9"),
        "Epochs": ("1", "6"),
    }
    comparison = compared(match(workspace, *two), evaluated(two[0], 1), evaluated(two[1], 6))
    assert escaped(verdict(comparison, "A", "B")) in texts(app)
    assert escaped(evidence(comparison, "A", "B")) in texts(app)
    classes = frame(app, "Fixed")
    assert (classes["Fixed"].sum(), classes["Broken"].sum()) == (len(comparison.fixed), len(comparison.broken))
    assert f"{len(comparison.fixed)} images, after epoch 1 of A and 6 of B" in texts(app)
    app.segmented_control(key="compare-kind").set_value("broken").run()
    assert f"{len(comparison.broken)} image" in texts(app) or "No image was broken" in texts(app)


def test_a_new_run_begins_from_the_settings_of_either(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    app = compare(*(run.id for run in two))
    app.button(key="again-B").click().run()
    app.switch_page("train/train.py").run()
    assert not app.exception
    values = {box.label: box.value for box in app.number_input}
    assert (values["Epochs"], values["Learning rate"], values["Momentum"]) == (6, 0.1, 0.9)


def test_any_epoch_can_be_compared_and_two_of_one_run(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    app = compare(*(run.id for run in two))
    app.selectbox(key=f"compare-epoch-b-{two[1].id}").set_value(0).run()
    comparison = compared(match(workspace, *two), evaluated(two[0], 1), evaluated(two[1], 0))
    assert escaped(evidence(comparison, "A", "B")) in texts(app)
    first = next(box for box in app.selectbox if box.label == "Reference")
    first.set_value("B").run()
    app.selectbox(key=f"compare-epoch-a-{two[1].id}").set_value("last").run()
    assert not app.exception
    assert "B after epoch 6" in texts(app)
    app.selectbox(key=f"compare-epoch-b-{two[1].id}").set_value("last").run()
    assert "Choose two runs, or two epochs of one" in texts(app)


def test_seeds_alone_are_called_chance(workspace: Workspace) -> None:  # noqa: F811
    runs = [trained(workspace, epochs=2, seed=seed, optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}) for seed in (1, 2)]
    app = compare(*(run.id for run in runs))
    assert "Their settings are the same but for the seed" in texts(app)
    same = [trained(workspace, epochs=1) for _ in range(2)]
    app = compare(*(run.id for run in same))
    assert "All settings are the same, the seed too" in texts(app)
    assert "and wrong in the same others" in texts(app)
    assert "No image was fixed" in texts(app)


def test_eight_runs_are_the_most_and_the_address_follows_the_choice(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    others = [create_run(workspace, tiny(seed=seed)) for seed in range(8)]
    ids = [two[0].id, two[1].id, *(run.id for run in others)]
    app = compare(*ids)
    assert "10 runs were named; the first 8 are compared" in texts(app)
    assert app.multiselect(key="compare-runs").value == ids[:8]
    assert "Not evaluated yet, so without a curve" in texts(app)
    app.multiselect(key="compare-runs").set_value(ids[:2]).run()
    assert ",".join(ids[:2]) in app.query_params["runs"]
    assert "10 runs were named" not in texts(app)


def test_runs_that_are_gone_or_damaged_are_said_and_left_out(two: list[Run]) -> None:
    (two[0].path / "config.json").write_text("{")
    app = compare("20200101-000000-gone-abcd", "<b>no run</b>", two[0].id, two[1].id)
    assert escaped("20200101-000000-gone-abcd, <b>no run</b>") in texts(app)
    assert "can't be compared" in texts(app)
    assert list(frame(app, "Accuracy")["Run"]) == ["digits-mlp"]


def test_damaged_records_leave_curves_and_say_why_not_the_rest(two: list[Run]) -> None:
    (two[1].records / "epoch-0006.npy").write_bytes(b"rot")
    app = compare(*(run.id for run in two))
    assert "The record of what B said after epoch 6 is missing or damaged" in texts(app).replace("\\", "")
    assert [m.value for m in app.markdown if m.value in ("**Accuracy**", "**Loss**")] == ["**Accuracy**", "**Loss**"]


def test_runs_evaluated_on_partly_other_pictures_are_compared_on_those_in_common(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    other = trained(
        workspace, data={"dataset": "digits", "validation_fraction": 0.2, "split_seed": 3, "evaluate_on": "validation"}
    )
    common = set(evaluated_images(two[0])[0]) & set(evaluated_images(other)[0])
    app = compare(two[0].id, other.id)
    assert f"Compared are the {len(common)} images that both were evaluated on, of 359 and 359" in texts(app).replace("\\", "")


def test_runs_evaluated_on_other_pictures_are_compared_by_figures_only(workspace: Workspace) -> None:  # noqa: F811
    shares = {"dataset": "digits", "validation_fraction": 0.2, "test_fraction": 0.2}
    runs = [trained(workspace, data={**shares, "evaluate_on": split}) for split in ("validation", "test")]
    app = compare(*(run.id for run in runs))
    assert "No image was evaluated by both" in texts(app)
    assert len(frame(app, "Accuracy")) == 2


def test_run_that_still_trains_is_compared_so_far(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    running = create_run(workspace, tiny(epochs=300))
    app_texts = []

    def look() -> bool:
        if len(history_of(running).evaluations) >= 2 and not app_texts:
            app = compare(two[0].id, running.id)
            app_texts.append((texts(app), frame(app, "Accuracy")))
        return bool(app_texts)

    run_session(workspace, running, should_pause=look)
    said, overview = app_texts[0]
    assert overview["State"][1] == "running"
    assert "of 300" in overview["Epochs"][1]
    assert "told apart" in said or "beyond chance" in said


def test_runs_are_marked_on_the_runs_page_and_sent_here(two: list[Run]) -> None:
    app = visit("runs")
    assert app.button(key="compare-marked").disabled
    app.session_state["to-compare"] = [run.id for run in two]
    app.run()
    assert app.button(key="compare-marked").label == "Compare 2 runs"
    app.button(key="unmark-all").click().run()
    assert app.button(key="compare-marked").disabled
    app.session_state["to-compare"] = [run.id for run in two]
    app.run()
    app.button(key="compare-marked").click().run()
    assert not app.exception
    assert ",".join(run.id for run in two) in app.query_params["runs"]


def test_family_is_shown_here_and_on_the_sheet_of_a_run(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    assert "Lineage" not in [h.value for h in visit("run", run=two[0].id).header]
    child = new_run(workspace, plan_run(workspace, begun_from(changed(config_to_branch(two[0]), {"epochs": 5}), two[0])))
    app = compare(two[0].id, two[1].id)
    assert "from epoch-0001: Epochs 1 → 5" in texts(app).replace("\\", "")
    assert app.button(key=f"family-open-{child.id}")
    app = visit("run", run=child.id)
    assert "Lineage" in [h.value for h in app.header]
    assert list_checkpoints(child)
    app.button(key="compare-this").click().run()
    assert f"{child.id},{two[0].id}" in app.query_params["runs"]
    app = compare(two[1].id)
    assert "No other run began with the weights of this run" in texts(app)


def test_names_from_outside_do_nothing(two: list[Run]) -> None:
    (two[0].path / "notes.json").write_text(json.dumps({"name": "**[x](http://evil)** <img src=x>", "tags": [], "note": ""}))
    app = compare(*(run.id for run in two))
    assert "[x](http://evil)" not in texts(app)


def test_run_chosen_elsewhere_is_the_first_to_be_compared_with_its_parent(two: list[Run], workspace: Workspace) -> None:  # noqa: F811
    child = new_run(workspace, plan_run(workspace, begun_from(config_to_branch(two[0]), two[0])))
    app = visit("run", run=child.id)
    app.switch_page("compare/compare.py").run()
    assert app.multiselect(key="compare-runs").value == [child.id, two[0].id]


def test_run_that_goes_while_it_is_compared_is_said(two: list[Run]) -> None:
    app = compare(*(run.id for run in two))
    delete_run(two[0])
    app.run()
    assert not app.exception
    assert f"No longer here: {two[0].id}" in texts(app).replace("\\", "")
    assert app.multiselect(key="compare-runs").value == [two[1].id]
