"""Checkpoints: weights and optimizer as safetensors, the rest as JSON, a manifest with checksums written last. No pickle.

A checkpoint is a folder that appears whole, by one rename, and never changes. "best" and "last" are small files that
name one of them, replaced as a whole.
"""

import base64
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from core.errors import InputError
from core.files import (
    flush_folder,
    is_in_use,
    move_folder,
    remove_folder,
    remove_quietly,
    sealed,
    unsealed,
    write_bytes_atomically,
    write_new,
)
from core.models.network_spec import NetworkSpec
from core.runs.directory import Run, disk_use
from core.settings import changeable, changed
from core.training.early_stopping import Patience
from core.training.loop import Best, TrainState, set_frozen
from core.wording import size

FORMAT = 2
NAME = re.compile(r"(epoch|step)-(\d+)", re.ASCII)
Pointer = Literal["best", "last"]
FILES = ("weights.safetensors", "optimizer.safetensors", "state.json", "network.json")
POSITION = ("epoch", "step_in_epoch", "step", "examples", "seconds", "is_evaluated", "accuracy")
SPARE_BYTES = 1_000_000  # beside a checkpoint itself: events, records, pointers


@dataclass(frozen=True)
class Checkpoint:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name


def save_checkpoint(
    run: Run, state: TrainState, network: NetworkSpec, environment: dict[str, Any], last_change: int
) -> Checkpoint:
    """Everything that exact resuming needs, under a name of the position: epoch-0003 once that epoch is evaluated, else
    step-0000001234. environment: what the last bits depend on. last_change: the number of the last change that had taken effect.

    On disk and read again when this returns. Raises OSError, before anything is written where there is no room for it.
    """
    name = f"epoch-{state.epoch:04d}" if state.is_evaluated or state.step == 0 else f"step-{state.step:010d}"
    optimizer_tensors, optimizer_rest = _flattened(state.optimizer.state_dict())
    rest = {
        **{name: getattr(state, name) for name in POSITION},
        "best": asdict(state.best) if state.best else None,
        "patience": asdict(state.patience),
        "config": changeable(state.config),
        "is_frozen": state.is_frozen,
        "last_change": last_change,
        "window": state.window.sums(),
        "optimizer": optimizer_rest,
        "random": _random_state(),
        "environment": environment,
    }
    files = {
        "weights.safetensors": save(_contiguous(state.model.state_dict())),
        "optimizer.safetensors": save(_contiguous(optimizer_tensors)),
        "state.json": json.dumps(rest).encode(),
        "network.json": network.model_dump_json(indent=2).encode(),
    }
    sums = {file: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for file, content in files.items()}
    files["manifest.json"] = sealed({"format": FORMAT, "files": sums})  # last
    _need_room(run, sum(map(len, files.values())))
    return _put(Checkpoint(run.checkpoints / name), files)


def _put(checkpoint: Checkpoint, files: dict[str, bytes]) -> Checkpoint:
    """Written aside, read again, then there at once. One of the same position from before a resume is replaced."""
    path = checkpoint.path
    aside = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        os.mkdir(aside)
        for file, content in files.items():
            write_new(aside / file, content)
        for file, content in files.items():
            if (aside / file).read_bytes() != content:
                raise OSError(errno.EIO, f"{file} reads otherwise than it was written")
        flush_folder(aside)
        if path.exists():
            remove_folder(path)
        move_folder(aside, path)
    except BaseException:
        remove_quietly(aside)
        raise
    flush_folder(path.parent)
    return checkpoint


def _need_room(run: Run, num_bytes: int) -> None:
    free = shutil.disk_usage(run.checkpoints).free
    if free < num_bytes + SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"{size(num_bytes + SPARE_BYTES)} are needed for a checkpoint, {size(free)} are free")


def point(run: Run, pointer: Pointer, checkpoint: Checkpoint, **facts: Any) -> None:
    write_bytes_atomically(run.checkpoints / f"{pointer}.json", sealed({"checkpoint": checkpoint.name, **facts}))


def prune(run: Run, every_epochs: int, steps_per_epoch: int, step: int, keep_previous: bool = True) -> None:
    """Removes what neither the rule nor best and last keep, and what lies after `step`: it is of a course that was left.

    keep_previous: keeps the epoch before the last checkpoint too (in the first epoch the checkpoint before it), should that be damaged.
    """
    there = list_checkpoints(run)
    kept = {pointed.name for pointer in ("best", "last") if (pointed := _pointed(run, pointer))}
    if keep_previous and (last := _pointed(run, "last")):
        earlier = [c for c in there if _step_by_name(c, steps_per_epoch) < _step_by_name(last, steps_per_epoch)]
        whole = [c for c in earlier if c.name.startswith("epoch-")]
        kept.update(c.name for c in sorted(whole or earlier, key=lambda c: _step_by_name(c, steps_per_epoch))[-1:])
    for checkpoint in there:
        kind, _, number = checkpoint.name.partition("-")
        by_rule = kind == "epoch" and int(number) % every_epochs == 0
        is_later = _step_by_name(checkpoint, steps_per_epoch) > step
        if checkpoint.name not in kept and (is_later or not by_rule):
            try:
                remove_folder(checkpoint.path)
            except OSError as error:
                if not is_in_use(error):  # else it is being sent, and goes with the next pruning
                    raise


def _step_by_name(checkpoint: Checkpoint, steps_per_epoch: int) -> int:
    kind, _, number = checkpoint.name.partition("-")
    return int(number) * (steps_per_epoch if kind == "epoch" else 1)


def remove_checkpoint(run: Run, name: str) -> None:
    """By hand. Raises InputError for the last one of a run that may go on, and while it is being trained."""
    checkpoint = find_checkpoint(run, name)
    if (last := _pointed(run, "last")) and last.name == checkpoint.name:
        raise InputError(
            f"{checkpoint.name} is the last checkpoint of {run.id}: the run goes on from it.", code="checkpoint", hint="Keep it."
        )
    lock = run.hold(timeout_s=2)
    try:
        if (best := _pointed(run, "best")) and best.name == checkpoint.name:
            os.unlink(run.checkpoints / "best.json")
        remove_folder(checkpoint.path)
    finally:
        lock.release()


def prune_by_hand(run: Run, every_epochs: int | None) -> int:
    """Keeps best, last and every so many epochs (None: only best and last). Returns the bytes that became free.

    Raises InputError while the run is being trained.
    """
    lock = run.hold(timeout_s=2)
    try:
        before = disk_use(run.checkpoints)
        prune(run, every_epochs or sys.maxsize, 1, sys.maxsize, keep_previous=False)
        return before - disk_use(run.checkpoints)
    finally:
        lock.release()


def list_checkpoints(run: Run) -> list[Checkpoint]:
    names = (NAME.fullmatch(path.name) for path in run.checkpoints.iterdir())
    found = sorted((match[1], int(match[2]), match[0]) for match in names if match)
    return [Checkpoint(run.checkpoints / name) for _, _, name in found]


def find_checkpoint(run: Run, name: str = "best") -> Checkpoint:
    """best, last, or one by its name. Raises InputError that says which there are."""
    if name in ("best", "last") and (pointed := _pointed(run, name)):
        return pointed
    there = list_checkpoints(run)
    if name == "last" and there:  # killed before it was pointed to, or the pointer is damaged
        return max(there, key=position_of)
    for checkpoint in there:
        if checkpoint.name == name:
            return checkpoint
    names = [pointer for pointer in ("best", "last") if _pointed(run, pointer)] + [c.name for c in there]
    hint = f"It has {', '.join(names)}." if names else "It has none yet; the first is saved after an epoch."
    raise InputError(f"{run.id} has no checkpoint '{name[:100]}'.", code="checkpoint", hint=hint)


def has_checkpoint(run: Run) -> bool:
    return (run.checkpoints / "last.json").exists() or bool(list_checkpoints(run))


def position_of(checkpoint: Checkpoint) -> int:
    """Its step, or -1 where that can't be read."""
    return _number_in_state(checkpoint, "step", -1)


def epoch_of(checkpoint: Checkpoint) -> int:
    """Epochs trained by then, or 0 where that can't be read."""
    return _number_in_state(checkpoint, "epoch", 0)


def _number_in_state(checkpoint: Checkpoint, name: str, default: int) -> int:
    try:
        return int(json.loads((checkpoint.path / "state.json").read_bytes())[name])
    except (OSError, ValueError, KeyError, TypeError):
        return default


def is_sound(checkpoint: Checkpoint) -> bool:
    try:
        _verified(checkpoint)
    except InputError:
        return False
    return True


def sound_before(run: Run, damaged: Checkpoint) -> Checkpoint | None:
    """The newest sound checkpoint beside a damaged one."""
    others = [checkpoint for checkpoint in list_checkpoints(run) if checkpoint != damaged]
    return next(filter(is_sound, sorted(others, key=position_of, reverse=True)), None)


def _pointed(run: Run, pointer: str) -> Checkpoint | None:
    """What the pointer names, or None where there is no such pointer, or it is damaged, or its checkpoint is gone."""
    try:
        name = unsealed((run.checkpoints / f"{pointer}.json").read_bytes())["checkpoint"]
    except (OSError, ValueError, KeyError):
        return None
    checkpoint = Checkpoint(run.checkpoints / name)
    return checkpoint if NAME.fullmatch(name) and checkpoint.path.is_dir() else None


def load_network(checkpoint: Checkpoint) -> tuple[nn.Module, NetworkSpec]:
    """The network with the checkpoint's weights, in evaluation mode on the CPU, whatever device trained it."""
    files = _verified(checkpoint)
    spec = NetworkSpec.model_validate_json(files["network.json"])
    model = spec.build()
    model.load_state_dict(load(files["weights.safetensors"]))
    return model.eval(), spec


@dataclass(frozen=True)
class Resumed:
    """environment: in which the checkpoint was taken. last_change: the number of the last change that had taken effect by then."""

    environment: dict[str, Any]
    last_change: int


def load_state(checkpoint: Checkpoint, state: TrainState) -> Resumed:
    """Brings a new state to where the checkpoint was taken, the random generators of this process included."""
    files = _verified(checkpoint)
    try:
        rest = json.loads(files["state.json"])
        state.model.load_state_dict(load(files["weights.safetensors"]))
        state.config = changed(state.config, rest["config"])
        set_frozen(state, rest.get("is_frozen", state.config.model.is_frozen))
        _restore_optimizer(state.optimizer, load(files["optimizer.safetensors"]), rest["optimizer"])
        for name in POSITION:
            setattr(state, name, rest[name])
        state.best = Best(**rest["best"]) if rest["best"] else None
        state.patience = Patience(**rest["patience"])
        state.window.restore(rest["window"])
        _set_random_state(rest["random"])
        return Resumed(rest["environment"], rest["last_change"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:  # whole, but made by somebody else
        raise _damaged(checkpoint, f"it does not fit this run: {type(error).__name__} {str(error)[:200]}") from None


def read_manifest(checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    """{file: {"bytes", "sha256"}}. Raises InputError where the manifest is damaged."""
    try:
        manifest = unsealed((checkpoint.path / "manifest.json").read_bytes())
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']}, this version of Trainscope reads {FORMAT}")
        if set(manifest["files"]) != set(FILES):
            raise ValueError("it lists other files than a checkpoint has")
        return manifest["files"]
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(checkpoint, f"manifest.json: {error}") from None


def weights_sum(checkpoint: Checkpoint) -> str:
    """The checksum of its weights, by which they are the same ones under whatever name. Raises InputError where it is damaged."""
    return read_manifest(checkpoint)["weights.safetensors"]["sha256"]


def _verified(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The files' contents, each compared with its checksum. Raises InputError that names the damaged one."""
    return {file: read_file(checkpoint, file) for file in read_manifest(checkpoint)}


def read_file(checkpoint: Checkpoint, file: str) -> bytes:
    """One file's content, compared with its checksum. Raises InputError that names it if it is damaged."""
    expected = read_manifest(checkpoint)[file]
    try:
        content = (checkpoint.path / file).read_bytes()
    except OSError as error:
        raise _damaged(checkpoint, f"{file} can't be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise _damaged(checkpoint, f"{file} is not as it was written")
    return content


def open_file(checkpoint: Checkpoint, file: str) -> BinaryIO:
    """One file, at its start, compared with its checksum piece by piece: for those too large to be read at once. Raises as read_file."""
    expected = read_manifest(checkpoint)[file]
    try:
        opened = (checkpoint.path / file).open("rb")
    except OSError as error:
        raise _damaged(checkpoint, f"{file} can't be read: {error.strerror}") from None
    if hashlib.file_digest(opened, "sha256").hexdigest() != expected["sha256"]:
        opened.close()
        raise _damaged(checkpoint, f"{file} is not as it was written")
    opened.seek(0)
    return opened


def _damaged(checkpoint: Checkpoint, how: str) -> InputError:
    return InputError(f"Checkpoint {checkpoint.name} is damaged ({how}).", code="checkpoint", hint="Choose another one.")


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
