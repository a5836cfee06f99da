"""Checkpoints: weights and optimizer as safetensors, the rest as JSON, a manifest with checksums written last. No pickle.

A checkpoint is a folder that appears whole, by one rename, and never changes. "best" and "last" are small files that
name one of them, replaced as a whole.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from core.errors import InputError
from core.files import flush_folder, flush_to_disk, write_json_atomically
from core.models.network import NetworkSpec
from core.runs.directory import Run, read_json
from core.training.loop import TrainState

FORMAT = 1
NAME = re.compile(r"(epoch|step)-(\d+)")
Pointer = Literal["best", "last"]


@dataclass(frozen=True)
class Checkpoint:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name


def save_checkpoint(run: Run, state: TrainState, network: NetworkSpec, accuracy: float | None) -> Checkpoint:
    """Everything that exact resuming needs, under a name of the position: epoch-0003 once that epoch is judged, else
    step-0000001234."""
    name = f"epoch-{state.epoch:04d}" if state.is_evaluated else f"step-{state.step:010d}"
    checkpoint = Checkpoint(run.checkpoints / name)
    if checkpoint.path.exists():  # the same position again, after a resume: the same content
        return checkpoint
    optimizer_tensors, optimizer_rest = _flattened(state.optimizer.state_dict())
    rest = {
        "epoch": state.epoch, "step_in_epoch": state.step_in_epoch, "step": state.step, "examples": state.examples,
        "seconds": state.seconds, "is_evaluated": state.is_evaluated, "accuracy": accuracy,
        "window": state.window.sums(), "optimizer": optimizer_rest, "random": _random_state(),
    }  # fmt: skip
    files = {
        "weights.safetensors": save(_contiguous(state.model.state_dict())),
        "optimizer.safetensors": save(_contiguous(optimizer_tensors)),
        "state.json": json.dumps(rest).encode(),
        "network.json": network.model_dump_json(indent=2).encode(),
    }
    manifest = {
        "format": FORMAT,
        "files": {
            file: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for file, content in files.items()
        },
    }
    files["manifest.json"] = json.dumps(manifest, indent=2).encode()  # last
    aside = Path(tempfile.mkdtemp(prefix=".tmp-", dir=run.checkpoints))
    try:
        for file, content in files.items():
            with (aside / file).open("wb") as handle:
                handle.write(content)
                flush_to_disk(handle)
        flush_folder(aside)
        os.rename(aside, checkpoint.path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    flush_folder(run.checkpoints)
    return checkpoint


def point(run: Run, pointer: Pointer, checkpoint: Checkpoint, **facts: Any) -> None:
    write_json_atomically(run.checkpoints / f"{pointer}.json", {"checkpoint": checkpoint.name, **facts})


def prune(run: Run, every_epochs: int) -> None:
    """Removes what neither the rule nor best and last keep."""
    kept = {pointed.name for pointer in ("best", "last") if (pointed := _pointed(run, pointer))}
    for checkpoint in list_checkpoints(run):
        kind, _, number = checkpoint.name.partition("-")
        by_rule = kind == "epoch" and int(number) % every_epochs == 0
        if checkpoint.name not in kept and not by_rule:
            doomed = checkpoint.path.with_name(f".deleted-{checkpoint.name}")  # so that nobody meets half of it
            checkpoint.path.rename(doomed)
            shutil.rmtree(doomed)


def list_checkpoints(run: Run) -> list[Checkpoint]:
    names = (NAME.fullmatch(path.name) for path in run.checkpoints.iterdir())
    found = sorted((match[1], int(match[2]), match[0]) for match in names if match)
    return [Checkpoint(run.checkpoints / name) for _, _, name in found]


def find_checkpoint(run: Run, name: str = "best") -> Checkpoint:
    """best, last, or one by its name. Raises InputError that says which there are."""
    if name in ("best", "last") and (pointed := _pointed(run, name)):
        return pointed
    for checkpoint in list_checkpoints(run):
        if checkpoint.name == name:
            return checkpoint
    names = [pointer for pointer in ("best", "last") if _pointed(run, pointer)] + [c.name for c in list_checkpoints(run)]
    there = f"It has {', '.join(names)}." if names else "It has none yet; the first is saved after an epoch."
    raise InputError(f"{run.id} has no checkpoint '{name[:100]}'.", code="checkpoint", hint=there)


def _pointed(run: Run, pointer: str) -> Checkpoint | None:
    entry = read_json(run.checkpoints / f"{pointer}.json")
    return Checkpoint(run.checkpoints / entry["checkpoint"]) if entry else None


def load_network(checkpoint: Checkpoint) -> tuple[nn.Module, NetworkSpec]:
    """The network with the checkpoint's weights, in evaluation mode on the CPU, whatever device trained it."""
    files = _verified(checkpoint)
    spec = NetworkSpec.model_validate_json(files["network.json"])
    model = spec.build()
    model.load_state_dict(load(files["weights.safetensors"]))
    return model.eval(), spec


def load_state(checkpoint: Checkpoint, state: TrainState) -> None:
    """Brings a new state to where the checkpoint was taken, the random generators of this process included."""
    files = _verified(checkpoint)
    rest = json.loads(files["state.json"])
    state.model.load_state_dict(load(files["weights.safetensors"]))
    _restore_optimizer(state.optimizer, load(files["optimizer.safetensors"]), rest["optimizer"])
    for name in ("epoch", "step_in_epoch", "step", "examples", "seconds", "is_evaluated"):
        setattr(state, name, rest[name])
    state.window.restore(rest["window"])
    _set_random_state(rest["random"])


def _verified(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The files' contents, each compared with its checksum. Raises InputError that names the damaged one."""
    found: dict[str, bytes] = {}
    try:
        manifest = json.loads((checkpoint.path / "manifest.json").read_bytes())
        for file, expected in manifest["files"].items():
            found[file] = (checkpoint.path / file).read_bytes()
            if hashlib.sha256(found[file]).hexdigest() != expected["sha256"]:
                raise InputError(
                    f"Checkpoint {checkpoint.name} is damaged: {file} is not as it was written.",
                    code="checkpoint",
                    hint="Choose another one.",
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"Checkpoint {checkpoint.name} can't be read ({error}).", code="checkpoint", hint="Choose another one."
        ) from None
    return found


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _flattened(state_dict: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state_dict as tensors by "index.name", and the rest, which JSON can hold."""
    tensors, numbers = {}, {}
    for index, values in state_dict["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers[f"{index}.{name}"] = value
    return tensors, {"numbers": numbers, "param_groups": state_dict["param_groups"]}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], rest: dict[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **rest["numbers"]}.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": rest["param_groups"]})
    # buffers lie in memory like their weights (channels last), as fused optimizers expect
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter).copy_(value)


def _random_state() -> dict[str, Any]:
    state = {"cpu": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = base64.b64encode(torch.cuda.get_rng_state().numpy().tobytes()).decode()
    return state


def _set_random_state(state: dict[str, Any]) -> None:
    def tensor(text: str) -> Tensor:
        return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)

    torch.set_rng_state(tensor(state["cpu"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensor(state["cuda"]))
