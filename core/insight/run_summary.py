"""How a run stands, in figures beside those of other runs: final and best, with what they cost."""

from dataclasses import dataclass

import numpy as np

from core.insight.class_report import Share, wilson
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.status import status_of


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """accuracy, loss, epoch: of the last evaluation; None or 0 before the first. best: None before training began.

    images_per_s: the median of its records, None where there are none.
    """

    state: str
    accuracy: Share | None
    loss: float | None
    epoch: int
    epochs: int
    best: float | None
    best_epoch: int | None
    seconds: float
    num_parameters: int | None
    images_per_s: float | None
    model: str
    dataset: str
    evaluated_on: str


def run_summary(run: Run) -> RunSummary:
    status, history = status_of(run), history_of(run)
    config, started, last, best = history.config(run.config), history.started, history.last_evaluation, history.best_evaluation
    speeds = history.columns("images_per_s")[0]
    speeds = speeds[np.isfinite(speeds)]
    return RunSummary(
        state=status.state,
        accuracy=wilson(sum(last.correct), sum(last.support)) if last else None,
        loss=last.loss if last else None,
        epoch=last.epoch if last else 0,
        epochs=config.epochs,
        best=best.accuracy if best else None,
        best_epoch=best.epoch if best else None,
        seconds=status.seconds,
        num_parameters=started.num_parameters if started else None,
        images_per_s=float(np.median(speeds)) if len(speeds) else None,
        model=config.model.name,
        dataset=started.dataset if started else config.data.dataset,
        evaluated_on=f"{started.num_evaluated:,} {started.evaluated_split}" if started else "",
    )
