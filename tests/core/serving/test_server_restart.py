"""What the next server takes over from one that ended, and what it leaves alone; the line's order survives too."""

import json
import signal

import pytest

from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint
from core.runs.control import send
from core.runs.directory import Run, create_run, list_runs
from core.runs.event_log import append_event
from core.runs.history import history_of
from core.runs.status import status_of
from core.serving.launcher import Launcher
from core.training.events import Ended, Queued
from core.workspace import Workspace
from tests.core.serving.test_launcher import (
    ENDLESS,
    SERVER,
    START_S,
    is_alive,
    kinds_of,
    tiny,
    wait_for_checkpoint,
    wait_for_state,
    wait_until,
)
from tests.fixtures.forked import Forked


def noted(workspace: Workspace) -> list[str]:
    return json.loads(workspace.queue.read_text())["runs"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_training_of_a_server_that_ended_goes_on_by_itself_and_ends_as_one_never_disturbed(workspace, open_launcher, number):
    config = tiny(epochs=150, checkpoint={"every_epochs": 1000})
    undisturbed = create_run(workspace, config)
    server = Forked("-c", SERVER, str(workspace.home), config.model_dump_json())
    try:
        wait_until(lambda: len(list_runs(workspace)) == 2, START_S, "the server has made a run")
        [run] = [run for run in list_runs(workspace) if run != undisturbed]
        wait_for_checkpoint(run)
    finally:
        server.send_signal(number)
        server.wait()
    open_launcher()  # at once: the old worker may still be saving
    wait_until(lambda: kinds_of(run).count("queued") == 2, 10, "the run is in line again")
    wait_for_state(run, "finished")
    assert 0 < history_of(run).started.from_step < history_of(run).evaluations[-1].step
    run_session(workspace, undisturbed)
    assert weights(run) == weights(undisturbed)
    assert [row.loss for row in history_of(run).evaluations] == [row.loss for row in history_of(undisturbed).evaluations]
    assert history_of(run).steps["loss"] == history_of(undisturbed).steps["loss"]


def weights(run: Run) -> bytes:
    return (find_checkpoint(run, "last").path / "weights.safetensors").read_bytes()


def test_run_paused_by_hand_stays_paused_and_one_that_nobody_explains_goes_on(workspace, open_launcher):
    paused, gone, finished = (create_run(workspace, tiny()) for _ in range(3))
    append_event(paused.events, Ended(reason="paused", message="Paused by hand.", cause="hand"))
    append_event(gone.events, Queued())
    run_session(workspace, finished)
    rows = gone.events.read_bytes().splitlines(keepends=True)
    started = next(line for line in finished.events.read_bytes().splitlines(keepends=True) if b'"started"' in line)
    gone.events.write_bytes(b"".join([*rows, started]))  # the computer went down while it trained
    assert status_of(gone).is_unexplained
    workspace.queue.write_text(json.dumps({"runs": [paused.id, gone.id, finished.id, "20200101-000000-deleted-0000"]}))
    launcher = open_launcher()
    wait_for_state(gone, "finished")
    assert status_of(paused).state == "paused"
    wait_until(lambda: launcher.active() == [], 5, "nothing else trains")
    assert kinds_of(finished).count("queued") == 0


def test_going_on_by_itself_can_be_turned_off(workspace, open_launcher):
    run, other = create_run(workspace, tiny()), create_run(workspace, tiny())
    append_event(run.events, Ended(reason="paused", message="Paused as Trainscope was ended.", cause="server"))
    append_event(other.events, Queued())
    workspace.queue.write_text(json.dumps({"runs": [run.id, other.id]}))
    open_launcher(auto_resume=False)
    wait_for_state(other, "finished")  # what waited still gets its turn
    assert status_of(run).state == "paused"


def test_order_of_the_line_is_changed_by_hand_and_survives_the_server(workspace, open_launcher):
    launcher = open_launcher()
    first = launcher.submit(tiny(epochs=ENDLESS))
    wait_for_checkpoint(first)
    second, third, fourth = (launcher.submit(tiny(epochs=ENDLESS)) for _ in range(3))
    launcher.move(fourth, 1)
    launcher.move(second, 99)
    launcher.move(first, 1)  # trains already: nothing to move
    assert launcher.line() == [fourth, third, second]
    assert noted(workspace) == [first.id, fourth.id, third.id, second.id]
    launcher.close()
    assert noted(workspace) == [first.id, fourth.id, third.id, second.id]
    again = open_launcher()
    wait_until(lambda: again.active() == [first, fourth, third, second], START_S, "the order is the old one", again.active)
    again.pause(first)
    wait_for_state(first, "paused", 5)
    wait_for_state(fourth, "running")


@pytest.mark.parametrize("content", ["", "[]", '{"runs": 5}', '{"runs": [{"a": 1}, null, "../../etc"]}'])
def test_damaged_queue_file_loses_no_waiting_run(workspace, content):
    run = create_run(workspace, tiny())
    append_event(run.events, Queued())
    workspace.queue.write_text(content)
    launcher = Launcher(workspace, keep_reserve=False)
    launcher.restore()  # without a server, which would train it
    assert launcher.line() == [run]


def test_waiting_run_can_be_paused_and_goes_on_only_when_resumed(workspace, open_launcher):
    launcher = open_launcher()
    first = launcher.submit(tiny(epochs=ENDLESS))
    wait_for_checkpoint(first)
    second = launcher.submit(tiny())
    launcher.pause(second)
    assert status_of(second).state == "paused"
    assert launcher.line() == []
    launcher.stop(first)
    wait_for_state(first, "stopped", 5)
    assert status_of(second).state == "paused"
    launcher.resume(second)
    wait_for_state(second, "finished")


def test_leftovers_of_deletions_are_swept(workspace):
    (workspace.runs / ".deleted-x" / "records").mkdir(parents=True)
    Launcher(workspace, keep_reserve=False).restore()
    assert not list(workspace.runs.glob(".deleted-*"))


def test_pause_is_heard_by_a_training_of_another_process(workspace):
    server = Forked("-c", SERVER, str(workspace.home), tiny(epochs=ENDLESS).model_dump_json())
    try:
        wait_until(lambda: list_runs(workspace), START_S, "the server has made a run")
        [run] = list_runs(workspace)
        wait_for_checkpoint(run)
        send(run, "pause")
        wait_for_state(run, "paused", 5)
        assert status_of(run).cause == "hand"
        assert is_alive(server.pid)
    finally:
        server.kill()
        server.wait()
