"""The pages about runs without a browser: the list searched and sorted, a run's sheet, going on, branching, notes, checkpoints."""

import re
import shlex

import pytest
from streamlit.testing.v1 import AppTest

from core.commands.parser import build_parser
from core.jobs.queue import Queue
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, list_checkpoints
from core.runs.directory import Run, create_run, list_runs
from core.runs.event_log import append_event
from core.runs.history import History, history_of
from core.runs.notes import Notes, read_notes, write_notes
from core.runs.status import status_of
from core.serving.launcher import launcher_for
from core.training.events import Preparing, Queued
from core.workspace import Workspace
from pages.train.live import FAST_S, _pace
from tests.core.serving.test_launcher import tiny
from tests.pages.test_pages import run_rows, texts, visit, workspace  # noqa: F401 a fixture


@pytest.fixture
def nobody_trains(monkeypatch) -> None:
    """What is put in line stays there: the page's part ends with that."""
    monkeypatch.setattr(Queue, "_serve", lambda self: None)


@pytest.fixture
def finished(workspace: Workspace, nobody_trains: None) -> Run:  # noqa: F811
    run = create_run(workspace, tiny(epochs=2))
    assert run_session(workspace, run).reason == "finished"
    return run


def paused(workspace: Workspace) -> Run:  # noqa: F811
    run = create_run(workspace, tiny(epochs=500))  # looked at ten times a second: it may do some more
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 3)
    assert status_of(run).state == "paused"
    return run


def rows(app: AppTest) -> list[str]:
    return [row["id"] for row in run_rows(app)]


def test_runs_are_found_by_words_and_states_and_sorted(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    other = paused(workspace)
    write_notes(other, Notes(name="The slow one", tags=("paper",)))
    app = visit("runs")
    assert rows(app) == [run.id for run in list_runs(workspace)]
    app.text_input(key="runs-search").input("slow paper").run()
    assert rows(app) == [other.id]
    app.text_input(key="runs-search").input("").run()
    app.multiselect(key="runs-states").select("finished").run()
    assert rows(app) == [finished.id]
    app.text_input(key="runs-search").input("nowhere").run()
    assert rows(app) == []
    assert "No run has all of that" in texts(app)


def test_sheet_shows_a_run_with_its_checkpoints_and_its_life(finished: Run) -> None:
    app = visit("run", run=finished.id)
    frames = [frame.value for frame in app.dataframe if "Setting" not in frame.value]
    assert list(frames[0]["Checkpoint"]) == ["epoch-0001", "epoch-0002"]
    assert "last" in frames[0]["Marked"][1]
    assert "Trained to the last epoch." in list(frames[1]["what"])
    links = [link.proto.url for link in app.get("link_button")]
    assert f"trainscope/runs/{finished.id}/epoch-0002.pt" in links
    assert f"trainscope/runs/{finished.id}/run.zip" in links


def test_name_tags_and_note_are_kept_and_shown(finished: Run) -> None:
    app = visit("run", run=finished.id)
    app.text_input(key=f"notes-name-{finished.id}").input("My *first*")
    app.text_input(key=f"notes-tags-{finished.id}").input("a, b")
    app.text_area(key=f"notes-note-{finished.id}").input("worked")
    app.button(key="keep-notes").click().run()
    assert read_notes(finished) == Notes("My *first*", ("a", "b"), "worked")
    assert app.title[0].value == r"My \*first\*"


def test_finished_run_is_trained_longer_from_its_sheet(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    app = visit("run", run=finished.id)
    assert app.number_input(key=f"epochs-of-{finished.id}").value == 4
    app.number_input(key=f"epochs-of-{finished.id}").set_value(2)
    app.button(key="go-on").click().run()
    assert "ask for more than 2 epochs" in texts(app)
    app.number_input(key=f"epochs-of-{finished.id}").set_value(5)
    app.button(key="go-on").click().run()
    assert not app.exception
    assert status_of(finished).state == "queued"
    assert launcher_for(workspace).line() == [finished]
    assert [line for line in finished.control.read_text().splitlines() if '"value": 5' in line]


def test_damaged_checkpoint_is_named_with_the_sound_one_which_can_be_chosen(workspace: Workspace, nobody_trains: None) -> None:  # noqa: F811
    run = paused(workspace)
    last = find_checkpoint(run, "last")
    (last.path / "weights.safetensors").write_bytes(b"rot")
    app = visit("run", run=run.id)
    app.button(key="go-on").click().run()
    assert "damaged" in texts(app).replace("\\", "")
    before = re.search(r"(epoch-\d+) is sound", texts(app).replace("\\", ""))[1]
    app.button(key="resume-from-sound").click().run()
    assert status_of(run).state == "queued"
    assert f'"from_checkpoint":"{before}"' in run.events.read_text()


def test_checkpoints_are_removed_by_hand_and_by_rule_and_the_last_is_kept(workspace: Workspace, nobody_trains: None) -> None:  # noqa: F811
    run = create_run(workspace, tiny(epochs=4))
    run_session(workspace, run)
    app = visit("run", run=run.id)
    app.button(key="remove-checkpoint").click().run()  # the last one is offered first
    assert "goes on from it" in texts(app)
    app.selectbox(key=f"chosen-checkpoint-{run.id}-4").set_value("epoch-0001").run()
    app.button(key="remove-checkpoint").click().run()
    assert [c.name for c in list_checkpoints(run)] == ["epoch-0002", "epoch-0003", "epoch-0004"]
    app.button(key="prune-now").click().run()
    kept = {find_checkpoint(run, pointer).name for pointer in ("best", "last")}
    assert {c.name for c in list_checkpoints(run)} == kept


def test_new_run_begins_with_the_weights_of_a_checkpoint_and_shows_its_parent(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    app = visit("run", run=finished.id)
    app.selectbox(key=f"chosen-checkpoint-{finished.id}-2").set_value("epoch-0001").run()
    app.button(key="branch").click().run()
    app.switch_page("train/train.py").run()  # AppTest does not follow by itself
    assert "Begins with the weights of" in texts(app)
    app.button(key="start").click().run()
    assert not app.exception
    [child] = [run for run in list_runs(workspace) if run != finished]
    assert (child.config.origin.name, child.config.origin.checkpoint) == (finished.id, "epoch-0001")
    assert status_of(child).state == "queued"
    app = visit("run", run=child.id)
    assert "Began with the weights of" in texts(app)
    app.text_input(key=f"notes-name-{child.id}").input("child")
    app.button(key="keep-notes").click().run()
    app.button(key="show-parent").click().run()
    assert finished.id in app.query_params["run"]
    assert app.text_input(key=f"notes-name-{finished.id}").value == ""  # the child's is not offered to be saved here


def test_new_run_with_other_settings_than_fit_is_refused_in_words(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    app = visit("run", run=finished.id)
    app.button(key="branch").click().run()
    app.switch_page("train/train.py").run()  # AppTest does not follow by itself
    model = next(box for box in app.selectbox if box.label == "Model")
    model.set_value("residual-light").run()
    assert "Choose the model it belongs to" in texts(app)  # said before anything is started
    assert app.button(key="start").disabled
    assert list_runs(workspace) == [finished]
    app.button(key="fresh-weights").click().run()
    assert "Begins with the weights of" not in texts(app)


def test_learning_rate_is_changed_while_it_waits_and_a_bad_one_refused(workspace: Workspace, nobody_trains: None) -> None:  # noqa: F811
    run = launcher_for(workspace).submit(tiny(epochs=3))
    app = visit("train", run=run.id)
    app.number_input(key=f"lr-of-{run.id}").set_value(0.0)
    app.button(key="change-now").click().run()
    assert "Learning rate: found 0.0, expected a finite number above 0" in texts(app).replace("\\", "")
    app.number_input(key=f"lr-of-{run.id}").set_value(0.5)
    app.button(key="change-now").click().run()
    assert '"value": 0.5' in run.control.read_text()
    app.button(key="pause").click().run()
    assert status_of(run).state == "paused"
    assert app.button(key="resume")


def test_patience_left_is_on_screen(workspace: Workspace, nobody_trains: None) -> None:  # noqa: F811
    run = create_run(workspace, tiny(epochs=3, early_stopping={"patience": 5, "min_change": 50}))
    run_session(workspace, run)
    app = visit("train", run=run.id)
    assert {metric.label: metric.value for metric in app.metric}["Patience left (validation loss)"] == "3 epochs"


def test_page_of_a_run_is_updated_quickly_until_its_first_step_is_seen(finished: Run) -> None:
    """Charts would otherwise appear with the next calm update only, seconds after Start."""
    history = history_of(finished)
    assert _pace(history) > FAST_S
    begun = History(evaluations=history.evaluations[:1], started=history.started, threads=history.threads)
    assert _pace(begun) == _pace(History()) == FAST_S


def test_sheet_of_a_run_tells_its_accuracy_and_all_settings(finished: Run) -> None:
    app = visit("run", run=finished.id)
    assert next(metric.label for metric in app.metric) == "Validation accuracy"
    table = next(frame.value for frame in app.dataframe if "Setting" in frame.value)
    rows = dict(zip(table["Setting"], table["Value"], strict=True))
    assert (rows["Learning rate"], rows["Momentum"]) == ("0.01", "0")
    assert rows["Epochs"] == "2"


def test_new_run_begins_with_the_settings_of_the_one_shown(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    app = visit("run", run=finished.id)
    app.button(key="again").click().run()
    app.switch_page("train/train.py").run()
    assert "Has the settings of" in texts(app)
    assert next(box.value for box in app.number_input if box.label == "Epochs") == 2


@pytest.mark.parametrize(
    ("text", "found"), [("sgd", True), ("lr=0.01", True), ("batch_size=64", True), ("adam", False), ("lr=0.5", False)]
)
def test_runs_are_searched_by_any_setting(finished: Run, text: str, found: bool) -> None:
    app = visit("runs")
    app.text_input(key="runs-search").set_value(text).run()
    assert (finished.id in rows(app)) == found


def test_what_trains_stands_above_what_waits(workspace: Workspace) -> None:  # noqa: F811
    first, second = (create_run(workspace, recipe_named("digits-quickstart").config) for _ in range(2))
    append_event(second.events, Queued())
    with first.hold(timeout_s=1):
        append_event(first.events, Preparing(what="Reading", done=0, total=0))
        app = visit("home")
        opened = [button.key for button in app.button if button.key.startswith("active-open-")]
    assert opened == [f"active-open-{first.id}", f"active-open-{second.id}"]


def test_sheet_says_where_tensorboard_s_files_are_and_how_to_open_them(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    assert any("no files for it" in caption.value for caption in visit("run", run=finished.id).caption)
    finished.tensorboard.mkdir(exist_ok=True)
    (finished.tensorboard / "events.out.tfevents.1.box.2.0").touch()
    shown = visit("run", run=finished.id)
    assert any(f"`{finished.tensorboard}`" in text.value for text in shown.markdown)
    line = next(code.value for code in shown.code)
    assert line.startswith("python -m core ")
    options = build_parser().parse_args(shlex.split(line)[3:])
    assert (options.runs, options.home) == ([finished.id], str(workspace.home))


def test_a_header_sorts_and_sorts_the_other_way_round(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    lower = create_run(workspace, tiny(epochs=1, optimizer={"name": "adam", "lr": 0.001}))
    app = visit("runs")
    assert rows(app) == [run.id for run in list_runs(workspace)]
    for expected in ([finished.id, lower.id], [lower.id, finished.id]):
        app.session_state["runs-sorted"] = "lr"  # as a click on the header does it
        app.run()
        assert rows(app) == expected
    cells = {row["id"]: row["cells"] for row in run_rows(app)}
    assert (cells[lower.id][3:5], cells[finished.id][3:5]) == (["0.001", "adam"], ["0.01", "sgd"])


def test_one_marked_run_can_be_repeated_resumed_or_deleted(finished: Run, workspace: Workspace) -> None:  # noqa: F811
    stopped = paused(workspace)
    app = visit("runs")
    app.session_state["to-compare"] = [stopped.id]
    app.run()
    keys = {button.key for button in app.button}
    assert {f"resume-{stopped.id}", f"again-{stopped.id}", f"delete-for-good-{stopped.id}"} <= keys
    app.session_state["to-compare"] = [finished.id]
    app.run()
    assert f"resume-{finished.id}" not in {button.key for button in app.button}
    app.button(key=f"again-{finished.id}").click().run()
    app.switch_page("train/train.py").run()
    assert "Has the settings of" in texts(app)
