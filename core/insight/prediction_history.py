"""How images fared over the epochs of a run, from its records."""

from dataclasses import dataclass

from core.insight.learning import Learning, learning_of
from core.insight.run_results import EvaluatedImages, evaluated_after, records_of
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.records import spread

MOST_EPOCHS = 60  # of a course; each is a file to be read


@dataclass(frozen=True)
class PredictionHistory:
    """One image over the epochs of a run: the probability that its true class was given, and whether it was predicted right."""

    epochs: list[int]
    probability: list[float]
    is_right: list[bool]


def prediction_history(run: Run, position: int) -> PredictionHistory:
    """Of the image at this position among those the run was evaluated on; of a long run a spread of its epochs.

    A record that is missing leaves a gap.
    """
    epochs = [row.epoch for row in history_of(run).evaluations]
    found = [evaluated for place in spread(len(epochs), MOST_EPOCHS) if (evaluated := evaluated_after(run, epochs[place]))]
    return PredictionHistory(
        [evaluated.epoch for evaluated in found],
        [float(evaluated.predictions.true_probability[position]) for evaluated in found],
        [bool(evaluated.predictions.predicted[position] == evaluated.labels[position]) for evaluated in found],
    )


def learning_until(run: Run, evaluated: EvaluatedImages) -> Learning | None:
    """How the images were learned up to the epoch; None for those of an evaluation made by hand, which have no course."""
    if evaluated.evaluation:
        return None
    epochs = [row.epoch for row in history_of(run).evaluations if row.epoch <= evaluated.epoch]
    return learning_of(records_of(run, epochs), evaluated.labels)
