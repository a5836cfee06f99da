"""Transfer learning: pretrained weights from a file put in place, a frozen backbone, and what is said where there are none."""

import re
from collections import OrderedDict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from core.config import TrainConfig
from core.data.imports import import_images
from core.data.sets import prepare_store
from core.data.sources.download import fetch_file
from core.errors import InputError
from core.intake import pretrained
from core.intake.pretrained import make_pretrained_ready
from core.models.catalogue import build_model
from core.models.head import freeze_backbone, head_of, training_mode
from core.models.pretrained import are_at_hand, original_path, weights_path
from core.optimizers import SGD
from core.running.plan import complete
from core.running.recipe_start import start_from
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, load_network
from core.runs.directory import create_run
from core.settings import changed, config_from
from core.training.optimizers import build_optimizer
from core.workspace import Workspace
from tests.fixtures.real_data import real_data

MODEL = "mobilenet-v3-small"


def config_for(dataset: str = "digits", **changes) -> TrainConfig:
    return config_from(
        {
            "data": {"dataset": dataset, "validation_fraction": 0.25, "evaluate_on": "validation"},
            "preprocessing": {"size_px": 32, "colour": "rgb"},
            "model": {"name": MODEL, "weights": "pretrained", "frozen": True},
            "epochs": 1,
            "batch_size": 8,
            "threads": 1,
            "tensorboard": False,
            **changes,
        }
    )


def put_weights(workspace: Workspace, model: str = MODEL) -> dict[str, torch.Tensor]:
    """A file as torchvision publishes it, of weights of our own drawing."""
    torch.manual_seed(7)
    state = build_model(config_for(model={"name": model}).model, (3, 224, 224), 1000).state_dict()
    torch.save(state, original_path(workspace, model))
    return state


@pytest.fixture
def ants_and_bees(workspace: Workspace, tmp_path):
    """A little set of two classes under another name than the recipe's."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 8)):
        for shade, name in ((60, "ants"), (190, "Bees")):
            (tmp_path / "insects" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 60, (40, 50, 3)) + shade
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "insects" / split / name / f"{i}.png")
    return import_images(workspace, tmp_path / "insects").name


def test_frozen_backbone_stays_as_it_is_and_the_last_layer_learns():
    torch.manual_seed(0)
    network = build_model(config_for().model, (3, 32, 32), 3)
    freeze_backbone(network)
    head = head_of(list(network.state_dict()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    training_mode(network)
    loss = nn.functional.cross_entropy(network(torch.rand(8, 3, 32, 32)), torch.arange(8) % 3)
    loss.backward()
    build_optimizer(SGD(lr=0.5), network).step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == set(head) and len(head) == 2  # figures of the norms included


def test_weights_put_in_place_are_what_training_begins_with_and_frozen_they_stay(workspace):
    published = put_weights(workspace)
    config = complete(workspace, config_for())
    make_pretrained_ready(workspace, config.model)
    kept = load_file(weights_path(workspace, MODEL))
    assert all(torch.equal(kept[name], value) for name, value in published.items())
    run = create_run(workspace, config)
    assert run_session(workspace, run).reason == "finished"
    trained, spec = load_network(find_checkpoint(run))
    head = head_of(list(published))
    assert all(torch.equal(value, published[name]) for name, value in trained.state_dict().items() if name not in head)
    assert len(spec.class_names) == 10


def test_published_file_of_before_pytorch_1_6_is_taken(workspace):
    """VGG-16, DenseNet-121 and others are still of that form; DenseNet's file has the names of an older version too."""
    names = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])\.")
    state = build_model(config_for(model={"name": "densenet121"}).model, (3, 224, 224), 1000).state_dict()
    old = {names.sub(r"\1.\2.", name): value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(OrderedDict(old), original_path(workspace, "densenet121"), _use_new_zipfile_serialization=False)
    make_pretrained_ready(workspace, config_for(model={"name": "densenet121", "weights": "pretrained"}).model)
    kept = load_file(weights_path(workspace, "densenet121"))
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[name], value) for name, value in state.items())


@pytest.mark.parametrize("damage", ["cut", "longer", "another count", "code"])
def test_damaged_or_hostile_file_of_that_form_is_refused(workspace, damage):
    original = original_path(workspace, MODEL)
    torch.save({"a": torch.zeros(3)}, original, _use_new_zipfile_serialization=False)
    content = original.read_bytes()
    numbers = 8 + 3 * 4
    original.write_bytes(
        {
            "cut": content[:-1],
            "longer": content + b"x",
            "another count": content[:-numbers] + (9).to_bytes(8, "little") + content[-12:],
            "code": content[: content.index(b"ccollections")] + b"cos\nsystem\n(U\x04trueR." + content[-numbers:],
        }[damage]
    )
    with pytest.raises(InputError, match="The file can't be taken"):
        make_pretrained_ready(workspace, config_for().model)
    assert not weights_path(workspace, MODEL).exists()


def test_unfrozen_pretrained_network_learns_everywhere(workspace):
    published = put_weights(workspace)
    config = complete(workspace, config_for(model={"name": MODEL, "weights": "pretrained"}))
    make_pretrained_ready(workspace, config.model)
    run = create_run(workspace, config)
    assert run_session(workspace, run).reason == "finished"
    trained, _ = load_network(find_checkpoint(run))
    assert not torch.equal(trained.state_dict()["features.0.0.weight"], published["features.0.0.weight"])


def test_hostile_or_foreign_file_in_place_of_the_weights_is_refused_and_nothing_is_kept(workspace):
    torch.save({"something": torch.zeros(3)}, original_path(workspace, MODEL))
    with pytest.raises(InputError):
        make_pretrained_ready(workspace, config_for().model)
    original_path(workspace, MODEL).write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    with pytest.raises(InputError):
        make_pretrained_ready(workspace, config_for().model)
    assert not weights_path(workspace, MODEL).exists()


def test_without_network_the_file_its_place_and_the_way_out_are_named(workspace, monkeypatch):
    def offline(urls, *rest, **options):
        return fetch_file(["http://127.0.0.1:9/none"], *rest, **options)

    monkeypatch.setattr(pretrained, "fetch_file", offline)
    with pytest.raises(InputError, match=r"weights of mobilenet-v3-small are not on this machine") as refusal:
        make_pretrained_ready(workspace, config_for().model)
    assert refusal.value.code == "weights-offline"
    for word in ("mobilenet_v3_small-047dcff4.pth", str(workspace.models), "fresh"):
        assert word in refusal.value.hint


def test_training_says_so_where_the_weights_have_gone(workspace):
    prepare_store(workspace, "digits", config_for().preprocessing)
    run = create_run(workspace, complete(workspace, config_for()))
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert "not on this machine" in ended.message


def test_model_without_pretrained_weights_says_which_have_them(workspace):
    with pytest.raises(InputError, match="no pretrained weights for mlp") as refusal:
        make_pretrained_ready(workspace, config_for(model={"name": "mlp", "weights": "pretrained"}).model)
    assert "resnet18" in refusal.value.hint


def test_freezing_fresh_weights_is_refused():
    with pytest.raises(InputError, match="frozen"):
        config_for(model={"name": MODEL, "frozen": True})


def test_ants_and_bees_run_from_scratch_without_weights_and_say_so(workspace, ants_and_bees):
    prepare_store(workspace, ants_and_bees, TrainConfig().preprocessing)
    start = start_from(workspace, "ants-bees")
    assert start.missing_weights == "resnet18"
    assert "not on this machine" in start.note and "scratch" in start.note
    assert (start.config.model.weights, start.config.model.name) == ("fresh", "residual-cnn")
    assert start.config.data.dataset == "insects"
    run = create_run(workspace, complete(workspace, changed(start.config, {"epochs": 2, "threads": 1})))
    assert run_session(workspace, run).reason == "finished"


def test_ants_and_bees_begin_pretrained_where_the_weights_are(workspace):
    put_weights(workspace, "resnet18")
    assert are_at_hand(workspace, "resnet18")
    start = start_from(workspace, "ants-bees")
    assert (start.note, start.missing_weights) == ("", "")
    assert (start.config.model.name, start.config.model.weights, start.config.model.frozen) == ("resnet18", "pretrained", True)
    assert start.config.data.dataset == "ants-bees"  # to be imported: nothing here is it


@pytest.mark.real_data
def test_the_real_ants_and_bees_are_found_under_the_name_of_their_zip(workspace):
    name = import_images(workspace, real_data("hymenoptera")).name
    prepare_store(workspace, name, TrainConfig().preprocessing)
    assert start_from(workspace, "ants-bees").config.data.dataset == "hymenoptera"
