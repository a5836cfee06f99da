"""What is seen of a network's layers is what they compute: every network of the catalogue, against a walk through it by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from core.config import CatalogueNetwork, Preprocessing
from core.errors import InputError
from core.figures import inside as figures
from core.inference.layers import Layer, activations, as_input, filters, layers_of, watched
from core.inference.saliency import default_layer, explaining_layers, grad_cam
from core.models.network_spec import NetworkSpec
from tests.fixtures.networks import LIGHT, ONE_OF_EACH

CLASSES = ("one", "two", "three")


def network(name: str, side: int = 64, width: float = 1.0, channels: int = 3) -> tuple[nn.Module, NetworkSpec]:
    """With running figures of its norms that are not those of a fresh one."""
    torch.manual_seed(0)
    preprocessing = Preprocessing(mean=(0.5,) * channels, std=(0.25,) * channels)
    spec = NetworkSpec(
        model=CatalogueNetwork(name=name, width=width),
        shape=(channels, side, side),
        class_names=CLASSES,
        preprocessing=preprocessing,
    )
    model = spec.build()
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(4, *spec.shape))
    return model.eval(), spec


def random_image(spec: NetworkSpec, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, *spec.shape), dtype=np.uint8)


def layer_at(layers: tuple[Layer, ...], path: str, use: int = 0) -> Layer:
    return next(layer for layer in layers if (layer.path, layer.use) == (path, use))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_network_shows_activations_filters_and_evidence(name):
    model, spec = network(name)
    image, layers = as_input(random_image(spec), spec), layers_of(spec)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for layer in layers if name in LIGHT else [*layers[:5], *layers[5:-3:29], *layers[-3:]]:
        values = activations(model, image, layer)
        assert values.shape == layer.shape
        assert np.isfinite(values).all()
        sheet = figures.maps_montage(values) if layer.is_map else figures.table_image(figures.in_rows(values.reshape(-1)))
        assert sheet.dtype == np.uint8 and sheet.shape[2] == 4
        found = filters(model, spec, layer)
        assert (found is not None) == isinstance(model.get_submodule(layer.path), nn.Conv2d | nn.Linear)
        if found is not None:
            assert found.values.shape[1] in (1, 3)
            assert found.shape == model.get_submodule(layer.path).weight.shape
    if explaining_layers(layers):
        for target in range(3):
            evidence = grad_cam(model, image, default_layer(layers), target)
            assert evidence.shape == default_layer(layers).shape[1:]
            assert (evidence >= 0).all()
    else:
        assert name == "mlp"
        with pytest.raises(InputError, match="no convolution"):
            default_layer(layers)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_activations_are_those_of_a_walk_through_the_layers():
    model, spec = network("mnist-first-cnn", side=28, channels=1)
    image, layers = as_input(random_image(spec), spec), layers_of(spec)
    x = image
    with torch.inference_mode():
        for part in ("features", "head"):
            for number, module in enumerate(getattr(model, part)):
                x = module(x)
                found = activations(model, image, layer_at(layers, f"{part}.{number}"))
                np.testing.assert_array_equal(found, x[0].numpy())


def test_in_place_activations_do_not_write_into_what_was_captured():
    """torchvision's ReLUs work in place and are used twice a block."""
    model, spec = network("resnet18")
    image, layers = as_input(random_image(spec), spec), layers_of(spec)
    norm = activations(model, image, layer_at(layers, "layer1.0.bn1"))
    first, second = (activations(model, image, layer_at(layers, "layer1.0.relu", use)) for use in (0, 1))
    assert norm.min() < 0
    np.testing.assert_array_equal(first, norm.clip(0))
    np.testing.assert_array_equal(second, activations(model, image, layer_at(layers, "layer1.0")))
    assert not np.array_equal(first, second)


def test_layers_are_named_in_the_words_of_the_field_and_in_the_order_of_their_work():
    _, spec = network("resnet18")
    layers = layers_of(spec)
    assert (layers[0].path, layers[0].kind, layers[0].shape) == ("conv1", "convolution 7 × 7, stride 2", (64, 32, 32))
    assert [layer.kind for layer in layers[1:4]] == ["batch norm", "ReLU", "max pooling 3 × 3"]
    assert layer_at(layers, "layer1.0").kind == "residual block"
    assert (layers[-1].kind, layers[-1].shape) == ("dense", (3,))
    assert default_layer(layers).path == "layer4.1"


def test_watching_leaves_the_network_to_others():
    model, spec = network("residual-light", side=16, channels=1)
    image = as_input(random_image(spec), spec)
    own = watched(model, {"features.0": lambda path, module, output: output * 0})
    with torch.inference_mode():
        expected = model(image)
        assert not torch.equal(own(image), expected)
        assert torch.equal(model(image), expected)
    assert all(a is b for a, b in zip(own.parameters(), model.parameters(), strict=True)), "no second set of weights in memory"


def test_filters_that_see_the_picture_keep_its_colours_and_deeper_ones_show_a_channel_or_the_mean():
    model, spec = network("cifar10-quick", side=32)
    layers = layers_of(spec)
    first, second = layer_at(layers, "features.0"), layer_at(layers, "features.2")
    weight = model.features[2].weight.detach().numpy()
    seen = filters(model, spec, first)
    assert seen.is_colour and seen.values.shape == (32, 3, 5, 5)
    np.testing.assert_allclose(filters(model, spec, second).values[:, 0], weight.mean(axis=1))
    np.testing.assert_array_equal(filters(model, spec, second, 7).values[:, 0], weight[:, 7])
    with pytest.raises(InputError, match="32 input channels, there is no channel 33"):
        filters(model, spec, second, 32)


def test_narrow_deep_convolution_of_three_channels_is_not_taken_for_colours():
    model, spec = network("cifar10-quick", side=32, width=0.1)  # 32 channels become 3
    found = filters(model, spec, layer_at(layers_of(spec), "features.2"))
    assert not found.is_colour and found.values.shape[1] == 1


def test_units_of_a_perceptron_that_see_the_picture_have_its_shape():
    model, spec = network("mlp", side=8, channels=1)
    layers = layers_of(spec)
    dense = [layer for layer in layers if layer.kind == "dense"]
    found = filters(model, spec, dense[0])
    np.testing.assert_array_equal(found.values, model.layers[1].weight.detach().numpy().reshape(256, 1, 8, 8))
    assert filters(model, spec, dense[1]).is_table


def test_pointwise_filters_are_a_table_and_depthwise_ones_grey_pictures():
    model, spec = network("mobilenet-v3-small")
    convolutions = [layer for layer in layers_of(spec) if layer.is_convolution]
    point = next(layer for layer in convolutions if layer.kind.startswith("convolution 1 × 1"))
    deep = next(layer for layer in convolutions if layer.kind.startswith("depthwise"))
    assert filters(model, spec, point).is_table
    assert filters(model, spec, deep).num_inputs == 1


def test_montage_scales_maps_each_on_its_own_and_filters_together_around_grey():
    maps = np.stack([np.array([[0.0, 1], [2, 4]]), np.full((2, 2), 7.0), np.array([[-1.0, 0], [0, 1]])])
    sheet = figures.maps_montage(maps)
    side = figures.TILE_PX // 2 * 2
    assert sheet.shape == (side, 3 * side + 2 * figures.GAP_PX, 4)
    half = side // 2
    assert [sheet[0, 0, 0], sheet[0, half, 0], sheet[half, 0, 0], sheet[half, half, 0]] == [0, 64, 128, 255]
    assert (sheet[:, side + figures.GAP_PX : 2 * side + figures.GAP_PX, :3] == 0).all()
    assert (sheet[:, side : side + figures.GAP_PX, 3] == 0).all()
    weights = np.array([[[[-2.0, 0], [1, 2]]], [[[0.0, 0], [0, 0]]]])
    sheet = figures.filters_montage(weights)
    assert [sheet[0, 0, 0], sheet[0, half, 0], sheet[half, 0, 0], sheet[half, half, 0]] == [0, 128, 191, 255]
    assert (sheet[:, side + figures.GAP_PX :, :3] == 128).all()
    assert figures.dead(maps) == " 1 map of them the same everywhere, shown black."


def test_montage_of_many_large_maps_is_capped_and_made_smaller():
    sheet = figures.maps_montage(np.random.default_rng(0).random((100, 223, 223)))
    assert sheet.shape[0] <= 8 * (figures.TILE_PX + figures.GAP_PX)
    assert sheet.shape[1] <= 8 * (figures.TILE_PX + figures.GAP_PX)
