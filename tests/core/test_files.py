"""Files where one that is open can be neither replaced nor moved, as on Windows: tried for a while, then told."""

import os
from pathlib import Path

import pytest

from core import files
from core.files import flush_folder, is_in_use, move_folder, replace_file, write_bytes_atomically


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As many operations as the list says fail as they do on Windows while somebody has the file open."""
    left = [3]

    def failing(function):
        def tried(source, target):
            if left[0]:
                left[0] -= 1
                raise PermissionError(13, "The process cannot access the file because it is being used by another process")
            function(source, target)

        return tried

    monkeypatch.setattr(files, "OPEN_FILES_STAY", True)
    monkeypatch.setattr(os, "replace", failing(os.replace))
    monkeypatch.setattr(os, "rename", failing(os.rename))
    return left


def test_file_that_somebody_reads_is_replaced_once_it_is_closed(tmp_path: Path, held: list[int]) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write_bytes_atomically(tmp_path / "a", b"new")
    assert held == [0]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_folder_in_which_somebody_reads_is_moved_once_that_is_closed(tmp_path: Path, held: list[int]) -> None:
    (tmp_path / "a").mkdir()
    move_folder(tmp_path / "a", tmp_path / "b")
    assert held == [0]
    assert (tmp_path / "b").is_dir()


def test_file_that_stays_open_is_told_after_a_while(tmp_path: Path, held: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)
    held[0] = 1_000_000
    (tmp_path / "a").touch()
    with pytest.raises(PermissionError) as error:
        replace_file(tmp_path / "a", tmp_path / "b")
    assert is_in_use(error.value)


def test_lack_of_rights_is_told_at_once_where_open_files_can_be_replaced(
    tmp_path: Path, held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "OPEN_FILES_STAY", False)
    with pytest.raises(PermissionError):
        replace_file(tmp_path / "a", tmp_path / "b")
    assert held == [2]


def test_folder_that_can_t_be_flushed_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    monkeypatch.setattr(os, "open", lambda *rest: pytest.fail("Windows opens no folders"))
    flush_folder(tmp_path)
