"""Which checkpoints a training session takes, keeps and goes on from; what a checkpoint is made of is in checkpoints.py."""

import shutil
import sys
import time
from typing import Any

from core.errors import InputError
from core.files import sweep
from core.models.network_spec import NetworkSpec
from core.runs.checkpoints import (
    SPARE_BYTES,
    Checkpoint,
    Resumed,
    find_checkpoint,
    has_checkpoint,
    load_state,
    point,
    prune,
    save_checkpoint,
    sound_before,
)
from core.runs.directory import Run, disk_use
from core.runs.history import story_of
from core.training.divergence import Diverged
from core.training.events import CheckpointSaved
from core.training.loop import TrainState


class Saver:
    """The checkpoints of one session. last: the one to go on from, None before the first."""

    def __init__(self, run: Run, network: NetworkSpec, steps_per_epoch: int) -> None:
        self.run, self.network, self.steps_per_epoch = run, network, steps_per_epoch
        self.environment: dict[str, Any] = {}
        self.last: Checkpoint | None = None
        self.last_position: tuple[int, bool] | None = None
        self.next_save = 0.0

    def load(self, state: TrainState, name: str) -> Resumed:
        """Brings the state to the checkpoint, if there is one, and the pointers and folders to what they were then.

        Raises InputError that names a damaged checkpoint and the newest sound one.
        """
        sweep(self.run.checkpoints, ".tmp-", ".deleted-")
        if not has_checkpoint(self.run):
            return Resumed({}, 0)
        checkpoint = find_checkpoint(self.run, name)
        try:
            resumed = load_state(checkpoint, state)
        except InputError as error:
            other = sound_before(self.run, checkpoint)
            hint = f"{other.name} is sound: resume from that." if other else "No other one is sound; start a new run."
            raise InputError(error.message, code="damaged-checkpoint", hint=hint) from None
        self.last, self.last_position = checkpoint, _position(state)
        if state.step:
            self._point(state)
            if name == "last":  # else what lies after it is kept until there is a new one
                prune(self.run, self._every, self.steps_per_epoch, sys.maxsize)
        return resumed

    def is_due(self, state: TrainState) -> bool:
        """Whether so much time has passed within an epoch that its work would be a loss."""
        return time.monotonic() > self.next_save and state.step_in_epoch > 0

    def wait(self) -> None:
        self.next_save = time.monotonic() + self.run.config.checkpoint.every_seconds

    def save(self, state: TrainState, last_change: int) -> CheckpointSaved | None:
        """A checkpoint of where training stands, None if that is there already; best and last point to it as they should.

        Raises Diverged rather than save a network that is not finite, and OSError.
        """
        self.wait()
        if self.last_position == _position(state):
            return None
        if not all(bool(tensor.isfinite().all()) for tensor in state.model.state_dict().values()):
            raise Diverged("a weight", state.step, state.epoch + 1)  # one that no step had shown, such as a running mean
        self.last = save_checkpoint(self.run, state, self.network, self.environment, last_change)
        self.last_position = _position(state)
        self._point(state)
        prune(self.run, self._every, self.steps_per_epoch, state.step)
        return self._event(state)

    def cut_off(self, state: TrainState) -> CheckpointSaved | None:
        """The event of the checkpoint gone on from, if the session that saved it was killed before it could say so."""
        told = {event.name for event in story_of(self.run).checkpoints}
        return self._event(state) if self.last and state.step and self.last.name not in told else None

    def _point(self, state: TrainState) -> None:
        assert self.last, "saved or loaded before"
        point(self.run, "last", self.last)
        if state.best and (best := self.run.checkpoints / f"epoch-{state.best.epoch:04d}").is_dir():
            point(self.run, "best", Checkpoint(best), accuracy=state.best.accuracy, epoch=state.best.epoch)

    def _event(self, state: TrainState) -> CheckpointSaved:
        assert self.last, "saved or loaded before"
        is_best = state.is_evaluated and state.best is not None and state.best.epoch == state.epoch
        return CheckpointSaved(
            name=self.last.name, epoch=state.epoch, step=state.step, is_best=is_best, num_bytes=disk_use(self.last.path)
        )

    @property
    def _every(self) -> int:
        return self.run.config.checkpoint.every_epochs

    def bytes_needed(self, state: TrainState) -> int:
        """For the next checkpoint and what is written beside it; before the first one, for weights and as much twice over."""
        if self.last and self.last.path.exists():
            return disk_use(self.last.path) + SPARE_BYTES
        return 3 * sum(tensor.nbytes for tensor in state.model.state_dict().values()) + SPARE_BYTES

    def bytes_free(self) -> int:
        return shutil.disk_usage(self.run.path).free


def _position(state: TrainState) -> tuple[int, bool]:
    return state.step, state.is_evaluated
