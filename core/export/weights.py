"""The weights of a checkpoint alone, as other programs read them: a state_dict as .pt, or safetensors."""

import shutil
from typing import BinaryIO

import torch
from safetensors.torch import load

from core.models.network_spec import NetworkSpec
from core.runs.checkpoints import Checkpoint, open_file, read_file

WEIGHTS = "weights.safetensors"


def write_state_dict_pt(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """A plain dict of contiguous CPU tensors in the network's order, for model.load_state_dict(torch.load(…, weights_only=True)).

    Raises InputError if the checkpoint is damaged.
    """
    weights = load(read_file(checkpoint, WEIGHTS))  # sorted by type and name, as safetensors are
    with torch.device("meta"):
        names = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json")).build().state_dict()
    torch.save({name: weights[name].contiguous() for name in names}, file)


def write_safetensors(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """The checkpoint's own file of weights. Raises InputError if the checkpoint is damaged."""
    with open_file(checkpoint, WEIGHTS) as weights:
        shutil.copyfileobj(weights, file, 1 << 20)
