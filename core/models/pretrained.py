"""Weights that others have learned on ImageNet: which there are, where they lie, and how a network begins with them."""

import logging
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core.errors import InputError
from core.models.head import head_of
from core.models.torchvision_families import FAMILIES, fitted
from core.workspace import Workspace

PRETRAINED = {name: family.pretrained for name, family in FAMILIES.items()}


def weights_path(workspace: Workspace, model: str) -> Path:
    """Where the weights lie once they have passed the quarantine."""
    return workspace.models / f"{model}.safetensors"


def original_path(workspace: Workspace, model: str) -> Path:
    """Where the published file is downloaded to, or put by hand."""
    return workspace.models / PRETRAINED[model].file


def are_at_hand(workspace: Workspace, model: str) -> bool:
    """Whether the weights can be used without a network."""
    return weights_path(workspace, model).is_file() or original_path(workspace, model).is_file()


def begin_pretrained(network: nn.Module, workspace: Workspace, model: str) -> None:
    """Puts the weights into a fresh network, all but those of its last layer. Raises InputError if they are not here."""
    path = weights_path(workspace, model)
    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise missing(workspace, model) from None
    except SafetensorError as error:
        raise InputError(
            f"The pretrained weights in {path} are damaged ({error}).",
            code="weights-offline",
            hint="Remove the file and try again.",
        ) from None
    own = network.state_dict()
    network.load_state_dict(fitted(weights, own, head_of(list(own))))
    logging.getLogger(__name__).info("began with %s", path)


def missing(workspace: Workspace, model: str, reason: str = "") -> InputError:
    """That the weights are not here, and what to do."""
    if model not in PRETRAINED:
        return InputError(
            f"model.weights: there are no pretrained weights for {model}.",
            code="model",
            hint=f"There are for {', '.join(PRETRAINED)}.",
        )
    weights = PRETRAINED[model]
    why = f" and can't be downloaded ({reason})" if reason else ""
    return InputError(
        f"The pretrained weights of {model} are not on this machine{why}.",
        code="weights-offline",
        hint=f"Put {weights.file} ({weights.megabytes} MB, {weights.url}) into {workspace.models}, or set model.weights to fresh.",
    )
