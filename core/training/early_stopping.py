"""Early stopping: how long a training has waited for its evaluated figure to improve."""

from dataclasses import dataclass

from core.config import EarlyStopping


@dataclass(frozen=True)
class Patience:
    """best: of the watched figure so far. waited: evaluations since then that brought no improvement."""

    best: float | None = None
    waited: int = 0

    def after(self, config: EarlyStopping, loss: float, accuracy: float) -> "Patience":
        """With one more evaluation."""
        figure = loss if config.watch == "loss" else accuracy
        if self.best is None:
            return Patience(figure)
        gain = self.best - figure if config.watch == "loss" else figure - self.best
        return Patience(figure) if gain > config.min_change else Patience(self.best, self.waited + 1)

    def left(self, config: EarlyStopping) -> int | None:
        """Epochs without improvement still allowed; None where early stopping is off."""
        return max(config.patience - self.waited, 0) if config.patience else None
