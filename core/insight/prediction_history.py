"""How pictures fared over the epochs of a run, from its records."""

from dataclasses import dataclass

from core.insight.learning import Learning, learning_of
from core.insight.run_results import Judged, judged_after, records_of
from core.runs.directory import Run
from core.runs.history import history_of
from core.runs.records import spread

MOST_EPOCHS = 60  # of a course; each is a file to be read


@dataclass(frozen=True)
class Course:
    """One picture over the epochs of a run: the probability that its true class was given, and whether it was predicted right."""

    epochs: list[int]
    probability: list[float]
    is_right: list[bool]


def course(run: Run, position: int) -> Course:
    """Of the picture at this position among those the run was judged on; of a long run a spread of its epochs.

    A record that is missing leaves a gap.
    """
    epochs = [row["epoch"] for row in history_of(run).evaluations]
    found = [judged for place in spread(len(epochs), MOST_EPOCHS) if (judged := judged_after(run, epochs[place]))]
    return Course(
        [judged.epoch for judged in found],
        [float(judged.predictions.true_probability[position]) for judged in found],
        [bool(judged.predictions.predicted[position] == judged.labels[position]) for judged in found],
    )


def learning_until(run: Run, judged: Judged) -> Learning | None:
    """How the pictures were learned up to the epoch; None for those of an evaluation made by hand, which have no course."""
    if judged.evaluation:
        return None
    epochs = [row["epoch"] for row in history_of(run).evaluations if row["epoch"] <= judged.epoch]
    return learning_of(records_of(run, epochs), judged.labels)
