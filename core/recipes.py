"""Named configurations: the reference workloads of docs/architecture.md, and good starts for the built-in sets."""

from dataclasses import dataclass
from typing import Any

from core.config import (
    Augmentation,
    CatalogueNetwork,
    CheckpointConfig,
    DataConfig,
    LossConfig,
    Preprocessing,
    TrainConfig,
)
from core.errors import InputError
from core.optimizers import SGD, Adam
from core.schedules import Cosine, OneCycle, StepDecay


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a tutorial reports of this training. accuracy: 0..1. when: as a phrase that follows it.

    recall: of each class, 0..1. losses: the mean training loss of every `every` steps, counted anew in each epoch.
    """

    accuracy: float
    when: str
    recall: tuple[float, ...] = ()
    losses: tuple[tuple[float, ...], ...] = ()
    every: int = 0

    @property
    def words(self) -> str:
        return f"{100 * self.accuracy:.0f} %{self.when}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete configuration with its sentence. reaches: the accuracy that was measured (README.md), or empty where it was not.

    without_weights: what to run instead where the pretrained weights it begins with are not at hand; without_words: what that means,
    as the end of a sentence.
    """

    config: TrainConfig
    title: str
    summary: str
    published: Published | None = None
    reaches: str = ""
    without_weights: TrainConfig | None = None
    without_words: str = ""

    @property
    def name(self) -> str:
        return self.config.recipe


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's ImageClassification presets
NOT_NORMALISED_GREY: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)}
NOT_NORMALISED_RGB: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def _vgg16(**model: Any) -> TrainConfig:
    return TrainConfig(
        recipe="cifar10-vgg16",
        data=DataConfig(dataset="cifar10"),
        preprocessing=Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
        augmentation=Augmentation(flip=True),
        model=CatalogueNetwork(name="vgg16", **model),
        optimizer=SGD(lr=0.01, momentum=0.9),
        epochs=10,
        batch_size=64,
        log_every=100,
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            config=TrainConfig(
                recipe="digits-quickstart",
                data=DataConfig(dataset="digits", validation_fraction=0.2, evaluate_on="validation"),
                augmentation=Augmentation(shift_px=1),
                model=CatalogueNetwork(name="residual-light"),
                optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
                schedule=OneCycle(peak_at=0.25, initial_fraction=0.0),
                epochs=20,
                batch_size=64,
                log_every=5,
                checkpoint=CheckpointConfig(every_epochs=5),
            ),
            title="Digits, a quick start",
            reaches="98 %",
            summary="Learns 1,797 small digits in seconds, without a network; evaluated on a fifth of them that it never trains on.",
        ),
        Recipe(
            config=TrainConfig(
                recipe="mnist-first-cnn",
                data=DataConfig(dataset="mnist"),
                preprocessing=Preprocessing(mean=(0.1307,), std=(0.3081,)),
                model=CatalogueNetwork(name="mnist-first-cnn"),
                optimizer=SGD(lr=0.01, momentum=0.5),
                epochs=3,
                batch_size=64,
                log_every=10,
            ),
            title="MNIST, the first CNN",
            reaches="97 %",
            summary="The classic first network, evaluated on the test split as its tutorial does.",
            published=Published(accuracy=0.97, when=" after 3 epochs"),
        ),
        Recipe(
            config=TrainConfig(
                recipe="mnist-batchnorm-cnn",
                data=DataConfig(dataset="mnist"),
                preprocessing=Preprocessing(**NOT_NORMALISED_GREY),
                model=CatalogueNetwork(name="mnist-batchnorm-cnn"),
                optimizer=Adam(lr=0.01),
                schedule=Cosine(period_epochs=32, update_every="epoch"),
                epochs=50,
                batch_size=32,
                log_every=100,
            ),
            title="MNIST with batch norm",
            summary="The tutorial puts a softmax before cross-entropy and never steps its schedule; this one returns logits and steps it. "
            "Evaluated on the test split.",
        ),
        Recipe(
            config=TrainConfig(
                recipe="cifar10-quick",
                data=DataConfig(dataset="cifar10"),
                preprocessing=Preprocessing(**NOT_NORMALISED_RGB, fit="stretch"),
                model=CatalogueNetwork(name="cifar10-quick"),
                optimizer=SGD(lr=0.01),
                epochs=10,
                batch_size=64,
                log_every=100,
            ),
            title="CIFAR-10, three blocks",
            summary="A small network without activations, trained with plain SGD and evaluated on the test split as its tutorial does.",
            published=Published(accuracy=0.65, when=", the highest on the way to 50 epochs"),
        ),
        Recipe(
            config=TrainConfig(
                recipe="cifar10-blitz",
                data=DataConfig(dataset="cifar10"),
                preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
                model=CatalogueNetwork(name="cifar10-blitz"),
                optimizer=SGD(lr=0.001, momentum=0.9),
                epochs=2,
                batch_size=4,
                log_every=2000,
            ),
            title="CIFAR-10, the 60 minute blitz",
            reaches="55 %",
            summary="PyTorch's own first tutorial, batches of four included; evaluated on the test split.",
            published=Published(
                accuracy=0.54,
                when=" after 2 epochs",
                recall=(0.621, 0.677, 0.362, 0.399, 0.510, 0.585, 0.547, 0.538, 0.609, 0.644),
                losses=((2.187, 1.835, 1.661, 1.580, 1.528, 1.477), (1.405, 1.374, 1.349, 1.337, 1.301, 1.293)),
                every=2000,
            ),
        ),
        Recipe(
            config=TrainConfig(
                recipe="mnist-best",
                data=DataConfig(dataset="mnist"),
                augmentation=Augmentation(shift_px=2, rotate_deg=10, scale=0.1),
                model=CatalogueNetwork(name="residual-light"),
                optimizer=SGD(lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4, decay_all=False),
                schedule=OneCycle(peak_at=0.2, initial_fraction=0.0),
                loss=LossConfig(label_smoothing=0.1),
                epochs=12,
                batch_size=256,
                drop_last=True,
                log_every=20,
            ),
            title="MNIST, best accuracy",
            reaches="99.7 %",
            summary="A residual network with shifts and turns, for the last tenths of a per cent; evaluated on the test split.",
        ),
        Recipe(
            config=TrainConfig(
                recipe="ants-bees",
                data=DataConfig(dataset="ants-bees", evaluate_on="validation"),
                preprocessing=Preprocessing(size_px=224, short_side_px=256, mean=IMAGENET_MEAN, std=IMAGENET_STD),
                augmentation=Augmentation(flip=True, crop_area=0.3),
                model=CatalogueNetwork(name="resnet18", weights="pretrained", frozen=True),
                optimizer=SGD(lr=0.01, momentum=0.9),
                schedule=StepDecay(step_epochs=7),
                epochs=15,
                batch_size=16,
                log_every=5,
            ),
            title="Ants and bees, transfer learning",
            summary="A network that knows a million photographs learns to tell ants from bees, or what your own photographs show; evaluated on the "
            "validation split, which it never trains on.",
            without_weights=TrainConfig(
                recipe="ants-bees",
                data=DataConfig(dataset="ants-bees", evaluate_on="validation"),
                preprocessing=Preprocessing(size_px=64),
                augmentation=Augmentation(shift_px=6, flip=True),
                model=CatalogueNetwork(name="residual-cnn"),
                optimizer=SGD(lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-3, decay_all=False),
                schedule=OneCycle(peak_at=0.2, initial_fraction=0.0),
                epochs=30,
                batch_size=32,
                drop_last=True,
                log_every=5,
            ),
            without_words="a small network learns from scratch: about 74 % on ants and bees, far less than with them",
        ),
        Recipe(
            config=_vgg16(weights="pretrained", backbone_lr_factor=0.1),
            title="CIFAR-10, VGG-16",
            summary="A large network that knows a million photographs, with a new last layer (model.head: or one behind the old one); best "
            "on a GPU. Evaluated on the test split.",
            without_weights=_vgg16(),
            without_words="VGG-16 learns from scratch, which takes many more epochs",
        ),
        Recipe(
            config=TrainConfig(
                recipe="cifar10-fast",
                data=DataConfig(dataset="cifar10"),
                augmentation=Augmentation(shift_px=2, flip=True),
                model=CatalogueNetwork(name="residual-cnn"),
                optimizer=SGD(lr=0.5, momentum=0.9, nesterov=True, weight_decay=1e-3, decay_all=False),
                schedule=OneCycle(peak_at=0.2, initial_fraction=0.0),
                loss=LossConfig(label_smoothing=0.2),
                epochs=11,
                batch_size=256,
                drop_last=True,
                log_every=10,
            ),
            title="CIFAR-10, fast",
            reaches="88 %",
            summary="The best that ten minutes on two processor cores give; on a GPU raise the epochs. Evaluated on the test split.",
        ),
    )
}


def recipe_named(name: str) -> Recipe:
    if name not in RECIPES:
        raise InputError(f"There is no recipe '{name}'.", code="recipe", hint=f"Known are {', '.join(RECIPES)}.")
    return RECIPES[name]


def published_for(config: TrainConfig) -> Published | None:
    """What was published for the recipe that this configuration follows: its data and its model, whatever else was changed."""
    recipe = RECIPES.get(config.recipe)
    if recipe is None or (config.data.dataset, config.model) != (recipe.config.data.dataset, recipe.config.model):
        return None
    return recipe.published
