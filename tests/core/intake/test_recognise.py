"""Files of torchvision's networks say themselves which network they are of, with which last layer and how many classes."""

import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from core.commands.parser import main
from core.config import TrainConfig
from core.errors import InputError
from core.inference.layers import as_input
from core.intake.load import load_file
from core.intake.recognise import recognise, recognised_in
from core.models.catalogue import build_model
from core.models.torchvision_families import FAMILIES
from core.runs.checkpoints import find_checkpoint, load_network
from core.runs.directory import find_run
from core.settings import changed
from core.workspace import Workspace

DIGITS = {
    "data.dataset": "digits",
    "data.validation_fraction": 0.2,
    "data.evaluate_on": "validation",
    "preprocessing.size_px": 32,
}


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def on_meta(name: str, head: str = "replaced", channels: int = 3, classes: int = 7, side: int = 64) -> dict[str, tuple[int, ...]]:
    config = changed(TrainConfig(), {"model.name": name, "model.head": head}).model
    with torch.device("meta"):
        return shapes_of(build_model(config, (channels, side, side), classes))


@pytest.mark.parametrize("head", ["replaced", "appended"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_is_recognised_with_its_head_classes_and_channels(name, head):
    found = recognise(on_meta(name, head, channels=1))
    assert (found.model, found.head, found.num_classes, found.channels) == (name, head, 7, 1)
    assert found.side_px == (64 if name == "vit-b-16" else None)
    assert not found.is_beside


def tutorial_vgg16(way: str) -> nn.Module:
    """As tutorials write it."""
    with torch.device("meta"):
        vgg16 = models.vgg16(weights=None)
        if way == "replaced":
            vgg16.classifier[6] = nn.Linear(4096, 10)
        elif way == "appended":
            vgg16.classifier.add_module("add_linear", nn.Linear(1000, 10))
        else:
            vgg16.add_module("add_linear", nn.Linear(1000, 10))
    return vgg16


@pytest.mark.parametrize(
    ("way", "head", "is_beside"), [("replaced", "replaced", False), ("appended", "appended", False), ("beside", "appended", True)]
)
def test_vgg16_of_the_tutorials_is_recognised_in_all_three_ways(way, head, is_beside):
    found = recognise(shapes_of(tutorial_vgg16(way)))
    assert (found.model, found.head, found.num_classes, found.is_beside) == ("vgg16", head, 10, is_beside)
    assert "VGG-16" in str(found) and "10 classes" in str(found)
    assert bool(found.notes) == is_beside


def test_what_is_of_no_network_is_not_recognised():
    shapes = on_meta("squeezenet1-1")
    assert recognise({}) is None
    assert recognise({name: shape for name, shape in shapes.items() if name != "features.0.bias"}) is None
    assert recognise({**shapes, "more.weight": (3, 3), "more.bias": (3,)}) is None
    assert recognise({**shapes, "features.0.weight": (64, 3, 5, 5)}) is None
    assert recognise(on_meta("mlp")) is None


def saved(folder: Path, head: str, *, beside: bool = False, channels: int = 3) -> tuple[Path, nn.Module]:
    config = changed(TrainConfig(), {"model.name": "mobilenet-v3-small", "model.head": head}).model
    torch.manual_seed(0)
    network = build_model(config, (channels, 32, 32), 10).eval()
    state = OrderedDict(
        (name.replace("classifier.add", "add") if beside else name, t) for name, t in network.state_dict().items()
    )
    torch.save({"model_state_dict": state, "epoch": 3}, folder / "weights.pt")
    return folder / "weights.pt", network


@pytest.mark.parametrize("beside", [False, True])
def test_file_with_the_other_head_is_taken_with_its_own_and_says_so(workspace: Workspace, tmp_path, beside):
    path, network = saved(tmp_path, "appended", beside=beside, channels=1)
    loaded = load_file(workspace, path, path.name, changed(TrainConfig(), {**DIGITS, "model.name": "mobilenet-v3-small"}))
    assert loaded.run.config.model.head == "appended"
    assert "model.head was set to appended" in loaded.notes[0]
    assert any("never comes to it" in note for note in loaded.notes) == beside
    ours, spec = load_network(find_checkpoint(loaded.run, "last"))
    images = as_input(torch.zeros(1, *spec.shape, dtype=torch.uint8).numpy(), spec)
    with torch.inference_mode():
        assert torch.equal(ours(images), network(images))


def test_file_of_another_network_is_refused_with_which_it_is_of(workspace, tmp_path):
    path, _ = saved(tmp_path, "replaced", channels=1)
    with pytest.raises(InputError, match="don't fit the model") as refusal:
        load_file(workspace, path, path.name, changed(TrainConfig(), {**DIGITS, "model.name": "mlp"}))
    assert "The file is of MobileNet v3, small, for 10 classes and grey images" in refusal.value.hint


def test_file_alone_says_what_it_is_of_and_what_is_missing(workspace, tmp_path):
    path, _ = saved(tmp_path, "replaced")
    with pytest.raises(InputError, match="does not say for which classes") as refusal:
        load_file(workspace, path, path.name)
    assert "MobileNet v3, small, for 10 classes and colour images" in refusal.value.hint


def test_command_line_takes_the_network_that_the_file_shows_to_be(workspace, tmp_path, capsys):
    path, _ = saved(tmp_path, "appended", beside=True, channels=1)
    options = [f"{name}={value}" for name, value in DIGITS.items() if name.startswith(("data.v", "pre"))]
    chosen = [word for option in options for word in ("--set", option)]
    assert main(["--home", str(workspace.home), "--json", "load", str(path), "--dataset", "digits", *chosen]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "mobilenet-v3-small"
    assert find_run(workspace, result["run"]).config.model.head == "appended"
    assert "never comes to it" in result["notes"][0]
    assert any("'classifier.add_linear.weight'" in note and "add_linear.weight" in note for note in result["notes"])


def test_hostile_file_is_not_recognised(tmp_path):
    (tmp_path / "file").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert recognised_in(tmp_path / "file", "torch") is None
