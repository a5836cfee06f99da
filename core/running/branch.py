"""A new run that begins with weights that are there already: those of an earlier run's checkpoint, or of a file from outside."""

import hashlib

import torch
from safetensors.torch import load
from torch import Tensor

from core.config import ModelConfig, Origin, TrainConfig
from core.data.edits import AS_DELIVERED
from core.data.store.image_store import Progress, no_progress
from core.errors import InputError
from core.models.catalogue import build_model
from core.models.head import head_of
from core.models.network_spec import NetworkSpec
from core.running.prepare import prepare
from core.runs.checkpoints import find_checkpoint, read_file, save_checkpoint
from core.runs.directory import Run, create_run, find_run
from core.runs.history import history_of
from core.training.loop import new_state
from core.workspace import Workspace


def config_to_branch(run: Run) -> TrainConfig:
    """The configuration to begin a new run from: the run's own as it ended, with its set as it is now."""
    config = history_of(run).config(run.config)
    edits = AS_DELIVERED if config.data.edits == AS_DELIVERED else ""
    return config.model_copy(update={"origin": None, "data": config.data.model_copy(update={"edits": edits})})


def begun_from(config: TrainConfig, parent: Run, checkpoint: str = "best") -> TrainConfig:
    """The configuration of a run that is to begin with the weights of the parent's checkpoint."""
    return config.model_copy(update={"origin": Origin(kind="run", name=parent.id, checkpoint=checkpoint, sha256="", note="")})


def create_branch(workspace: Workspace, config: TrainConfig, progress: Progress = no_progress) -> Run:
    """A run that begins with the weights that its configuration names. config: complete. Nothing has started yet.

    A head that does not fit, because the classes are others, is drawn anew. Raises InputError if anything else does not fit.
    """
    assert config.origin and config.origin.kind == "run", "its parent"
    parent = find_run(workspace, config.origin.name)
    found = find_checkpoint(parent, config.origin.checkpoint)
    content = read_file(found, "weights.safetensors")
    prepared = prepare(workspace, config, progress)
    theirs = NetworkSpec.model_validate_json(read_file(found, "network.json"))
    weights, note = _fitted(prepared.network, load(content), theirs, config.seed)
    origin = Origin(kind="run", name=parent.id, checkpoint=found.name, sha256=hashlib.sha256(content).hexdigest(), note=note)
    return create_run_with_weights(workspace, prepared.config, prepared.network, weights, origin)


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


def check_fit(workspace: Workspace, config: TrainConfig, shape: tuple[int, int, int], num_classes: int) -> str:
    """What would be drawn anew of the weights that the configuration names, as a sentence, before anything is built: empty if nothing.

    Raises InputError if they can't fit.
    """
    assert config.origin, "its parent"
    found = find_checkpoint(find_run(workspace, config.origin.name), config.origin.checkpoint)
    of = NetworkSpec.model_validate_json(read_file(found, "network.json"))
    _check_model(config.model, of)
    with torch.device("meta"):
        theirs, ours = of.build().state_dict(), build_model(config.model, shape, num_classes).state_dict()
    return _renewed_in_words(_renewed(ours, theirs, num_classes == len(of.class_names)), len(of.class_names), num_classes)


def _fitted(network: NetworkSpec, weights: dict[str, Tensor], of: NetworkSpec, seed: int) -> tuple[dict[str, Tensor], str]:
    """The parent's weights for this network, and what was drawn anew, in a sentence."""
    _check_model(network.model, of)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = network.build().state_dict()
    renewed = _renewed(fresh, weights, of.class_names == network.class_names)
    note = _renewed_in_words(renewed, len(of.class_names), len(network.class_names))
    return {name: fresh[name] if name in renewed else weights[name] for name in fresh}, note


def _check_model(model: ModelConfig, of: NetworkSpec) -> None:
    if of.model.architecture != model.architecture:
        raise InputError(
            f"The checkpoint is of {of.model}, the new run's model is {model}.",
            code="checkpoint",
            hint="Choose the model it belongs to.",
        )


def _renewed(ours: dict[str, Tensor], theirs: dict[str, Tensor], same_classes: bool) -> list[str]:
    """The last layer's entries if it has to be drawn anew. Raises InputError if another one does not fit."""
    unfit = [name for name in ours if name not in theirs or theirs[name].shape != ours[name].shape]
    head = head_of(list(ours))
    if others := [name for name in unfit if name not in head]:
        sizes = " × ".join(map(str, theirs[others[0]].shape)), " × ".join(map(str, ours[others[0]].shape))
        raise InputError(
            f"The checkpoint's layers don't fit these images: {others[0]} is {sizes[0]}, for them it would be {sizes[1]}.",
            code="checkpoint",
            hint="Choose images of the size and with the channels it was trained on (grey or colour).",
        )
    return head if unfit or not same_classes else []


def _renewed_in_words(renewed: list[str], before: int, now: int) -> str:
    if not renewed:
        return ""
    why = "as the classes are others" if before == now else f"{now} classes instead of {before}"
    return f"The last layer is drawn anew: {why}."
