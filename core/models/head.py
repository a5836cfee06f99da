"""The last layer, which alone depends on the classes; all before it is the backbone."""

from collections.abc import Sequence

from torch import nn


def head_of(names: Sequence[str]) -> list[str]:
    """The entries of the last layer in a state_dict's names: those that share the last entry's module."""
    module = names[-1].rpartition(".")[0]
    return [name for name in names if name.rpartition(".")[0] == module]


def freeze_backbone(model: nn.Module, is_frozen: bool = True) -> None:
    """Only the last layer learns from now on; with is_frozen off, all of them do."""
    head = head_of(list(model.state_dict()))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in head or not is_frozen)


def training_mode(model: nn.Module) -> None:
    """Training mode for what learns: a frozen norm's running figures stay as they are too."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()
