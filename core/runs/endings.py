"""Why a training ended, in sentences: what happened, what is safe, what to do."""

import errno
import os

import torch

from core.training.divergence import Diverged
from core.training.loop import TrainState
from core.wording import percent, size


def finished(state: TrainState) -> str:
    if state.epoch >= state.config.epochs:
        return "Trained to the last epoch." if state.epoch else "Judged without any training."
    watch, patience = state.config.early_stopping.watch, state.patience
    best = percent(patience.best, 2) if watch == "accuracy" else f"{patience.best:.4f}"
    return f"Stopped early: {watch} has not improved for {patience.waited} epochs; its best is {best}."


def left(reason: str, cause: str, step: int) -> str:
    """Stopped or paused from outside."""
    what = "Stopped by hand" if reason == "stopped" else "Paused by hand" if cause == "hand" else "Paused as Trainscope was ended"
    return f"{what} at step {step:,}, and saved." if step else f"{what} before the first step."


def diverged(error: Diverged, lr: float, kept: str) -> str:
    return (
        f"Training has diverged: at step {error.step:,} (epoch {error.epoch}) {error.what} was no longer a finite number. {kept} "
        f"Try a lower learning rate, {lr / 10:g} instead of {lr:g} for example; a warm-up or normalised pictures help too."
    )


def out_of_memory(batch_size: int, kept: str) -> str:
    return f"There was not enough memory. {kept} Start again with a batch size of {max(1, batch_size // 2):,}, or with a smaller model."


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
