"""What training says while it runs: the one vocabulary between the loop and everything that watches it.

Each event is a frozen record; core/runs/event_log.py writes it down and reads it again.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

EndReason = Literal["finished", "stopped", "paused", "failed", "interrupted"]
EndCause = Literal["", "hand", "server", "files", "diverged"]


class Written(Protocol):
    """What a file of events can hold: a frozen record of some kind."""

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True)
class Event:
    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class Tick(Event):
    """One optimizer step or evaluation batch is done: nothing to write, but a moment to stop, save or change."""

    kind: ClassVar[str] = "tick"


TICK = Tick()


@dataclass(frozen=True)
class Queued(Event):
    """from_checkpoint: what to go on from, where there is one."""

    kind: ClassVar[str] = "queued"
    from_checkpoint: str = "last"


@dataclass(frozen=True)
class Preparing(Event):
    """Work before the first step, such as a download. total: 0 where it is not known."""

    kind: ClassVar[str] = "preparing"
    what: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """What was chosen and found at the start, or at a resume.

    from_step: 0 at the start. epoch, accuracy, seconds: where it goes on from; epoch is None where an older version did not say.
    store: the folder's name of the images it learns from, in the workspace; pictures: their
    checksum. inexact: why going on
    may differ in the last bits from never having been interrupted; empty if it won't.
    """

    kind: ClassVar[str] = "started"
    dataset: str
    class_names: list[str]
    num_train: int
    num_evaluated: int
    evaluated_split: str
    steps_per_epoch: int
    num_parameters: int
    device: str
    device_reason: str
    precision: str
    precision_reason: str
    threads: int
    from_step: int
    versions: dict[str, str]
    epochs: int
    inexact: str = ""
    store: str = ""
    pictures: str = ""
    epoch: int | None = None
    accuracy: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Changed(Event):
    """A setting of the running training was changed by command `number`; it holds for all steps after this one.

    after_evaluation: whether the weights at this step had been evaluated already. before, after: the setting's values.
    """

    kind: ClassVar[str] = "changed"
    number: int
    step: int
    epoch: int
    examples: int
    seconds: float
    after_evaluation: bool
    setting: str
    before: Any
    after: Any


@dataclass(frozen=True)
class ThreadsChanged(Event):
    """From this step on the arithmetic is spread over another number of processor threads."""

    kind: ClassVar[str] = "threads"
    step: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class LearningWeights(Event):
    """From the next step on so many weights learn, of all there are: the layers before the last are unfrozen, or frozen again.

    epoch: the one that the next step belongs to, counted from 1.
    """

    kind: ClassVar[str] = "learning"
    step: int
    epoch: int
    num_learning: int
    num_parameters: int


@dataclass(frozen=True, kw_only=True)
class StepLogged(Event):
    """loss, accuracy: means over the images of the steps since the last record, as trained (dropout and augmentation on).

    examples: training images seen since the start of the run. seconds: time in training, evaluation included.
    """

    kind: ClassVar[str] = "step"
    step: int
    epoch: int
    examples: int
    seconds: float
    loss: float
    accuracy: float
    lr: float
    images_per_s: float


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A prediction record: for each evaluated image, in the order of the split. Six bytes an image up to 256 classes.

    predicted: (N,) uint8 or uint16. confidence, true_probability: (N,) float16, of the predicted and of the true class.
    rank: (N,) uint8, how many classes were held likelier than the true one, at most 255; None in records of before it was noted.
    """

    predicted: np.ndarray
    confidence: np.ndarray
    true_probability: np.ndarray
    rank: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """epoch: epochs finished, 0 before training. correct: right predictions of each class. The record goes to its own file.

    predictions: None where it was read again.
    epochs: asked for as it stands. patience_left: epochs without improvement that early stopping still allows, None where it is off.
    """

    kind: ClassVar[str] = "evaluation"
    epoch: int
    step: int
    examples: int
    seconds: float
    split: str
    loss: float
    accuracy: float
    correct: list[int]
    support: list[int]
    predictions: Predictions | None = None
    epochs: int | None = None
    patience_left: int | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    kind: ClassVar[str] = "checkpoint"
    name: str
    epoch: int
    step: int
    is_best: bool
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """reason: why no more steps follow. message: a sentence for people, with what is safe and what to do.

    cause: of a pause: "hand", "server" (it ended; the next one goes on by itself), "files" (they could not be written); of a failure:
    "diverged". epochs: asked for.
    """

    kind: ClassVar[str] = "ended"
    reason: EndReason
    message: str
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    accuracy: float | None = None
    best_accuracy: float | None = None
    best_epoch: int | None = None
    cause: EndCause = ""
    epochs: int | None = None
