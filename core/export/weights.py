"""The weights of a checkpoint alone, as other programs read them: a state_dict as .pt, or safetensors."""

import hashlib
import shutil
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors.torch import load_file

from core.errors import InputError
from core.models.network import NetworkSpec
from core.runs.checkpoints import Checkpoint, read_file, read_manifest


def write_state_dict_pt(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """A plain dict of contiguous CPU tensors in the network's order, for model.load_state_dict(torch.load(…, weights_only=True)).

    Raises InputError if the checkpoint is damaged.
    """
    weights = load_file(_sound_weights(checkpoint))  # sorted by type and name, as safetensors are
    with torch.device("meta"):
        names = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json")).build().state_dict()
    torch.save({name: weights[name].contiguous() for name in names}, file)


def write_safetensors(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """The checkpoint's own file of weights. Raises InputError if the checkpoint is damaged."""
    with _sound_weights(checkpoint).open("rb") as weights:
        shutil.copyfileobj(weights, file, 1 << 20)


def _sound_weights(checkpoint: Checkpoint) -> Path:
    """The path of its weights, compared with their checksum piece by piece."""
    path = checkpoint.path / "weights.safetensors"
    expected = read_manifest(checkpoint)["weights.safetensors"]["sha256"]
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise InputError(
                f"Checkpoint {checkpoint.name} is damaged: weights.safetensors is not as it was written.",
                code="checkpoint",
                hint="Choose another one.",
            )
    return path
