"""The model card: shapes, parameters and costs as torchinfo and fvcore find them, and published figures."""

import logging

import pytest
import torch
import torchinfo
from fvcore.nn import FlopCountAnalysis

from core.config import CatalogueNetwork
from core.errors import InputError
from core.models.card import model_card
from core.models.catalogue import MODELS, build_model

SIZES = ((1, 28, 28), (1, 32, 32), (3, 32, 32), (3, 64, 64), (3, 96, 96))
COUNTED = ("conv", "linear", "matmul", "einsum", "bmm")


def fits(name: str, shape: tuple[int, int, int]) -> bool:
    family = MODELS[name].family
    return family is None or min(shape[1:]) >= family.smallest_px


def attention_of_vit(side: int) -> int:
    """Multiply-adds that fvcore leaves out: twelve times queries by keys, and their weights by values, 768 wide."""
    tokens = (side // 16) ** 2 + 1
    return 12 * 2 * tokens**2 * 768


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name in MODELS for shape in SIZES if fits(name, shape)])
def test_shapes_parameters_and_costs_are_those_of_torchinfo_and_fvcore(name: str, shape: tuple[int, int, int]) -> None:
    card = model_card(CatalogueNetwork(name=name), shape, 10)
    with torch.device("meta"):
        model = build_model(CatalogueNetwork(name=name), shape, 10).eval()
    model.to_empty(device="cpu")  # whatever the weights are: drawing VGG's takes seconds
    images = torch.zeros(1, *shape)
    logging.disable(logging.WARNING)  # of operations without cost
    try:
        by_operator = FlopCountAnalysis(model, images).by_operator()
    finally:
        logging.disable(logging.NOTSET)
    counted = sum(by_operator.get(operator, 0) for operator in COUNTED)
    assert card.num_multiply_adds == counted + (attention_of_vit(shape[1]) if name == "vit-b-16" else 0)
    info = torchinfo.summary(model, input_data=images, verbose=0)
    assert card.num_parameters == info.total_params == sum(operation.num_parameters for operation in card.operations)
    # torchvision's own layers, such as LayerNorm2d, are functions here; attention is one layer, into which torchinfo does not look
    layers = [layer for layer in info.summary_list if layer.is_leaf_layer or layer.class_name == "MultiheadAttention"]
    leaves = [tuple(layer.output_size[1:]) for layer in layers if type(layer.module).__module__.startswith("torch.nn")]
    assert [operation.shape for operation in card.operations if operation.is_layer] == leaves


def test_resnet18_has_its_published_size_cost_and_receptive_field() -> None:
    card = model_card(CatalogueNetwork(name="resnet18"), (3, 224, 224), 1000)
    assert card.num_parameters == 11_689_512
    assert round(card.num_multiply_adds / 1e9, 2) == 1.81
    assert card.receptive_px == (435, 435)  # Araujo et al., Computing receptive fields of convolutional neural networks
    assert card.operations[-1].shape == (1000,)
    assert card.num_trainable == card.num_parameters


def test_receptive_field_grows_by_the_tutorials_formula() -> None:
    card = model_card(CatalogueNetwork(name="mnist-first-cnn"), (1, 28, 28), 10)
    found = {o.path: o.receptive_px for o in card.operations if o.receptive_px}
    assert found["features.0"] == (5, 5)
    assert found["features.1"] == (6, 6)  # pooling of 2: one pixel more
    assert found["features.3"] == (14, 14)  # 6 + 4 × 2
    assert card.receptive_px == (14, 14)


def test_frozen_weights_are_told_apart_and_memory_counts_what_is_kept() -> None:
    card = model_card(CatalogueNetwork(name="resnet18", weights="pretrained", frozen=True), (3, 32, 32), 10)
    assert card.num_trainable == 512 * 10 + 10
    relu = next(o for o in card.operations if o.kind == "ReLU")
    assert relu.num_bytes == 0, "in place"
    assert card.operations[1].num_bytes == 4 * 64 * 16 * 16
    assert card.num_bytes == sum(
        t.numel() * t.element_size()
        for t in build_model(CatalogueNetwork(name="resnet18"), (3, 32, 32), 10).state_dict().values()
    )


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(InputError):
        model_card(CatalogueNetwork(name="mnist-first-cnn"), (1, 4, 4), 10)


def test_operations_take_what_was_there_before() -> None:
    card = model_card(CatalogueNetwork(name="residual-light"), (1, 28, 28), 10)
    add = next(n for n, o in enumerate(card.operations) if o.kind == "add")
    assert len(card.operations[add].takes) == 2
    assert all(source < number for number, o in enumerate(card.operations) for source in o.takes)
    assert card.operations[0].kind == "image"
    assert "Conv2d(1, 32, kernel_size=(4, 4)" in card.tree
