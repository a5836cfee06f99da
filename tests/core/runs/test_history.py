"""A run's history: columns that grow with the events file, and what a resume makes of rows that were written before."""

import numpy as np
import pytest

from core.runs.directory import Run, create_run
from core.runs.event_log import Logged, append_event, to_row
from core.runs.history import STEP_COLUMNS, History, history_of
from core.settings import config_from
from core.training.events import CheckpointSaved, Ended, Evaluated, Event, Preparing, Queued, Started, StepLogged
from core.workspace import open_workspace


def started(from_step: int = 0) -> Started:
    return Started(
        dataset="Digits",
        class_names=["a", "b"],
        num_train=640,
        num_evaluated=4,
        evaluated_split="test",
        steps_per_epoch=10,
        num_parameters=100,
        device="cpu",
        device_reason="",
        precision="float32",
        precision_reason="",
        threads=1,
        from_step=from_step,
        versions={},
        epochs=3,
    )


def step(number: int, loss: float | None = None) -> StepLogged:
    return StepLogged(
        step=number,
        epoch=1,
        examples=64 * number,
        seconds=number / 10,
        loss=1 / number if loss is None else loss,
        accuracy=0.5,
        lr=0.01,
        images_per_s=1000.0,
    )


def evaluation(epoch: int, accuracy: float = 0.5) -> Evaluated:
    return Evaluated(
        epoch=epoch,
        step=10 * epoch,
        examples=640 * epoch,
        seconds=1.0 * epoch,
        split="test",
        loss=0.3,
        accuracy=accuracy,
        correct=[1, 1],
        support=[2, 2],
        predictions=None,
    )


def history_from(*events: Event) -> History:
    history = History()
    for n, event in enumerate(events, start=1):
        history.add_rows([{"n": n, "time": 0.0, **to_row(event)}])
    return history


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run(open_workspace(tmp_path), config_from({}))


def test_columns_are_the_step_records_in_their_order():
    history = history_from(started(), step(1), step(2), step(3))
    steps, losses, seconds = history.columns("step", "loss", "seconds")
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_allclose(losses, [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(seconds, [0.1, 0.2, 0.3])


def test_loss_that_was_not_finite_is_nan_in_the_columns():
    row = {**to_row(step(1)), "loss": None}  # as the file keeps it
    history = History()
    history.add_rows([row])
    assert np.isnan(history.columns("loss")[0]).tolist() == [True]


def test_history_grows_with_the_file_and_reads_only_what_is_new(run):
    append_event(run.events, started())
    append_event(run.events, step(1))
    history = history_of(run)
    assert list(history.steps["step"]) == [1]
    append_event(run.events, step(2))
    assert history_of(run) is history
    assert list(history.steps["step"]) == [1, 2]


def test_run_that_has_not_begun_has_an_empty_history(run):
    history = history_of(run)
    assert (history.started, history.ended, history.last_evaluation, history.best_evaluation) == (None, None, None, None)
    assert all(len(column) == 0 for column in history.columns(*STEP_COLUMNS))


def test_damaged_lines_are_counted(run):
    append_event(run.events, step(1))
    with run.events.open("ab") as file:
        file.write(b"damaged\n")
    append_event(run.events, step(2))
    history = history_of(run)
    assert list(history.steps["step"]) == [1, 2]
    assert history.dropped == 1


def test_resume_supersedes_what_came_after_its_checkpoint():
    history = history_from(
        started(),
        evaluation(0),
        *[step(n) for n in range(1, 11)],
        evaluation(1),
        CheckpointSaved(name="epoch-0001", epoch=1, step=10, is_best=True, num_bytes=1000),
        *[step(n, loss=99) for n in range(11, 16)],
        CheckpointSaved(name="step-0000000013", epoch=1, step=13, is_best=False, num_bytes=1000),
        evaluation(2, accuracy=0.99),
        started(from_step=10),
        step(11, loss=0.1),
    )
    assert list(history.steps["step"]) == list(range(1, 12))
    assert history.steps["loss"][-1] == 0.1
    assert [row.epoch for row in history.evaluations] == [0, 1]
    assert [row.name for row in history.checkpoints] == ["epoch-0001"]


def test_evaluation_that_is_repeated_after_a_resume_counts_once():
    """Left between the evaluation and the checkpoint after it: the epoch is evaluated again, to the same figures."""
    history = history_from(
        started(),
        evaluation(0),
        Ended(reason="paused", message="Paused before the first step."),
        started(),
        evaluation(0),
        step(1),
    )
    assert [row.epoch for row in history.evaluations] == [0]


def test_best_evaluation_is_the_most_accurate_after_training_began_and_the_earliest_of_equals():
    history = history_from(
        started(), evaluation(0, 0.99), evaluation(1, 0.5), evaluation(2, 0.8), evaluation(3, 0.8), evaluation(4, 0.7)
    )
    assert history.best_evaluation.epoch == 2
    assert history.last_evaluation.epoch == 4


def test_resumed_run_has_not_ended_any_more():
    history = history_from(started(), step(1), Ended(reason="paused", message="Paused."))
    assert history.ended.reason == "paused"
    history.add(Logged(9, 0.0, Queued()))
    assert history.ended is None


def test_what_is_being_prepared_is_known_until_training_starts():
    history = history_from(Preparing("Storing images", 5, 10))
    assert (history.preparing.done, history.preparing.total) == (5, 10)
    history.add(Logged(9, 0.0, started()))
    assert history.preparing is None
