"""What the page offers first for one's own images ends in minutes on this machine."""

import pytest

from core.recipes import recipe_named
from core.running import recipe_start
from core.running.recipe_start import AFFORDABLE_S, Proposal, affordable
from core.settings import changed


def an_image_costs(seconds: float):
    """A machine on which each image of each epoch costs so much; a quick network a tenth of it."""

    def forecast(plan) -> float:
        quick = 0.1 if plan.config.model.name == "cifar10-quick" else 1.0
        return plan.num_train * plan.config.epochs * seconds * quick

    return forecast


@pytest.mark.parametrize(
    ("seconds", "epochs", "model"),
    [(0.001, 20, "residual-light"), (0.05, 8, "residual-light"), (0.4, 10, "cifar10-quick"), (100.0, 1, "cifar10-quick")],
)
def test_epochs_and_then_the_network_are_cut_until_it_ends_in_ten_minutes(workspace, monkeypatch, seconds, epochs, model):
    forecast = an_image_costs(seconds)
    monkeypatch.setattr(recipe_start, "forecast_s", forecast)
    config = recipe_named("digits-quickstart").config  # 1,438 to learn from, 20 epochs
    proposal = affordable(workspace, config)
    proposed = changed(config, proposal.changes)
    assert ("20 epochs of residual-light would take" in proposal.note) == bool(proposal.changes)
    assert (proposed.epochs, proposed.model.name) == (epochs, model)
    if epochs > 1:
        assert 1438 * epochs * seconds * (0.1 if model == "cifar10-quick" else 1) <= AFFORDABLE_S


def test_nothing_is_changed_where_the_time_can_not_be_told(workspace, monkeypatch):
    monkeypatch.setattr(recipe_start, "forecast_s", lambda plan: None)
    assert affordable(workspace, recipe_named("digits-quickstart").config) == Proposal({})


def test_quick_network_in_place_of_a_pretrained_one_begins_fresh(workspace, monkeypatch):
    monkeypatch.setattr(recipe_start, "forecast_s", an_image_costs(100.0))
    pretrained = {
        "model.name": "resnet18",
        "model.weights": "pretrained",
        "model.frozen": True,
        "preprocessing.size_px": 64,
        "preprocessing.colour": "rgb",
    }
    config = changed(recipe_named("digits-quickstart").config, pretrained)
    proposed = changed(config, affordable(workspace, config).changes)
    assert (proposed.model.name, proposed.model.is_pretrained, proposed.model.is_frozen) == ("cifar10-quick", False, False)
