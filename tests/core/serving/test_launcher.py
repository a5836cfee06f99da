"""The launcher with real training processes: the queue, stop, kill -9, and that nothing outlives the server."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest

from core.commands import parser
from core.config import TrainConfig
from core.errors import InputError
from core.jobs.executor import PROJECT, Worker
from core.running.session import run_session
from core.running.train_job import job_of
from core.runs.control import Commands, send
from core.runs.directory import Run, create_run, list_runs
from core.runs.event_log import EventReader, append_event
from core.runs.history import history_of
from core.runs.status import status_of
from core.serving import launcher as launcher_module
from core.serving.launcher import Launcher
from core.settings import config_from
from core.training.events import Ended
from core.workspace import open_workspace
from tests.fixtures.waiting import until

START_S = 60  # for a process to import torch on a busy machine
ENDLESS = 100_000  # epochs


def tiny(**changes) -> TrainConfig:
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.05},
            "optimizer": {"name": "sgd", "lr": 0.01},
            "epochs": 1,
            "threads": 1,
            "tensorboard": False,
            "precision": "float32",
            **changes,
        }
    )


def wait_until(condition: Callable[[], object], timeout_s: float, what: str, found: Callable[[], object] = lambda: "") -> float:
    """Seconds until the condition came true; fails the test, saying what was found, if it does not in time."""
    began = time.monotonic()
    until(condition, timeout_s, lambda: f"{what} {found()}")
    return time.monotonic() - began


def wait_for_state(run: Run, state: str, timeout_s: float = START_S) -> float:
    return wait_until(lambda: status_of(run).state == state, timeout_s, f"the run is {state}; found", lambda: status_of(run))


def wait_for_checkpoint(run: Run) -> None:
    wait_until((run.checkpoints / "last.json").exists, START_S, f"{run.id} has a checkpoint")


def is_alive(pid: int) -> bool:
    """Whether a process of this number computes; one that has ended and waits to be collected does not."""
    try:
        return not re.search(r"^State:\s+[ZX]", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return False


def worker_of(launcher: Launcher) -> Worker:
    """The one process that does a job."""
    [worker] = launcher.queue.active.values()
    return worker


def kinds_of(run: Run) -> list[str]:
    return [row["kind"] for row in EventReader(run.events).read()]


@pytest.mark.alone
def test_runs_train_one_at_a_time_in_the_order_they_came(open_launcher):
    launcher = open_launcher()
    first, second, third = launcher.submit(tiny(epochs=ENDLESS)), launcher.submit(tiny()), launcher.submit(tiny())
    wait_for_checkpoint(first)
    assert [status_of(run).state for run in (first, second, third)] == ["running", "queued", "queued"]
    assert [launcher.place_of(run) for run in (first, second, third)] == [0, 1, 2]

    launcher.stop(second)
    assert status_of(second).state == "stopped"
    assert [launcher.place_of(run) for run in (first, second, third)] == [0, 0, 1]

    launcher.stop(first)
    assert wait_for_state(first, "stopped", timeout_s=5) < 1
    wait_for_state(third, "finished")
    assert kinds_of(second) == ["queued", "ended"]


def test_two_workspaces_on_one_machine_never_train_on_one_device_at_once(open_launcher, tmp_path_factory):
    first_server = open_launcher()
    second_server = Launcher(open_workspace(tmp_path_factory.mktemp("another")), keep_reserve=False)
    second_server.open()
    try:
        first = first_server.submit(tiny(epochs=ENDLESS))
        wait_for_checkpoint(first)
        second = second_server.submit(tiny())
        assert second_server.queue.changed.acquire() and second_server.queue._next() is None  # looked at, and left in line
        second_server.queue.changed.release()
        assert status_of(second).state == "queued" and second_server.place_of(second) == 1
        first_server.stop(first)
        wait_for_state(second, "finished")
    finally:
        second_server.close()


def test_stop_pressed_while_the_process_is_still_starting_is_heard(open_launcher):
    launcher = open_launcher()
    run = launcher.submit(tiny(epochs=ENDLESS))
    wait_until(lambda: launcher.queue.going_on("train") == [job_of(run)], 5, "the run has left the queue")
    launcher.stop(run)
    wait_for_state(run, "stopped", timeout_s=15)
    assert "step" not in kinds_of(run)


def test_stop_that_nobody_lived_to_hear_does_not_stop_the_resumed_run(workspace):
    """Pressed on a process that was killed before it looked: resuming it later means to train."""
    launcher = Launcher(workspace, keep_reserve=False)
    run = create_run(workspace, tiny())
    append_event(run.events, Ended(reason="interrupted", message="Killed."))
    send(run, "stop")
    launcher.resume(run)
    assert Commands(run).waiting() == []


def test_run_that_the_command_line_took_out_of_the_queue_is_not_trained(workspace):
    launcher = Launcher(workspace, keep_reserve=False)  # not serving yet
    taken_out, other = launcher.submit(tiny()), launcher.submit(tiny())
    assert parser.main(["--home", str(workspace.home), "stop", taken_out.id]) == 0
    launcher.open()
    try:
        wait_for_state(other, "finished")
    finally:
        launcher.close()
    assert status_of(taken_out).state == "stopped"
    assert "started" not in kinds_of(taken_out)


def test_killed_worker_is_shown_as_interrupted_with_its_signal_and_resumes_exactly(workspace, open_launcher):
    launcher = open_launcher()
    run = launcher.submit(tiny(epochs=ENDLESS))
    wait_for_checkpoint(run)
    os.kill(worker_of(launcher).pid, signal.SIGKILL)
    wait_until(lambda: "SIGKILL" in status_of(run).message, 5, "the cause is named")
    assert status_of(run).state == "interrupted"

    epochs_before = len(history_of(run).evaluations)
    launcher.resume(run)
    wait_until(lambda: len(history_of(run).evaluations) > epochs_before + 2, START_S, "the run goes on")
    assert history_of(run).started.from_step > 0
    launcher.stop(run)
    wait_for_state(run, "stopped", timeout_s=5)

    resumed = [row.loss for row in history_of(run).evaluations[: epochs_before + 3]]
    uninterrupted = create_run(workspace, tiny(epochs=epochs_before + 2))
    run_session(workspace, uninterrupted)
    assert [row.loss for row in history_of(uninterrupted).evaluations] == resumed


@pytest.mark.alone
def test_closing_pauses_the_training_within_two_seconds_and_leaves_no_process(open_launcher):
    launcher = open_launcher(keep_reserve=True)
    training, waiting = launcher.submit(tiny(epochs=ENDLESS)), launcher.submit(tiny())
    wait_for_checkpoint(training)
    worker = worker_of(launcher).pid
    began = time.monotonic()
    launcher.close()
    assert time.monotonic() - began < 2
    assert status_of(training).state == "paused"
    assert status_of(waiting).state == "queued"
    assert not is_alive(worker)
    assert not any(thread.is_alive() for thread in launcher.threads)

    open_launcher()  # the next server: what trained goes on by itself, what waited waits behind it
    wait_for_state(training, "running")
    assert status_of(waiting).state == "queued"


def test_close_ends_the_process_in_reserve(open_launcher):
    launcher = open_launcher(keep_reserve=True)
    pid = launcher.queue.executor.reserve.pid
    assert is_alive(pid)
    began = time.monotonic()
    launcher.close()
    assert time.monotonic() - began < 2  # also while it is still importing
    assert not is_alive(pid)


def test_process_in_reserve_that_died_is_replaced(open_launcher):
    launcher = open_launcher(keep_reserve=True)
    os.kill(launcher.queue.executor.reserve.pid, signal.SIGKILL)
    wait_until(lambda: not launcher.queue.executor.reserve.is_alive(), 5, "the process in reserve is dead")
    run = launcher.submit(tiny())
    wait_for_state(run, "finished")


SERVER = """
import sys
from core.settings import config_from_json
from core.serving.launcher import Launcher
from core.workspace import open_workspace

launcher = Launcher(open_workspace(sys.argv[1]), keep_reserve=False)
launcher.open()
launcher.submit(config_from_json(sys.argv[2]))
sys.stdin.read()
"""


@pytest.mark.alone
def test_worker_of_a_killed_server_pauses_within_two_seconds_and_is_gone(workspace):
    arguments = [sys.executable, "-c", SERVER, str(workspace.home), tiny(epochs=ENDLESS).model_dump_json()]
    server = subprocess.Popen(arguments, cwd=PROJECT, stdin=subprocess.PIPE)
    try:
        wait_until(lambda: list_runs(workspace), START_S, "the server has made a run")
        [run] = list_runs(workspace)
        wait_for_checkpoint(run)
        workers = [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]
        workers += children_of_threads(server.pid)
        assert workers
        assert is_alive(workers[0])
    finally:
        server.kill()
        server.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in workers), 2, "the worker is gone")
    assert status_of(run).state == "paused"
    assert not run.is_held()


def children_of_threads(pid: int) -> list[int]:
    """Processes started by the other threads of a process: Linux lists children by the thread that made them."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files if file.parent.name != str(pid) for child in file.read_text().split()]


def test_impossible_configuration_is_refused_and_leaves_no_run(workspace, open_launcher):
    launcher = open_launcher()
    with pytest.raises(InputError, match="batch_size"):
        launcher.submit(tiny(batch_size=2000))
    assert list_runs(workspace) == []


def test_only_a_run_that_ended_early_can_be_resumed_and_only_an_active_one_stopped(workspace, open_launcher):
    launcher = open_launcher()
    run = create_run(workspace, tiny())
    run_session(workspace, run)
    with pytest.raises(InputError, match="finished"):
        launcher.resume(run)
    with pytest.raises(InputError, match="is not training"):
        launcher.stop(run)


def test_resume_pressed_in_two_tabs_at_once_queues_the_run_once(workspace, monkeypatch):
    """Both have found the run paused before either has put it into the queue."""
    launcher = Launcher(workspace, keep_reserve=False)  # not serving: what is queued stays queued
    run = create_run(workspace, tiny())
    append_event(run.events, Ended(reason="paused", message="Paused."))
    together = Barrier(2)

    def plan_as_slowly_as_the_other(*_) -> None:
        with suppress(BrokenBarrierError):  # where the other one was already sent away
            together.wait(timeout=1)

    monkeypatch.setattr(launcher_module, "plan_run", plan_as_slowly_as_the_other)

    def press() -> bool:
        try:
            launcher.resume(run)
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(2) as tabs:
        won = [tab.result() for tab in [tabs.submit(press) for _ in range(2)]]
    assert sorted(won) == [False, True]
    assert launcher.line() == [run]
    assert kinds_of(run) == ["ended", "queued"]
