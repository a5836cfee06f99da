"""The training loop: a generator of events. What is done with them (files, screens) is not here; to stop is to stop asking."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from core.config import TrainConfig
from core.models.head import freeze_backbone, training_mode
from core.training.batches import TrainingData, class_weights, seeded, steps_per_epoch, training_batches
from core.training.device import Compute
from core.training.divergence import Diverged, FiniteWatch
from core.training.early_stopping import Patience
from core.training.evaluation import evaluate
from core.training.events import TICK, Evaluated, Event, LearningWeights, StepLogged
from core.training.losses import loss_function
from core.training.optimizers import build_optimizer, lr_factor, regrouped


class Window:
    """Sums over the steps since the last record, kept on the device: reading them waits for it, so once per record."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.clear()

    def clear(self) -> None:
        self.restore({"loss": 0.0, "correct": 0, "pictures": 0})

    def restore(self, sums: dict[str, float]) -> None:
        self.loss = torch.tensor(sums["loss"], dtype=torch.float32, device=self.device)
        self.correct = torch.tensor(sums["correct"], dtype=torch.long, device=self.device)
        self.images = sums["pictures"]
        self.restart_clock()

    def restart_clock(self) -> None:
        self.since = time.perf_counter()
        self.timed_images = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.loss += loss * len(labels)
        self.correct += (logits.argmax(dim=1) == labels).sum()
        self.images += len(labels)
        self.timed_images += len(labels)

    def sums(self) -> dict[str, float]:
        return {"loss": float(self.loss), "correct": int(self.correct), "pictures": self.images}

    def take_means(self) -> dict[str, float]:
        """The means over the window's images, and their number per second; a new window begins."""
        sums, elapsed = self.sums(), time.perf_counter() - self.since
        speed = self.timed_images / max(elapsed, 1e-9)
        self.clear()
        return {
            "loss": sums["loss"] / sums["pictures"],
            "accuracy": sums["correct"] / sums["pictures"],
            "images_per_s": speed,
        }


class Stopwatch:
    """Seconds of training, those of earlier sessions of the run included; by a clock that never jumps."""

    def __init__(self, before: float) -> None:
        self.started = time.monotonic() - before

    def seconds(self) -> float:
        return time.monotonic() - self.started


@dataclass(frozen=True)
class Best:
    accuracy: float
    epoch: int


@dataclass(kw_only=True)
class TrainState:
    """Everything that training changes. epoch: finished ones; step_in_epoch: steps done of the one after. is_frozen: whether only the
    last layer learns.

    config: as it stands now; whoever asks the loop for events may replace it between two of them.
    """

    config: TrainConfig
    model: nn.Module
    optimizer: torch.optim.Optimizer
    window: Window
    is_frozen: bool = False
    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    examples: int = 0
    seconds: float = 0.0
    is_evaluated: bool = False  # whether the weights as they are have been evaluated
    accuracy: float | None = None  # of the last evaluation
    best: Best | None = None  # of the epochs evaluated since training began, the earliest of equals
    patience: Patience = field(default_factory=Patience)

    @property
    def is_out_of_patience(self) -> bool:
        return self.patience.left(self.config.early_stopping) == 0


def new_state(config: TrainConfig, model: nn.Module, device: torch.device) -> TrainState:
    model = model.to(device).to(memory_format=torch.channels_last)
    state = TrainState(
        config=config, model=model, optimizer=build_optimizer(config.optimizer, model, config.model), window=Window(device)
    )
    set_frozen(state, config.model.is_frozen_in(1))
    return state


def set_frozen(state: TrainState, is_frozen: bool) -> None:
    """Only the last layer learns from the next step on, or all layers do: in the optimizer are those that learn."""
    if is_frozen == state.is_frozen:
        return
    freeze_backbone(state.model, is_frozen)
    state.optimizer.zero_grad(set_to_none=True)
    state.optimizer = regrouped(state.optimizer, state.config.optimizer, state.model, state.config.model)
    state.is_frozen = is_frozen


def train(data: TrainingData, num_classes: int, state: TrainState, compute: Compute) -> Iterator[Event]:
    """Trains from the state as it is to the end of the last epoch, or until early stopping has no patience left.

    Yields a Tick after each step, a StepLogged every `log_every` steps of an epoch, and at its end where it has fewer, an
    Evaluated before the first step and after each epoch, and a LearningWeights where layers are unfrozen or frozen. The state is
    up to date at each event. Raises Diverged.
    """
    config = state.config  # what is read from it can't change; what can is read from the state at each step
    model = state.model
    watch = FiniteWatch(model, compute.device)
    weights = class_weights(data, num_classes) if config.loss.class_weights == "balanced" else None
    loss_fn = loss_function(config.loss, weights)
    clip_norm = config.optimizer.clip_norm
    autocast = torch.autocast(compute.device.type, dtype=compute.dtype, enabled=compute.dtype != torch.float32)
    steps = steps_per_epoch(len(data.train), config.batch_size, config.drop_last)
    clock = Stopwatch(state.seconds)

    def evaluated() -> Iterator[Event]:
        for event in evaluate(
            model,
            data,
            config.eval_batch_size,
            num_classes,
            epoch=state.epoch,
            step=state.step,
            examples=state.examples,
            seconds=clock.seconds(),
            split=config.data.evaluate_on,
            loss=config.loss.name,
        ):
            state.seconds = clock.seconds()
            if isinstance(event, Evaluated):
                _take_note(state, event)
                config_now = state.config
                event = replace(event, epochs=config_now.epochs, patience_left=state.patience.left(config_now.early_stopping))
            yield event

    if not state.is_evaluated and state.step_in_epoch == 0:
        yield from evaluated()
    while state.epoch < state.config.epochs and not state.is_out_of_patience:
        training_mode(model)
        if state.step_in_epoch == 0:  # dropout's draws follow from (seed, epoch); in mid-epoch a checkpoint brings its own
            torch.manual_seed(seeded(config.seed, state.epoch, 2).initial_seed())
            state.window.clear()  # records are counted anew in each epoch
        state.window.restart_clock()
        for images, labels in training_batches(data, config, state.epoch, compute.dtype, skip=state.step_in_epoch):
            while (is_frozen := state.config.model.is_frozen_in(state.epoch + 1)) != state.is_frozen:
                set_frozen(state, is_frozen)
                training_mode(model)
                watch = FiniteWatch(model, compute.device)
                yield _learning(state)
            optimizer = state.optimizer
            lr = state.config.optimizer.lr * lr_factor(config.schedule, state.step, steps, state.config.epochs)
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("lr_factor", 1.0)
            with autocast:
                logits = model(images)  # (N, K)
                loss = loss_fn(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if clip_norm:
                nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)
            optimizer.step()
            if fault := watch.fault(loss):
                raise Diverged(fault, state.step + 1, state.epoch + 1)

            state.step += 1
            state.step_in_epoch += 1
            state.examples += len(labels)
            state.is_evaluated = False
            state.window.add(loss.detach(), logits.detach(), labels)
            state.seconds = clock.seconds()
            if state.step_in_epoch % config.log_every == 0 or state.step_in_epoch == steps < config.log_every:
                yield StepLogged(
                    step=state.step,
                    epoch=state.epoch + 1,
                    examples=state.examples,
                    seconds=state.seconds,
                    lr=lr,
                    **state.window.take_means(),
                )
            yield TICK
        state.epoch += 1
        state.step_in_epoch = 0
        yield from evaluated()


def _learning(state: TrainState) -> LearningWeights:
    parameters = list(state.model.parameters())
    return LearningWeights(
        step=state.step,
        epoch=state.epoch + 1,
        num_learning=sum(p.numel() for p in parameters if p.requires_grad),
        num_parameters=sum(p.numel() for p in parameters),
    )


def _take_note(state: TrainState, event: Evaluated) -> None:
    """What an evaluation means for the best epoch and for early stopping. The untrained network counts for neither."""
    state.is_evaluated, state.accuracy = True, event.accuracy
    if event.epoch == 0:
        return
    if state.best is None or event.accuracy > state.best.accuracy:
        state.best = Best(event.accuracy, event.epoch)
    state.patience = state.patience.after(state.config.early_stopping, event.loss, event.accuracy)
