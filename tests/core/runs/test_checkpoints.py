"""Checkpoints: exact, without pickle, whole or noticed to be damaged, and no more of them than the rule keeps."""

import json
import random
import shutil
from itertools import count

import pytest
import torch
from torch import nn

from core.config import TrainConfig
from core.errors import InputError
from core.files import write_new
from core.models.network_spec import NetworkSpec
from core.runs import checkpoints
from core.runs.checkpoints import (
    find_checkpoint,
    is_sound,
    list_checkpoints,
    load_network,
    load_state,
    point,
    prune,
    remove_checkpoint,
    save_checkpoint,
    sound_before,
)
from core.runs.directory import Run, create_run
from core.settings import config_from
from core.training.loop import TrainState, new_state
from core.workspace import open_workspace

SHAPE = (1, 8, 8)
FILES = {"weights.safetensors", "optimizer.safetensors", "state.json", "network.json", "manifest.json"}


def config_with(optimizer: str = "adam", every_epochs: int = 1) -> TrainConfig:
    return config_from(
        {
            "model": {"name": "mnist-batchnorm-cnn", "width": 0.25},
            "optimizer": {"name": optimizer},
            "preprocessing": {"mean": [0.3], "std": [0.4]},
            "checkpoint": {"every_epochs": every_epochs},
        }
    )


def network_of(config: TrainConfig) -> NetworkSpec:
    names = tuple("abcdefghij")
    return NetworkSpec(model=config.model, shape=SHAPE, class_names=names, preprocessing=config.preprocessing)


def state_of(config: TrainConfig) -> TrainState:
    return new_state(config, network_of(config).build(), torch.device("cpu"))


def trained_state(config: TrainConfig, steps: int = 3) -> TrainState:
    """A state some steps on, so that the optimizer and the running means hold something."""
    state = state_of(config)
    for _ in range(steps):
        images, labels = torch.rand(8, *SHAPE), torch.randint(0, 10, (8,))
        loss = nn.functional.cross_entropy(state.model(images), labels)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        state.window.add(loss.detach(), state.model(images).detach(), labels)
    state.epoch, state.step_in_epoch, state.step, state.examples, state.seconds = 1, steps, 20 + steps, 160 + 8 * steps, 1.5
    return state


@pytest.fixture
def run(tmp_path) -> Run:
    return create_run(open_workspace(tmp_path), config_with())


def flat(state: TrainState) -> dict:
    """Everything that training changes, as comparable values."""
    optimizer = state.optimizer.state_dict()
    return {
        "weights": {name: tensor.tolist() for name, tensor in state.model.state_dict().items()},
        "optimizer": {
            i: {k: v.tolist() if torch.is_tensor(v) else v for k, v in s.items()} for i, s in optimizer["state"].items()
        },
        "groups": json.loads(json.dumps(optimizer["param_groups"])),  # Adam's pair of betas comes back as a list
        "position": (state.epoch, state.step_in_epoch, state.step, state.examples, state.seconds, state.is_evaluated),
        "window": state.window.sums(),
    }


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_loaded_state_equals_the_saved_one(run, optimizer):
    config = config_with(optimizer)
    torch.manual_seed(3)
    state = trained_state(config)
    checkpoint = save_checkpoint(run, state, network_of(config), {}, 0)
    draws = torch.rand(5)
    other = state_of(config)
    assert flat(other) != flat(state)
    load_state(checkpoint, other)
    assert flat(other) == flat(state)
    assert torch.equal(torch.rand(5), draws)  # the random generator goes on where it was


def test_loaded_network_answers_as_the_saved_one(run):
    config = config_with()
    state = trained_state(config)
    model, spec = load_network(save_checkpoint(run, state, network_of(config), {}, 0))
    images = torch.rand(4, *SHAPE).to(memory_format=torch.channels_last)
    assert not model.training
    torch.testing.assert_close(model(images), state.model.eval()(images))
    assert spec == network_of(config)


def test_checkpoint_has_its_files_and_no_pickle(run):
    checkpoint = save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    contents = {path.name: path.read_bytes() for path in checkpoint.path.iterdir()}
    assert set(contents) == FILES
    for name, content in contents.items():
        assert not content.startswith((b"\x80", b"PK")), name  # pickle protocols 2 to 5, torch.save's zip
        if name.endswith(".json"):
            json.loads(content)


def test_manifest_lists_every_other_file(run):
    checkpoint = save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    manifest = json.loads((checkpoint.path / "manifest.json").read_text())
    assert set(manifest["files"]) == FILES - {"manifest.json"}
    for name, facts in manifest["files"].items():
        assert facts["bytes"] == (checkpoint.path / name).stat().st_size


@pytest.mark.parametrize("name", sorted(FILES - {"manifest.json"}))
def test_any_flipped_bit_is_noticed(run, name):
    checkpoint = save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    path = checkpoint.path / name
    sound = path.read_bytes()
    draws = random.Random(name)
    for _ in range(40):
        position = draws.randrange(len(sound) * 8)
        damaged = bytearray(sound)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"damaged \({name}"):
            load_network(checkpoint)
        with pytest.raises(InputError, match=rf"damaged \({name}"):
            load_state(checkpoint, state_of(config_with()))


def test_any_flipped_bit_of_the_manifest_is_noticed(run):
    checkpoint = save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    path = checkpoint.path / "manifest.json"
    sound = path.read_bytes()
    for position in range(0, len(sound) * 8, 7):
        damaged = bytearray(sound)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=checkpoint.name):
            load_network(checkpoint)


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_or_cut_file_is_named(run, name):
    checkpoint = save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    path = checkpoint.path / name
    path.write_bytes(path.read_bytes()[:-1] if name != "manifest.json" else b'{"format": 1, "files"')
    with pytest.raises(InputError, match=checkpoint.name):
        load_network(checkpoint)
    path.unlink()
    with pytest.raises(InputError, match=checkpoint.name):
        load_network(checkpoint)


def test_failed_save_leaves_nothing_behind(run, monkeypatch):
    """The disk fails at each of the writes in turn: an error, and never half a checkpoint."""
    state, network = trained_state(config_with()), network_of(config_with())
    for limit in range(len(FILES)):
        writes = count()

        def failing(path, content, writes=writes, limit=limit):
            if next(writes) == limit:
                raise OSError(28, "No space left on device")
            write_new(path, content)

        monkeypatch.setattr(checkpoints, "write_new", failing)
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(run, state, network, {}, 0)
        assert list(run.checkpoints.iterdir()) == []


def test_too_little_room_is_told_before_anything_is_written(run, monkeypatch):
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(OSError, match=r"1\.\d MB are needed for a checkpoint, 1\.0 kB are free"):
        save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    assert list(run.checkpoints.iterdir()) == []


def test_file_that_reads_otherwise_than_it_was_written_is_no_checkpoint(run, monkeypatch):
    monkeypatch.setattr(checkpoints, "write_new", lambda path, content: write_new(path, content[:-1] + b"?"))
    with pytest.raises(OSError, match="reads otherwise"):
        save_checkpoint(run, trained_state(config_with()), network_of(config_with()), {}, 0)
    assert list(run.checkpoints.iterdir()) == []


def test_damaged_checkpoint_is_replaced_when_training_comes_by_again(run):
    state = trained_state(config_with())
    first = save_checkpoint(run, state, network_of(config_with()), {}, 0)
    (first.path / "weights.safetensors").write_bytes(b"rot")
    assert not is_sound(first)
    assert is_sound(save_checkpoint(run, state, network_of(config_with()), {}, 0))
    assert names(run) == [first.name]


def saved(run: Run, epoch: int, step_in_epoch: int = 0) -> checkpoints.Checkpoint:
    state = state_of(config_with())
    state.epoch, state.step_in_epoch, state.step = epoch, step_in_epoch, epoch * 100 + step_in_epoch
    state.is_evaluated = step_in_epoch == 0
    return save_checkpoint(run, state, network_of(config_with()), {}, 0)


def names(run: Run) -> list[str]:
    return [checkpoint.name for checkpoint in list_checkpoints(run)]


def test_pruning_keeps_every_nth_epoch_and_best_and_last(run):
    made = {epoch: saved(run, epoch) for epoch in range(1, 8)}
    within = saved(run, 7, step_in_epoch=5)
    point(run, "best", made[5], accuracy=0.9, epoch=5)
    point(run, "last", within)
    prune(run, 3, steps_per_epoch=100, step=705)
    # by the rule 3 and 6, 5 is best; 7 is the whole epoch before the last checkpoint
    assert names(run) == ["epoch-0003", "epoch-0005", "epoch-0006", "epoch-0007", "step-0000000705"]


def test_checkpoint_within_an_epoch_is_gone_once_another_is_last(run):
    within = saved(run, 1, step_in_epoch=5)
    point(run, "last", within)
    prune(run, 1, steps_per_epoch=100, step=105)
    assert names(run) == [within.name]
    point(run, "last", saved(run, 2))
    prune(run, 1, steps_per_epoch=100, step=200)
    assert names(run) == ["epoch-0002", within.name]  # the one before, while there is no whole epoch before
    point(run, "last", saved(run, 3))
    prune(run, 1, steps_per_epoch=100, step=300)
    assert names(run) == ["epoch-0002", "epoch-0003"]


def test_pruning_removes_what_lies_after_the_step_that_was_gone_back_to(run):
    made = {epoch: saved(run, epoch) for epoch in range(1, 5)}
    point(run, "last", made[2])
    prune(run, 1, steps_per_epoch=100, step=200)
    assert names(run) == ["epoch-0001", "epoch-0002"]


def test_last_is_the_furthest_where_no_sound_pointer_says_so(run):
    """A process killed between saving its first checkpoint and pointing to it, or a pointer that rotted."""
    saved(run, 1)
    within = saved(run, 1, step_in_epoch=5)
    assert find_checkpoint(run, "last") == within
    (run.checkpoints / "last.json").write_text('{"checkpoint": "epoch-0001"}')  # no seal
    assert find_checkpoint(run, "last") == within


def test_sound_checkpoint_before_a_damaged_one_is_found(run):
    first, second, third = saved(run, 1), saved(run, 2), saved(run, 3)
    for damaged in (second, third):
        (damaged.path / "state.json").write_bytes(b"{}")
    assert sound_before(run, third) == first


def test_checkpoints_are_removed_by_hand_but_never_the_last(run):
    first, second = saved(run, 1), saved(run, 2)
    point(run, "best", first, accuracy=0.9, epoch=1)
    point(run, "last", second)
    with pytest.raises(InputError, match="goes on from it"):
        remove_checkpoint(run, "last")
    remove_checkpoint(run, "best")
    assert names(run) == ["epoch-0002"]
    with pytest.raises(InputError, match="no checkpoint 'best'"):
        find_checkpoint(run, "best")


def test_best_and_last_are_found_by_name(run):
    first, second = saved(run, 1), saved(run, 2)
    point(run, "best", first, accuracy=0.9, epoch=1)
    point(run, "last", second)
    assert find_checkpoint(run, "best") == first
    assert find_checkpoint(run, "last") == second
    assert find_checkpoint(run, "epoch-0002") == second


@pytest.mark.parametrize("name", ["epoch-0009", "", "..", "../../etc", "epoch-0001/../epoch-0001", "/"])
def test_unknown_checkpoint_is_refused_with_those_there_are(run, name):
    point(run, "last", saved(run, 1))
    with pytest.raises(InputError, match=r"It has last, epoch-0001\."):
        find_checkpoint(run, name)


def test_run_without_checkpoints_says_when_the_first_comes(run):
    with pytest.raises(InputError, match="none yet"):
        find_checkpoint(run)


def test_leftovers_of_a_killed_save_are_no_checkpoints(run):
    checkpoint = saved(run, 1)
    shutil.copytree(checkpoint.path, run.checkpoints / ".tmp-abc")
    assert names(run) == ["epoch-0001"]
