"""Evidence maps against captum, an established library, on the same networks."""

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam, Occlusion

from core.inference import kept_occlusion as module
from core.inference.kept_occlusion import OCCLUSIONS, Covering, kept_occlusion, occlusion_for
from core.inference.layers import as_input, layers_of
from core.inference.saliency import (
    at_image_size,
    default_layer,
    explaining_layers,
    grad_cam,
    is_quick,
    num_windows,
    occlusion,
    patch_sizes,
)
from core.running.session import run_session
from core.runs.artifacts import ArtifactKind, list_kept
from core.runs.checkpoints import list_checkpoints
from core.runs.directory import create_run
from tests.core.inference.test_layers import network, random_image
from tests.core.serving.test_launcher import tiny

NETWORKS = {
    "mnist-first-cnn": {"side": 28, "channels": 1},
    "cifar10-blitz": {"side": 32},
    "mnist-batchnorm-cnn": {"side": 28, "channels": 1},
    "residual-cnn": {"side": 32},
    "resnet18": {"side": 64},
    "mobilenet-v3-small": {"side": 64},
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", [0, 1, 2])
def test_grad_cam_is_that_of_captum_at_every_convolution(name, target):
    model, spec = network(name, **NETWORKS[name])
    image = as_input(random_image(spec, seed=target), spec)
    convolutions = [layer for layer in explaining_layers(layers_of(spec)) if layer.is_convolution]
    assert convolutions
    for layer in convolutions:
        expected = LayerGradCam(model, model.get_submodule(layer.path)).attribute(image, target, relu_attributions=True).detach()
        found = grad_cam(model, image, layer, target)
        scale = max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(found / scale, expected[0, 0].numpy() / scale, atol=1e-5)
        large = LayerAttribution.interpolate(expected, spec.shape[1:], "bilinear")[0, 0].numpy()
        np.testing.assert_allclose(at_image_size(found, spec.shape[1:]) / scale, large / scale, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_grad_cam_at_activations_and_blocks_is_that_of_captum(name):
    """torchvision's activations work in place."""
    model, spec = network(name, **NETWORKS[name])
    image, layers = as_input(random_image(spec), spec), explaining_layers(layers_of(spec))
    used_once = [
        layer for layer in layers if not layer.is_convolution and [other.path for other in layers].count(layer.path) == 1
    ]
    assert used_once or name == "cifar10-quick"
    for layer in [*used_once[:2], *used_once[-3:], default_layer(layers)]:
        expected = LayerGradCam(model, model.get_submodule(layer.path)).attribute(image, 1, relu_attributions=True).detach()
        scale = max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(grad_cam(model, image, layer, 1) / scale, expected[0, 0].numpy() / scale, atol=1e-5)


def test_grad_cam_grows_with_the_weights_of_the_head():
    model, spec = network("residual-light", side=8, channels=1)
    layer = default_layer(layers_of(spec))
    image = as_input(random_image(spec), spec)
    scaled = grad_cam(model, image, layer, 0)
    with torch.no_grad():
        model.head.weight.mul_(3)
    np.testing.assert_allclose(grad_cam(model, image, layer, 0), 3 * scaled, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("name", "target"), [("mnist-first-cnn", 0), ("residual-cnn", 2), ("resnet18", 1), ("mlp", 1)])
def test_occlusion_is_that_of_captum(name, target):
    model, spec = network(name, **NETWORKS.get(name, {"side": 12}))
    image = as_input(random_image(spec), spec)
    for patch, stride in patch_sizes(*spec.shape[1:])[:2]:
        method = Occlusion(lambda images: model(images).softmax(dim=1))
        with torch.no_grad():
            expected = method.attribute(
                image,
                (spec.shape[0], patch, patch),
                strides=(spec.shape[0], stride, stride),
                target=target,
                perturbations_per_eval=16,
            )
        found = occlusion(model, image, target, patch, stride)
        np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-5)


def test_squares_cover_the_whole_picture_whatever_its_size():
    for side in (4, 8, 17, 28, 32, 100, 224):
        for patch, stride in patch_sizes(side, side):
            covered = np.zeros(side, int)
            count = round(num_windows(side, side, patch, stride) ** 0.5)
            for number in range(count):
                covered[number * stride : number * stride + patch] += 1
            assert covered.min() >= 1, (side, patch, stride)
            assert (count - 1) * stride < side
    assert patch_sizes(224, 224)[1] == (45, 14)
    assert is_quick(28, 28, 6, 2)
    assert not is_quick(224, 224, 45, 14)


def test_occlusion_finds_the_only_place_that_counts_and_says_how_far_it_is():
    """A network whose class 1 is the brightness of one pixel."""
    model, _ = network("mlp", side=8, channels=1)
    with torch.no_grad():
        for module in model.layers:
            for parameter in module.parameters():
                parameter.zero_()
        model.layers[1].weight[0, 8 * 5 + 2] = 1
        model.layers[3].weight[0, 0] = 1
        model.layers[5].weight[1, 0] = 1
    image = torch.ones(1, 1, 8, 8)
    told = []
    fall = occlusion(model, image, 1, 1, 1, progress=lambda what, done, total: told.append((done, total)))
    assert np.unravel_index(fall.argmax(), fall.shape) == (5, 2)
    assert np.count_nonzero(fall) == 1
    whole = np.exp(1) / (np.exp(1) + 2)
    assert fall.max() == pytest.approx(whole - 1 / 3, abs=1e-6)
    assert told[-1] == (64, 64)


def test_progress_that_raises_stops_the_work():
    model, spec = network("mlp", side=8, channels=1)

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        occlusion(model, as_input(random_image(spec), spec), 0, 2, 1, progress=stop)


def test_what_covering_showed_is_kept_with_the_run_by_what_it_was_made_from_and_bounded(workspace, monkeypatch):
    run = create_run(workspace, tiny(epochs=2, checkpoint={"every_epochs": 1}))
    run_session(workspace, run)
    seen = np.zeros((1, 8, 8), np.uint8)
    one, other = list_checkpoints(run)[-2:]
    asked = [(one, seen, Covering(target=target, patch=2, stride=1, temperature=1.0)) for target in range(5)]
    asked += [
        (other, seen, Covering(target=0, patch=2, stride=1, temperature=1.0)),
        (one, seen + 1, Covering(target=0, patch=2, stride=1, temperature=1.0)),
    ]
    made = [occlusion_for(run, *what) for what in asked]
    assert len(list_kept(run, OCCLUSIONS)) == 7
    for what, fall in zip(asked, made, strict=True):
        np.testing.assert_array_equal(kept_occlusion(run, *what), fall)
    monkeypatch.setattr(module, "OCCLUSIONS", ArtifactKind("artifacts/occlusion", 3))
    occlusion_for(run, one, seen, Covering(target=0, patch=3, stride=1, temperature=1.0))
    assert len(list_kept(run, OCCLUSIONS)) == 3
    assert kept_occlusion(run, *asked[0]) is None
