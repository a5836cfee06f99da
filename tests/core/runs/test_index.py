"""The list of all runs: complete, kept up to date, searched and sorted, and quick with thousands of them."""

import json
import shutil

import pytest

from core.errors import InputError
from core.runs import index
from core.runs.directory import Run, create_run, delete_run, list_runs
from core.runs.event_log import append_event
from core.runs.index import SORTS, entries, select
from core.runs.notes import Notes, read_notes, tags_from, write_notes
from core.runs.status import status_of
from core.settings import config_from
from core.training.events import Ended, Queued
from core.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setattr(index, "FRESH_S", 0.0)
    return open_workspace(tmp_path)


def made(workspace: Workspace, model: str = "mlp", accuracy: float | None = 0.5, **notes) -> Run:
    run = create_run(workspace, config_from({"model": {"name": model}, "epochs": 4}))
    append_event(run.events, Queued())
    append_event(run.events, Ended(reason="finished", message="Done.", epoch=3, seconds=7.0, accuracy=accuracy, epochs=5))
    if notes:
        write_notes(run, Notes(**notes))
    return run


def test_entry_says_what_status_and_configuration_say(workspace):
    run = made(workspace, name="First", tags=("a", "b"), note="hm")
    [entry], status = entries(workspace), status_of(run)
    assert (entry.title, entry.tags, entry.note) == ("First", ("a", "b"), "hm")
    assert (entry.dataset, entry.model) == (run.config.data.dataset, run.config.model.name)
    assert (entry.state, entry.message, entry.epoch, entry.epochs, entry.accuracy, entry.seconds) == (
        status.state,
        status.message,
        status.epoch,
        status.epochs,
        status.accuracy,
        status.seconds,
    )
    assert (entry.epoch, entry.epochs) == (3, 5)


def test_list_follows_what_happens_to_runs(workspace):
    first, second = made(workspace), made(workspace)
    assert [e.run for e in entries(workspace)] == list_runs(workspace)
    write_notes(first, Notes(name="Renamed"))
    append_event(second.events, Queued())
    by_run = {e.run: e for e in entries(workspace)}
    assert by_run[first].title == "Renamed"
    assert by_run[second].state == "queued"
    delete_run(first)
    assert [e.run for e in entries(workspace)] == [second]


def test_new_run_is_listed_at_once_however_fresh_the_list_is(workspace, monkeypatch):
    monkeypatch.setattr(index, "FRESH_S", 1000.0)
    assert entries(workspace) == []
    run = made(workspace)
    assert [e.run for e in entries(workspace)] == [run]


@pytest.mark.parametrize("damage", ["config.json", "notes.json", "events.jsonl"])
def test_damaged_run_is_listed_and_harms_no_other(workspace, damage):
    run, other = made(workspace, name="x"), made(workspace)
    (run.path / damage).write_bytes(b'{"half')
    assert {e.run for e in entries(workspace)} == {run, other}


def test_words_are_looked_for_in_title_tags_note_data_and_model(workspace):
    named = made(workspace, name="Ünicorn", tags=("for the paper",), note="lower rate")
    other = made(workspace, model="cifar10-blitz")
    listed = entries(workspace)
    for text, expected in [
        ("ünicorn", [named]),
        ("PAPER", [named]),
        ("rate lower", [named]),
        ("blitz", [other]),
        ("digits", [named, other]),
        ("nowhere", []),
        ("", [named, other]),
    ]:
        assert {e.run for e in select(listed, text)} == set(expected), text


def test_states_filter_and_every_order_sorts(workspace):
    runs = [made(workspace, accuracy=accuracy) for accuracy in (0.5, None, 0.9)]
    append_event(runs[0].events, Queued())
    listed = entries(workspace)
    assert {e.run for e in select(listed, states=["queued"])} == {runs[0]}
    assert [e.run for e in select(listed, sort="accuracy")] == [runs[2], runs[0], runs[1]]
    for name, (_, key, is_descending) in SORTS.items():
        keys = [key(e) for e in select(listed, sort=name)]
        assert keys == sorted(keys, reverse=is_descending)


def test_thousands_of_runs_are_each_read_once(workspace, monkeypatch):
    """What makes the second listing cheap: no file of a run that has ended is opened again."""
    run = made(workspace)
    for i in range(300):
        shutil.copytree(run.path, workspace.runs / f"20260101-000000-copy-{i:04x}")
    assert len(entries(workspace)) == 301
    monkeypatch.setattr(index, "_config", lambda run: pytest.fail("read again"))
    assert len(entries(workspace)) == 301


# --- notes


def test_notes_come_back_as_written_with_white_space_tidied(workspace):
    run = made(workspace)
    assert read_notes(run) == Notes()
    write_notes(run, Notes("  A \n name ", ("b", "b", "  ", "a  c"), "first\nsecond"))
    assert read_notes(run) == Notes("A name", ("b", "a c"), "first\nsecond")


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        (Notes(name="x" * 101), "name has 101 characters, expected at most 100"),
        (Notes(tags=("y" * 31,)), "longest tag has 31"),
        (Notes(tags=tuple(map(str, range(21)))), "21 tags, expected at most 20"),
        (Notes(note="z" * 10_001), r"note has 10,001 characters"),
    ],
)
def test_notes_that_are_too_long_are_refused_and_the_old_ones_stay(workspace, notes, words):
    run = made(workspace, name="kept")
    with pytest.raises(InputError, match=words):
        write_notes(run, notes)
    assert read_notes(run).name == "kept"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"name": ["x"], "tags": 5}', b"\xff", json.dumps({"tags": None}).encode()])
def test_damaged_notes_read_as_something_harmless(workspace, content):
    run = made(workspace)
    (run.path / "notes.json").write_bytes(content)
    assert isinstance(read_notes(run), Notes)


def test_tags_are_written_with_commas():
    assert tags_from(" a, b c ,, d\ne ") == ("a", "b c", "d", "e")
