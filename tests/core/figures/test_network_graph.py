"""The drawn network: every operation is in it once, whatever is folded; what flows is drawn with its shape."""

import random
from xml.etree import ElementTree

import pytest

from core.config import CatalogueNetwork
from core.figures.network_graph import MOST_BOXES, boxes, edges, in_words, network_svg, open_at_first
from core.models.card import ModelCard, model_card
from core.models.catalogue import MODELS


def card_of(name: str) -> ModelCard:
    return model_card(CatalogueNetwork(name=name), (3, 64, 64), 10)


@pytest.mark.parametrize("name", MODELS)
def test_whatever_is_folded_each_operation_is_drawn_once_and_arrows_go_down(name: str) -> None:
    card, draw = card_of(name), random.Random(1)
    for _ in range(8):
        opened = {block for block in card.blocks if draw.random() < 0.5}
        drawn = boxes(card, opened)
        assert sorted(n for box in drawn for n in box.operations) == list(range(len(card.operations)))
        assert len({(box.rank, box.column) for box in drawn}) == len(drawn), "no box lies on another"
        flows = edges(card, drawn)
        assert all(drawn[source].rank < drawn[target].rank for source, target in flows)
        assert {target for _, target in flows} | {
            place for place, box in enumerate(drawn) if not card.operations[box.operations[0]].takes
        } == set(range(len(drawn))), "nothing stands alone"
        ElementTree.fromstring(network_svg(card, opened))


@pytest.mark.parametrize("name", MODELS)
def test_at_first_it_can_be_taken_in(name: str) -> None:
    card = card_of(name)
    assert len(boxes(card, open_at_first(card))) <= max(MOST_BOXES, len(boxes(card, ())))


def test_a_folded_block_stands_for_its_layers_and_opens_into_them() -> None:
    card = card_of("resnet18")
    folded = next(box for box in boxes(card, ()) if box.block == "layer1")
    assert len(folded.operations) == 14
    svg = network_svg(card, {"layer1"})
    assert 'data-block="layer1"' in svg and "layer1.0 · BasicBlock" in svg
    assert "6 layers" in svg


def test_shapes_stand_on_the_arrows() -> None:
    svg = network_svg(card_of("cifar10-quick"), open_at_first(card_of("cifar10-quick")))
    words = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "32 × 64 × 64" in words
    assert "3 → 32, kernel 5, padding 2" in words
    assert in_words((10,)) == "10 values"
