"""What was learned of a checkpoint's certainty, kept with the run and used wherever it predicts: temperature and threshold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from filelock import FileLock

from core.errors import InputError
from core.files import sealed, unsealed, write_bytes_atomically
from core.runs.checkpoints import Checkpoint, weights_sum
from core.runs.directory import Run

FITTED_ON_LENGTH = 300


@dataclass(frozen=True)
class Calibration:
    """temperature: what the logits are divided by. threshold: 0..1, below which a prediction counts as not sure.

    fitted_on: on what the temperature was fitted, in words.
    """

    temperature: float = 1.0
    threshold: float = 0.0
    fitted_on: str = ""


PLAIN = Calibration()


def calibration_of(checkpoint: Checkpoint) -> Calibration:
    """What is kept for these very weights; the plain one where nothing is."""
    try:
        by_weights = _read(_run_of(checkpoint))
        kept = by_weights and by_weights.get(weights_sum(checkpoint))
        return checked(kept) if kept else PLAIN
    except (InputError, ValueError, TypeError, KeyError):
        return PLAIN


def calibration_file(checkpoint: Checkpoint) -> bytes | None:
    """What is kept for these weights as a file of its own, to go with them elsewhere; None where nothing is."""
    kept = calibration_of(checkpoint)
    return None if kept == PLAIN else sealed({weights_sum(checkpoint): asdict(kept)})


def read_calibration(content: bytes, weights: str) -> Calibration:
    """What such a file from outside says of the weights with this checksum. Raises ValueError where it says nothing sound."""
    try:
        return checked(unsealed(content)[weights])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is not the calibration of these weights") from error


def save_calibration(checkpoint: Checkpoint, calibration: Calibration) -> None:
    """The plain one is nothing to keep. Raises ValueError where a number is out of its range."""
    checked(asdict(calibration))
    run = _run_of(checkpoint)
    with FileLock(run.path / ".calibration.lock"):
        kept = _read(run)
        kept.pop(weights_sum(checkpoint), None)
        if calibration != PLAIN:
            kept[weights_sum(checkpoint)] = asdict(calibration)
        write_bytes_atomically(run.path / "calibration.json", sealed(kept))


def checked(kept: Mapping[str, Any]) -> Calibration:
    """From plain values. Raises ValueError, TypeError or KeyError for what is none."""
    calibration = Calibration(float(kept["temperature"]), float(kept["threshold"]), str(kept["fitted_on"]))
    if not (0.01 <= calibration.temperature <= 100 and 0 <= calibration.threshold <= 1):
        raise ValueError(f"temperature {calibration.temperature}, threshold {calibration.threshold}: out of range")
    words = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in calibration.fitted_on)
    return replace(calibration, fitted_on=words[:FITTED_ON_LENGTH])


def _read(run: Run) -> dict:
    try:
        return unsealed((run.path / "calibration.json").read_bytes())
    except (OSError, ValueError):
        return {}


def _run_of(checkpoint: Checkpoint) -> Run:
    return Run(checkpoint.path.parent.parent)
