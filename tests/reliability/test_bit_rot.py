"""Flipped bits and cut files: every damage to a checkpoint is detected, every cut of the events leaves an exact prefix."""

import json
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import TrainConfig
from core.errors import InputError
from core.running import session
from core.running.session import run_session
from core.runs.checkpoints import Checkpoint, find_checkpoint, list_checkpoints, load_network
from core.runs.directory import Run, create_run
from core.runs.event_log import EventReader, EventWriter, read_tail
from core.runs.history import history_of
from core.runs.status import status_of
from core.settings import config_from
from core.training.events import Queued
from core.workspace import Workspace, open_workspace
from tests.reliability.comparing import differences, trace_of

FLIPS = 10_000
EVENT_FLIPS = 1500
POINTER_FLIPS = 1000
PAGE_CUTS = 5
STATES = ("queued", "running", "paused", "stopped", "finished", "failed", "interrupted")
PAGES = ("home", "train", "results", "runs")
NAVIGATION = str(Path(__file__).resolve().parents[2] / "pages" / "_navigation.py")


def tiny(**changes) -> TrainConfig:
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.02},
            "optimizer": {"name": "adam"},
            "epochs": 2,
            "threads": 1,
            "tensorboard": False,
            "log_every": 8,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def trained(workspace) -> Run:
    """Never damaged: tests work on copies."""
    run = create_run(workspace, tiny())
    assert run_session(workspace, run).reason == "finished"
    return run


@pytest.fixture
def run(workspace, trained) -> Run:
    """A copy in a directory of its own."""
    copied = create_run(workspace, trained.config)
    shutil.copytree(trained.path, copied.path, dirs_exist_ok=True)
    return copied


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def refusal_of(checkpoint: Checkpoint) -> str:
    """What is said instead of loading it; empty if it loads."""
    try:
        load_network(checkpoint)
    except InputError as error:
        return str(error)
    return ""


def test_each_of_ten_thousand_flipped_bits_of_a_checkpoint_is_detected(run):
    """Spread evenly over its files, small ones as often as large ones. What is raised names the checkpoint."""
    checkpoint = find_checkpoint(run, "last")
    assert refusal_of(checkpoint) == ""
    draws, files = random.Random(0), sorted(checkpoint.path.iterdir())
    missed = []
    for file in files:
        sound = file.read_bytes()
        for _ in range(FLIPS // len(files)):
            bit = draws.randrange(len(sound) * 8)
            file.write_bytes(flipped(sound, bit))
            if checkpoint.name not in refusal_of(checkpoint):
                missed.append((file.name, bit))
        file.write_bytes(sound)
    assert len(files) * (FLIPS // len(files)) == FLIPS
    assert missed == []
    assert refusal_of(checkpoint) == ""


def test_every_cut_of_a_checkpoint_file_is_detected(run):
    checkpoint = find_checkpoint(run, "last")
    for file in sorted(checkpoint.path.iterdir()):
        sound = file.read_bytes()
        for length in {0, 1, len(sound) // 2, *range(max(0, len(sound) - 40), len(sound))}:
            file.write_bytes(sound[:length])
            assert checkpoint.name in refusal_of(checkpoint), (file.name, length)
        file.write_bytes(sound)


@pytest.mark.parametrize("pointer", ["best", "last"])
def test_flipped_bit_of_a_pointer_never_leads_to_another_checkpoint(run, pointer):
    """It is either refused by name, or the checkpoint that it named is found without it. Any bit at all."""
    file = run.checkpoints / f"{pointer}.json"
    sound, expected = file.read_bytes(), find_checkpoint(run, pointer)
    draws = random.Random(pointer)
    for bit in draws.sample(range(len(sound) * 8), min(POINTER_FLIPS, len(sound) * 8)):
        file.write_bytes(flipped(sound, bit))
        try:
            found = find_checkpoint(run, pointer)
        except InputError as error:
            assert pointer in str(error), bit
        else:
            assert found == expected, bit
    file.write_bytes(sound)


def test_flipped_bit_of_a_pointer_that_can_t_be_followed_otherwise_is_refused(run):
    """best is the earlier of two: nothing but its pointer says so."""
    first, second = list_checkpoints(run)
    file = run.checkpoints / "best.json"
    file.write_bytes(file.read_bytes().replace(second.name.encode(), first.name.encode()))
    with pytest.raises(InputError, match="best"):
        find_checkpoint(run, "best")


def test_run_with_a_damaged_last_checkpoint_says_which_one_is_sound_or_goes_on_from_it(workspace, monkeypatch):
    config = tiny(epochs=3)
    whole, damaged = create_run(workspace, config), create_run(workspace, config)
    run_session(workspace, whole)
    monkeypatch.setattr(session, "POLL_S", 0.0)
    run_session(workspace, damaged, lambda: len(list_checkpoints(damaged)) >= 2)
    assert status_of(damaged).state == "paused"
    last = find_checkpoint(damaged, "last")
    others = [checkpoint for checkpoint in list_checkpoints(damaged) if checkpoint != last]
    weights = last.path / "weights.safetensors"
    weights.write_bytes(flipped(weights.read_bytes(), 8 * weights.stat().st_size - 1))

    ended = run_session(workspace, damaged)
    if ended.reason == "finished":
        found = differences(damaged, trace_of(whole))
        assert not found, "\n".join(found)
    else:
        assert ended.reason == "failed"
        assert last.name in ended.message
        assert any(checkpoint.name in ended.message for checkpoint in others)


def lines_of(content: bytes) -> list[bytes]:
    return content.split(b"\n")[:-1]


def without_checksum(line: bytes) -> dict:
    row = json.loads(line)
    del row["crc"]
    return row


def test_every_cut_of_the_events_file_leaves_an_exact_prefix_and_can_be_gone_on_from(trained, tmp_path):
    """At every byte: the reader, the tail, the history and the state; and a writer after it."""
    content = trained.events.read_bytes()
    rows = [without_checksum(line) for line in lines_of(content)]
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    assert len(rows) >= 10
    for length in range(len(content) + 1):
        folder = tmp_path / str(length)
        folder.mkdir()
        cut, whole = Run(folder), sum(end <= length for end in ends)
        cut.events.write_bytes(content[:length])

        reader = EventReader(cut.events)
        assert reader.read() == rows[:whole]
        assert reader.dropped == 0
        assert read_tail(cut.events) == rows[:whole]
        assert status_of(cut).state in STATES
        history = history_of(cut)
        assert list(history.steps["step"]) == [row["step"] for row in rows[:whole] if row["kind"] == "step"]
        assert history.dropped == 0

        with EventWriter(cut.events) as writer:
            writer.write(Queued())
        lacks_only_its_end = length + 1 in ends  # the line before the new one is whole again
        reader = EventReader(cut.events)
        *before, added = reader.read()
        assert before == rows[: whole + lacks_only_its_end]
        assert (added["kind"], added["n"]) == ("queued", len(before) + 1), length
        assert reader.dropped == (length not in (0, *ends) and not lacks_only_its_end)
        assert status_of(cut).state == "queued"
        shutil.rmtree(folder)


def test_flipped_bit_of_the_events_file_drops_lines_and_never_changes_one(trained, tmp_path):
    """One line, or two where their boundary is hit; counted, and all others as they were written."""
    content = trained.events.read_bytes()
    rows = [without_checksum(line) for line in lines_of(content)]
    boundaries = [0, *(i + 1 for i, byte in enumerate(content) if byte == ord("\n"))]
    spans = list(pairwise(boundaries))
    draws, path = random.Random(0), tmp_path / "events.jsonl"
    for _ in range(EVENT_FLIPS):
        bit = draws.randrange(len(content) * 8)
        path.write_bytes(flipped(content, bit))
        reader = EventReader(path)
        read = reader.read()
        hit = next(i for i, (start, end) in enumerate(spans) if start <= bit // 8 < end)
        is_line_end = bit // 8 == spans[hit][1] - 1
        lost = {hit, hit + 1} if is_line_end else {hit}
        expected = [row for i, row in enumerate(rows) if i not in lost]
        if is_line_end and hit == len(rows) - 1:
            assert (read, reader.dropped) == (expected, 0), bit  # it looks like the last line, still being written
        else:
            assert read == expected, bit
            assert reader.dropped >= 1, bit
        assert read_tail(path) == expected


def test_flipped_bit_of_the_events_file_is_counted_in_the_history_and_takes_no_state_down(trained, tmp_path):
    content, draws = trained.events.read_bytes(), random.Random(1)
    for number in range(200):
        run = Run(tmp_path / str(number))
        run.path.mkdir()
        bit = draws.randrange((len(content) - 1) * 8)
        run.events.write_bytes(flipped(content, bit))
        assert history_of(run).dropped >= 1, bit
        assert status_of(run).state in STATES


def cuts_in_different_events(content: bytes) -> list[int]:
    """In the middle of a line, spread over the file, and both of its ends."""
    draws = random.Random(2)
    return [0, *sorted(draws.randrange(1, len(content)) for _ in range(PAGE_CUTS - 2)), len(content)]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("number", range(PAGE_CUTS))
def test_pages_open_whatever_the_events_file_was_cut_to(run, workspace, monkeypatch, page, number):
    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")
    monkeypatch.setenv("TRAINSCOPE_RESUME", "0")
    content = run.events.read_bytes()
    run.events.write_bytes(content[: cuts_in_different_events(content)[number]])
    app = AppTest.from_file(NAVIGATION, default_timeout=30)
    app.query_params["run"] = run.id
    app.run()
    if page != "home":
        app.switch_page(f"{page}/{page}.py").run()
    assert not app.exception
    assert app.title[0].value
