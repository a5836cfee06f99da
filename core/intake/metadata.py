"""What a file of weights says of itself beside them: temperature, threshold and class names, as our own exports do."""

import json
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from core.intake.pickle_check import TORCH_ZIP_LIMITS
from core.runs.calibration import Calibration, checked
from core.zips import open_zip

ENTRY = "trainscope.json"  # of a .pt, beside its data.pkl, which torch.load passes by
MAX_BYTES = 10_000_000


def calibration_in(path: Path, kind: Literal["torch", "safetensors"]) -> Calibration | None:
    """Temperature and threshold of the weights; None where the file says nothing sound of them."""
    try:
        found = _of_safetensors(path) if kind == "safetensors" else _of_torch(path)
        return checked({"fitted_on": "", **found}) if "temperature" in found else None
    except (InputError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _of_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_BYTES:
            return {}
        return dict(json.loads(file.read(length)).get("__metadata__") or {})


def _of_torch(path: Path) -> dict[str, Any]:
    with open_zip(path, TORCH_ZIP_LIMITS) as archive:
        name = next((name for name in archive.entries if name.rpartition("/")[2] == ENTRY), "")
        return dict(json.loads(archive.read(name, MAX_BYTES))) if name else {}
