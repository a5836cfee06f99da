"""A run's status: worked out from its last event and its lock."""

import pytest

from core.runs.directory import Run, create_run
from core.runs.event_log import EventWriter
from core.runs.status import Status, status_of
from core.settings import config_from
from core.training.events import CheckpointSaved, Ended, Evaluated, Event, Preparing, Queued, Started, StepLogged, ThreadsChanged
from core.workspace import open_workspace

STARTED = Started(
    dataset="Digits",
    class_names=["a", "b"],
    num_train=10,
    num_evaluated=5,
    evaluated_split="test",
    steps_per_epoch=3,
    num_parameters=100,
    device="cpu",
    device_reason="",
    precision="float32",
    precision_reason="",
    threads=1,
    from_step=0,
    versions={},
    epochs=3,
)
STEP = StepLogged(step=3, epoch=1, examples=30, seconds=1.5, loss=0.5, accuracy=0.8, lr=0.01, images_per_s=100.0)
EVALUATION = Evaluated(
    epoch=1,
    step=3,
    examples=30,
    seconds=2.5,
    split="test",
    loss=0.4,
    accuracy=0.75,
    correct=[1, 2],
    support=[3, 2],
    predictions=None,
)
CHECKPOINT = CheckpointSaved(name="epoch-0001", epoch=1, step=3, is_best=True, num_bytes=1000)
UNDERWAY = [Preparing("Storing images", 1, 2), STARTED, STEP, EVALUATION, CHECKPOINT, ThreadsChanged(3, 1)]


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run(open_workspace(tmp_path), config_from({}))


def told(run: Run, *events: Event, held: bool = False) -> Status:
    with EventWriter(run.events) as log:
        for event in events:
            log.write(event)
    if not held:
        return status_of(run)
    lock = run.hold()
    try:
        return status_of(run)
    finally:
        lock.release()


def test_run_that_waits_is_queued(run):
    status = told(run, Queued())
    assert status.state == "queued"
    assert status.is_active


@pytest.mark.parametrize("last", UNDERWAY, ids=lambda event: event.kind)
def test_run_whose_lock_is_held_is_running_whatever_it_said_last(run, last):
    status = told(run, Queued(), STARTED, last, held=True)
    assert status.state == "running"
    assert status.is_active
    assert status.message == ""


@pytest.mark.parametrize("last", UNDERWAY, ids=lambda event: event.kind)
def test_run_without_a_last_word_whose_lock_is_free_is_interrupted(run, last):
    status = told(run, Queued(), STARTED, last)
    assert status.state == "interrupted"
    assert not status.is_active
    assert status.message


@pytest.mark.parametrize("reason", ["finished", "stopped", "paused", "failed", "interrupted"])
def test_run_that_said_how_it_ended_is_that(run, reason):
    status = told(
        run,
        Queued(),
        STARTED,
        STEP,
        EVALUATION,
        Ended(reason=reason, message="A sentence.", epoch=1, step=3, seconds=2.5, accuracy=0.75),
    )
    assert status == Status(state=reason, message="A sentence.", epoch=1, accuracy=0.75, seconds=2.5, epochs=3)


def test_held_lock_does_not_unmake_an_end(run):
    """The trainer says how it ended before it lets go of the lock."""
    assert told(run, STARTED, Ended(reason="finished", message="Done."), held=True).state == "finished"


def test_progress_is_that_of_the_last_evaluation_and_the_last_time_told(run):
    later = StepLogged(step=5, epoch=2, examples=50, seconds=4.5, loss=0.5, accuracy=0.8, lr=0.01, images_per_s=100.0)
    status = told(run, STARTED, STEP, EVALUATION, CHECKPOINT, later, held=True)
    assert (status.epoch, status.accuracy, status.seconds) == (1, 0.75, 4.5)


def test_resumed_run_is_running_again_and_a_requeued_one_queued(run):
    assert (
        told(run, STARTED, Ended(reason="paused", message="Paused.", epoch=1, step=3, seconds=2.5, accuracy=0.75)).state
        == "paused"
    )
    assert told(run, Queued()).state == "queued"
    assert told(run, STARTED, held=True).state == "running"


def test_resumed_run_that_is_taken_out_of_the_queue_keeps_its_figures(run):
    """Its last word knows of no epoch: what was told before still holds."""
    told(run, STARTED, STEP, EVALUATION, Ended(reason="paused", message="Paused.", epoch=1, step=3, seconds=2.5, accuracy=0.75))
    status = told(run, Queued(), Ended(reason="stopped", message="Taken out of the queue before it began."))
    assert status == Status(
        state="stopped", message="Taken out of the queue before it began.", epoch=1, accuracy=0.75, seconds=2.5, epochs=3
    )


def test_run_that_was_never_started_says_so(run):
    status = status_of(run)
    assert status.state == "interrupted"
    assert "never started" in status.message


def test_torn_last_line_changes_nothing(run):
    told(run, STARTED, STEP, EVALUATION)
    before = status_of(run)
    with run.events.open("ab") as file:
        file.write(b'{"n":4,"kind":"ended","reason":"fini')
    assert status_of(run) == before


def test_long_run_still_knows_its_last_evaluation(run):
    """Rare evaluations lie far back in the file: thousands of records may follow one."""
    with EventWriter(run.events) as log:
        log.write(STARTED)
        log.write(EVALUATION)
        for number in range(4, 1500):
            log.write(
                StepLogged(
                    step=number,
                    epoch=2,
                    examples=number * 10,
                    seconds=3.0 + number,
                    loss=0.5,
                    accuracy=0.8,
                    lr=0.01,
                    images_per_s=100.0,
                )
            )
    status = told(run, held=True)
    assert (status.state, status.epoch, status.accuracy) == ("running", 1, 0.75)
