"""What a list shows of a run: the small part of its history that the end of its events file can tell.

`History` folds it along with all the rest, so that the two can't disagree.
"""

from dataclasses import dataclass, field

from core.training.events import (
    Changed,
    CheckpointSaved,
    Ended,
    Evaluated,
    Event,
    LearningWeights,
    Preparing,
    Queued,
    Started,
    StepLogged,
    ThreadsChanged,
)

# stands for any step record, of which a list shows nothing but the time
STEP = StepLogged(step=0, epoch=0, examples=0, seconds=0.0, loss=0.0, accuracy=0.0, lr=0.0, images_per_s=0.0)


@dataclass(kw_only=True)
class Summary:
    """last: the last event that tells the state. epoch, accuracy: of the last evaluation that counts, 0 and None before the first.

    seconds: in training. epochs: asked for as it stands, None before the start. is_told: whether the events so far tell epoch and
    accuracy, which the end of a file may not.
    """

    last: Event | None = None
    epoch: int = 0
    accuracy: float | None = None
    seconds: float = 0.0
    epochs: int | None = None
    is_told: bool = field(default=False, compare=False)

    def add(self, event: Event) -> None:
        if not isinstance(event, (CheckpointSaved, LearningWeights, ThreadsChanged)):
            self.last = event
        match event:
            case StepLogged():
                self.step_at(event.seconds)
            case Evaluated():
                self.seconds, self.epochs = event.seconds, event.epochs or self.epochs
                self.epoch, self.accuracy, self.is_told = event.epoch, event.accuracy, True
            case Changed():
                self.seconds = event.seconds
                if event.setting == "epochs":
                    self.epochs = event.after
            case Started():
                self.epochs = event.epochs
                if event.from_step == 0:
                    self.epoch, self.accuracy, self.seconds, self.is_told = 0, None, 0.0, True
                elif event.epoch is not None:  # gone back to, perhaps
                    self.epoch, self.accuracy, self.is_told = event.epoch, event.accuracy, True
                    self.seconds = event.seconds
                else:  # of an older version: found among the evaluations before it
                    self.is_told = False
            case Ended():
                self.seconds, self.epochs = event.seconds or self.seconds, event.epochs or self.epochs
                if event.accuracy is not None:
                    self.epoch, self.accuracy = event.epoch, event.accuracy
                    self.is_told |= event.epochs is not None
            case Queued() | Preparing():
                pass

    def step_at(self, seconds: float) -> None:
        """A step record: where the run stands, told without a record of its own."""
        self.last, self.seconds = STEP, seconds

    def go_back(self, epoch: int, accuracy: float | None) -> None:
        """What a start of an older version did not say: where it went on from."""
        self.epoch, self.accuracy, self.is_told = epoch, accuracy, True
