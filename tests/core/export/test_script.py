"""A run as a program of plain PyTorch: it trains the same batches to the same weights, to the last bit, and says what it can't have."""

import contextlib
import gzip
import hashlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision import datasets

from core.commands.parser import main
from core.config import TrainConfig
from core.data.sources import builtin
from core.errors import InputError
from core.export.script import script
from core.models.catalogue import build_model
from core.recipes import RECIPES
from core.running.plan import plan_run
from core.running.session import run_session
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.settings import changed
from core.training.batches import TrainingData
from core.training.device import choose_compute
from core.training.events import Evaluated
from core.training.loop import new_state, train
from core.workspace import Workspace
from tests.core.data.test_store import idx

NUM_TRAIN, NUM_TEST = 500, 120
EXACT = {"precision": "float32", "threads": 1, "device": "cpu", "epochs": 2, "batch_size": 32, "tensorboard": False}


def pictures(channels: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, C, H, W) uint8 and (N,) of real digits, brought to another size."""
    digits = load_digits()
    count = NUM_TRAIN + NUM_TEST
    small = torch.from_numpy(digits.images[:count]).float()[:, None] * 15.9
    images = torch.nn.functional.interpolate(small, (side, side), mode="bilinear").byte()
    return images.expand(-1, channels, -1, -1).contiguous().numpy(), digits.target[:count].astype(np.int64)


def ours(config: TrainConfig, images: np.ndarray, labels: np.ndarray) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Accuracies after each epoch, and the weights, as the loop of a run makes them."""
    config = changed(config, EXACT)
    data = TrainingData(
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        train=torch.arange(NUM_TRAIN),
        evaluated=torch.arange(NUM_TRAIN, NUM_TRAIN + NUM_TEST),
        mean=torch.tensor(config.preprocessing.mean),
        std=torch.tensor(config.preprocessing.std),
    )
    torch.manual_seed(config.seed)
    state = new_state(config, build_model(config.model, images.shape[1:], 10), torch.device("cpu"))
    events = [event for event in train(data, 10, state, choose_compute(config)) if isinstance(event, Evaluated)]
    return [event.accuracy for event in events[1:]], state.model.state_dict()


def theirs(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, torch.Tensor]]:
    """What the program prints, and the weights that it saves."""
    monkeypatch.chdir(folder)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(source, "run.py", "exec"), {"__name__": "__main__"})
    printed = re.findall(r"epoch \d+: test accuracy ([\d.]+) %", said.getvalue())
    return printed, torch.load(folder / "weights.pt", weights_only=True)


class Pictures:
    """As torchvision's sets hold them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, is_grey: bool) -> None:
        self.images, self.labels, self.is_grey = images, labels, is_grey

    def __call__(self, root: str, train: bool, download: bool):
        part = slice(0, NUM_TRAIN) if train else slice(NUM_TRAIN, None)
        images, labels = self.images[part], self.labels[part]
        self.data = torch.from_numpy(images[:, 0]) if self.is_grey else images.transpose(0, 2, 3, 1)
        self.targets = torch.from_numpy(labels) if self.is_grey else labels.tolist()
        return self


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("mnist-first-cnn", {}),
        ("mnist-batchnorm-cnn", {}),
        ("cifar10-quick", {}),
        ("cifar10-blitz", {"drop_last": True}),
        ("mnist-first-cnn", {"model.name": "mlp", "schedule": {"name": "one-cycle"}, "loss.label_smoothing": 0.1}),
        ("mnist-first-cnn", {"optimizer": {"name": "adamw", "lr": 0.002, "weight_decay": 0.1}, "data.sampling": "in order"}),
        ("cifar10-quick", {"schedule": {"name": "step", "step_epochs": 1, "warmup_epochs": 0.5}, "optimizer.clip_norm": 0.5}),
    ],
)
def test_program_trains_to_the_same_weights_to_the_last_bit(workspace: Workspace, tmp_path, monkeypatch, recipe, changes):
    config = changed(changed(RECIPES[recipe].config, EXACT), changes)
    is_grey = config.data.dataset == "mnist"
    images, labels = pictures(1 if is_grey else 3, 28 if is_grey else 32)
    monkeypatch.setattr(datasets, "MNIST" if is_grey else "CIFAR10", Pictures(images, labels, is_grey))
    source = script(plan_run(workspace, config))
    assert "core" not in source
    accuracies, weights = ours(config, images, labels)
    said, saved = theirs(source, tmp_path, monkeypatch)
    assert said == [f"{100 * accuracy:.2f}" for accuracy in accuracies]
    assert list(saved) == list(weights)
    assert all(torch.equal(saved[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"augmentation.flip": True}, "random changes of the images"),
        ({"model.name": "residual-light"}, "layers are not made in the order"),
        ({"data.validation_fraction": 0.1}, "a split that was drawn"),
        ({"preprocessing.size_px": 32}, "images of another size or colour"),
        ({"loss.name": "mse"}, "another loss than cross-entropy"),
        (
            {"data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"}, "model.name": "mlp"},
            "a set of one's own",
        ),
    ],
)
def test_what_the_program_can_not_have_is_said(workspace: Workspace, changes, what):
    config = changed(RECIPES["mnist-first-cnn"].config, changes)
    with pytest.raises(InputError, match=what) as refusal:
        script(plan_run(workspace, config))
    assert refusal.value.code == "script"


@pytest.fixture
def small_mnist(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """MNIST's own files with few images in them, here and where the program looks for them."""
    images, labels = pictures(1, 28)
    raw = workspace.datasets / "MNIST" / "raw"
    raw.mkdir(parents=True)
    sums = {}
    for name, array in (
        ("train-images-idx3-ubyte", images[:NUM_TRAIN, 0]),
        ("train-labels-idx1-ubyte", labels[:NUM_TRAIN].astype(np.uint8)),
        ("t10k-images-idx3-ubyte", images[NUM_TRAIN:, 0]),
        ("t10k-labels-idx1-ubyte", labels[NUM_TRAIN:].astype(np.uint8)),
    ):
        content = idx(array)
        (raw / name).write_bytes(content)
        (raw / f"{name}.gz").write_bytes(gzip.compress(content))
        sums[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(builtin, "MNIST_RAW_SHA256", sums)
    return workspace


def trained(workspace: Workspace) -> Run:
    run = create_run(workspace, changed(RECIPES["mnist-first-cnn"].config, EXACT))
    ended = run_session(workspace, run)
    assert ended.reason == "finished", ended.message
    return run


def test_command_line_writes_a_runs_program_which_ends_at_its_accuracy(small_mnist, tmp_path, capsys):
    run = trained(small_mnist)
    place = tmp_path / "program"
    place.mkdir()
    assert main(["--home", str(small_mnist.home), "export", run.id, "--to", str(place / "run.py")]) == 0
    capsys.readouterr()
    (place / "data").mkdir()
    (place / "data" / "MNIST").symlink_to(small_mnist.datasets / "MNIST")
    ended = subprocess.run([sys.executable, "-I", "run.py"], cwd=place, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    last = history_of(run).last_evaluation
    assert f"epoch 2: test accuracy {100 * last.accuracy:.2f} %" in ended.stdout
