"""Run directories: ids of our own making, looked up and never joined to a path; commands to whoever trains."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import InputError
from core.files import write_bytes_atomically, write_json_atomically
from core.runs.control import Command, Commands, send, send_changes, take_back
from core.runs.directory import ID_PATTERN, Run, create_run, delete_run, find_run, list_runs
from core.runs.event_log import append_event
from core.runs.status import status_of
from core.settings import config_from
from core.training.events import Changed
from core.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return open_workspace(tmp_path / "home")


def make(workspace: Workspace, **values) -> Run:
    return create_run(workspace, config_from(values))


@pytest.mark.parametrize("name", ["mnist-first-cnn", "../../etc", "Größe 中 <b>", "a/b\\c", "   ", "-" * 99, "con", "x" * 100])
def test_id_is_ours_whatever_the_recipe_is_called(workspace, name):
    run = make(workspace, recipe=name)
    assert ID_PATTERN.fullmatch(run.id)
    assert run.path.parent == workspace.runs
    assert run.config.recipe == name
    assert find_run(workspace, run.id) == run


def test_run_without_a_recipe_is_named_after_data_and_model(workspace):
    assert "-digits-mlp-" in make(workspace, model={"name": "mlp"}).id
    assert "-pets-mlp-" in make(workspace, data={"dataset": "/home/me/Pets"}, model={"name": "mlp"}).id


def test_hundred_runs_made_at_once_are_a_hundred_runs(workspace):
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: make(workspace), range(100)))
    assert len({run.id for run in runs}) == 100
    assert {run.id for run in list_runs(workspace)} == {run.id for run in runs}


def test_runs_are_listed_newest_first_and_last_is_the_newest(workspace):
    runs = [make(workspace) for _ in range(3)]
    for run, day in zip(runs, ("20260101", "20260303", "20260202"), strict=True):
        run.path.rename(run.path.with_name(f"{day}-000000-x-0000"))
    assert [run.id[:8] for run in list_runs(workspace)] == ["20260303", "20260202", "20260101"]
    assert find_run(workspace, "last").id.startswith("20260303")


def test_folders_that_are_no_runs_are_passed_over(workspace):
    run = make(workspace)
    (workspace.runs / "holiday").mkdir()
    (workspace.runs / ".deleted-x").mkdir()
    (workspace.runs / ".new-20260101-000000-x-0000").mkdir()
    assert list_runs(workspace) == [run]


def test_run_that_lost_its_configuration_is_listed_so_that_it_can_be_deleted(workspace):
    run = make(workspace)
    (run.path / "config.json").unlink()
    assert list_runs(workspace) == [run]
    delete_run(run)
    assert list_runs(workspace) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../runs", "/etc/passwd", "20260101-000000-x-0000", "x" * 10_000, "a\x00b", "%2e%2e"]
)
def test_what_is_no_run_s_id_is_refused(workspace, name):
    make(workspace)
    with pytest.raises(InputError, match="There is no run") as refusal:
        find_run(workspace, name)
    assert refusal.value.code == "run"
    assert len(str(refusal.value)) < 300


def test_id_that_leads_out_of_the_workspace_is_not_followed(workspace, tmp_path):
    elsewhere = make(open_workspace(tmp_path / "other"))
    with pytest.raises(InputError):
        find_run(workspace, f"../../other/runs/{elsewhere.id}")


def test_deleted_run_is_gone_and_one_that_trains_can_t_be_deleted(workspace):
    run, other = make(workspace), make(workspace)
    lock = run.hold()
    with pytest.raises(InputError, match="being trained"):
        delete_run(run)
    assert run in list_runs(workspace)
    lock.release()
    delete_run(run)
    assert list_runs(workspace) == [other]
    assert [entry.name for entry in workspace.runs.iterdir()] == [other.id]


HOLDER = """
import sys
import threading
from pathlib import Path
from core.runs.directory import Run

lock = Run(Path(sys.argv[1])).hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_of_a_process_that_died_is_free(workspace):
    """Whether a run is alive is told by its lock, which the system lets go of with the process."""
    run = make(workspace)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        assert run.is_held()
        process.kill()
        process.wait()
        assert not run.is_held()


def test_asking_whether_a_run_is_alive_makes_no_lock(workspace):
    run = make(workspace)
    assert not run.is_held()
    assert not (run.path / "lock").exists()


# --- commands


def test_command_is_handed_out_once_and_numbered(workspace):
    run = make(workspace)
    commands = Commands(run)
    assert commands.waiting() == []
    assert send(run, "stop") == 1
    assert commands.waiting() == [Command(number=1, kind="stop")]
    assert commands.waiting() == []  # looked at, and nothing new
    commands.done(Command(number=1, kind="stop"))
    assert send(run, "pause") == 2
    assert commands.waiting() == [Command(number=2, kind="pause")]


def test_commands_sent_before_anybody_looks_are_all_heard_in_their_order(workspace):
    run = make(workspace)
    assert send_changes(run, {"optimizer.lr": 0.1, "epochs": 7}) == 2
    send(run, "stop")
    expected = [
        Command(number=1, kind="change", setting="optimizer.lr", value=0.1),
        Command(number=2, kind="change", setting="epochs", value=7),
        Command(number=3, kind="stop"),
    ]
    assert Commands(run).waiting() == expected


def test_command_whose_trainer_died_before_it_was_done_with_is_heard_again(workspace):
    run = make(workspace)
    send_changes(run, {"epochs": 7})
    assert Commands(run).waiting() == Commands(run).waiting() == [Command(number=1, kind="change", setting="epochs", value=7)]


def test_ends_are_taken_back_and_changes_stay(workspace):
    run = make(workspace)
    send(run, "stop")
    send_changes(run, {"epochs": 7})
    send(run, "pause")
    for kind in ("stop", "pause"):
        take_back(run, kind)
    assert Commands(run).waiting() == [Command(number=2, kind="change", setting="epochs", value=7)]
    assert send(run, "stop") == 4  # no number is given twice


def test_damaged_commands_are_lost_and_numbers_go_on_rising(workspace):
    run = make(workspace)
    append_event(
        run.events,
        Changed(number=7, step=5, epoch=0, examples=0, seconds=0.0, after_evaluation=False, setting="epochs", before=1, after=2),
    )
    assert send(run, "stop") == 8
    run.control.write_bytes(b"{half")
    assert Commands(run).waiting() == []
    assert send(run, "stop") == 8  # above every change that its history knows


def test_command_that_is_done_with_takes_no_earlier_one_with_it(workspace):
    """A pause is heard while a change has to wait for the first step."""
    run = make(workspace)
    send_changes(run, {"epochs": 7})
    send(run, "pause")
    commands = Commands(run)
    commands.done(commands.waiting()[1])
    assert Commands(run).waiting() == [Command(number=1, kind="change", setting="epochs", value=7)]


def test_command_sent_before_the_trainer_is_there_is_heard(workspace):
    """Stop was pressed while its process was still starting."""
    run = make(workspace)
    send(run, "stop")
    assert Commands(run).waiting() == [Command(number=1, kind="stop")]


def test_command_that_one_trainer_has_heard_is_not_heard_by_the_next(workspace):
    """A run that was stopped and is resumed must not stop at once."""
    run = make(workspace)
    send(run, "stop")
    commands = Commands(run)
    commands.done(commands.waiting()[0])
    assert Commands(run).waiting() == []


def test_commands_sent_at_once_get_numbers_of_their_own(workspace):
    run = make(workspace)
    with ThreadPoolExecutor(8) as tabs:
        numbers = list(tabs.map(lambda _: send(run, "stop"), range(24)))
    assert sorted(numbers) == list(range(1, 25))


# --- writing


def test_write_replaces_the_whole_file_or_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes_atomically(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(os, name, fail)
            with pytest.raises(OSError, match="No space left"):
                write_bytes_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_json_is_written_for_people_and_never_with_nan(tmp_path):
    write_json_atomically(tmp_path / "a.json", {"größe": [1, None]})
    text = (tmp_path / "a.json").read_text()
    assert "größe" in text
    assert json.loads(text) == {"größe": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomically(tmp_path / "a.json", float("nan"))
    assert (tmp_path / "a.json").read_text() == text


def test_run_can_be_deleted_while_others_ask_whether_it_is_alive(workspace):
    done = threading.Event()
    faults = []

    def poll(run):
        while not done.is_set():
            try:
                assert status_of(run).state in ("interrupted", "running")  # whoever deletes it holds it
            except Exception as error:
                faults.append(error)
                return

    for _ in range(10):
        run = create_run(workspace, config_from({}))
        run.hold().release()
        done.clear()
        pollers = [threading.Thread(target=poll, args=(run,)) for _ in range(2)]
        for poller in pollers:
            poller.start()
        delete_run(run)
        done.set()
        for poller in pollers:
            poller.join()
        assert not run.path.exists()
    assert faults == []
