"""The weights of a checkpoint alone, as other programs read them: a state_dict as .pt, or safetensors."""

import io
import json
import shutil
import zipfile
from typing import BinaryIO

import torch
from safetensors.torch import load

from core.intake.metadata import ENTRY
from core.models.network_spec import NetworkSpec
from core.runs.calibration import calibration_of
from core.runs.checkpoints import Checkpoint, open_file, read_file

WEIGHTS = "weights.safetensors"


def write_state_dict_pt(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """A plain dict of contiguous CPU tensors in the network's order, for model.load_state_dict(torch.load(…, weights_only=True)).

    Raises InputError if the checkpoint is damaged.
    """
    weights = load(read_file(checkpoint, WEIGHTS))  # sorted by type and name, as safetensors are
    with torch.device("meta"):
        names = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json")).build().state_dict()
    content = io.BytesIO()
    torch.save({name: weights[name].contiguous() for name in names}, content)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/{ENTRY}", json.dumps(_about(checkpoint)))
    file.write(content.getbuffer())


def write_safetensors(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """The checkpoint's own file of weights, with temperature, threshold and class names in its metadata.

    Raises InputError if the checkpoint is damaged.
    """
    with open_file(checkpoint, WEIGHTS) as weights:
        header = json.loads(weights.read(int.from_bytes(weights.read(8), "little")))
        header["__metadata__"] = {**header.get("__metadata__", {}), **_about(checkpoint)}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        file.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(weights, file, 1 << 20)


def _about(checkpoint: Checkpoint) -> dict[str, str]:
    """What belongs to the answers beside the weights; as text, which is all that safetensors takes."""
    spec, calibration = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json")), calibration_of(checkpoint)
    return {
        "class_names": json.dumps(spec.class_names, ensure_ascii=False),
        "temperature": repr(calibration.temperature),
        "threshold": repr(calibration.threshold),
        "fitted_on": calibration.fitted_on,
    }
