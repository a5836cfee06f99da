"""A new run that begins with weights that are there already: those of an earlier run's checkpoint, or of a file from outside."""

import hashlib

import torch
from safetensors.torch import load
from torch import Tensor

from core.config import Origin, TrainConfig
from core.data.catalogue import prepare_store
from core.data.store import Progress, no_progress
from core.errors import InputError
from core.models.network import NetworkSpec
from core.runs.checkpoints import find_checkpoint, read_file, save_checkpoint
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.runs.session import resolved
from core.training.loop import new_state
from core.workspace import Workspace


def config_to_branch(run: Run) -> TrainConfig:
    """The configuration to begin a new run from: the run's own as it ended."""
    return history_of(run).config(run.config).model_copy(update={"origin": None})


def branch(
    workspace: Workspace, config: TrainConfig, parent: Run, checkpoint: str = "best", progress: Progress = no_progress
) -> Run:
    """A run of this configuration that begins with the weights of the parent's checkpoint. Nothing has started yet.

    A head that does not fit, because the classes are others, is drawn anew. Raises InputError if anything else does not fit.
    """
    found = find_checkpoint(parent, checkpoint)
    content = read_file(found, "weights.safetensors")
    store = prepare_store(workspace, config.data.dataset, config.preprocessing, progress)
    config = resolved(config, store)
    network = NetworkSpec(
        model=config.model, shape=store.meta.shape, class_names=store.meta.class_names, preprocessing=config.preprocessing
    )
    weights, note = _fitted(
        network, load(content), NetworkSpec.model_validate_json(read_file(found, "network.json")), config.seed
    )
    origin = Origin(kind="run", name=parent.id, checkpoint=found.name, sha256=hashlib.sha256(content).hexdigest(), note=note)
    return create_run_with_weights(workspace, config, network, weights, origin)


def create_run_with_weights(
    workspace: Workspace, config: TrainConfig, network: NetworkSpec, weights: dict[str, Tensor], origin: Origin
) -> Run:
    """A run whose first checkpoint, epoch-0000, holds these weights; they fit the network in every name, shape and type."""
    config = config.model_copy(update={"origin": origin})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        state = new_state(config, network.build(), torch.device("cpu"))
        state.model.load_state_dict(weights)
        return create_run(workspace, config, lambda run: save_checkpoint(run, state, network, {}, 0))


def _fitted(network: NetworkSpec, weights: dict[str, Tensor], of: NetworkSpec, seed: int) -> tuple[dict[str, Tensor], str]:
    """The parent's weights for this network, and what was drawn anew, in a sentence."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = network.build().state_dict()
    if of.model != network.model:
        raise InputError(
            f"The checkpoint is of {of.model.name} (width {of.model.width:g}), the new run's model is {network.model.name} "
            f"(width {network.model.width:g}).", code="checkpoint", hint="Choose the model it belongs to.",
        )  # fmt: skip
    unfit = [name for name in fresh if name not in weights or weights[name].shape != fresh[name].shape]
    same_classes = of.class_names == network.class_names
    head = _head(list(fresh))
    if not set(unfit) <= set(head):
        name = next(name for name in unfit if name not in head)
        raise InputError(
            f"The checkpoint's {name} has shape {list(weights[name].shape)}, the new run needs {list(fresh[name].shape)}.",
            code="checkpoint", hint="Choose pictures of the size and the channels it was trained on.",
        )  # fmt: skip
    renewed = head if unfit or not same_classes else []
    note = (
        f"The last layer was drawn anew: {len(network.class_names)} classes instead of {len(of.class_names)}." if renewed else ""
    )
    if renewed and len(of.class_names) == len(network.class_names):
        note = "The last layer was drawn anew, as the classes are others."
    return {name: fresh[name] if name in renewed else weights[name] for name in fresh}, note


def _head(names: list[str]) -> list[str]:
    """The entries of the last layer: those that share the last entry's module."""
    module = names[-1].rpartition(".")[0]
    return [name for name in names if name.rpartition(".")[0] == module]
