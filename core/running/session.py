"""run_session: one run taken to its end in this process, from its directory alone. The worker, the command line and tests enter here.

Its phases: the run is held, its configuration prepared, the loop's events followed, the end written down.
"""

import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from core.data.splits import is_same
from core.errors import InputError
from core.files import remove_quietly, sweep, write_new
from core.jobs.slots import Slot
from core.models.first_layer import first_filters
from core.models.pretrained import begin_pretrained
from core.running import end_messages
from core.running.devices import slots_for
from core.running.prepare import Prepared, prepare
from core.running.saving import Saver
from core.runs.checkpoints import SPARE_BYTES, Resumed, has_checkpoint
from core.runs.control import Commands, take_back
from core.runs.directory import Run
from core.runs.environment import current_environment, versions, why_inexact
from core.runs.event_log import EventWriter
from core.runs.history import story_of
from core.runs.records import (
    evaluated_images,
    load_division,
    save_division,
    save_evaluated_images,
    save_filters,
    save_predictions,
)
from core.runs.status import last_event
from core.settings import changed, get
from core.training.batches import load_training_data
from core.training.divergence import Diverged
from core.training.early_stopping import Patience
from core.training.events import (
    Changed,
    EndCause,
    Ended,
    EndReason,
    Evaluated,
    Event,
    LearningWeights,
    Preparing,
    Queued,
    Started,
    StepLogged,
    ThreadsChanged,
)
from core.training.loop import TrainState, new_state, train
from core.training.threads import ThreadGovernor, available_cores, threads_for
from core.workspace import Workspace

POLL_S = 0.1
BALLAST_BYTES = 65_536
OnEvent = Callable[[Event], None]
OnChange = Callable[[int, str, Any], bool]


class _Leave(Exception):
    """Training is to end before its last epoch."""

    def __init__(self, reason: EndReason, cause: EndCause = "") -> None:
        super().__init__(reason)
        self.reason: EndReason = reason
        self.cause: EndCause = cause


def _not_yet(number: int, setting: str, value: Any) -> bool:
    return False


class Desk:
    """Where one process writes a run's events and hears its commands. pause_cause: of a pause that should_pause asks for."""

    def __init__(
        self, run: Run, log: EventWriter, should_pause: Callable[[], bool], on_event: OnEvent, pause_cause: EndCause
    ) -> None:
        self.run, self.log = run, log
        self.should_pause, self.listeners = should_pause, [on_event]
        self.pause_cause: EndCause = pause_cause
        self.commands = Commands(run)
        self.next_poll = 0.0
        self.told = 0.0
        self.progress_told = ("", 0)

    def tell(self, event: Event) -> None:
        self.log.write(event)
        for listener in self.listeners:
            listener(event)

    def listen(self, on_change: OnChange = _not_yet) -> None:
        """Passes changes on, and raises _Leave if somebody wants the training to end. Cheap enough for every step.

        on_change: whether the change was taken; one that was not is passed on again.
        """
        now = time.monotonic()
        if now < self.next_poll:
            return
        self.next_poll = now + POLL_S
        if self.should_pause():
            raise _Leave("paused", self.pause_cause)
        for command in self.commands.waiting():
            if command.kind == "change" and not on_change(command.number, command.setting, command.value):
                self.commands.seen = ()
                continue
            self.commands.done(command)
            if command.kind == "stop":
                raise _Leave("stopped")
            if command.kind == "pause":
                raise _Leave("paused", "hand")

    def listen_now(self, on_change: OnChange) -> None:
        self.next_poll, self.commands.seen = 0.0, ()
        self.listen(on_change)

    def progress(self, what: str, done: int, total: int) -> None:
        """Told at most five times a second."""
        self.listen()
        now = time.monotonic()
        if now - self.told > 0.2 and (what, done) != self.progress_told:
            self.told, self.progress_told = now, (what, done)
            self.tell(Preparing(what, done, total))


class Session:
    """A run that has been prepared, brought to the checkpoint it goes on from: the loop's events followed, changes made, checkpoints saved."""

    def __init__(self, workspace: Workspace, desk: Desk, prepared: Prepared, from_checkpoint: str) -> None:
        self.desk, self.run, self.prepared = desk, desk.run, prepared
        config, compute = prepared.config, prepared.plan.compute
        torch.manual_seed(config.seed)
        self.data = load_training_data(prepared.store, prepared.division, config, compute.device)
        model = prepared.network.build()
        if config.model.is_pretrained and not has_checkpoint(self.run):
            begin_pretrained(model, workspace, config.model.name)
        self.state = new_state(config, model, compute.device)
        self._check_images()
        self.saver = Saver(self.run, prepared.network, prepared.plan.steps_per_epoch)
        resumed = self._resume(from_checkpoint)
        self.before, self.last_change = resumed.environment, resumed.last_change
        self.due = self._due_changes(from_checkpoint)
        self.tensorboard = _tensorboard(self.run, self.state.step) if config.tensorboard else None
        if self.tensorboard:
            desk.listeners.append(self.tensorboard.add)

    def _check_images(self) -> None:
        """Raises InputError if a run that goes on would meet other images than those it began with."""
        store, division, evaluated = self.prepared.store, self.prepared.division, self.data.evaluated.numpy()
        indices, labels = evaluated_images(self.run)
        is_other = len(indices) > 0 and not (
            np.array_equal(indices, evaluated) and np.array_equal(labels, division.labels[evaluated])
        )
        before = load_division(self.run)
        started = story_of(self.run).started
        earlier = started.pictures if started else ""
        is_other |= earlier not in ("", store.meta.checksums["images.npy"])
        if is_other or (before is not None and not is_same(before, division)):
            raise InputError(
                f"The images of '{store.meta.title}' are not those this run began with.",
                code="dataset",
                hint="Put them back as they were, or start a new run.",
            )

    def _resume(self, from_checkpoint: str) -> Resumed:
        """Brings the state to the checkpoint, if there is one."""
        sweep(self.run.records, ".tmp-")
        return self.saver.load(self.state, from_checkpoint)

    def _due_changes(self, from_checkpoint: str) -> list[Changed]:
        """Changes of earlier sessions that lie after the checkpoint: they take effect where they did before."""
        sent = {command.setting for command in self.desk.commands.waiting() if command.kind == "change"}
        if sent and from_checkpoint != "last":  # whoever goes back to change something does not want the old changes again
            return []
        later = [change for number, change in sorted(story_of(self.run).all_changes().items()) if number > self.last_change]
        # a setting that is changed now is not changed again to what it was: that may be what the run had failed by
        return [change for change in later if change.setting not in sent]

    def _set_threads(self) -> int:
        config, meta = self.prepared.config, self.prepared.store.meta
        threads = config.threads or min(self.before.get("threads", 0), available_cores())
        threads = threads or threads_for(config.batch_size, meta.shape)
        torch.set_num_threads(threads)
        return threads

    def _started(self, threads: int) -> Started:
        prepared, state = self.prepared, self.state
        plan, meta, compute = prepared.plan, prepared.store.meta, prepared.plan.compute
        return Started(
            dataset=plan.dataset.title,
            class_names=list(prepared.division.class_names),
            num_train=len(self.data.train),
            num_evaluated=len(self.data.evaluated),
            evaluated_split=prepared.config.data.evaluate_on,
            steps_per_epoch=plan.steps_per_epoch,
            num_parameters=plan.model.num_parameters,
            device=str(compute.device),
            device_reason=compute.device_reason,
            precision=compute.precision,
            precision_reason=compute.precision_reason,
            threads=threads,
            from_step=state.step,
            versions=versions(),
            epochs=state.config.epochs,
            store=prepared.store.path.name,
            pictures=meta.checksums["images.npy"],
            inexact=why_inexact(self.before, self.saver.environment) if state.step else "",
            epoch=state.epoch if state.is_evaluated or state.step_in_epoch else max(state.epoch - 1, 0),
            accuracy=state.accuracy,
            seconds=state.seconds,
        )

    def follow(self) -> None:
        """Follows the loop to the last epoch. Raises _Leave, Diverged, InputError, OSError and what a want of memory raises."""
        config, compute, state = self.prepared.config, self.prepared.plan.compute, self.state
        threads = self._set_threads()
        self.saver.environment = current_environment(compute, threads)
        evaluated = self.data.evaluated.numpy()
        save_evaluated_images(self.run, evaluated, self.prepared.division.labels[evaluated])
        save_division(self.run, self.prepared.division)
        self.desk.tell(self._started(threads))
        if saved := self.saver.cut_off(state):
            self.desk.tell(saved)
        governor = ThreadGovernor(1 if config.threads or compute.device.type != "cpu" else threads)
        self.saver.wait()
        self._replay()
        self.desk.listen_now(self._take)
        for event in train(self.data, len(self.prepared.division.class_names), state, compute):
            match event:
                case StepLogged() | LearningWeights():
                    self.desk.tell(event)
                case Evaluated():
                    self._evaluated(event)
            self._replay()
            self.desk.listen(self._take)
            if fewer_or_more := governor.adjust():
                self.desk.tell(ThreadsChanged(state.step, fewer_or_more))
            if self.saver.is_due(state):
                self.save()

    def _evaluated(self, event: Evaluated) -> None:
        if not math.isfinite(event.loss):
            raise Diverged(f"the loss on the {event.split} split", event.step, event.epoch)
        assert event.predictions is not None, "the loop's own"
        save_predictions(self.run, event.epoch, event.predictions)
        if (filters := first_filters(self.state.model, self.prepared.store.meta.shape)) is not None:
            save_filters(self.run, event.epoch, filters)
        self.desk.tell(event)
        if event.epoch > 0:
            self.save()
        elif self.tensorboard:
            self.tensorboard.add_samples(self.data)
        if event.epoch == 1 and self.tensorboard:
            self.tensorboard.add_graph(self.state.model, self.data)

    def _replay(self) -> None:
        """Changes that were made after the checkpoint take effect where they did before, so that going on stays exact."""
        while self.due:
            change = self.due[0]
            if (self.state.step, self.state.is_evaluated) < (change.step, change.after_evaluation):
                return
            self.due.pop(0)
            self._change(change.number, change.setting, change.after)

    def _take(self, number: int, setting: str, value: Any) -> bool:
        """A change that was sent: not before changes that came before it."""
        if self.due:
            return False
        if number > self.last_change:  # else it was on disk already when a session was killed
            self._change(number, setting, value)
        return True

    def _change(self, number: int, setting: str, value: Any) -> None:
        """The change holds from the next step on."""
        state = self.state
        if setting == "epochs":  # the one it is in is trained to its end
            value = max(value, state.epoch + (state.step_in_epoch > 0))
        before = get(state.config, setting)
        state.config = changed(state.config, {setting: value})
        if setting.startswith("early_stopping.") or state.is_out_of_patience:
            state.patience = Patience()  # begins anew, also where it had ended the run
        self.last_change = number
        self.desk.tell(
            Changed(
                number=number,
                step=state.step,
                epoch=state.epoch,
                examples=state.examples,
                seconds=state.seconds,
                after_evaluation=state.is_evaluated,
                setting=setting,
                before=before,
                after=value,
            )
        )
        self.desk.log.flush_to_disk()

    def save(self) -> None:
        """A checkpoint of where training stands."""
        self.desk.log.flush_to_disk()  # no checkpoint may outlive the events before it
        if saved := self.saver.save(self.state, self.last_change):
            self.desk.tell(saved)

    @property
    def kept(self) -> str:
        """Which checkpoint there is to go on from, as a sentence."""
        return f"The last checkpoint, {self.saver.last.name}, is kept." if self.saver.last else NOTHING_KEPT

    def close(self) -> None:
        if self.tensorboard:
            try:
                self.tensorboard.close()
            except OSError:
                logging.exception("TensorBoard files could not be completed")  # the run's own events are complete without them


NOTHING_KEPT = "No checkpoint had been saved yet; resuming begins again."


def _tensorboard(run: Run, from_step: int):
    from core.running.tensorboard import TensorBoardWriter

    return TensorBoardWriter(run, from_step)


class _Course:
    """One process's way with a run: the desk from the start, a session once there is one. What ends it is told in sentences."""

    def __init__(self, workspace: Workspace, desk: Desk) -> None:
        self.workspace, self.desk = workspace, desk
        self.session: Session | None = None  # none yet while it waits for a device and is prepared

    def to_the_end(self, from_checkpoint: str) -> Ended:
        try:
            try:
                state = self._follow(from_checkpoint)
            except _Leave as leave:
                return self._left(leave)
            too_late = end_messages.too_late(take_back(self.desk.run, "change"))
            return self.ended("finished", end_messages.finished(state) + too_late)
        except Diverged as error:
            config = self.session.state.config if self.session else self.desk.run.config
            lr = config.optimizer.lr
            calmer = end_messages.calmer_rate(lr, story_of(self.desk.run).all_changes().values())
            return self.ended("failed", end_messages.diverged(error, lr, calmer, self.kept), "diverged")
        except InputError as error:
            return self.ended("failed", str(error))
        except (MemoryError, RuntimeError) as error:
            if not end_messages.is_want_of_memory(error):
                raise
            logging.exception("out of memory")
            state = self.session.state if self.session else None
            return self.ended("failed", end_messages.out_of_memory(self.desk.run.config, state, self.kept))

    def _follow(self, from_checkpoint: str) -> TrainState:
        slot, lock = self._wait_for_device()
        try:
            prepared = prepare(self.workspace, self.desk.run.config, self.desk.progress, slot)
            self.session = Session(self.workspace, self.desk, prepared, from_checkpoint)
            self.session.follow()
            return self.session.state
        finally:
            lock.release()

    def _wait_for_device(self) -> tuple[Slot, FileLock]:
        """A device that the configuration asks for, and its lock, once nobody on this machine trains on it."""
        slots = slots_for(self.desk.run.config.device)
        while True:
            for slot in slots:
                if lock := slot.hold(POLL_S / len(slots)):
                    return slot, lock
            self.desk.progress("Waiting for another training on this device to end", 0, 0)

    def _left(self, leave: _Leave) -> Ended:
        step = 0
        if self.session and (step := self.session.state.step):
            self.session.save()
        return self.ended(leave.reason, end_messages.left(leave.reason, leave.cause, step), leave.cause)

    @property
    def kept(self) -> str:
        return self.session.kept if self.session else NOTHING_KEPT

    def what_failed(self, error: OSError) -> str:
        """A file operation that failed, in a sentence with the room that is needed."""
        if self.session is None:
            return end_messages.files_failed(error, SPARE_BYTES, shutil.disk_usage(self.desk.run.path).free, self.kept)
        saver, state = self.session.saver, self.session.state
        return end_messages.files_failed(error, saver.bytes_needed(state), saver.bytes_free(), self.kept)

    def ended(self, reason: EndReason, message: str, cause: EndCause = "") -> Ended:
        if self.session is None:
            return Ended(reason=reason, message=message, cause=cause)
        state = self.session.state
        best = state.best
        return Ended(
            reason=reason,
            message=message,
            epoch=state.epoch,
            step=state.step,
            seconds=state.seconds,
            accuracy=state.accuracy,
            best_accuracy=best.accuracy if best else None,
            best_epoch=best.epoch if best else None,
            cause=cause,
            epochs=state.config.epochs,
        )

    def close(self) -> None:
        if self.session:
            self.session.close()


def run_session(
    workspace: Workspace,
    run: Run,
    should_pause: Callable[[], bool] = lambda: False,
    on_event: OnEvent = lambda event: None,
    from_checkpoint: str = "last",
    check: Callable[[], None] = lambda: None,
) -> Ended:
    """Takes the run to its end, or until it is told to stop, and says how it ended. Goes on from a checkpoint, if there is one.

    should_pause: asked several times a second; once true (Ctrl-C), the run is saved and paused. A file that can't be
    written pauses it too. Raises InputError if another process trains the run, or if not even the end could be written down.
    A fault of our own is written to the events as "failed" and raised again. check: may refuse, once nobody else can train the run any more.
    """
    with _held(run):
        check()
        return _seen_through(workspace, run, should_pause, on_event, from_checkpoint, "hand")


def run_queued_session(workspace: Workspace, run: Run, should_pause: Callable[[], bool]) -> Ended | None:
    """The same for a run that waits in the queue; None if it waits no longer, because it was taken out or somebody was quicker."""
    with _held(run):
        last = last_event(run)
        if not isinstance(last, Queued):
            return None
        return _seen_through(workspace, run, should_pause, lambda event: None, last.from_checkpoint, "server")


@contextmanager
def _held(run: Run) -> Iterator[None]:
    try:
        lock = run.hold(timeout_s=2)  # a page that asks whether the run is alive holds the lock for a moment
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        raise InputError(
            f"The files of {run.id} can't be written ({os.strerror(error.errno) if error.errno else error}).",
            code="disk",
            hint="What was saved before is kept. Mend the disk or its rights, then resume.",
        ) from error


def _seen_through(
    workspace: Workspace,
    run: Run,
    should_pause: Callable[[], bool],
    on_event: OnEvent,
    from_checkpoint: str,
    pause_cause: EndCause,
) -> Ended:
    ballast = run.path / "ballast"
    with EventWriter(run.events) as log:
        course = _Course(workspace, Desk(run, log, should_pause, on_event, pause_cause))
        try:
            remove_quietly(ballast)
            write_new(ballast, bytes(BALLAST_BYTES))  # room for the last words where the disk is full
            ended = course.to_the_end(from_checkpoint)
        except OSError as error:
            logging.exception("a file operation failed")
            ended = course.ended("paused", course.what_failed(error), "files")
        except Exception as error:
            said = f"Something in Trainscope went wrong ({type(error).__name__}); worker.log in the run's folder has the details."
            course.desk.tell(course.ended("failed", f"{said} {course.kept}"))
            raise
        finally:
            remove_quietly(ballast)
            course.close()
        course.desk.tell(ended)
        return ended
