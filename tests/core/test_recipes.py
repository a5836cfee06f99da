"""The recipes: the four reference workloads as docs/architecture.md states them, and that every recipe fits its own set."""

import numpy as np
import pytest
import torch
from torch import nn

from core.config import Augmentation, TrainConfig
from core.data.catalogue import DATASETS
from core.data.sets import DatasetInfo
from core.errors import InputError
from core.models.catalogue import build_model
from core.recipes import RECIPES, published_for, recipe_named
from core.running.plan import plan_for
from core.settings import changed


def spec_of(config: TrainConfig) -> DatasetInfo:
    """The recipe's set as the catalogue has it, split as the recipe wants."""
    if config.data.dataset == "ants-bees":  # imported, by its tutorial's zip
        side = config.preprocessing.size_px
        return DatasetInfo(
            title="ants-bees", shape=(3, side, side), num_classes=2, splits={"train": 245, "validation": 153}, is_ready=False
        )
    record = DATASETS[config.data.dataset]
    splits = {"train": record.num_train, "test": record.num_test}
    if config.data.validation_fraction:
        splits["validation"] = round(record.num_train * config.data.validation_fraction)
        splits["train"] -= splits["validation"]
    return DatasetInfo(title=record.title, shape=record.shape, num_classes=record.num_classes, splits=splits, is_ready=False)


def layers_of(config: TrainConfig) -> list[str]:
    """The network's layers in the order of computation, as docs/architecture.md writes them."""
    record = DATASETS[config.data.dataset]
    model = build_model(config.model, record.shape, record.num_classes)
    words = []

    def note(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        match module:
            case nn.Conv2d():
                words.append(f"conv {module.in_channels}→{module.out_channels} k{module.kernel_size[0]} p{module.padding[0]}")
                assert module.stride == (1, 1)
            case nn.MaxPool2d() | nn.AvgPool2d():
                words.append(f"{'max' if isinstance(module, nn.MaxPool2d) else 'average '}pool {module.kernel_size}")
            case nn.Linear():
                words.append(f"fc {module.in_features}→{module.out_features}")
            case nn.Flatten():
                words.append(f"flatten {output.shape[1]}")
            case nn.Dropout() | nn.Dropout2d():
                words.append(f"{type(module).__name__.lower()} {module.p}")
            case _:
                words.append(type(module).__name__.lower())

    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    model(torch.zeros(2, *record.shape))
    return words


def num_parameters(config: TrainConfig) -> int:
    record = DATASETS[config.data.dataset]
    return sum(p.numel() for p in build_model(config.model, record.shape, record.num_classes).parameters())


def has_no_extras(config: TrainConfig) -> bool:
    """Nothing that the tutorials do not do."""
    return config.augmentation == Augmentation() and config.loss.label_smoothing == 0 and not config.drop_last


def test_mnist_first_cnn_is_the_reference_workload():
    config = RECIPES["mnist-first-cnn"].config
    assert layers_of(config) == [
        "conv 1→10 k5 p0",
        "maxpool 2",
        "relu",
        "conv 10→20 k5 p0",
        "dropout2d 0.5",
        "maxpool 2",
        "relu",
        "flatten 320",
        "fc 320→50",
        "relu",
        "dropout 0.5",
        "fc 50→10",
    ]
    assert num_parameters(config) == (25 + 1) * 10 + (250 + 1) * 20 + (320 + 1) * 50 + (50 + 1) * 10
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.momentum) == ("sgd", 0.01, 0.5)
    assert (config.optimizer.weight_decay, config.optimizer.nesterov) == (0, False)
    assert (config.preprocessing.mean, config.preprocessing.std) == ((0.1307,), (0.3081,))
    assert (config.batch_size, config.eval_batch_size, config.epochs, config.seed, config.log_every) == (64, 1000, 3, 1, 10)
    assert (config.data.dataset, config.data.evaluate_on, config.schedule.name) == ("mnist", "test", "constant")
    assert has_no_extras(config)
    assert "97 %" in RECIPES["mnist-first-cnn"].published.words


def test_cifar10_quick_is_the_reference_workload():
    config = RECIPES["cifar10-quick"].config
    assert layers_of(config) == [
        "conv 3→32 k5 p2",
        "maxpool 2",
        "conv 32→32 k5 p2",
        "maxpool 2",
        "conv 32→64 k5 p2",
        "maxpool 2",
        "flatten 1024",
        "fc 1024→64",
        "fc 64→10",
    ]
    assert num_parameters(config) == (75 + 1) * 32 + (800 + 1) * 32 + (800 + 1) * 64 + (1024 + 1) * 64 + (64 + 1) * 10
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.momentum) == ("sgd", 0.01, 0)
    assert config.optimizer.weight_decay == 0
    assert (config.preprocessing.mean, config.preprocessing.std) == ((0, 0, 0), (1, 1, 1))  # in [0, 1]
    assert (config.batch_size, config.epochs, config.log_every, config.checkpoint.every_epochs) == (64, 10, 100, 1)
    assert (config.data.dataset, config.data.evaluate_on, config.schedule.name) == ("cifar10", "test", "constant")
    assert config.tensorboard
    assert has_no_extras(config)
    assert "65 %" in RECIPES["cifar10-quick"].published.words


def test_mnist_batchnorm_cnn_is_the_reference_workload():
    config = RECIPES["mnist-batchnorm-cnn"].config
    assert layers_of(config) == [
        "conv 1→8 k3 p1",
        "average pool 2",
        "batchnorm2d",
        "relu",
        "conv 8→16 k3 p1",
        "relu",
        "flatten 3136",
        "fc 3136→10",
    ]
    assert num_parameters(config) == (9 + 1) * 8 + 2 * 8 + (72 + 1) * 16 + (3136 + 1) * 10
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.beta1, optimizer.beta2) == ("adam", 0.01, 0.9, 0.999)
    assert (config.schedule.name, config.schedule.period_epochs, config.schedule.update_every) == ("cosine", 32, "epoch")
    assert (config.preprocessing.mean, config.preprocessing.std) == ((0,), (1,))
    assert (config.batch_size, config.epochs, config.checkpoint.every_epochs) == (32, 50, 1)
    assert (config.data.dataset, config.data.evaluate_on) == ("mnist", "test")
    assert has_no_extras(config)
    assert "softmax" in RECIPES["mnist-batchnorm-cnn"].summary
    assert "schedule" in RECIPES["mnist-batchnorm-cnn"].summary


def test_cifar10_blitz_is_the_reference_workload():
    config = RECIPES["cifar10-blitz"].config
    assert layers_of(config) == [
        "conv 3→6 k5 p0",
        "relu",
        "maxpool 2",
        "conv 6→16 k5 p0",
        "relu",
        "maxpool 2",
        "flatten 400",
        "fc 400→120",
        "relu",
        "fc 120→84",
        "relu",
        "fc 84→10",
    ]
    assert num_parameters(config) == (75 + 1) * 6 + (150 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.momentum) == ("sgd", 0.001, 0.9)
    assert config.optimizer.weight_decay == 0
    assert (config.preprocessing.mean, config.preprocessing.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # to [-1, 1]
    assert (config.batch_size, config.epochs, config.log_every) == (4, 2, 2000)
    assert (config.data.dataset, config.data.evaluate_on, config.schedule.name) == ("cifar10", "test", "constant")
    assert has_no_extras(config)
    published = RECIPES["cifar10-blitz"].published
    assert "54 %" in published.words
    assert len(published.recall) == DATASETS["cifar10"].num_classes
    assert np.mean(published.recall) == pytest.approx(published.accuracy, abs=0.01)
    assert [len(losses) for losses in published.losses] == [12500 // 2000] * config.epochs
    assert published_for(config) is published
    assert published_for(changed(config, {"model.name": "mlp"})) is None


def test_quick_start_needs_no_network_and_is_evaluated_on_pictures_it_never_trains_on():
    config = RECIPES["digits-quickstart"].config
    assert DATASETS[config.data.dataset].download_mb == 0
    assert config.data.evaluate_on == "validation"
    assert config.data.validation_fraction > 0


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_fits_its_own_set(name):
    config = RECIPES[name].config
    spec = spec_of(config)
    plan = plan_for(config, spec)
    assert plan.num_evaluated > 0
    full, rest = divmod(spec.splits["train"], config.batch_size)
    assert plan.steps_per_epoch == full + bool(rest and not config.drop_last)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.without_weights])
def test_what_runs_without_pretrained_weights_fits_the_same_set(name):
    config = RECIPES[name].without_weights
    assert config.recipe == name
    assert config.model.weights == "fresh"
    assert (
        plan_for(config, spec_of(config)).num_evaluated
        == plan_for(RECIPES[name].config, spec_of(RECIPES[name].config)).num_evaluated
    )


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_says_what_it_is_evaluated_on(name):
    recipe = RECIPES[name]
    assert recipe.name == name == recipe.config.recipe
    words = {"test": "test split", "validation": "never trains on"}[recipe.config.data.evaluate_on]
    assert words in recipe.summary
    assert recipe.title
    assert recipe.summary.endswith(".")


@pytest.mark.parametrize("name", RECIPES)
def test_digits_and_letters_are_never_flipped(name):
    config = RECIPES[name].config
    if config.data.dataset in ("digits", "mnist", "kmnist"):
        assert not config.augmentation.flip


def test_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="There is no recipe 'mnist-worst'") as refusal:
        recipe_named("mnist-worst")
    assert all(name in str(refusal.value) for name in RECIPES)
