"""Notices within a step that the loss or a weight is no longer a finite number."""

import torch
from torch import Tensor, nn


class Diverged(Exception):
    """what: "the loss" or "a weight". step, epoch: where it was seen, counted from 1."""

    def __init__(self, what: str, step: int, epoch: int) -> None:
        super().__init__(f"{what} is not finite at step {step}")
        self.what, self.step, self.epoch = what, step, epoch


class FiniteWatch:
    """One number stands for loss and weights: the sum of the loss and of each weight's norm is finite only if all of them are.

    On a CPU it is read after each step (15 µs for eight tensors). A GPU would have to be waited for, so there the number
    is copied while it goes on, and read after the next step.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.weights = [p.detach() for p in model.parameters() if p.requires_grad]
        self.device = device
        self.copied: Tensor | None = None
        if device.type == "cuda":
            self.copy = torch.zeros((), pin_memory=True)
            self.done = torch.cuda.Event()

    def fault(self, loss: Tensor) -> str | None:
        """Called after each step with its loss; what is no longer finite, if anything."""
        total = loss.detach().float() + torch.stack(torch._foreach_norm(self.weights)).sum()  # pyright: ignore[reportPrivateImportUsage] one call for all weights
        if self.device.type != "cuda":
            return self._named(float(total), loss)
        fault = None
        if self.copied is not None:
            self.done.synchronize()
            fault = self._named(float(self.copied), loss)
        self.copied = self.copy.copy_(total, non_blocking=True)
        self.done.record()
        return fault

    def _named(self, total: float, loss: Tensor) -> str | None:
        if total - total == 0.0:  # neither infinite nor NaN
            return None
        if not bool(loss.isfinite()):
            return "the loss"
        return None if all(bool(w.isfinite().all()) for w in self.weights) else "a weight"  # else only squares are too large
