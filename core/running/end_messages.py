"""Why a training ended, in sentences: what happened, what is safe, what to do."""

import errno
import os
from collections.abc import Iterable

import torch

from core.config import TrainConfig
from core.runs.control import Command
from core.training.divergence import Diverged
from core.training.events import Changed
from core.training.loop import TrainState
from core.wording import percent, size


def finished(state: TrainState) -> str:
    if state.epoch >= state.config.epochs:
        return "Trained to the last epoch." if state.epoch else "Evaluated without any training."
    watch, patience = state.config.early_stopping.watch, state.patience
    best = percent(patience.best, 2) if watch == "accuracy" else f"{patience.best:.4f}"
    return f"Stopped early: {watch} has not improved for {patience.waited} {'epoch' if patience.waited == 1 else 'epochs'}; its best is {best}."


def left(reason: str, cause: str, step: int) -> str:
    """Stopped or paused from outside."""
    what = "Stopped by hand" if reason == "stopped" else "Paused by hand" if cause == "hand" else "Paused as Trainscope was ended"
    return f"{what} at step {step:,}, and saved." if step else f"{what} before the first step."


def calmer_rate(lr: float, changes: Iterable[Changed]) -> float:
    """The learning rate to try after a divergence: that before the last of these changes of it if it was lower, else a tenth."""
    before = [change.before for change in changes if change.setting == "optimizer.lr"]
    return before[-1] if before and before[-1] < lr else lr / 10


def diverged(error: Diverged, lr: float, calmer: float, kept: str) -> str:
    return (
        f"Training has diverged: at step {error.step:,} (epoch {error.epoch}) {error.what} was no longer a finite number. {kept} "
        f"Resume with a lower learning rate, {calmer:g} instead of {lr:g} for example; a warm-up or normalised images help too."
    )


def out_of_memory(config: TrainConfig, state: TrainState | None, kept: str) -> str:
    """While evaluating, memory goes by the evaluation batch, while training by the batch."""
    is_evaluating = state is not None and state.step_in_epoch == 0 and not state.is_evaluated
    what, size = ("an evaluation batch", config.eval_batch_size) if is_evaluating else ("a batch size", config.batch_size)
    smaller = f"{what} of {size // 2:,}, or with a smaller model" if size > 1 else "a smaller model, or smaller images"
    return f"There was not enough memory. {kept} Start again with {smaller}."


def too_late(changes: list[Command]) -> str:
    """Changes that were sent after the last step, to which they no longer apply."""
    return "".join(f" A change of {c.setting} to {c.value} came too late and was not taken." for c in changes)


def is_want_of_memory(error: Exception) -> bool:
    """On a CPU PyTorch says so by a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return any(
        words in said
        for words in ("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "bad_alloc")
    )


def files_failed(error: OSError, needed: int, free: int, kept: str) -> str:
    """needed, free: bytes for the next checkpoint, and on the disk; told where the disk is full."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        room = f": {size(needed)} are needed, {size(free)} are free" if needed > free else f": {size(needed)} are needed"
        return f"Paused because the disk is full{room}. {kept} Make room, then resume."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Paused because files can't be written here ({reason}). {kept} Give the folder its rights back, then resume."
    return f"Paused because a file could not be read or written ({reason}). {kept} Look after the disk, then resume."
