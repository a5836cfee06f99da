"""run_session: what a run's directory holds after each way a training can end, and that going on is exact."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from core.config import TrainConfig
from core.data.sets import find_store
from core.errors import InputError
from core.jobs.slots import Slot
from core.running import session
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, list_checkpoints
from core.runs.control import send
from core.runs.directory import Run, create_run
from core.runs.event_log import EventReader
from core.runs.history import history_of
from core.runs.records import evaluated_images, load_predictions
from core.runs.status import status_of
from core.settings import config_from
from core.training.events import CheckpointSaved, Ended, Evaluated, Event, StepLogged
from core.workspace import Workspace, open_workspace

STEPS_PER_EPOCH = 23  # 1,797 digits less a fifth of each class are 1,438 (or so), in batches of 64


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def every_step_listens(monkeypatch) -> None:
    """Commands are looked for after each step, so that a test says at which step a run is left."""
    monkeypatch.setattr(session, "POLL_S", 0.0)


def tiny(**changes) -> TrainConfig:
    """A perceptron on the digits: an epoch takes some 30 ms."""
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.05},
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
            "epochs": 2,
            "threads": 1,
            "tensorboard": False,
            "log_every": 7,
            "eval_batch_size": 100,
            **changes,
        }
    )


def rows_of(run: Run, *kinds: str) -> list[dict]:
    """The run's rows of these kinds, without what depends on the clock."""
    clock = {"n", "time", "seconds", "images_per_s"}
    rows = EventReader(run.events).read()
    return [{k: v for k, v in row.items() if k not in clock} for row in rows if row["kind"] in kinds]


def weights_of(run: Run) -> bytes:
    return (find_checkpoint(run, "last").path / "weights.safetensors").read_bytes()


def record_files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.records.iterdir()}


class Killed(BaseException):
    """Stands for kill -9: nothing in run_session catches it."""


def die_after(step: int) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        if isinstance(event, StepLogged) and event.step > step:
            raise Killed

    return on_event


def same_history(one: Run, other: Run) -> bool:
    """Whether charts and tables show the same course."""
    ours, theirs = history_of(one), history_of(other)
    for name in ("step", "epoch", "examples", "loss", "accuracy", "lr"):
        assert ours.steps[name] == theirs.steps[name], name
    for name in ("epoch", "step", "loss", "accuracy", "correct"):
        assert [getattr(row, name) for row in ours.evaluations] == [getattr(row, name) for row in theirs.evaluations], name
    return True


class LeaveAfter:
    """Asks for a pause once `event_matches` has been true and `ticks` more looks were taken."""

    def __init__(self, event_matches, ticks: int = 0) -> None:
        self.event_matches, self.ticks, self.matched = event_matches, ticks, False

    def on_event(self, event) -> None:
        self.matched = self.matched or self.event_matches(event)

    def should_pause(self) -> bool:
        if self.matched:
            self.ticks -= 1
        return self.matched and self.ticks < 0


def test_finished_run_has_all_its_files(workspace):
    run = create_run(workspace, tiny())
    ended = run_session(workspace, run)
    assert (ended.reason, ended.epoch, ended.step) == ("finished", 2, 2 * STEPS_PER_EPOCH)
    assert sorted(path.name for path in run.records.iterdir()) == [
        "division.npy",
        "epoch-0000.npy",
        "epoch-0001.npy",
        "epoch-0002.npy",
        "filters-0000.npy",
        "filters-0001.npy",
        "filters-0002.npy",
        "pictures.npy",
    ]
    assert [c.name for c in list_checkpoints(run)] == ["epoch-0001", "epoch-0002"]
    assert find_checkpoint(run, "last").name == "epoch-0002"
    assert json.loads((run.path / "config.json").read_text()) == run.config.model_dump(mode="json")
    assert not run.is_held()
    assert status_of(run).state == "finished"


def test_events_file_tells_the_course_in_order(workspace):
    run = create_run(workspace, tiny())
    heard = []
    run_session(workspace, run, on_event=heard.append)
    rows = EventReader(run.events).read()
    assert [row["kind"] for row in rows] == [event.kind for event in heard]
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    epoch = ["step"] * 3 + ["evaluation", "checkpoint"]  # of 46 steps at 7, 14, 21 and 28, 35, 42
    told = [row["kind"] for row in rows if row["kind"] != "preparing"]
    assert told == ["started", "evaluation", *epoch, *epoch, "ended"]


def test_prediction_records_agree_with_the_evaluations_in_the_events(workspace):
    run = create_run(workspace, tiny())
    run_session(workspace, run)
    indices, labels = evaluated_images(run)
    store = find_store(workspace, "digits", run.config.preprocessing)
    assert np.array_equal(store.labels[indices], labels)
    for row in rows_of(run, "evaluation"):
        record = load_predictions(run, row["epoch"])
        assert row["accuracy"] == pytest.approx((record.predicted == labels).mean())
        assert row["support"] == np.bincount(labels, minlength=10).tolist()
        assert row["correct"] == np.bincount(labels[record.predicted == labels], minlength=10).tolist()
        is_right = record.predicted == labels
        assert np.array_equal(record.confidence[is_right], record.true_probability[is_right])
        assert (record.confidence >= record.true_probability).all()


def test_best_checkpoint_is_that_of_the_most_accurate_epoch(workspace):
    run = create_run(workspace, tiny(epochs=6))
    ended = run_session(workspace, run)
    evaluations = [row for row in rows_of(run, "evaluation") if row["epoch"] > 0]
    best = max(evaluations, key=lambda row: row["accuracy"])
    assert find_checkpoint(run, "best").name == f"epoch-{best['epoch']:04d}"
    assert (ended.best_accuracy, ended.best_epoch) == (best["accuracy"], best["epoch"])


def test_stop_ends_the_run_and_keeps_best_and_last(workspace):
    run = create_run(workspace, tiny(epochs=100_000))

    def stop_after_first_epoch(event) -> None:
        if isinstance(event, Evaluated) and event.epoch == 1:
            send(run, "stop")

    ended = run_session(workspace, run, on_event=stop_after_first_epoch)
    assert ended.reason == "stopped"
    assert status_of(run).state == "stopped"
    names = [c.name for c in list_checkpoints(run)]
    assert find_checkpoint(run, "best").name in names
    assert find_checkpoint(run, "last").name in names
    assert f"{ended.step:,}" in ended.message


def test_stop_before_the_first_step_saves_nothing_and_says_so(workspace, every_step_listens):
    run = create_run(workspace, tiny())

    def stop(event) -> None:
        if event.kind == "started":
            send(run, "stop")

    ended = run_session(workspace, run, on_event=stop)
    assert (ended.reason, ended.step) == ("stopped", 0)
    assert "before the first step" in ended.message
    assert list_checkpoints(run) == []


EXACT_CASES = {
    "sgd with nesterov": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}},
    "adam": {"optimizer": {"name": "adam"}},
    "adamw": {"optimizer": {"name": "adamw", "decay_all": False}},
    "rmsprop": {"optimizer": {"name": "rmsprop", "lr": 0.001, "momentum": 0.5}},
    "one-cycle": {"schedule": {"name": "one-cycle"}},
    "step with warm-up": {"schedule": {"name": "step", "step_epochs": 1, "warmup_epochs": 1.5}},
    "cosine": {"schedule": {"name": "cosine"}, "loss": {"label_smoothing": 0.1}},
    "augmentation": {"augmentation": {"shift_px": 1, "rotate_deg": 10, "scale": 0.1, "erase_px": 2, "flip": True}},
    "dropout": {"model": {"name": "mnist-first-cnn", "width": 0.2}, "preprocessing": {"size_px": 16}},
    "batch norm": {"model": {"name": "mnist-batchnorm-cnn", "width": 0.5}},
    "colours and crops": {"augmentation": {"crop_area": 0.5, "brightness": 0.3, "contrast": 0.2, "flip_vertical": True}},
    "class weights": {"loss": {"class_weights": "balanced"}},
    "drop last": {"drop_last": True, "batch_size": 60},
    "bfloat16": {"precision": "bfloat16", "model": {"name": "mlp", "width": 0.1}},
}


@pytest.mark.parametrize("case", EXACT_CASES)
def test_paused_and_resumed_run_equals_uninterrupted_run(workspace, every_step_listens, case):
    """At a step within the second epoch, between two records: weights, records and rows, to the last bit."""
    config = tiny(epochs=3, **EXACT_CASES[case])
    whole = create_run(workspace, config)
    run_session(workspace, whole)

    parted = create_run(workspace, config)
    leave = LeaveAfter(lambda event: isinstance(event, StepLogged) and event.step >= 28, ticks=3)
    ended = run_session(workspace, parted, leave.should_pause, leave.on_event)
    assert (ended.reason, ended.step) == ("paused", 32)
    assert status_of(parted).state == "paused"
    assert find_checkpoint(parted, "last").name == "step-0000000032"

    torch.rand(3)  # whatever else this process draws must not matter
    assert run_session(workspace, parted).reason == "finished"
    assert weights_of(parted) == weights_of(whole)
    assert record_files(parted) == record_files(whole)
    assert rows_of(parted, "step", "evaluation") == rows_of(whole, "step", "evaluation")


def test_run_paused_while_it_is_evaluated_equals_uninterrupted_run(workspace, every_step_listens):
    config = tiny(epochs=3)
    whole, parted = create_run(workspace, config), create_run(workspace, config)
    run_session(workspace, whole)
    # looks after the record of step 21: at it, after steps 21, 22 and 23, and after two batches of the evaluation
    leave = LeaveAfter(lambda event: isinstance(event, StepLogged) and event.step == 21, ticks=5)
    ended = run_session(workspace, parted, leave.should_pause, leave.on_event)
    assert (ended.reason, ended.epoch, ended.step) == ("paused", 1, STEPS_PER_EPOCH)
    run_session(workspace, parted)
    assert weights_of(parted) == weights_of(whole)
    assert record_files(parted) == record_files(whole)
    assert rows_of(parted, "step", "evaluation") == rows_of(whole, "step", "evaluation")
    assert find_checkpoint(parted, "best").name == find_checkpoint(whole, "best").name


def test_run_that_lost_its_last_steps_equals_uninterrupted_run(workspace):
    """As after kill -9: rows beyond the last checkpoint are there, and are trained and written once more."""
    config = tiny(epochs=3)
    whole, killed = create_run(workspace, config), create_run(workspace, config)
    run_session(workspace, whole)

    with pytest.raises(Killed):
        run_session(workspace, killed, on_event=die_after(2 * STEPS_PER_EPOCH + 10))
    assert status_of(killed).state == "interrupted"
    run_session(workspace, killed)
    assert weights_of(killed) == weights_of(whole)
    assert record_files(killed) == record_files(whole)
    assert same_history(killed, whole)


def test_run_that_was_killed_before_its_first_checkpoint_begins_again(workspace):
    """Its rows of the first try are superseded, the evaluation before training included."""
    config = tiny()
    whole, killed = create_run(workspace, config), create_run(workspace, config)
    run_session(workspace, whole)
    with pytest.raises(Killed):
        run_session(workspace, killed, on_event=die_after(10))
    run_session(workspace, killed)
    assert weights_of(killed) == weights_of(whole)
    assert same_history(killed, whole)


def test_best_is_remembered_over_a_pause(workspace, every_step_listens):
    """The first epoch is the best: what follows, after a pause, at a rate of nearly zero is no better, only later."""
    config = tiny(epochs=3, optimizer={"name": "sgd", "lr": 0.1}, schedule={"name": "step", "step_epochs": 1, "gamma": 1e-9})
    run = create_run(workspace, config)
    leave = LeaveAfter(lambda event: isinstance(event, CheckpointSaved) and event.epoch == 1)
    run_session(workspace, run, leave.should_pause, leave.on_event)
    ended = run_session(workspace, run)
    accuracies = [row["accuracy"] for row in rows_of(run, "evaluation")][1:]
    assert accuracies[0] == accuracies[2]
    assert ended.best_epoch == 1
    assert find_checkpoint(run, "best").name == "epoch-0001"


def test_accuracy_is_remembered_over_pauses_within_an_epoch(workspace, every_step_listens):
    """Paused in the second epoch, resumed, and paused again before it ends: the figure of the first one still stands."""
    run = create_run(workspace, tiny(epochs=3))
    for number in (25, 35):
        leave = LeaveAfter(lambda event, number=number: isinstance(event, StepLogged) and event.step >= number)
        assert run_session(workspace, run, leave.should_pause, leave.on_event).reason == "paused"
    [_, first] = rows_of(run, "evaluation")
    status = status_of(run)
    assert (status.epoch, status.accuracy) == (1, first["accuracy"])


def test_second_training_of_a_held_run_is_refused(workspace):
    run = create_run(workspace, tiny())
    lock = run.hold()
    try:
        with pytest.raises(InputError, match="being trained by another process"):
            run_session(workspace, run)
    finally:
        lock.release()
    assert not run.events.exists()


DIVERGING = {
    "model": {"name": "cifar10-quick", "width": 0.1},
    "optimizer": {"name": "sgd", "lr": 100},
    "schedule": {"name": "one-cycle", "initial_fraction": 0, "peak_at": 1},  # climbs by 0.05 an epoch
    "epochs": 2000,
}


def is_finite(checkpoint: Path) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in load_file(checkpoint / "weights.safetensors").values())


def test_divergence_ends_as_failed_with_a_sentence_and_keeps_the_last_finite_checkpoint(workspace):
    run = create_run(workspace, tiny(**DIVERGING))
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert "learning rate" in ended.message
    assert status_of(run).state == "failed"
    assert ended.epoch >= 1
    assert is_finite(find_checkpoint(run, "last").path)
    assert is_finite(find_checkpoint(run, "best").path)


def test_checkpoint_taken_by_the_clock_is_never_of_diverged_weights(workspace, every_step_listens, monkeypatch):
    """Records are rare and checkpoints frequent: the loss must be looked at before each of them."""
    run = create_run(workspace, tiny(**DIVERGING, log_every=1_000_000, checkpoint={"every_seconds": 60}))
    saved = []
    monkeypatch.setattr(session.time, "monotonic", iter(range(10**9)).__next__)  # a second passes at every look

    def look(event) -> None:
        if isinstance(event, CheckpointSaved):
            saved.append(is_finite(run.checkpoints / event.name))

    ended = run_session(workspace, run, on_event=look)
    assert ended.reason == "failed"
    assert len(saved) > 5
    assert all(saved)


def test_what_a_person_can_mend_ends_as_failed_with_its_own_sentence(workspace, tmp_path):
    gone = tmp_path / "no-such-folder"
    run = create_run(workspace, tiny(data={"dataset": str(gone)}))
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert str(gone) in ended.message


def test_fault_of_our_own_is_written_as_failed_and_raised(workspace, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")
        yield

    monkeypatch.setattr(session, "train", broken)
    run = create_run(workspace, tiny())
    with pytest.raises(RuntimeError, match="a bug"):
        run_session(workspace, run)
    status = status_of(run)
    assert status.state == "failed"
    assert "RuntimeError" in status.message
    assert not run.is_held()


def test_device_is_free_again_after_every_ending(workspace):
    """Two runs, one after the other, in one process: the second does not wait."""
    for _ in range(2):
        run = create_run(workspace, tiny(epochs=1))
        heard: list = []
        ended: Ended = run_session(workspace, run, on_event=heard.append)
        assert ended.reason == "finished"
        assert not any("Waiting" in getattr(event, "what", "") for event in heard)


def test_run_waits_while_another_trains_on_the_device_and_can_be_stopped_meanwhile(workspace):
    run = create_run(workspace, tiny())
    lock = FileLock(Slot("cpu").path)
    heard = []

    def stop_once_it_waits(event) -> None:
        heard.append(event)
        if "Waiting for another training" in getattr(event, "what", ""):
            send(run, "stop")

    with lock:
        ended = run_session(workspace, run, on_event=stop_once_it_waits)
    assert ended.reason == "stopped"
    assert not any(event.kind == "started" for event in heard)


def test_tensorboard_holds_the_scalars_of_the_tutorials(workspace):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data = {"dataset": "digits", "test_fraction": 0.2, "evaluate_on": "test"}
    run = create_run(workspace, tiny(tensorboard=True, data=data))
    run_session(workspace, run)
    board = EventAccumulator(str(run.tensorboard)).Reload()
    assert {"train_loss", "test_loss", "test_accuracy", "learning_rate"} <= set(board.Tags()["scalars"])
    assert board.Tags()["graph"]
    assert "sample_pictures" in " ".join(board.Tags()["images"])
    written = [(scalar.step, scalar.value) for scalar in board.Scalars("test_loss")]
    expected = [(row["step"], pytest.approx(row["loss"], rel=1e-6)) for row in rows_of(run, "evaluation")]
    assert written == expected
