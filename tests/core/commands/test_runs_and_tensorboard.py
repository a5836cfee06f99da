"""`runs` finds what the Runs page finds; `tensorboard` opens the files of all runs, or of some."""

import contextlib
import io
import json
import subprocess
from pathlib import Path

import pytest

from core.commands import parser
from core.commands import tensorboard as command
from core.runs.directory import Run, create_run
from core.runs.event_log import append_event
from core.runs.index import SORTS, entries, select
from core.runs.notes import Notes, write_notes
from core.settings import changed, config_from
from core.training.events import Ended
from core.workspace import Workspace


def answer(workspace: Workspace, *arguments: str, expect: int = 0) -> dict:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert parser.main(["--json", "--home", str(workspace.home), *arguments]) == expect
    return json.loads(output.getvalue())


@pytest.fixture
def runs(workspace: Workspace) -> list[Run]:
    made = []
    for i, (state, rate, name) in enumerate([("finished", 0.1, "b"), ("stopped", 0.2, "c"), ("finished", 0.3, "a")]):
        run = create_run(workspace, changed(config_from({}), {"optimizer.lr": rate}))
        write_notes(run, Notes(name=name))
        append_event(
            run.events, Ended(reason=state, message="", epoch=1, step=1, seconds=9.0 - i, epochs=1, accuracy=0.5 + i / 10)
        )
        made.append(run)
    return made


def test_runs_are_searched_filtered_and_ordered_as_on_the_page(workspace: Workspace, runs: list[Run]) -> None:
    listed = entries(workspace)
    for text in ("", "lr=0.2", "LR=0", "nothing"):
        for states in ([], ["finished"], ["stopped", "finished"]):
            for sort in SORTS:
                options = ["--search", text, "--sort", sort, *(part for state in states for part in ("--state", state))]
                found = answer(workspace, "runs", *options)
                assert [row["run"] for row in found["runs"]] == [e.run.id for e in select(listed, text, states, sort)]
                assert found["total"] == 3
    by_name = answer(workspace, "runs", "--sort", "name", "--state", "finished")["runs"]
    assert [row["name"] for row in by_name] == ["a", "b"]


@pytest.mark.parametrize("option", ["--state", "--sort"])
def test_state_or_order_that_does_not_exist_is_refused_with_those_that_do(workspace: Workspace, option: str) -> None:
    error = answer(workspace, "runs", option, "sideways", expect=2)["error"]
    assert error["code"] == "arguments"
    assert "'sideways'" in error["message"]
    assert "finished" in error["message"] if option == "--state" else "accuracy" in error["message"]


def test_search_without_a_hit_does_not_say_that_there_are_no_runs(workspace: Workspace, runs: list[Run], capsys) -> None:
    assert parser.main(["--home", str(workspace.home), "runs", "--search", "nothing"]) == 0
    assert capsys.readouterr().out.startswith("No run has all of that")


@pytest.fixture
def written(runs: list[Run]) -> list[Run]:
    """Two of the three have files."""
    for run in runs[:2]:
        run.tensorboard.mkdir()
        (run.tensorboard / "events.out.tfevents.1.box.2.0").touch()
    return runs


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were to be started."""
    found: list[list[str]] = []
    monkeypatch.setattr(command.subprocess, "run", lambda line, check: found.append(line))
    return found


def test_tensorboard_is_started_over_all_runs(workspace: Workspace, written: list[Run], started: list, capsys) -> None:
    assert parser.main(["--home", str(workspace.home), "tensorboard"]) == 0
    assert started[0][1:] == ["-m", "tensorboard.main", "--logdir", str(workspace.runs)]
    said = capsys.readouterr().out
    assert all(str(run.tensorboard) in said for run in written[:2])
    assert f"Without TensorBoard files: {written[2].id}" in said


def test_tensorboard_is_started_over_the_runs_that_were_named(workspace: Workspace, written: list[Run], started: list) -> None:
    assert parser.main(["--home", str(workspace.home), "tensorboard", written[1].id, written[2].id, written[1].id]) == 0
    assert started[0][3:] == ["--logdir_spec", f"{written[1].id}:{written[1].tensorboard}"]


def test_json_starts_nothing(workspace: Workspace, written: list[Run], started: list) -> None:
    found = answer(workspace, "tensorboard")
    assert started == []
    assert {row["run"]: Path(row["path"]) for row in found["runs"]} == {run.id: run.tensorboard for run in written[:2]}


def test_without_the_package_it_says_how_to_install_it(
    workspace: Workspace, written: list[Run], started: list, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert parser.main(["--home", str(workspace.home), "tensorboard"]) == 0
    assert "pip install tensorboard" in capsys.readouterr().out
    assert started == []


def test_without_files_nothing_is_started(workspace: Workspace, runs: list[Run], started: list, capsys) -> None:
    assert parser.main(["--home", str(workspace.home), "tensorboard"]) == 0
    assert "tensorboard=true" in capsys.readouterr().out
    assert started == []


def test_tensorboard_takes_both_commands(workspace: Workspace, written: list[Run]) -> None:
    """The real one reads the arguments, and sees the runs under their ids."""
    for arguments in ([], [written[0].id]):
        options = answer(workspace, "tensorboard", *arguments)["command"][3:]
        program = (
            "import sys; from tensorboard.program import TensorBoard; from tensorboard.default import get_plugins; "
            "board = TensorBoard(get_plugins()); board.configure(['tensorboard', *sys.argv[1:]]); print(board.flags)"
        )
        line = [answer(workspace, "tensorboard")["command"][0], "-c", program, *options]
        told = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert told.returncode == 0, told.stderr
        assert options[1] in told.stdout
