"""train_in: one run trained in this process, from its directory alone. The worker, the command line and tests all enter here."""

import importlib.metadata
import logging
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from filelock import FileLock, Timeout

from core.config import TrainConfig
from core.data.catalogue import data_spec, prepare_store
from core.data.store import PictureStore
from core.errors import InputError
from core.models.network import NetworkSpec
from core.runs.checkpoints import find_checkpoint, load_state, point, prune, save_checkpoint
from core.runs.control import Commands
from core.runs.directory import Run, read_json
from core.runs.event_log import EventWriter
from core.runs.plan import Plan, plan_for
from core.runs.records import evaluated_pictures, save_evaluated_pictures, save_predictions
from core.settings import changed
from core.training.batches import load_training_data
from core.training.device import choose_compute
from core.training.events import (
    CheckpointSaved,
    Ended,
    Evaluated,
    Event,
    Preparing,
    Started,
    StepLogged,
    ThreadsChanged,
)
from core.training.loop import TrainState, new_state, train
from core.training.threads import ThreadGovernor, threads_for
from core.workspace import Workspace

POLL_S = 0.1
OnEvent = Callable[[Event], None]


class _Leave(Exception):
    """Training is to end before its last epoch, for this reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Session:
    """One process's hold on one run: writes its events, hears its commands, saves its checkpoints."""

    def __init__(
        self, workspace: Workspace, run: Run, log: EventWriter, should_pause: Callable[[], bool], on_event: OnEvent
    ) -> None:
        self.workspace, self.run, self.log = workspace, run, log
        self.should_pause, self.on_event = should_pause, on_event
        self.commands = Commands(run)
        self.next_poll = 0.0
        self.next_save = 0.0
        self.told = 0.0
        self.progress_told = ("", 0)
        self.state: TrainState | None = None
        self.network: NetworkSpec | None = None
        self.accuracy: float | None = None
        self.best: tuple[float, int] | None = None  # accuracy, epoch
        self.tensorboard = None

    def tell(self, event: Event) -> None:
        self.log.write(event)
        self.on_event(event)

    def listen(self) -> None:
        """Raises _Leave if somebody wants the training to end. Cheap enough for every step."""
        now = time.monotonic()
        if now < self.next_poll:
            return
        self.next_poll = now + POLL_S
        if self.should_pause():
            raise _Leave("paused")
        match self.commands.new():
            case "stop":
                raise _Leave("stopped")
            case "pause":
                raise _Leave("paused")

    def progress(self, what: str, done: int, total: int) -> None:
        """Told at most five times a second."""
        self.listen()
        now = time.monotonic()
        if now - self.told > 0.2 and (what, done) != self.progress_told:
            self.told, self.progress_told = now, (what, done)
            self.tell(Preparing(what, done, total))

    def wait_for_device(self, device: torch.device) -> FileLock:
        """The lock of the device, once nobody else trains on it."""
        lock = FileLock(self.workspace.locks / f"{device.type}.lock")
        while True:
            try:
                lock.acquire(timeout=POLL_S)
                return lock
            except Timeout:
                self.progress("Waiting for another training on this device to end", 0, 0)

    def train(self) -> None:
        config = self.run.config
        lock = self.wait_for_device(choose_compute(config).device)
        try:
            store = prepare_store(self.workspace, config.data.dataset, config.preprocessing, self.progress)
            plan = plan_for(config, data_spec(self.workspace, config))
            self._train_on(store, resolved(config, store), plan)
        finally:
            lock.release()

    def _train_on(self, store: PictureStore, config: TrainConfig, plan: Plan) -> None:
        compute = plan.compute
        threads = config.threads or threads_for(config.batch_size, store.meta.shape)
        torch.set_num_threads(threads)
        torch.manual_seed(config.seed)
        data = load_training_data(store, config, compute.device)
        self.network = NetworkSpec(
            model=config.model,
            shape=store.meta.shape,
            class_names=store.meta.class_names,
            preprocessing=config.preprocessing,
        )
        self.state = new_state(config, self.network.build(), compute.device)
        self._check_pictures(store, data.evaluated.numpy())
        self._resume()
        save_evaluated_pictures(self.run, data.evaluated.numpy(), store.labels[data.evaluated.numpy()])
        self.tell(
            Started(
                dataset=store.meta.title, class_names=store.meta.class_names, num_train=len(data.train),
                num_evaluated=len(data.evaluated), evaluated_split=config.data.evaluate_on,
                steps_per_epoch=plan.steps_per_epoch, num_parameters=plan.model.num_parameters,
                device=str(compute.device), device_reason=compute.device_reason, precision=compute.precision,
                precision_reason=compute.precision_reason, threads=threads, from_step=self.state.step,
                versions={name: importlib.metadata.version(name) for name in ("torch", "numpy")},
            )
        )  # fmt: skip
        if config.tensorboard:
            from core.runs.tensorboard import TensorBoardWriter

            self.tensorboard = TensorBoardWriter(self.run, self.state.step)
        governor = ThreadGovernor(1 if config.threads or compute.device.type != "cpu" else threads)
        self.next_save = time.monotonic() + config.checkpoint.every_seconds
        for event in train(config, data, store.num_classes, self.state, compute):
            match event:
                case StepLogged():
                    self._write(event)
                    if not math.isfinite(event.loss):
                        raise InputError(DIVERGED)
                case Evaluated():
                    if not math.isfinite(event.loss):
                        raise InputError(DIVERGED)
                    save_predictions(self.run, event.epoch, event.predictions)
                    self._write(event)
                    self.accuracy = event.accuracy
                    if event.epoch > 0:
                        self.save()
                    elif self.tensorboard:
                        self.tensorboard.add_samples(data)
                    if event.epoch == 1 and self.tensorboard:
                        self.tensorboard.add_graph(self.state.model, data)
            self.listen()
            if fewer_or_more := governor.adjust():
                self.tell(ThreadsChanged(self.state.step, fewer_or_more))
            if time.monotonic() > self.next_save and self.state.step_in_epoch:
                self.save()

    def _write(self, event: Event) -> None:
        self.tell(event)
        if self.tensorboard:
            self.tensorboard.add(event)

    def _check_pictures(self, store: PictureStore, evaluated: np.ndarray) -> None:
        """Raises InputError if a run that goes on would meet other pictures than those it began with."""
        indices, labels = evaluated_pictures(self.run)
        if len(indices) and not (np.array_equal(indices, evaluated) and np.array_equal(labels, store.labels[evaluated])):
            raise InputError(
                f"The pictures of '{store.meta.title}' are not those this run began with.",
                code="dataset",
                hint="Put them back as they were, or start a new run.",
            )

    def _resume(self) -> None:
        """Goes on from the last checkpoint, if there is one."""
        if (self.run.checkpoints / "last.json").exists():
            load_state(find_checkpoint(self.run, "last"), self.state)
            best = read_json(self.run.checkpoints / "best.json")
            if best:
                self.best = (best["accuracy"], best["epoch"])

    def save(self) -> None:
        """A checkpoint of where training stands; best and last point to it as they should."""
        state = self.state
        if not all(bool(tensor.isfinite().all()) for tensor in state.model.state_dict().values()):
            raise InputError(DIVERGED)  # not noticed yet: records of the loss may be rare
        is_best = state.is_evaluated and (self.best is None or self.accuracy > self.best[0])
        checkpoint = save_checkpoint(self.run, state, self.network, self.accuracy if state.is_evaluated else None)
        if is_best:
            self.best = (self.accuracy, state.epoch)
            point(self.run, "best", checkpoint, accuracy=self.accuracy, epoch=state.epoch)
        point(self.run, "last", checkpoint)
        prune(self.run, self.run.config.checkpoint.every_epochs)
        self.tell(CheckpointSaved(checkpoint.name, state.epoch, state.step, is_best))
        self.next_save = time.monotonic() + self.run.config.checkpoint.every_seconds

    def ended(self, reason: str, message: str) -> Ended:
        state = self.state
        best_accuracy, best_epoch = self.best or (None, None)
        return Ended(
            reason, message, epoch=state.epoch if state else 0, step=state.step if state else 0,
            seconds=state.seconds if state else 0.0, accuracy=self.accuracy, best_accuracy=best_accuracy, best_epoch=best_epoch,
        )  # fmt: skip


DIVERGED = (
    "The loss is no longer a finite number: training has diverged. Checkpoints saved before are kept. Try a lower learning rate."
)


def train_in(
    workspace: Workspace,
    run: Run,
    should_pause: Callable[[], bool] = lambda: False,
    on_event: OnEvent = lambda event: None,
) -> Ended:
    """Trains the run to its end, or until it is told to stop, and says how it ended. Goes on from its last checkpoint.

    should_pause: asked several times a second; once true (the server is gone, Ctrl-C), the run is saved and paused. Raises InputError if another
    process trains the run. A fault of our own is written to the events as "failed" and raised again.
    """
    lock = run.hold(timeout_s=2)  # a page that asks whether the run is alive holds the lock for a moment
    try:
        with EventWriter(run.events) as log:
            session = Session(workspace, run, log, should_pause, on_event)
            try:
                ended = _trained(session)
                session.tell(ended)
                return ended
            except Exception as error:
                session.tell(
                    session.ended(
                        "failed",
                        f"Something in Trainscope went wrong ({type(error).__name__}); worker.log in the run's folder has the details.",
                    )
                )
                raise
            finally:
                if session.tensorboard:
                    session.tensorboard.close()
    finally:
        lock.release()


def _trained(session: Session) -> Ended:
    try:
        session.train()
        return session.ended("finished", "Trained to the last epoch.")
    except _Leave as leave:
        saved = "before the first step"
        if session.state is not None and session.state.step:
            try:
                session.save()
            except InputError as error:
                return session.ended("failed", str(error))
            saved = f"at step {session.state.step:,}, and saved"
        words = {"stopped": "Stopped by hand", "paused": "Paused"}
        return session.ended(leave.reason, f"{words[leave.reason]} {saved}.")
    except InputError as error:
        return session.ended("failed", str(error))
    except torch.OutOfMemoryError:
        logging.exception("out of memory")
        smaller = max(1, session.run.config.batch_size // 2)
        return session.ended(
            "failed", f"The device ran out of memory. Try a batch size of {smaller}; checkpoints saved before are kept."
        )


def resolved(config: TrainConfig, store: PictureStore) -> TrainConfig:
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
