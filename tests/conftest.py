"""What several test files need: a workspace of their own, and launchers over it that are closed at the end."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch loads OpenMP, as in the app: docs/decisions/threads.md

import pytest
import torch

from core.jobs.executor import LocalProcesses
from core.serving.launcher import Launcher
from core.workspace import Workspace, open_workspace
from tests.fixtures.forked import spawn_forked


def pytest_collection_finish() -> None:
    """Thousands of tests are some millions of objects: looking through them for garbage time and again cost a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Each test begins with one, whatever the trainings of others have set: a process stands on every core already."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def slots_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests that run at the same time are different machines to one another."""
    os.environ["TRAINSCOPE_SLOTS"] = str(tmp_path_factory.mktemp("slots"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path)


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers need not import the large libraries first; they are processes of their own all the same."""
    monkeypatch.setattr(LocalProcesses, "_spawn", spawn_forked)


@pytest.fixture
def open_launcher(workspace: Workspace, forked_workers: None) -> Iterator[Callable[..., Launcher]]:
    """Opens a launcher, without a process in reserve unless asked for one."""
    opened = []

    def open_one(**options) -> Launcher:
        opened.append(Launcher(workspace, **{"keep_reserve": False, **options}))
        opened[-1].open()
        return opened[-1]

    yield open_one
    for launcher in opened:
        launcher.close()
