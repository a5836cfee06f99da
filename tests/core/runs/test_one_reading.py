"""Status, list, history and checkpoints are views of one fold: over any history they agree, read from the end or from the beginning."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.running.actions import check_changes
from core.runs import index
from core.runs.directory import Run, create_run
from core.runs.event_log import EventWriter, append_event
from core.runs.history import _growing as growing_history
from core.runs.history import history_of, story_of
from core.runs.index import entries
from core.runs.status import _growing as growing_summary
from core.runs.status import status_of, summary_of
from core.settings import config_from
from core.training.events import (
    Changed,
    CheckpointSaved,
    Ended,
    Evaluated,
    Event,
    Predictions,
    Preparing,
    Queued,
    Started,
    StepLogged,
)
from core.workspace import open_workspace

STEPS = 4  # of an epoch
NOTHING_SAID = Predictions(predicted=None, confidence=None, true_probability=None)


@dataclass
class Trainer:
    """Writes the events that a session would, and knows by itself where the run stands. keep: (step, epoch, accuracy) by name."""

    path: Path
    step: int = 0
    epoch: int = 0
    accuracy: float | None = None
    epochs: int = 10
    changes: int = 0
    applied: int = 0
    is_going_on: bool = False
    is_old: bool = False
    kept: dict[str, tuple[int, int, float | None, int, int]] = field(default_factory=dict)
    made: dict[int, Changed] = field(default_factory=dict)  # every change, by number
    due: list[Changed] = field(default_factory=list)

    def write(self, *events: Event) -> None:
        for event in events:
            append_event(self.path, event)

    @property
    def seconds(self) -> float:
        return self.step / 2

    def begin(self, name: str = "last") -> None:
        """At the beginning, at the last checkpoint, or going back to one of this name; superseded ones are gone then."""
        if self.is_going_on:
            return
        checkpoint = self.kept.get(name) or (list(self.kept.values())[-1] if self.kept else (0, 0, None, 10, 0))
        self.step, self.epoch, self.accuracy, self.epochs, last_change = checkpoint
        self.applied = last_change
        self.due = [change for number, change in sorted(self.made.items()) if number > last_change]
        self.kept = {other: where for other, where in self.kept.items() if where[0] <= self.step}
        where = {} if self.is_old else {"epoch": self.epoch, "accuracy": self.accuracy, "seconds": self.seconds}
        started = Started(
            dataset="Digits",
            class_names=["a"],
            num_train=64,
            num_evaluated=4,
            evaluated_split="test",
            steps_per_epoch=STEPS,
            num_parameters=9,
            device="cpu",
            device_reason="",
            precision="float32",
            precision_reason="",
            threads=1,
            from_step=self.step,
            versions={},
            epochs=self.epochs,
            **where,
        )
        self.write(Queued(name), Preparing("Reading", 1, 2), started)
        if self.step == 0:
            self.evaluate()
        self.is_going_on = True
        self.replay()

    def replay(self) -> None:
        """Changes after the checkpoint take effect again where they did."""
        while self.due and self.due[0].step <= self.step:
            self.apply(self.due[0].number, self.due.pop(0).after)

    def evaluate(self) -> None:
        self.accuracy = (7 * self.step + 3 * self.changes) % 100 / 100
        self.write(
            Evaluated(
                epoch=self.epoch,
                step=self.step,
                examples=self.step,
                seconds=self.seconds,
                split="test",
                loss=0.5,
                accuracy=self.accuracy,
                correct=[1],
                support=[2],
                predictions=NOTHING_SAID,
                epochs=self.epochs,
            )
        )

    def train(self, count: int) -> None:
        for _ in range(count if self.is_going_on else 0):
            self.step += 1
            epoch = (self.step - 1) // STEPS + 1
            self.write(
                StepLogged(
                    step=self.step,
                    epoch=epoch,
                    examples=self.step,
                    seconds=self.seconds,
                    loss=0.5,
                    accuracy=0.5,
                    lr=0.1,
                    images_per_s=9.0,
                )
            )
            if self.step % STEPS == 0:
                self.epoch = epoch
                self.evaluate()
                self.save(f"epoch-{epoch:04d}")
            self.replay()

    def save(self, name: str = "") -> None:
        if self.is_going_on and self.step:
            name = name or f"step-{self.step:010d}"
            self.kept[name] = self.step, self.epoch, self.accuracy, self.epochs, self.applied
            self.write(CheckpointSaved(name=name, epoch=self.epoch, step=self.step, is_best=False, num_bytes=9))

    def change(self, epochs: int) -> None:
        """Not before changes that came before it."""
        if self.is_going_on and not self.due:
            self.changes += 1
            self.apply(self.changes, epochs)

    def apply(self, number: int, epochs: int) -> None:
        before, self.epochs, self.applied = self.epochs, max(epochs, self.epoch + 1), number
        change = Changed(
            number=number,
            step=self.step,
            epoch=self.epoch,
            examples=self.step,
            seconds=self.seconds,
            after_evaluation=False,
            setting="epochs",
            before=before,
            after=self.epochs,
        )
        self.made[number] = change
        self.write(change)

    def end(self, reason: str) -> None:
        """A kill leaves no word."""
        if self.is_going_on and reason != "killed":
            self.save()
            self.write(
                Ended(
                    reason=reason,
                    message="So.",
                    epoch=self.epoch,
                    step=self.step,
                    seconds=self.seconds,
                    accuracy=self.accuracy,
                    epochs=self.epochs,
                )
            )
        self.is_going_on = False


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just("last")),
        st.tuples(st.just("begin"), st.integers(1, 5).map(lambda epoch: f"epoch-{epoch:04d}")),
        st.tuples(st.just("train"), st.integers(1, 9)),
        st.tuples(st.just("change"), st.integers(1, 20)),
        st.tuples(st.just("end"), st.sampled_from(["killed", "paused", "stopped", "failed"])),
        st.tuples(st.just("save"), st.just("")),
    ),
    min_size=1,
    max_size=24,
)


def fresh() -> None:
    growing_summary.cache_clear()
    growing_history.cache_clear()
    index._listed.clear()
    index._kept.clear()


def played(actions: list[tuple], is_old: bool, home: Path) -> tuple[Trainer, Run]:
    run = create_run(open_workspace(home), config_from({"epochs": 10}))
    trainer = Trainer(run.events, is_old=is_old)
    for name, argument in actions:
        getattr(trainer, name)(argument)
    return trainer, run


def views_agree(run: Run) -> None:
    """The end alone, all of it, all but the steps, bit by bit, and the list."""
    followed, listed_before = summary_of(run), history_of(run)
    fresh()
    summary, history, story = summary_of(run), history_of(run), story_of(run)
    assert summary == followed == history.summary
    assert history.evaluations == listed_before.evaluations and list(history.steps["step"]) == list(listed_before.steps["step"])
    assert (story.summary.epoch, story.summary.accuracy, story.summary.epochs) == (
        summary.epoch,
        summary.accuracy,
        summary.epochs,
    )
    assert (story.evaluations, story.checkpoints, story.changes) == (history.evaluations, history.checkpoints, history.changes)
    status = status_of(run)
    assert (status.epoch, status.accuracy, status.seconds, status.epochs) == (
        summary.epoch,
        summary.accuracy,
        summary.seconds,
        summary.epochs,
    )
    (listed,) = (entry for entry in entries(open_workspace(run.path.parents[1])) if entry.run == run)
    assert (listed.state, listed.epoch, listed.accuracy, listed.seconds, listed.message) == (
        status.state,
        status.epoch,
        status.accuracy,
        status.seconds,
        status.message,
    )
    assert listed.epochs == (10 if status.epochs is None else status.epochs)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, is_old=st.booleans())
def test_all_views_say_what_the_trainer_knows(actions, is_old):
    with TemporaryDirectory() as home:
        trainer, run = played(actions, is_old, Path(home))
        views_agree(run)
        status, history = status_of(run), history_of(run)
        if not trainer.kept and not run.events.exists():
            return
        assert (status.epoch, status.accuracy) == (trainer.epoch, trainer.accuracy)
        assert history.config(run.config).epochs == trainer.epochs == status.epochs
        assert {event.name: event.step for event in history.checkpoints} == {
            name: where[0] for name, where in trainer.kept.items()
        }
        assert list(history.steps["step"]) == list(range(1, trainer.step + 1))
        assert history.last_evaluation is None or history.last_evaluation.epoch == trainer.epoch
        check_changes(run, {"epochs": trainer.epoch})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, is_old=st.booleans(), damage=st.lists(st.floats(0, 1), max_size=4), torn=st.integers(0, 40))
def test_views_agree_over_damaged_and_torn_files_too(actions, is_old, damage, torn):
    with TemporaryDirectory() as home:
        _, run = played(actions, is_old, Path(home))
        if not run.events.exists():
            return
        content = bytearray(run.events.read_bytes())
        for place in damage:
            content[int(place * (len(content) - 1))] ^= 1
        run.events.write_bytes(content[: len(content) - torn])
        fresh()
        views_agree(run)
        with EventWriter(run.events) as log:  # whoever goes on writes behind what is torn
            log.write(Queued())
        views_agree(run)
        assert status_of(run).state == "queued"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(open_workspace(tmp_path), config_from({"epochs": 10}))


@pytest.mark.parametrize("is_old", [False, True])
def test_after_going_back_every_view_says_where_the_run_stands_and_fewer_epochs_are_accepted(run, is_old):
    trainer = Trainer(run.events, is_old=is_old)
    trainer.begin()
    trainer.train(10 * STEPS)
    trainer.end("finished")
    assert status_of(run).epoch == 10
    trainer.begin("epoch-0003")
    status, history = status_of(run), history_of(run)
    of_third = history.evaluations[3].accuracy
    assert (status.epoch, status.accuracy) == (3, of_third) == (history.last_evaluation.epoch, history.last_evaluation.accuracy)
    assert [event.name for event in history.checkpoints] == ["epoch-0001", "epoch-0002", "epoch-0003"]
    check_changes(run, {"epochs": 5})
    views_agree(run)


def test_going_back_to_a_checkpoint_of_before_its_evaluation_takes_the_evaluation_back(run):
    trainer = Trainer(run.events)
    trainer.begin()
    trainer.train(2 * STEPS)
    where = {"epoch": 1, "accuracy": 0.5, "seconds": 4.0}
    trainer.write(
        Started(
            dataset="Digits",
            class_names=["a"],
            num_train=64,
            num_evaluated=4,
            evaluated_split="test",
            steps_per_epoch=STEPS,
            num_parameters=9,
            device="cpu",
            device_reason="",
            precision="float32",
            precision_reason="",
            threads=1,
            from_step=2 * STEPS,
            versions={},
            epochs=10,
            **where,
        )
    )
    views_agree(run)
    assert status_of(run).epoch == 1 == history_of(run).last_evaluation.epoch


def test_events_of_later_versions_are_passed_over_and_counted(run):
    trainer = Trainer(run.events)
    trainer.begin()
    trainer.train(2)
    before = history_of(run).dropped

    @dataclass(frozen=True)
    class Novelty:
        kind = "novelty"
        depth: int = 3

    with EventWriter(run.events) as log:
        log.write(Novelty())
    trainer.train(2)
    views_agree(run)
    assert history_of(run).dropped == before + 1
