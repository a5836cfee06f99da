"""A checkpoint of ours that comes from outside: compared with its manifest, its network's description read within bounds.

Whether its weights fit that network and are finite is for the quarantine.
"""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from core.config import TrainConfig
from core.errors import InputError
from core.files import unsealed
from core.intake.contract import Wanted, wanted_by
from core.intake.run_layout import CHECKPOINT_FILES, MANIFEST
from core.intake.safetensors_check import read_safetensors_header
from core.models.network_spec import NetworkSpec
from core.zips import shown

SCALARS = ((), (1,))


def check_manifest(folder: Path) -> None:
    """Raises InputError unless the folder holds exactly the files of a checkpoint, each as it was written."""
    try:
        manifest = unsealed((folder / MANIFEST).read_bytes())
        sums = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refusal(folder, "its manifest is damaged or missing") from None
    if set(sums) != set(CHECKPOINT_FILES):
        raise _refusal(folder, "its manifest names other files than checkpoints have")
    for name, expected in sums.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise _refusal(folder, f"{name} is missing") from None
        if found != expected:
            raise _refusal(folder, f"{name} is not as it was written")


def read_network(folder: Path) -> tuple[NetworkSpec, dict[str, Wanted]]:
    """(its network, what that network's weights must be). Raises InputError if there is no such network here."""
    try:
        spec = NetworkSpec.model_validate_json((folder / "network.json").read_bytes())
    except ValidationError:
        raise _refusal(folder, "network.json is not the description of a network") from None
    if max((len(name) for name in spec.class_names), default=0) > 1000:
        raise _refusal(folder, "a class has a name of more than 1,000 characters")
    return spec, wanted_by(spec)


def check_state(folder: Path, config: TrainConfig, spec: NetworkSpec) -> None:
    """Raises InputError unless position and optimizer are such as training of this configuration would have written."""
    try:
        state = json.loads((folder / "state.json").read_bytes())
        counts = [state[name] for name in ("epoch", "step_in_epoch", "step", "examples")]
        assert all(type(count) is int and 0 <= count < 2**53 for count in counts)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        raise _refusal(folder, "state.json is not the state of a training") from None
    is_frozen = state.get("is_frozen", config.model.is_frozen)
    if not isinstance(is_frozen, bool):
        raise _refusal(folder, "state.json is not the state of a training")
    shapes = _optimized_shapes(config, spec, is_frozen)
    for name, tensor in read_safetensors_header(folder / "optimizer.safetensors").items():
        index = name.partition(".")[0]
        is_known = index.isascii() and index.isdecimal() and len(index) < 8 and int(index) < len(shapes)
        if not is_known or (tensor.shape not in SCALARS and tensor.shape != shapes[int(index)]):
            raise _refusal(folder, f"{shown(name)} of its optimizer belongs to no weight of the network")


def _optimized_shapes(config: TrainConfig, spec: NetworkSpec, is_frozen: bool) -> list[tuple[int, ...]]:
    """Shapes of the parameters in the optimizer's order."""
    import torch

    from core.models.head import freeze_backbone
    from core.training.optimizers import parameter_groups

    with torch.device("meta"):
        model = spec.build()
    freeze_backbone(model, is_frozen)
    groups = parameter_groups(config.optimizer, model, config.model)
    return [tuple(p.shape) for group in groups for p in group["params"]]


def _refusal(folder: Path, reason: str) -> InputError:
    return InputError(
        f"The checkpoint {shown(folder.name)} can't be taken: {reason}.",
        code="file",
        hint="Export it again where it was trained.",
    )
