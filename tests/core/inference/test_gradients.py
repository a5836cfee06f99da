"""Gradients of a fresh network on one batch: those of autograd, and layers that can't learn stand out."""

import numpy as np
import pytest
import torch
from torch import nn

from core.config import CatalogueNetwork, LayerNetwork, Preprocessing
from core.data.sets import prepare_store
from core.errors import InputError
from core.figures.gradients import gradient_sizes
from core.inference.gradients import _brought_to, gradient_check
from core.layers import Flatten, Linear, Sigmoid
from core.models.catalogue import build_model


@pytest.fixture
def digits(workspace):
    return prepare_store(workspace, "digits", Preprocessing())


def test_sizes_are_those_of_autograd(digits):
    config = CatalogueNetwork(name="mlp")
    check = gradient_check(config, digits, seed=3)
    assert check.num_images == 64 and check.uniform == pytest.approx(np.log(10))
    first, end = digits.meta.splits["train"]
    places = first + np.linspace(0, end - first - 1, 64).round().astype(int)
    images = torch.from_numpy(digits.images[places]).float() / 255
    images = (images - images.mean()) / images.std()
    torch.manual_seed(3)
    model = build_model(config, (1, 8, 8), 10)
    loss = nn.functional.cross_entropy(model(images), torch.from_numpy(digits.labels[places]).long())
    loss.backward()
    assert check.loss == pytest.approx(float(loss), rel=1e-4)
    last = model.layers[-1]
    both = torch.cat([last.weight.grad.flatten(), last.bias.grad])
    assert check.layers[-1].gradient == pytest.approx(float(both.square().mean().sqrt()), rel=1e-3)
    assert [layer.state for layer in check.layers] == ["ok"] * 3
    figure = gradient_sizes(check)
    assert list(figure.data[0].y) == ["layers.1 · Linear", "layers.3 · Linear", "layers.5 · Linear"]


def test_the_random_generator_is_left_as_it_was(digits):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    gradient_check(CatalogueNetwork(name="mlp"), digits, seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_gradients_that_vanish_stand_out(digits):
    hidden = [row for _ in range(8) for row in (Linear(features=16), Sigmoid())]
    check = gradient_check(LayerNetwork(rows=(Flatten(), *hidden, Linear())), digits, seed=1)
    states = [layer.state for layer in check.layers]
    assert states[0] == "small" and states[-1] != "small"
    ratios = [layer.ratio for layer in check.layers]
    assert ratios[0] < ratios[4] < ratios[7], "each sigmoid takes its part"


def test_a_network_that_does_not_fit_is_said(digits):
    with pytest.raises(InputError):
        gradient_check(CatalogueNetwork(name="mnist-first-cnn"), digits, seed=1)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 48)])
def test_images_are_brought_to_what_the_network_takes(digits, shape):
    check = gradient_check(CatalogueNetwork(name="squeezenet1-1"), digits, seed=1, shape=shape)
    assert check.layers[0].path == "features.0"
    assert all(np.isfinite(layer.gradient) and layer.gradient > 0 for layer in check.layers)


def test_colour_becomes_grey_and_grey_every_colour():
    draw = torch.Generator().manual_seed(0)
    colour, grey = (torch.randint(0, 256, (2, channels, 5, 4), dtype=torch.uint8, generator=draw) for channels in (3, 1))
    as_grey = _brought_to(colour, (1, 5, 4))
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert (as_grey.float() - (colour * weights).sum(1, keepdim=True)).abs().max() < 1.1  # cut off, not rounded
    assert torch.equal(_brought_to(grey, (3, 5, 4)), grey.expand(-1, 3, -1, -1))
    assert torch.equal(_brought_to(colour, (3, 5, 4)), colour)
