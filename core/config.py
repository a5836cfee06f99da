"""Every choice a run depends on, in one frozen, validated model: defined, bounded and explained here and nowhere else.

Forms, help texts and the command line are made from the fields (core/settings.py). What a choice means for tensors is
not here: see core/data, core/models and core/training.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from annotated_types import Ge, Le
from pydantic import Discriminator, Field, Tag, create_model, field_validator, model_validator

from core.augmentations import AUGMENTATIONS, in_drawing_order
from core.layers import Flatten, Layer, Linear
from core.losses import LOSSES
from core.optimizers import OPTIMIZERS, SGD, OptimizerBase
from core.schedules import SCHEDULES, Constant, ScheduleBase
from core.sections import Section, setting

Fit = Literal["crop", "pad", "stretch"]


class DataConfig(Section):
    dataset: str = setting(
        "digits",
        "Data set",
        "The images to learn from: a name from the catalogue, or the path of a folder of images.",
        basic=True,
        min_length=1,
        max_length=4096,
    )
    validation_fraction: float = setting(
        0.0,
        "Validation share",
        "Part of the training images held out to evaluate the network on while it trains. "
        "Drawn class by class, so that every class keeps its share.",
        ge=0,
        le=0.9,
    )
    test_fraction: float = setting(
        0.0,
        "Test share",
        "Part held out as a test split, for sets that come without one. Ignored where the set brings its own.",
        ge=0,
        le=0.9,
    )
    split_seed: int = setting(0, "Split seed", "The same seed holds out the same images.", ge=0, le=2**32 - 1)
    split_by: Literal["delivered", "shares"] = setting(
        "delivered",
        "Splits",
        "Delivered: the splits that the set brings; shares are held out only of what it lacks. Shares: all its "
        "images together, divided anew; both shares are then of all images.",
    )
    # How they are drawn, which nobody chooses: files of before "by key" say nothing and mean the first (TrainConfig).
    split_rule: Literal["drawn", "by key"] = "by key"
    edits: str = setting(
        "",
        "Edits",
        "Which revision of your changes to the set (labels corrected, images left out) is used. Empty: as it is "
        "when the run starts; none: the set as delivered.",
        max_length=16,
        pattern="^(none|[0-9a-f]{16}|)$",
    )
    sampling: Literal["shuffled", "balanced", "in order"] = setting(
        "shuffled",
        "Sampling",
        "Shuffled: every training image once an epoch, in an order drawn anew. In order: every image once, always as the set has them "
        "(without shuffling, as one sees what shuffling is for). Balanced: drawn so that each class comes up equally "
        "often, images of rare classes several times (a weighted random sampler).",
    )
    evaluate_on: Literal["validation", "test"] = setting(
        "test",
        "Evaluate on",
        "The images that the network is evaluated on after each epoch. Tutorials use the test split; "
        "choosing settings by it makes its figure too good, so use validation when you compare.",
        basic=True,
    )

    @model_validator(mode="after")
    def _shares_leave_something_to_learn_from(self) -> "DataConfig":
        if self.split_by == "shares" and self.validation_fraction + self.test_fraction > 0.9:
            raise ValueError("validation and test share together must leave a tenth of the images to learn from")
        return self


class Preprocessing(Section):
    """How an image becomes the network's input. Serialised into every checkpoint; core/data/transforms/preprocessing.py applies it."""

    size_px: int | None = setting(
        None,
        "Image size",
        "Side of the square that images are brought to. Empty: as the set has them (photographs of varying size: 64).",
        unit="px",
        ge=4,
        le=1024,
    )
    fit: Fit = setting(
        "crop",
        "Fit",
        "How an image that is not square fills the square: its middle cut out, black bars added, or stretched.",
    )
    short_side_px: int | None = setting(
        None,
        "Short side",
        "The image is first resized until its short side has this length, then the middle square is cut out "
        "(Resize and CenterCrop). Empty: the whole short side is kept.",
        unit="px",
        ge=4,
        le=1024,
    )
    colour: Literal["as stored", "grey", "rgb"] = setting(
        "as stored",
        "Colour",
        "Channels given to the network: as the set has them, one grey channel, or red, green and blue.",
    )
    invert: bool = setting(False, "Invert", "Light and dark change places in every image, also in evaluation and prediction.")
    mean: tuple[Annotated[float, Ge(-100), Le(100)], ...] | None = setting(
        None,
        "Mean",
        "Subtracted from each channel (pixels run from 0 to 1). Empty: measured on the training split as delivered.",
        min_length=1,
        max_length=3,
    )
    std: tuple[Annotated[float, Ge(0.0001), Le(100)], ...] | None = setting(
        None,
        "Standard deviation",
        "Each channel is divided by it. Empty: measured on the training split as delivered.",
        min_length=1,
        max_length=3,
    )
    drawing: Literal["auto", "none", "mnist", "digits"] = setting(
        "auto",
        "Drawings",
        "How drawings and photographs of a digit are brought to the look of the set: light on dark, "
        "cropped, scaled and centred as MNIST or scikit-learn's digits were made. Automatic: as suits the set.",
    )

    @model_validator(mode="after")
    def _short_side_leaves_a_square_to_cut_out(self) -> "Preprocessing":
        if self.short_side_px is None:
            return self
        if self.fit != "crop":
            raise ValueError(
                f"short_side_px belongs to the fit crop, found {self.fit}; set fit to crop, or leave short_side_px empty"
            )
        if self.size_px is None or self.short_side_px < self.size_px:
            found = "no size_px" if self.size_px is None else f"size_px {self.size_px}"
            raise ValueError(
                f"short_side_px {self.short_side_px} needs a size_px of at most as much, found {found}; "
                "a square of size_px is cut out of the image once its short side has this length"
            )
        return self


class _RandomChanges(Section):
    """Random changes, drawn anew for every training image. Evaluation never sees them."""

    @property
    def is_active(self) -> bool:
        return any(change.is_on(self) for change in AUGMENTATIONS.values())


if TYPE_CHECKING:

    class Augmentation(_RandomChanges):
        def __init__(self, **settings: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:  # a field for each setting of each record, in the order in which they are drawn
    Augmentation = create_model(
        "Augmentation",
        __base__=_RandomChanges,
        __doc__=_RandomChanges.__doc__,
        __module__=__name__,
        **{name: field for change in in_drawing_order() for name, field in change.settings.items()},
    )


class _Network(Section):
    """What every kind of network says of itself."""

    @property
    def is_pretrained(self) -> bool:
        return False

    @property
    def is_frozen(self) -> bool:
        """Whether all but its last layer stays as it begins, at least at first."""
        return False

    @property
    def has_head_apart(self) -> bool:
        """Whether its last layer learns otherwise than the rest at some time."""
        return False

    @property
    def backbone_factor(self) -> float:
        """What the learning rate is multiplied by for all but its last layer."""
        return 1.0

    def is_frozen_in(self, epoch: int) -> bool:
        """Whether all but its last layer stays as it is in this epoch, counted from 1."""
        return False


class CatalogueNetwork(_Network):
    """A network of the catalogue (core/models/catalogue.py) with its settings."""

    kind: Literal["network"] = "network"
    name: str = setting("mnist-first-cnn", "Model", "The network's architecture.", basic=True, min_length=1, max_length=200)
    width: float = setting(
        1.0,
        "Width",
        "Channels and hidden units relative to the original: 2 is twice as wide, 0.5 half.",
        unit="×",
        gt=0,
        le=16,
    )
    weights: Literal["fresh", "pretrained"] = setting(
        "fresh",
        "Initial weights",
        "Fresh: drawn at random. Pretrained: learned by others on ImageNet's 1.2 million photographs, all but the "
        "last layer; needs less data and time.",
    )
    frozen: bool = setting(
        False,
        "Freeze all but the last layer",
        "Only the last layer learns: fast, and the safer choice with few images. For pretrained weights.",
    )
    head: Literal["replaced", "appended"] = setting(
        "replaced",
        "Last layer",
        "How a network of torchvision's is fitted to the classes. Replaced: its last layer is a new one (VGG-16: 4096 to 10). "
        "Appended: it stays, and a new layer follows it (1000 to 10).",
    )
    unfreeze_epoch: int | None = setting(
        None,
        "Unfreeze from epoch",
        "From this epoch on the frozen layers learn too. Empty: they stay as they are. An epoch that has begun already: "
        "from the next step on.",
        empty="they stay frozen",
        ge=1,
        le=100_000,
    )
    backbone_lr_factor: float = setting(
        1.0,
        "Learning rate of pretrained layers",
        "The learning rate of all but the last layer, relative to that of the last: 0.1 moves what is learned already ten "
        "times more gently.",
        unit="×",
        gt=0,
        le=1,
    )

    @model_validator(mode="after")
    def _frozen_is_of_use(self) -> "CatalogueNetwork":
        if self.frozen and self.weights == "fresh":
            raise ValueError(
                "frozen keeps the weights as they begin, which is of use for pretrained ones only; set weights to pretrained too"
            )
        if self.unfreeze_epoch is not None and not self.frozen:
            raise ValueError(
                "unfreeze_epoch says when frozen layers begin to learn, and none are frozen; turn frozen on, or leave "
                "unfreeze_epoch empty"
            )
        if self.backbone_lr_factor != 1 and self.weights == "fresh":
            raise ValueError(
                f"backbone_lr_factor {self.backbone_lr_factor:g} is for layers that are learned already; set weights to pretrained too, or "
                "backbone_lr_factor to 1"
            )
        return self

    @property
    def is_pretrained(self) -> bool:
        return self.weights == "pretrained"

    @property
    def is_frozen(self) -> bool:
        return self.frozen

    @property
    def has_head_apart(self) -> bool:
        return self.frozen or self.backbone_lr_factor != 1

    @property
    def backbone_factor(self) -> float:
        return self.backbone_lr_factor

    def is_frozen_in(self, epoch: int) -> bool:
        return self.frozen and (self.unfreeze_epoch is None or epoch < self.unfreeze_epoch)

    @property
    def architecture(self) -> "CatalogueNetwork":
        """Without how its first weights come about and learn: networks of one architecture can take over each other's."""
        as_fresh = {"weights": "fresh", "frozen": False, "unfreeze_epoch": None, "backbone_lr_factor": 1.0}
        return self.model_copy(update=as_fresh)

    def __str__(self) -> str:
        return f"{self.name} (width {self.width:g}{', a layer appended' if self.head == 'appended' else ''})"


MOST_ROWS = 200


class LayerNetwork(_Network):
    """Rows of layers (core/layers.py), which become an nn.Sequential."""

    kind: Literal["layers"] = "layers"
    name: str = setting("layers", "Model", "What you call the network.", basic=True, min_length=1, max_length=200)
    rows: tuple[Layer, ...] = setting(
        (Flatten(), Linear()), "Rows", "Its layers in order, each with its settings.", min_length=1, max_length=MOST_ROWS
    )

    @field_validator("rows", mode="before")
    @classmethod
    def _rows_are_few(cls, rows: Any) -> Any:
        """Seen before each is looked at: a file from outside may hold a million."""
        if isinstance(rows, (list, tuple)) and len(rows) > MOST_ROWS:
            raise ValueError(f"found {len(rows):,} rows, expected at most {MOST_ROWS}")
        return rows

    @property
    def architecture(self) -> "LayerNetwork":
        return self.model_copy(update={"name": "layers"})

    def __str__(self) -> str:
        return f"{self.name} ({len(self.rows)} {'row' if len(self.rows) == 1 else 'rows'} of layers)"


def _kind_of_network(given: Any) -> Any:
    """Files of before there were kinds name none: theirs are of the catalogue."""
    return given.get("kind", "network") if isinstance(given, dict) else getattr(given, "kind", None)


ModelConfig = Annotated[
    Annotated[CatalogueNetwork, Tag("network")] | Annotated[LayerNetwork, Tag("layers")], Discriminator(_kind_of_network)
]


class LossConfig(Section):
    name: Literal["cross-entropy", "binary cross-entropy", "mse", "l1"] = setting(
        "cross-entropy",
        "Loss",
        "How wrong an answer is. " + " ".join(f"{name}: {record.summary}" for name, record in LOSSES.items()),
    )
    label_smoothing: float = setting(
        0.0,
        "Label smoothing",
        "Share of each target spread over all classes; keeps the network from being too sure.",
        ge=0,
        lt=1,
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "Class weights",
        "Balanced: mistakes on rare classes count more, in inverse proportion to their number of training images.",
    )


class EarlyStopping(Section):
    patience: int = setting(
        0,
        "Patience",
        "Training ends once this many epochs in a row brought no improvement. 0: it never ends early.",
        unit="epochs",
        ge=0,
        le=100_000,
    )
    watch: Literal["loss", "accuracy"] = setting("loss", "Monitor", "The figure of the evaluated split that has to improve.")
    min_change: float = setting(0.0, "Min. delta", "A smaller improvement than this does not count.", ge=0, le=100)


class Origin(Section):
    """Where first weights came from that were not drawn at random. name: the parent's id, or the file's name."""

    kind: Literal["run", "file"]
    name: str = Field(max_length=300)
    checkpoint: str = Field("", max_length=100)
    sha256: str = Field("", pattern="^([0-9a-f]{64}|)$")  # of weights.safetensors as it was taken over; empty before
    note: str = Field("", max_length=2000)


class CheckpointConfig(Section):
    every_epochs: int = setting(
        1,
        "Keep every",
        "A checkpoint is kept for each of these, beside best and last.",
        unit="epochs",
        ge=1,
        le=100_000,
    )
    every_seconds: float = setting(
        30.0,
        "And at least every",
        "Within long epochs a checkpoint is taken this often, and replaces the one before.",
        unit="s",
        ge=0.1,
        le=86_400,
    )


if TYPE_CHECKING:
    Optimizer = OptimizerBase
    Schedule = ScheduleBase
else:
    Optimizer = Annotated[Union[tuple(record.settings for record in OPTIMIZERS.values())], Field(discriminator="name")]
    Schedule = Annotated[Union[tuple(record.settings for record in SCHEDULES.values())], Field(discriminator="name")]


class TrainConfig(Section):
    """Complete: a run can be repeated from this alone (and the same images)."""

    recipe: str = setting("", "Recipe", "The recipe this configuration began as.", max_length=100)
    origin: Origin | None = None
    data: DataConfig = DataConfig()
    preprocessing: Preprocessing = Preprocessing()
    augmentation: Augmentation = Augmentation()
    model: ModelConfig = CatalogueNetwork()
    optimizer: Optimizer = SGD()
    schedule: Schedule = Constant()
    loss: LossConfig = LossConfig()
    epochs: int = setting(
        3, "Epochs", "Passes over the training images. 0 only evaluates the network.", basic=True, ge=0, le=100_000
    )
    batch_size: int = setting(
        64,
        "Batch size",
        "Images per update. Larger is faster an image, but makes fewer updates.",
        unit="images",
        basic=True,
        ge=1,
        le=65_536,
    )
    eval_batch_size: int = setting(
        1000,
        "Evaluation batch",
        "Images per evaluation step: affects speed and memory, never the result.",
        unit="images",
        ge=1,
        le=65_536,
    )
    drop_last: bool = setting(False, "Drop last batch", "Leaves out the last batch of an epoch when it is not full.")
    log_every: int = setting(
        10,
        "Record every",
        "A point of the loss curve: the mean over this many steps, counted anew in each epoch.",
        unit="steps",
        ge=1,
        le=1_000_000,
    )
    early_stopping: EarlyStopping = EarlyStopping()
    checkpoint: CheckpointConfig = CheckpointConfig()
    seed: int = setting(
        1,
        "Seed",
        "Decides first weights, order of the images and random changes. The same seed repeats a run.",
        ge=0,
        le=2**32 - 1,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Device", "Where the arithmetic is done. Automatic takes a GPU where there is one."
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "Precision",
        "bfloat16 is several times faster where the processor has instructions for it, at the same accuracy. "
        "Weights are kept, and evaluation is done, in float32.",
    )
    threads: int = setting(
        0,
        "Threads",
        "Processor threads for training. 0: one for small batches, else one for each core, and one while another program keeps "
        "a core busy for seconds. A fixed number repeats a run to the last bit, also on such a machine.",
        ge=0,
        le=1024,
    )
    tensorboard: bool = setting(True, "TensorBoard files", "Also write the curves for TensorBoard.")

    @field_validator("data", mode="before")
    @classmethod
    def _splits_stay_as_they_were_drawn(cls, given: Any) -> Any:
        """A file of before images kept their side by their keys is of a run that was divided otherwise."""
        return {"split_rule": "drawn", **given} if isinstance(given, dict) else given


SECTIONS = {
    "data": "Data",
    "preprocessing": "Preprocessing",
    "augmentation": "Augmentation",
    "model": "Model",
    "optimizer": "Optimizer",
    "schedule": "Learning rate schedule",
    "loss": "Loss",
    "": "Training",
    "early_stopping": "Early stopping",
    "checkpoint": "Checkpoints",
}
# What may be changed while a run trains, or between its sessions.
CHANGEABLE = (
    "optimizer.lr",
    "epochs",
    "early_stopping.patience",
    "early_stopping.watch",
    "early_stopping.min_change",
    "model.unfreeze_epoch",
)
# Sections chosen by name from records, each with a sentence for people.
CATALOGUES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
# Sections of which there are several kinds, and the setting that tells which one it is.
VARIANTS: dict[str, dict[str, type[Section]]] = {
    **{section: {name: record.settings for name, record in records.items()} for section, records in CATALOGUES.items()},
    "model": {"network": CatalogueNetwork, "layers": LayerNetwork},
}
TAGS = {"optimizer": "optimizer.name", "schedule": "schedule.name", "model": "model.kind"}
