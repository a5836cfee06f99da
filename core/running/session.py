"""train_in: one run trained in this process, from its directory alone. The worker, the command line and tests all enter here."""

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

from core.config import TrainConfig
from core.data.sets import dataset_info, divide, prepare_store
from core.data.splits import Division, is_same
from core.data.store.image_store import ImageStore
from core.errors import InputError
from core.files import remove_quietly, sweep, write_new
from core.jobs.slots import Slot
from core.models.first_layer import first_filters
from core.models.network_spec import NetworkSpec
from core.models.pretrained import begin_pretrained
from core.running import end_messages as end_messages
from core.running.devices import slots_for
from core.running.plan import Plan, plan_for
from core.running.saving import Saver
from core.runs.checkpoints import SPARE_BYTES, has_checkpoint
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
    Ended,
    Evaluated,
    Event,
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


class _Leave(Exception):
    """Training is to end before its last epoch."""

    def __init__(self, reason: str, cause: str = "") -> None:
        self.reason, self.cause = reason, cause


class Session:
    """One process's hold on one run: writes its events, hears its commands, saves its checkpoints."""

    def __init__(
        self, workspace: Workspace, run: Run, log: EventWriter, should_pause: Callable[[], bool], on_event: OnEvent
    ) -> None:
        self.workspace, self.run, self.log = workspace, run, log
        self.should_pause, self.on_event = should_pause, on_event
        self.pause_cause = "hand"
        self.commands = Commands(run)
        self.next_poll = 0.0
        self.told = 0.0
        self.progress_told = ("", 0)
        self.state: TrainState | None = None
        self.saver: Saver | None = None
        # changes of earlier sessions that lie after the checkpoint: they take effect where they did before
        self.due: list[Changed] = []
        self.last_change = 0
        self.tensorboard = None

    def tell(self, event: Event) -> None:
        self.log.write(event)
        self.on_event(event)

    def listen(self) -> None:
        """Applies changes, and raises _Leave if somebody wants the training to end. Cheap enough for every step."""
        now = time.monotonic()
        if now < self.next_poll:
            return
        self.next_poll = now + POLL_S
        if self.should_pause():
            raise _Leave("paused", self.pause_cause)
        for command in self.commands.waiting():
            if command.kind == "change":
                if self.state is None or self.due:  # not before the start, and not before changes that came before it
                    self.commands.seen = ()
                    continue
                if command.number > self.last_change:  # else it was on disk already when a session was killed
                    self._change(command.number, command.setting, command.value)
            self.commands.done(command)
            if command.kind == "stop":
                raise _Leave("stopped")
            if command.kind == "pause":
                raise _Leave("paused", "hand")

    def progress(self, what: str, done: int, total: int) -> None:
        """Told at most five times a second."""
        self.listen()
        now = time.monotonic()
        if now - self.told > 0.2 and (what, done) != self.progress_told:
            self.told, self.progress_told = now, (what, done)
            self.tell(Preparing(what, done, total))

    def wait_for_device(self) -> tuple[Slot, FileLock]:
        """A device that the configuration asks for, and its lock, once nobody on this machine trains on it."""
        slots = slots_for(self.run.config)
        while True:
            for slot in slots:
                if lock := slot.hold(POLL_S / len(slots)):
                    return slot, lock
            self.progress("Waiting for another training on this device to end", 0, 0)

    def train(self, from_checkpoint: str) -> None:
        config = self.run.config
        _, lock = self.wait_for_device()
        try:
            store = prepare_store(self.workspace, config.data.dataset, config.preprocessing, self.progress)
            division = divide(self.workspace, store, config.data)
            plan = plan_for(config, dataset_info(self.workspace, config))
            self._train_on(store, division, resolved(config, store), plan, from_checkpoint)
        finally:
            lock.release()

    def _train_on(self, store: ImageStore, division: Division, config: TrainConfig, plan: Plan, from_checkpoint: str) -> None:
        compute = plan.compute
        torch.manual_seed(config.seed)
        data = load_training_data(store, division, config, compute.device)
        network = NetworkSpec(
            model=config.model,
            shape=store.meta.shape,
            class_names=store.meta.class_names,
            preprocessing=config.preprocessing,
        )
        model = network.build()
        if config.model.weights == "pretrained" and not has_checkpoint(self.run):
            begin_pretrained(model, self.workspace, config.model.name)
        state = new_state(config, model, compute.device)
        self._check_images(store, division, data.evaluated.numpy())
        self.saver = Saver(self.run, network, plan.steps_per_epoch)
        before = self._resume(state, from_checkpoint)
        threads = config.threads or min(before.get("threads", 0), available_cores())
        threads = threads or threads_for(config.batch_size, store.meta.shape)
        torch.set_num_threads(threads)
        environment = self.saver.environment = current_environment(compute, threads)
        self.state = state
        save_evaluated_images(self.run, data.evaluated.numpy(), division.labels[data.evaluated.numpy()])
        save_division(self.run, division)
        self.tell(
            Started(
                dataset=plan.spec.title,
                class_names=store.meta.class_names,
                num_train=len(data.train),
                num_evaluated=len(data.evaluated),
                evaluated_split=config.data.evaluate_on,
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
                store=store.path.name,
                pictures=store.meta.checksums["images.npy"],
                inexact=why_inexact(before, environment) if state.step else "",
                epoch=_evaluated_epoch(state),
                accuracy=state.accuracy,
                seconds=state.seconds,
            )
        )
        if saved := self.saver.cut_off(state):
            self.tell(saved)
        if config.tensorboard:
            from core.running.tensorboard import TensorBoardWriter

            self.tensorboard = TensorBoardWriter(self.run, state.step)
        governor = ThreadGovernor(1 if config.threads or compute.device.type != "cpu" else threads)
        self.saver.wait()
        self._listen_now()
        for event in train(data, store.num_classes, state, compute):
            match event:
                case StepLogged():
                    self._write(event)
                case Evaluated():
                    if not math.isfinite(event.loss):
                        raise Diverged(f"the loss on the {event.split} split", event.step, event.epoch)
                    save_predictions(self.run, event.epoch, event.predictions)
                    if (filters := first_filters(state.model, store.meta.shape)) is not None:
                        save_filters(self.run, event.epoch, filters)
                    self._write(event)
                    if event.epoch > 0:
                        self.save()
                    elif self.tensorboard:
                        self.tensorboard.add_samples(data)
                    if event.epoch == 1 and self.tensorboard:
                        self.tensorboard.add_graph(state.model, data)
            self._replay()
            self.listen()
            if fewer_or_more := governor.adjust():
                self.tell(ThreadsChanged(state.step, fewer_or_more))
            if self.saver.is_due(state):
                self.save()

    def _write(self, event: Event) -> None:
        self.tell(event)
        if self.tensorboard:
            self.tensorboard.add(event)

    def _check_images(self, store: ImageStore, division: Division, evaluated: np.ndarray) -> None:
        """Raises InputError if a run that goes on would meet other pictures than those it began with."""
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
                f"The pictures of '{store.meta.title}' are not those this run began with.",
                code="dataset",
                hint="Put them back as they were, or start a new run.",
            )

    def _resume(self, state: TrainState, from_checkpoint: str) -> dict[str, Any]:
        """Brings the state to the checkpoint, if there is one. Returns the surroundings it was taken in."""
        sweep(self.run.records, ".tmp-")
        resumed = self.saver.load(state, from_checkpoint)
        self.last_change = resumed.last_change
        changes = story_of(self.run).all_changes()
        self.due = [change for number, change in sorted(changes.items()) if number > self.last_change]
        sent = {command.setting for command in self.commands.waiting() if command.kind == "change"}
        if sent and from_checkpoint != "last":  # whoever goes back to change something does not want the old changes again
            self.due = []
        # a setting that is changed now is not changed again to what it was: that may be what the run had failed by
        self.due = [change for change in self.due if change.setting not in sent]
        return resumed.environment

    def _replay(self) -> None:
        """Changes that were made after the checkpoint take effect where they did before, so that going on stays exact."""
        while self.due:
            change = self.due[0]
            here = (self.state.step, self.state.is_evaluated)
            if here < (change.step, change.after_evaluation):
                return
            self.due.pop(0)
            self._change(change.number, change.setting, change.after)

    def _listen_now(self) -> None:
        self._replay()
        self.next_poll, self.commands.seen = 0.0, ()
        self.listen()

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
        self.tell(
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
        self.log.flush_to_disk()

    def save(self) -> None:
        """A checkpoint of where training stands."""
        self.log.flush_to_disk()  # no checkpoint may outlive the events before it
        if saved := self.saver.save(self.state, self.last_change):
            self.tell(saved)

    @property
    def kept(self) -> str:
        """Which checkpoint there is to go on from, as a sentence."""
        if self.saver is None or self.saver.last is None:
            return "No checkpoint had been saved yet; resuming begins again."
        return f"The last checkpoint, {self.saver.last.name}, is kept."

    def what_failed(self, error: OSError) -> str:
        """A file operation that failed, in a sentence with the room that is needed."""
        if self.saver is None or self.state is None:
            return end_messages.files_failed(error, SPARE_BYTES, shutil.disk_usage(self.run.path).free, self.kept)
        return end_messages.files_failed(error, self.saver.bytes_needed(self.state), self.saver.bytes_free(), self.kept)

    def close_tensorboard(self) -> None:
        if self.tensorboard:
            try:
                self.tensorboard.close()
            except OSError:
                logging.exception("TensorBoard files could not be completed")  # the run's own events are complete without them

    def ended(self, reason: str, message: str, cause: str = "") -> Ended:
        state = self.state
        best = state.best if state else None
        return Ended(
            reason,
            message,
            epoch=state.epoch if state else 0,
            step=state.step if state else 0,
            seconds=state.seconds if state else 0.0,
            accuracy=state.accuracy if state else None,
            best_accuracy=best.accuracy if best else None,
            best_epoch=best.epoch if best else None,
            cause=cause,
            epochs=state.config.epochs if state else None,
        )


def train_in(
    workspace: Workspace,
    run: Run,
    should_pause: Callable[[], bool] = lambda: False,
    on_event: OnEvent = lambda event: None,
    from_checkpoint: str = "last",
    check: Callable[[], None] = lambda: None,
) -> Ended:
    """Trains the run to its end, or until it is told to stop, and says how it ended. Goes on from a checkpoint, if there is one.

    should_pause: asked several times a second; once true (Ctrl-C), the run is saved and paused. A file that can't be
    written pauses it too. Raises InputError if another process trains the run, or if not even the end could be written down.
    A fault of our own is written to the events as "failed" and raised again. check: may refuse, once nobody else can train the run any more.
    """
    with _held(run):
        check()
        return _train_held(workspace, run, should_pause, on_event, from_checkpoint)


def train_queued(workspace: Workspace, run: Run, should_pause: Callable[[], bool]) -> Ended | None:
    """The same for a run that waits in the queue; None if it waits no longer, because it was taken out or somebody was quicker."""
    with _held(run):
        last = last_event(run)
        if not isinstance(last, Queued):
            return None
        return _train_held(workspace, run, should_pause, lambda event: None, last.from_checkpoint, "server")


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


def _train_held(
    workspace: Workspace, run: Run, should_pause: Callable[[], bool], on_event: OnEvent, from_checkpoint: str, cause: str = "hand"
) -> Ended:
    ballast = run.path / "ballast"
    with EventWriter(run.events) as log:
        session = Session(workspace, run, log, should_pause, on_event)
        session.pause_cause = cause
        try:
            remove_quietly(ballast)
            write_new(ballast, bytes(BALLAST_BYTES))  # room for the last words where the disk is full
            ended = _trained(session, from_checkpoint)
        except OSError as error:
            logging.exception("a file operation failed")
            ended = session.ended("paused", session.what_failed(error), "files")
        except Exception as error:
            said = f"Something in Trainscope went wrong ({type(error).__name__}); worker.log in the run's folder has the details."
            session.tell(session.ended("failed", f"{said} {session.kept}"))
            raise
        finally:
            remove_quietly(ballast)
            session.close_tensorboard()
        session.tell(ended)
        return ended


def _trained(session: Session, from_checkpoint: str) -> Ended:
    try:
        try:
            session.train(from_checkpoint)
            too_late = end_messages.too_late(take_back(session.run, "change"))
            return session.ended("finished", end_messages.finished(session.state) + too_late)
        except _Leave as leave:
            if step := session.state.step if session.state else 0:
                session.save()
            return session.ended(leave.reason, end_messages.left(leave.reason, leave.cause, step), leave.cause)
    except Diverged as error:
        lr = session.state.config.optimizer.lr
        calmer = end_messages.calmer_rate(lr, story_of(session.run).all_changes().values())
        return session.ended("failed", end_messages.diverged(error, lr, calmer, session.kept), "diverged")
    except InputError as error:
        return session.ended("failed", str(error))
    except (MemoryError, RuntimeError) as error:
        if not end_messages.is_want_of_memory(error):
            raise
        logging.exception("out of memory")
        return session.ended("failed", end_messages.out_of_memory(session.run.config, session.state, session.kept))


def _evaluated_epoch(state: TrainState) -> int:
    """The epoch of the last evaluation by then."""
    return state.epoch if state.is_evaluated or state.step_in_epoch else max(state.epoch - 1, 0)


def resolved(config: TrainConfig, store: ImageStore) -> TrainConfig:
    """The configuration with what was left to the set filled in: mean, standard deviation, the way drawings are treated."""
    given = config.preprocessing
    return changed(
        config,
        {
            "preprocessing.mean": given.mean or store.meta.mean,
            "preprocessing.std": given.std or store.meta.std,
            "preprocessing.drawing": store.meta.drawing if given.drawing == "auto" else given.drawing,
        },
    )
