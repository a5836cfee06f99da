"""The events file: an exact prefix after any cut, a damaged line dropped and counted, and writing on after a crash."""

import json
import math
import random

import pytest

from core.runs.event_log import EventReader, EventWriter, append_event, read_tail
from core.training.events import Ended, Evaluated, Predictions, Preparing, StepLogged


def step(number: int, loss: float = 0.5) -> StepLogged:
    return StepLogged(
        step=number, epoch=1, examples=number * 64, seconds=number / 10, loss=loss, accuracy=0.5, lr=0.01, images_per_s=1000.0
    )


def write(path, count: int) -> None:
    with EventWriter(path) as writer:
        for number in range(1, count + 1):
            writer.write(step(number))


def steps_in(rows: list[dict]) -> list[int]:
    return [row["step"] for row in rows]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def test_what_is_written_is_read_back(path):
    events = [Preparing("Données “中”\n", 1, 0), step(1), Ended(reason="paused", message="Paused at step 1.", accuracy=None)]
    with EventWriter(path) as writer:
        for event in events:
            writer.write(event)
    rows = EventReader(path).read()
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert [row["kind"] for row in rows] == ["preparing", "step", "ended"]
    for row, event in zip(rows, events, strict=True):
        assert all(row[name] == value for name, value in vars(event).items())


def test_every_line_is_a_json_object_that_other_programs_can_read(path):
    write(path, 3)
    for line in path.read_text().splitlines():
        assert {"n", "time", "kind", "crc"} <= set(json.loads(line))


def test_every_cut_leaves_an_exact_prefix(path):
    write(path, 5)
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        reader = EventReader(path)
        whole = sum(end <= length for end in ends)
        assert steps_in(reader.read()) == list(range(1, whole + 1))
        assert reader.dropped == 0
        assert steps_in(read_tail(path)) == list(range(1, whole + 1))


def test_flipped_bit_drops_only_its_line_and_is_counted(path):
    write(path, 5)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    draws = random.Random(0)
    for _ in range(400):
        position = draws.randrange(len(content))
        damaged = bytearray(content)
        damaged[position] ^= 1 << draws.randrange(8)
        if ord("\n") in (content[position], damaged[position]):
            continue  # two lines become one, or one two: the next test
        hit = next(i for i in range(5) if position < sum(map(len, lines[: i + 1])))
        path.write_bytes(damaged)
        reader = EventReader(path)
        assert steps_in(reader.read()) == [n for n in range(1, 6) if n != hit + 1]
        assert reader.dropped == 1


def test_damaged_line_end_loses_the_lines_beside_it_and_no_others(path):
    write(path, 5)
    content = bytearray(path.read_bytes())
    content[content.index(b"\n")] = ord(" ")
    path.write_bytes(content)
    reader = EventReader(path)
    assert steps_in(reader.read()) == [3, 4, 5]
    assert reader.dropped == 1


def test_carriage_return_or_line_separator_in_a_line_does_not_split_it(path):
    """Of a message from outside: only \\n ends a line."""
    append_event(path, Preparing("a\rb\x0bc\x0cd\x1ce\u0085f\u2028g", 0, 0))
    reader = EventReader(path)
    assert [row["what"] for row in reader.read()] == ["a\rb\x0bc\x0cd\x1ce\u0085f\u2028g"]
    assert reader.dropped == 0


def test_writer_goes_on_after_a_torn_line(path):
    """The half line of a killed process stays behind, alone, and the numbers go on."""
    write(path, 3)
    path.write_bytes(path.read_bytes()[:-20])
    append_event(path, step(9))
    reader = EventReader(path)
    rows = reader.read()
    assert steps_in(rows) == [1, 2, 9]
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert reader.dropped == 1


def test_second_writer_continues_the_numbers(path):
    write(path, 2)
    append_event(path, step(3))
    assert [row["n"] for row in EventReader(path).read()] == [1, 2, 3]


def test_reader_takes_each_row_once_and_half_a_line_only_when_it_is_whole(path):
    write(path, 4)
    content = path.read_bytes()
    path.write_bytes(b"")
    reader, taken = EventReader(path), []
    with path.open("ab") as file:
        for start in range(0, len(content), 37):
            file.write(content[start : start + 37])
            file.flush()
            taken += steps_in(reader.read())
    assert taken == [1, 2, 3, 4]
    assert reader.read() == []


def test_missing_file_has_no_rows(path):
    assert EventReader(path).read() == []
    assert read_tail(path) == []


def test_tail_of_a_long_file_is_its_last_rows(path):
    write(path, 2000)
    assert path.stat().st_size > 65_536
    tail = steps_in(read_tail(path))
    assert tail == list(range(tail[0], 2001))
    assert 100 < len(tail) < 2000
    append_event(path, step(2001))
    assert read_tail(path)[-1]["n"] == 2001


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_not_finite_becomes_null_because_json_has_no_other_word(path, value):
    append_event(path, step(1, loss=value))
    [row] = EventReader(path).read()
    assert row["loss"] is None
    assert b"NaN" not in path.read_bytes()
    assert b"Infinity" not in path.read_bytes()


def test_prediction_arrays_stay_out_of_the_events(path):
    import numpy as np

    record = Predictions(
        predicted=np.zeros(5, np.uint8), confidence=np.zeros(5, np.float16), true_probability=np.zeros(5, np.float16)
    )
    append_event(
        path,
        Evaluated(
            epoch=1,
            step=2,
            examples=3,
            seconds=4.0,
            split="test",
            loss=0.5,
            accuracy=0.5,
            correct=[1, 2],
            support=[3, 4],
            predictions=record,
        ),
    )
    [row] = EventReader(path).read()
    assert "predictions" not in row
    assert row["correct"] == [1, 2]
