"""A run's life in lines, and the marks of its changes on the charts."""

import numpy as np

from core.figures.runs import accuracy_curve, loss_curve, lr_curve
from core.runs.event_log import Logged
from core.runs.history import History
from core.runs.timeline import change_in_words, exactness, timeline
from core.training.events import Changed, Ended, Event, Queued, Started, StepLogged, ThreadsChanged


def started(from_step: int = 0, inexact: str = "") -> Started:
    return Started(
        dataset="Digits",
        class_names=["a"],
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
        inexact=inexact,
    )


def changed(number: int, step: int, setting: str = "optimizer.lr", before=0.1, after=0.01) -> Changed:
    return Changed(
        number=number,
        step=step,
        epoch=step // 10,
        examples=step * 64,
        seconds=step * 0.5,
        after_evaluation=False,
        setting=setting,
        before=before,
        after=after,
    )


def history_from(*events: Event) -> History:
    history = History()
    for n, event in enumerate(events, start=1):
        history.add(Logged(n, 1_700_000_000.0 + n, event))
    return history


def whats(history: History) -> list[str]:
    return [line["what"] for line in timeline(history)]


def test_every_start_change_and_end_has_its_line_in_order():
    history = history_from(
        Queued(),
        started(),
        changed(1, 5),
        Ended(reason="paused", message="Paused by hand at step 7, and saved."),
        Queued("epoch-0001"),
        started(from_step=4),
        changed(1, 5),
        Ended(reason="finished", message="Trained to the last epoch."),
    )
    assert whats(history) == [
        "Queued",
        "Began on cpu in float32, one thread",
        "Learning rate changed from 0.1 to 0.01",
        "Paused by hand at step 7, and saved.",
        "Queued, to go on from epoch-0001",
        "Went on after step 4, exactly where it was saved",
        "Learning rate changed from 0.1 to 0.01, as before the interruption",
        "Trained to the last epoch.",
    ]


def test_changes_of_whole_numbers_and_choices_are_told_as_they_are():
    assert change_in_words(changed(1, 5, "epochs", 3, 8)) == "Epochs changed from 3 to 8"
    assert change_in_words(changed(1, 5, "early_stopping.watch", "loss", "accuracy")) == "Monitor changed from loss to accuracy"


def test_exactness_is_silent_where_nothing_may_differ():
    assert exactness(history_from(started(), changed(1, 5), Ended(reason="paused", message=""), started(from_step=4))) == ""


def test_exactness_names_the_step_and_the_reason():
    words = exactness(
        history_from(started(), Ended(reason="paused", message=""), started(from_step=40, inexact="another processor (a, now b)"))
    )
    assert "From step 40 on" in words
    assert "another processor (a, now b)" in words
    assert "number of threads followed" in exactness(history_from(started(), ThreadsChanged(12, 1)))


def test_going_back_before_an_inexact_step_takes_its_word_back():
    history = history_from(started(), ThreadsChanged(12, 1), started(from_step=10))
    assert exactness(history) == ""


def test_each_change_is_marked_where_it_happened_on_every_axis():
    steps = [
        StepLogged(
            step=n, epoch=1 + n // 10, examples=64 * n, seconds=0.5 * n, loss=1.0, accuracy=0.5, lr=0.1, images_per_s=100.0
        )
        for n in range(1, 31)
    ]
    history = history_from(started(), *steps, changed(1, 5), changed(2, 20, "epochs", 3, 8))
    for x, expected in {"step": [5, 20], "examples": [320, 1280], "seconds": [2.5, 10.0], "epoch": [0.5, 2.0]}.items():
        for figure in (loss_curve(history, x), accuracy_curve(history, x), lr_curve(history, x)):
            assert np.allclose([shape.x0 for shape in figure.layout.shapes], expected)
            texts = [a.hovertext for a in figure.layout.annotations]
            assert texts == ["Learning rate changed from 0.1 to 0.01", "Epochs changed from 3 to 8"]
