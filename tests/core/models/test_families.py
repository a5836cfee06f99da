"""torchvision's networks fitted to other classes and images: against torchvision's own, changed by hand as tutorials change them."""

import re
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import interpolate_embeddings

from core.config import CatalogueNetwork
from core.errors import InputError
from core.models.catalogue import MODELS, build_model, describe_model
from core.models.head import head_of
from core.models.pretrained import PRETRAINED
from core.models.torchvision_families import FAMILIES, fitted
from core.recipes import RECIPES
from core.running.plan import plan_run
from core.running.recipe_start import start_from, suited_to
from core.settings import changed
from core.training.batches import TrainingData
from core.training.device import choose_compute
from core.training.events import StepLogged
from core.training.loop import new_state, train
from tests.fixtures.networks import OURS

CLASSES = 10


def config(name: str, head: str = "replaced") -> CatalogueNetwork:
    return CatalogueNetwork(name=name, head=head)


def replaced_by_hand(name: str, network: nn.Module) -> None:
    """Its last layer, as torchvision's transfer learning tutorials write it."""
    match name.split("_")[0].rstrip("0123456789"):
        case "vgg":
            network.classifier[6] = nn.Linear(4096, CLASSES)
        case "resnet":
            network.fc = nn.Linear(network.fc.in_features, CLASSES)
        case "mobilenet":
            network.classifier[3] = nn.Linear(network.classifier[3].in_features, CLASSES)
        case "efficientnet":
            network.classifier[1] = nn.Linear(1280, CLASSES)
        case "convnext":
            network.classifier[2] = nn.Linear(768, CLASSES)
        case "densenet":
            network.classifier = nn.Linear(1024, CLASSES)
        case "squeezenet":
            network.classifier[1] = nn.Conv2d(512, CLASSES, kernel_size=1)
        case "vit":
            network.heads.head = nn.Linear(768, CLASSES)
        case other:
            raise AssertionError(other)


def by_hand(name: str, side: int = 224) -> nn.Module:
    """On the meta device, for 1,000 classes."""
    builder = FAMILIES[name].builder
    options = {"image_size": side} if builder.startswith("vit") else {}
    with torch.device("meta"):
        return getattr(models, builder)(weights=None, **options)


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_names_shapes_and_answers_are_those_of_a_network_changed_by_hand_at_three_sizes(name):
    family = FAMILIES[name]
    for side in (32, 64, 224):
        expected = by_hand(name, side)
        with torch.device("meta"):
            replaced = build_model(config(name), (3, side, side), CLASSES)
            replaced_by_hand(family.builder, expected)
        assert list(shapes(replaced).items()) == list(shapes(expected).items())
        assert replaced.eval()(torch.empty(2, 3, side, side, device="meta")).shape == (2, CLASSES)
    assert all(entry.startswith(f"{family.head}.") for entry in head_of(list(shapes(replaced))))


@pytest.mark.parametrize("name", FAMILIES)
def test_appended_layer_leaves_all_others_as_they_were(name):
    with torch.device("meta"):
        appended = build_model(config(name, "appended"), (3, 64, 64), CLASSES)
    own = shapes(by_hand(name, 64))
    added = {k: v for k, v in shapes(appended).items() if k not in own}
    assert sorted(added.values()) == [(CLASSES,), (CLASSES, 1000)]
    assert {k: v for k, v in shapes(appended).items() if k in own} == own
    assert head_of(list(shapes(appended))) == list(added)
    assert appended.eval()(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, CLASSES)


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_as_many_as_torchvision_publishes_and_so_is_the_file(name):
    published = {weights.url.rpartition("/")[2]: weights for weights in models.get_model_weights(FAMILIES[name].builder)}
    weights = published[PRETRAINED[name].file]
    assert describe_model(config(name), (3, 224, 224), 1000).num_parameters == weights.meta["num_params"]
    assert PRETRAINED[name].url == weights.url
    assert PRETRAINED[name].megabytes == pytest.approx(weights.meta["_file_size"], abs=0.51)
    assert re.fullmatch("[0-9a-f]{8}", PRETRAINED[name].sha256_prefix)


@pytest.mark.parametrize("name", FAMILIES)
def test_smallest_picture_is_named_and_below_it_torchvision_has_no_answer_or_one_place_at_most(name):
    smallest = FAMILIES[name].smallest_px
    assert describe_model(config(name), (3, smallest, smallest), CLASSES).num_parameters
    words = rf"{name} needs images of at least {smallest} × {smallest} pixels, these have {smallest - 1} × 64"
    with pytest.raises(InputError, match=words) as refusal:
        describe_model(config(name), (3, smallest - 1, 64), CLASSES)
    assert f"preprocessing.size_px to {smallest}" in refusal.value.hint
    network = by_hand(name).eval()
    if name.startswith(("resnet", "mobilenet", "efficientnet", "vit")):
        assert smallest == 32
        return  # they take a single pixel, of which five halvings leave nothing to look at
    with pytest.raises(RuntimeError):
        network(torch.empty(2, 3, smallest - 1, smallest - 1, device="meta"))


def test_vgg16_both_ways_answers_as_one_that_is_changed_by_hand():
    draw = torch.Generator().manual_seed(0)
    images, weights = torch.randn(2, 3, 32, 32, generator=draw), {}
    for head in ("replaced", "appended"):
        theirs = by_hand("vgg16")
        with torch.device("meta"):
            ours = build_model(config("vgg16", head), (3, 32, 32), CLASSES)
            if head == "replaced":
                theirs.classifier[6] = nn.Linear(4096, 10)
            else:
                theirs.classifier.add_module("add_linear", nn.Linear(1000, 10))
        assert list(shapes(ours).items()) == list(shapes(theirs).items())
        for name, shape in shapes(ours).items():
            if name not in weights or weights[name].shape != shape:
                weights[name] = torch.empty(shape).uniform_(-0.02, 0.025, generator=draw)
        own = {name: weights[name] for name in shapes(ours)}
        ours.load_state_dict(own, assign=True)
        theirs.load_state_dict(own, assign=True)
        with torch.inference_mode():
            answers = ours.eval()(images)
            assert torch.equal(answers, theirs.eval()(images))
            assert answers.std() > 0


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1-1"])
def test_layer_behind_a_whole_network_gets_its_answer_and_keeps_its_names(name):
    torch.manual_seed(0)
    ours = build_model(config(name, "appended"), (3, 32, 32), CLASSES).eval()
    plain = by_hand(name).eval()
    state = ours.state_dict()
    layer = {entry.removeprefix("add_linear."): state.pop(entry) for entry in list(state) if entry.startswith("add_linear.")}
    plain.load_state_dict(state, assign=True)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = nn.functional.linear(plain(images), **layer)
        assert torch.equal(ours(images), expected)


@pytest.mark.parametrize("name", ["squeezenet1-1", "mobilenet-v3-small"])
def test_grey_picture_is_answered_as_three_equal_channels(name):
    def drawn(channels: int) -> nn.Module:
        torch.manual_seed(3)
        return build_model(config(name), (channels, 32, 32), CLASSES).eval()

    grey, colour = drawn(1), drawn(3)
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(grey(images), colour(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-6)
    assert describe_model(config(name), (1, 32, 32), CLASSES).adapted.endswith("takes one grey channel.")
    pretrained = config(name).model_copy(update={"weights": "pretrained"})
    assert "its kernels are summed over the colours" in describe_model(pretrained, (1, 32, 32), CLASSES).adapted


@pytest.mark.parametrize("name", FAMILIES)
def test_grey_changes_the_first_kernels_alone(name):
    with torch.device("meta"):
        grey, colour = (shapes(build_model(config(name), (channels, 32, 32), CLASSES)) for channels in (1, 3))
    different = {entry: (grey[entry], colour[entry]) for entry in colour if grey[entry] != colour[entry]}
    ((few, many),) = different.values()
    assert (few[1], many[1]) == (1, 3) and few[2:] == many[2:]


def test_what_is_adapted_is_said():
    def said(name: str, **settings: str) -> str:
        return describe_model(CatalogueNetwork(name=name, **settings), (3, 64, 64), CLASSES).adapted

    assert said("vgg16") == "The last layer is replaced: 4,096 → 10."
    assert said("vgg16", head="appended") == "A layer is appended behind the last one: 1,000 → 10."
    assert "interpolated from 14 × 14 to 4 × 4 patches" in said("vit-b-16", weights="pretrained")
    assert "interpolated" not in said("vit-b-16")
    assert said("mlp") == ""


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("vit-b-16", (3, 40, 40), "found 40 × 40, expected a square whose side is a multiple of 16"),
        ("vit-b-16", (3, 32, 64), "found 32 × 64, expected a square"),
        ("vgg11", (4, 64, 64), "grey or colour images, these have 4 channels"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_what_does(name, shape, words):
    with pytest.raises(InputError, match=words) as refusal:
        build_model(config(name), shape, CLASSES)
    assert refusal.value.hint


def test_transformer_says_which_size_to_choose():
    with pytest.raises(InputError) as refusal:
        build_model(config("vit-b-16"), (3, 75, 75), CLASSES)
    assert "size_px to 64" in refusal.value.hint and "224" in refusal.value.hint


@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
def test_another_width_is_refused(name):
    with pytest.raises(InputError, match="one width only"):
        build_model(CatalogueNetwork(name=name, width=2.0), (3, 64, 64), CLASSES)


@pytest.mark.parametrize("name", OURS)
def test_layer_can_be_appended_to_torchvisions_networks_alone(name):
    with pytest.raises(InputError, match=r"model\.head: found appended, expected replaced") as refusal:
        describe_model(config(name, "appended"), (3, 32, 32), CLASSES)
    assert "vgg16" in refusal.value.hint
    assert MODELS[name].family is None


@pytest.mark.parametrize("side", [32, 224, 256])
def test_positions_are_interpolated_as_torchvision_does_it(side):
    published = {"encoder.pos_embedding": torch.randn(1, 197, 8, generator=torch.Generator().manual_seed(1))}
    own = {"encoder.pos_embedding": torch.empty(1, (side // 16) ** 2 + 1, 8)}
    expected = interpolate_embeddings(side, 16, OrderedDict(published))["encoder.pos_embedding"]
    torch.testing.assert_close(fitted(published, own, [])["encoder.pos_embedding"], expected, rtol=0, atol=0)


def test_published_weights_are_taken_but_for_the_head_and_summed_for_grey():
    def state(channels: int, classes: int, head: str = "replaced") -> dict[str, Tensor]:
        return build_model(config("squeezenet1-1", head), (channels, 32, 32), classes).state_dict()

    published = state(3, 1000)
    for head in ("replaced", "appended"):
        own = state(1, CLASSES, head)
        names = head_of(list(own))
        found = fitted(published, own, names)
        assert all(torch.equal(found[name], own[name]) for name in names)
        for name in set(own) - set(names) - {"features.0.weight"}:
            assert torch.equal(found[name], published[name])
        assert torch.equal(found["features.0.weight"][:, 0], published["features.0.weight"].sum(dim=1))


@pytest.mark.parametrize(("head", "channels"), [("replaced", 3), ("appended", 1)])
def test_cifar10_vgg16_trains_a_step_both_ways_on_a_processor_and_on_grey_images(head, channels):
    recipe = RECIPES["cifar10-vgg16"].without_weights
    settings = changed(
        recipe, {"model.head": head, "batch_size": 2, "epochs": 1, "log_every": 1, "device": "cpu", "precision": "float32"}
    )
    with torch.device("meta"):
        network = build_model(settings.model, (channels, 32, 32), CLASSES)
    network.to_empty(device="cpu")  # drawing 134 million weights as VGG does takes seconds
    draw = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        spread = (6 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.0
        torch.nn.init.uniform_(parameter, -spread, spread, generator=draw)
    state = new_state(settings, network, torch.device("cpu"))
    images, labels = torch.randint(0, 256, (2, channels, 32, 32), generator=draw, dtype=torch.uint8), torch.tensor([3, 7])
    data = TrainingData(
        images=images,
        labels=labels,
        train=torch.arange(2),
        evaluated=torch.arange(2),
        mean=torch.full((channels,), 0.5),
        std=torch.full((channels,), 0.25),
    )
    last = network.get_submodule(head_of(list(network.state_dict()))[0].removesuffix(".weight"))
    before = last.weight.detach().clone(), network.features[0].weight.detach().clone()
    events = train(data, CLASSES, state, choose_compute(settings))
    logged = next(event for event in events if isinstance(event, StepLogged))
    assert 0 < logged.loss < 50
    assert not torch.equal(last.weight, before[0])
    assert not torch.equal(network.features[0].weight, before[1])


def test_recipe_suits_a_grey_set_of_smaller_images(workspace):
    for config in (RECIPES["cifar10-vgg16"].config, RECIPES["cifar10-vgg16"].without_weights):
        suited = changed(config, suited_to(workspace, config, "mnist"))
        plan = plan_run(workspace, suited)
        assert suited.preprocessing.size_px == 32
        assert suited.augmentation.flip is False
        assert "one grey channel" in plan.model.adapted


def test_recipe_begins_from_scratch_without_the_weights_and_says_so(workspace):
    start = start_from(workspace, "cifar10-vgg16")
    assert (start.config.model.weights, start.config.model.name, start.missing_weights) == ("fresh", "vgg16", "vgg16")
    assert "528 MB" in start.note and "from scratch" in start.note
