"""Every network of the catalogue on every shape of image it claims to fit."""

import pytest
import torch
from torch import nn

from core.config import CatalogueNetwork
from core.data.catalogue import DATASETS
from core.errors import InputError
from core.models.catalogue import MODELS, build_model, describe_model
from core.optimizers import SGD, Adam
from core.training.optimizers import build_optimizer
from tests.fixtures.networks import OURS  # torchvision's: test_families.py

BUILT_IN = {record.name: (record.shape, record.num_classes) for record in DATASETS.values()}
OTHERS = {
    f"{shape[0]}x{shape[1]}x{shape[2]}, {classes} classes": (shape, classes)
    for shape in ((3, 64, 64), (1, 8, 8), (4, 17, 23))
    for classes in (2, 100)
}
# worked out by hand: the smallest side of which the last pooling leaves one pixel
SMALLEST = {
    "mnist-first-cnn": 16,  # 16 - 4 = 12, halved 6, - 4 = 2, halved 1
    "cifar10-blitz": 16,  # the same two convolutions without padding
    "cifar10-quick": 8,  # halved three times
    "mnist-batchnorm-cnn": 2,  # halved once
    "mlp": 1,
}


def batch_of(shape: tuple[int, int, int], classes: int, images: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(images, *shape, generator=generator), torch.arange(images) % classes


def fits(name: str, shape: tuple[int, int, int], classes: int = 10) -> bool:
    try:
        describe_model(CatalogueNetwork(name=name), shape, classes)
    except InputError:
        return False
    return True


@pytest.mark.parametrize("data", [*BUILT_IN, *OTHERS])
@pytest.mark.parametrize("name", OURS)
def test_model_trains_a_step_on_what_it_claims_to_fit_and_refuses_the_rest_clearly(name, data):
    shape, classes = {**BUILT_IN, **OTHERS}[data]
    torch.manual_seed(0)
    if not fits(name, shape, classes):
        with pytest.raises(
            InputError, match=rf"{name} needs images of at least \d+ × \d+ pixels, these have {shape[1]} × {shape[2]}"
        ):
            build_model(CatalogueNetwork(name=name), shape, classes)
        return
    model = build_model(CatalogueNetwork(name=name), shape, classes).to(memory_format=torch.channels_last)
    images, labels = batch_of(shape, classes)
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimizer = build_optimizer(SGD(lr=0.1), model)
    logits = model(images)
    assert logits.shape == (len(images), classes)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    unmoved = [key for key, value in model.named_parameters() if value.grad is None]
    assert not unmoved, f"parameters that no image reaches: {unmoved}"
    assert any(not torch.equal(before[key], value) for key, value in model.named_parameters())


@pytest.mark.parametrize("name", SMALLEST)
def test_smallest_picture_that_fits_is_the_one_worked_out_by_hand(name):
    smallest = SMALLEST[name]
    assert fits(name, (1, smallest, smallest))
    assert fits(name, (3, smallest, 40))
    if smallest > 1:
        assert not fits(name, (1, smallest - 1, 40))
        assert not fits(name, (1, 40, smallest - 1))


@pytest.mark.parametrize("name", OURS)
def test_smallest_picture_that_is_taken_can_be_computed(name):
    """And every larger one is taken too."""
    taken = [side for side in range(1, 41) if fits(name, (1, side, side))]
    assert taken == list(range(taken[0], 41))
    model = build_model(CatalogueNetwork(name=name), (1, taken[0], taken[0]), 10).eval()
    assert model(torch.rand(2, 1, taken[0], taken[0])).shape == (2, 10)


@pytest.mark.parametrize("name", OURS)
def test_each_model_fits_the_pictures_of_some_built_in_set(name):
    assert any(fits(name, shape, classes) for shape, classes in BUILT_IN.values())


@pytest.mark.parametrize("name", OURS)
def test_loss_falls_when_one_batch_is_repeated(name):
    """Training finds the batch again: evaluated before and after without dropout's noise."""
    torch.manual_seed(0)
    model = build_model(CatalogueNetwork(name=name), (3, 32, 32), 10)
    images, labels = batch_of((3, 32, 32), 10)
    optimizer = build_optimizer(Adam(lr=0.005), model)

    def evaluated() -> float:
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model.eval()(images), labels))

    before = evaluated()
    model.train()
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert evaluated() < 0.5 * before


@pytest.mark.parametrize("name", OURS)
def test_first_guess_favours_no_class_much(name):
    """Untrained, the cross-entropy lies near that of guessing, ln C."""
    torch.manual_seed(0)
    model = build_model(CatalogueNetwork(name=name), (3, 32, 32), 10).eval()
    images, labels = batch_of((3, 32, 32), 10, 50)
    assert nn.functional.cross_entropy(model(images), labels).item() == pytest.approx(2.3026, abs=0.35)


@pytest.mark.parametrize("width", [0.5, 1, 2])
@pytest.mark.parametrize("name", OURS)
def test_description_counts_what_the_built_model_has(name, width):
    config = CatalogueNetwork(name=name, width=width)
    model, description = build_model(config, (3, 32, 32), 7), describe_model(config, (3, 32, 32), 7)
    assert description.num_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert description.num_bytes == sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    assert description.has_batch_norm == any("BatchNorm" in type(module).__name__ for module in model.modules())


@pytest.mark.parametrize("name", OURS)
def test_width_scales_the_network(name):
    sizes = [describe_model(CatalogueNetwork(name=name, width=w), (3, 32, 32), 10).num_parameters for w in (0.01, 0.5, 1, 2)]
    assert sizes == sorted(set(sizes))
    assert 1.5 < sizes[3] / sizes[2] < 4.1  # between linear (one wide layer) and quadratic (both its sides)


@pytest.mark.parametrize("name", OURS)
def test_answers_for_a_picture_do_not_depend_on_its_batch(name):
    """In evaluation mode: dropout and batch statistics are off."""
    torch.manual_seed(0)
    model = build_model(CatalogueNetwork(name=name), (1, 28, 28), 10).eval()
    images, _ = batch_of((1, 28, 28), 10)
    torch.testing.assert_close(model(images)[:3], model(images[:3]), rtol=1e-4, atol=1e-5)


def test_same_seed_draws_the_same_first_weights():
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_model(CatalogueNetwork(name="mlp", width=0.1), (1, 8, 8), 10).parameters()])

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_unknown_model_is_refused_with_the_list_of_known_ones():
    with pytest.raises(InputError, match=r"model\.name: found 'vgg99', expected one of") as refusal:
        describe_model(CatalogueNetwork(name="vgg99"), (3, 32, 32), 10)
    assert all(name in str(refusal.value) for name in MODELS)


def test_records_speak_for_themselves():
    for key, record in MODELS.items():
        assert key == record.name
        assert record.title
        assert record.summary.endswith(".")
