"""Removing what somebody has open, where the system does not let go of it (Windows)."""

from pathlib import Path

import pytest

from core import files
from core.runs import artifacts, checkpoints, directory
from core.runs.artifacts import ArtifactKind, Inputs, kept, list_kept
from core.runs.directory import Run, create_run, delete_run
from core.settings import config_from
from core.workspace import Workspace

KIND = ArtifactKind("artifacts/test", 1)


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return create_run(workspace, config_from({}))


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder can be removed."""

    def in_use(path: Path) -> None:
        raise PermissionError(13, "Access is denied", str(path))

    for module in (artifacts, checkpoints):
        monkeypatch.setattr(module, "remove_folder", in_use)


@pytest.fixture(params=[True, False], ids=["stay", "go"])
def open_files_stay(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(files, "OPEN_FILES_STAY", request.param)
    return request.param


def test_checkpoint_that_is_being_sent_does_not_end_the_training(run: Run, held: None, open_files_stay: bool) -> None:
    (run.checkpoints / "epoch-0001").mkdir()
    if open_files_stay:
        checkpoints.prune(run, 10, 1, 5, keep_previous=False)
        assert [checkpoint.name for checkpoint in checkpoints.list_checkpoints(run)] == ["epoch-0001"]
    else:  # then it is a lack of rights, and told
        with pytest.raises(PermissionError):
            checkpoints.prune(run, 10, 1, 5, keep_previous=False)


def test_artifact_that_is_being_sent_does_not_end_the_next_one(run: Run, held: None, open_files_stay: bool) -> None:
    kept(run, KIND, Inputs(1), lambda folder: {})
    if open_files_stay:
        kept(run, KIND, Inputs(2), lambda folder: {})
        assert len(list_kept(run, KIND)) == 2
    else:
        with pytest.raises(PermissionError):
            kept(run, KIND, Inputs(2), lambda folder: {})


@pytest.mark.parametrize("stays", [True, False])
def test_run_is_deleted_with_its_lock_in_hand_where_that_is_possible(run: Run, monkeypatch, stays: bool) -> None:
    seen = []
    remove = directory.remove_folder

    def look(path: Path) -> None:
        seen.append(run.is_held())
        remove(path)

    monkeypatch.setattr(directory, "OPEN_FILES_STAY", stays)
    monkeypatch.setattr(directory, "remove_folder", look)
    delete_run(run)
    assert seen == [not stays]
    assert not run.path.exists()
