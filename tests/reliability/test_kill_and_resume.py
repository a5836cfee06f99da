"""A few dozen kills of each kind: nothing unreadable, at most one interval lost, the same end as without. Thousands by hand."""

import os
import random
import signal
from collections.abc import Iterator
from itertools import count, takewhile

import pytest

from core.runs.directory import Run
from core.runs.event_log import EventReader
from core.runs.status import status_of
from core.serving.launcher import Launcher
from core.settings import changed
from core.workspace import Workspace, open_workspace
from tests.fixtures.real_data import real_data
from tests.fixtures.waiting import until
from tests.reliability.comparing import damages, differences, leftovers
from tests.reliability.failing_disk import tiny
from tests.reliability.kill_and_resume import (
    MODELS,
    Case,
    Tally,
    after_kill,
    case_of,
    config_of,
    going_on,
    kill_and_resume,
    kill_at_call,
    killed_once,
    make_image_folder,
    random_delays,
)
from tests.reliability.zygote import Zygote

KILLS = 6  # of each model on each set
START_S = 60  # for a process to import torch on a busy machine


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as zygote:
        yield zygote


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> str:
    return str(make_image_folder(real_data("cifar10_images"), tmp_path_factory.mktemp("data") / "photographs"))


@pytest.fixture(scope="module")
def small(zygote, workspace) -> Case:
    return case_of(zygote, workspace, tiny())


def killed_at_random(zygote: Zygote, workspace: Workspace, model: str, dataset: str) -> None:
    case, tally = case_of(zygote, workspace, config_of(model, dataset)), Tally()
    delays = random_delays(random.Random(case.name), case.seconds)
    while tally.kills < KILLS:
        found = kill_and_resume(zygote, workspace, case, tally, delays, most_kills=KILLS - tally.kills)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("model", MODELS)
def test_digits_killed_at_random_moments_end_as_if_never_interrupted(zygote, workspace, model):
    killed_at_random(zygote, workspace, model, "digits")


@pytest.mark.real_data
@pytest.mark.parametrize("model", MODELS)
def test_photographs_killed_at_random_moments_end_as_if_never_interrupted(zygote, workspace, photographs, model):
    killed_at_random(zygote, workspace, model, photographs)


@pytest.mark.parametrize(("kind", "number"), [("started", 1), ("evaluation", 1), ("step", 1)])
def test_run_killed_before_its_first_checkpoint_begins_again(zygote, workspace, small, kind, number):
    tally = Tally()
    found = killed_once(zygote, workspace, small, tally, "train_until_event", kind, number)
    assert not found, "\n".join(found)
    assert tally.kills == 1


@pytest.mark.parametrize(
    ("kind", "number"), [("evaluation", 2), ("checkpoint", 1), ("checkpoint", 2), ("evaluation", 3), ("ended", 1)]
)
def test_run_killed_between_two_of_its_words_goes_on(zygote, workspace, small, kind, number):
    tally = Tally()
    found = killed_once(zygote, workspace, small, tally, "train_until_event", kind, number)
    assert not found, "\n".join(found)
    assert tally.kills == 1


@pytest.mark.parametrize(("mode", "apart"), [("kill", 11), ("torn", 3)])
def test_run_killed_at_a_file_operation_goes_on(zygote, workspace, small, mode, apart):
    """Every eleventh operation, and every third write in its middle; all of them by hand."""
    tally = Tally()
    reached = takewhile(lambda number: tally.kills == (number - 1) // apart, count(1, apart))  # until it ends before that call
    for number in reached:
        found = kill_at_call(zygote, workspace, small, tally, mode, number)
        assert not found, "\n".join(found)
    assert tally.kills > 5


def rows_of(run: Run) -> list[dict]:
    return EventReader(run.events).read()


def test_real_training_process_killed_twice_ends_as_if_never_interrupted(zygote, workspace, forked_workers):
    """Through the launcher and its workers, at a random number of events."""
    case = case_of(zygote, workspace, changed(config_of("residual-light", "digits"), {"epochs": 8}))
    events = len(case.whole["column step"])
    draws = random.Random(5)
    launcher = Launcher(workspace)
    launcher.open()
    try:
        run = launcher.submit(case.config)
        for _ in range(2):
            enough = len(rows_of(run)) + draws.randrange(2, events // 3)
            until(lambda enough=enough: len(rows_of(run)) >= enough, START_S, lambda: f"events: {len(rows_of(run))}")
            [worker] = launcher.queue.active.values()
            os.kill(worker.pid, signal.SIGKILL)
            until(lambda: "SIGKILL" in status_of(run).message, 5, lambda: f"the signal is named: {status_of(run)}")
            found = after_kill(run)
            assert not found, "\n".join(found)
            launcher.resume(run)
        until(lambda: status_of(run).state == "finished", START_S, lambda: f"the end: {status_of(run)}")
    finally:
        launcher.close()
    found = going_on(run) + damages(run) + differences(run, case.whole) + leftovers(run)
    assert not found, "\n".join(found)
