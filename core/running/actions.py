"""What a person may do with a run, whichever process trains it or has it in its queue: stop, pause, change, make ready to go on."""

from collections.abc import Mapping
from typing import Any, Literal

from core.config import CHANGEABLE, TrainConfig
from core.errors import InputError
from core.running.end_messages import calmer_rate
from core.runs.checkpoints import epoch_of, find_checkpoint, has_checkpoint, is_sound, sound_before
from core.runs.control import send, send_changes, take_back, waiting_commands
from core.runs.directory import Run
from core.runs.event_log import append_event
from core.runs.history import history_of
from core.runs.status import status_of
from core.settings import changed
from core.training.events import Ended, EndReason


class DamagedCheckpoint(InputError):
    """The checkpoint to go on from is damaged. sound: the name of the newest sound one, empty if there is none.
    settings: what was to be changed on going on."""

    def __init__(self, run: Run, checkpoint: str, sound: str, settings: Mapping[str, Any]) -> None:
        hint = f"{sound} is sound: resume from that." if sound else "No other one is sound; start a new run."
        super().__init__(
            f"Checkpoint {checkpoint} of {run.id} is damaged: it is not as it was written.", code="damaged-checkpoint", hint=hint
        )
        self.run, self.sound, self.settings = run, sound, dict(settings)


def stop_run(run: Run) -> None:
    """Stops a run, or takes it out of the queue. Raises InputError if it neither trains nor waits."""
    _end(run, "stop", "stopped", "Taken out of the queue before it began.")


def pause_run(run: Run) -> None:
    """Has a run saved and paused; it stays so until somebody resumes it. Raises InputError if it neither trains nor waits."""
    _end(run, "pause", "paused", "Paused while it waited in the queue.")


def _end(run: Run, command: Literal["stop", "pause"], state: EndReason, while_waiting: str) -> None:
    status = status_of(run)
    if not status.is_active:
        raise InputError(f"{run.id} is not training: it is {status.state}.", code="not-running")
    send(run, command)  # also heard by a worker that is about to begin
    if status.state == "queued" and not run.is_held():
        append_event(
            run.events,
            Ended(reason=state, message=while_waiting, cause="hand", **status.facts),
        )


def change_run(run: Run, settings: Mapping[str, Any]) -> None:
    """Changes settings of a run that trains, from its next step on, or of one that waits or is paused, for when it goes on.

    Raises InputError if it has ended, or if a setting can't be changed any more, or not to this value.
    """
    status = status_of(run)
    if status.state == "finished":
        raise InputError(f"{run.id} is finished.", code="not-running", hint="Train it longer instead.")
    check_changes(run, settings)
    send_changes(run, settings)


def config_ahead(run: Run) -> TrainConfig:
    """The configuration as it will stand once changes that wait for the trainer are made."""
    waiting = {c.setting: c.value for c in waiting_commands(run) if c.kind == "change"}
    config = history_of(run).config(run.config)
    return changed(config, waiting) if waiting else config


def suggestion(run: Run) -> dict[str, Any]:
    """What to go on with, by path: more epochs for a run that is finished, a calmer learning rate for one that has diverged."""
    status, now = status_of(run), config_ahead(run)
    if status.state == "finished":
        return {"epochs": now.epochs + max(run.config.epochs, 1)}
    if status.cause == "diverged":
        return {"optimizer.lr": calmer_rate(now.optimizer.lr, history_of(run).changes)}
    return {}


def check_changes(run: Run, settings: Mapping[str, Any], epoch: int | None = None) -> None:
    """Raises InputError unless these settings may be changed to these values. epoch: those trained where it goes on, if not where it stands."""
    if frozen := [path for path in settings if path not in CHANGEABLE]:
        raise InputError(
            f"{', '.join(frozen)}: can't be changed once a run has begun.",
            code="config",
            hint=f"These can: {', '.join(CHANGEABLE)}. Start a new run from its weights for anything else.",
        )
    if not settings:
        return
    changed(history_of(run).config(run.config), settings)
    epochs, trained = settings.get("epochs"), status_of(run).epoch if epoch is None else epoch
    if epochs is not None and epochs < trained:
        raise InputError(f"epochs: found {epochs}, expected at least {trained}, those it has already trained.", code="config")


def make_ready(run: Run, settings: Mapping[str, Any], checkpoint: str) -> None:
    """Checks that a run can go on and leaves its changes for the trainer. Only for whoever holds the run's lock.

    Raises InputError if it has nothing left to do, or its checkpoint is damaged (naming a sound one).
    """
    status = status_of(run)
    check_changes(run, settings, None if checkpoint == "last" else epoch_of(find_checkpoint(run, checkpoint)))
    if status.state == "finished" and checkpoint == "last":
        is_early = status.epochs is not None and status.epoch < status.epochs
        if not settings or (not is_early and settings.get("epochs", 0) <= status.epoch):
            raise InputError(
                f"{run.id} is finished: {status.message[0].lower()}{status.message[1:]}",
                code="finished",
                hint=f"To train it longer, ask for more than {status.epoch} epochs.",
            )
    check_sound(run, checkpoint, settings)
    for kind in ("stop", "pause"):  # those that nobody lived to hear are not meant for what comes
        take_back(run, kind)
    send_changes(run, settings)


def check_sound(run: Run, name: str, settings: Mapping[str, Any]) -> None:
    """Raises DamagedCheckpoint if the checkpoint to go on from is damaged, with the newest sound one."""
    if name == "last" and not has_checkpoint(run):
        return  # it begins again
    checkpoint = find_checkpoint(run, name)
    if not is_sound(checkpoint):
        other = sound_before(run, checkpoint)
        raise DamagedCheckpoint(run, checkpoint.name, other.name if other else "", settings)
