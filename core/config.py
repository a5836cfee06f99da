"""Every choice a run depends on, in one frozen, validated model: defined, bounded and explained here and nowhere else.

Forms, help texts and the command line are made from the fields. What a choice means for tensors is not here: see
core/data, core/models and core/training.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import InputError


class Section(BaseModel):
    """A frozen group of settings that refuses NaN, infinity and names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def setting(default: Any, title: str, explanation: str, *, unit: str = "", basic: bool = False, **bounds: Any) -> Any:
    """A field with its words. basic: one of the few that the form shows first."""
    extra = {"unit": unit, "basic": basic}
    return Field(default, title=title, description=explanation, json_schema_extra=extra, **bounds)


class DataConfig(Section):
    dataset: str = setting(
        "digits", "Data set", "The pictures to learn from: a name from the catalogue, or the path of a folder of pictures.",
        basic=True, min_length=1, max_length=4096,
    )  # fmt: skip
    validation_fraction: float = setting(
        0.0, "Validation share", "Part of the training pictures held out to judge the network while it trains. "
        "Drawn class by class, so that every class keeps its share.", ge=0, le=0.9,
    )  # fmt: skip
    test_fraction: float = setting(
        0.0, "Test share", "Part held out as a test split, for sets that come without one. Ignored where the set brings its own.",
        ge=0, le=0.9,
    )  # fmt: skip
    split_seed: int = setting(0, "Split seed", "The same seed holds out the same pictures.", ge=0, le=2**32 - 1)
    evaluate_on: Literal["validation", "test"] = setting(
        "test", "Evaluate on", "The pictures that judge the network after each epoch. Tutorials use the test split; "
        "choosing settings by it makes its figure too good, so use validation when you compare.", basic=True,
    )  # fmt: skip


class Preprocessing(Section):
    """How a picture becomes the network's input. Serialised into every checkpoint; core/data/preprocessing.py applies it."""

    size_px: int | None = setting(
        None, "Picture size", "Side of the square that pictures are brought to. Empty: as the set has them "
        "(photographs of varying size: 64).", unit="px", ge=4, le=1024,
    )  # fmt: skip
    fit: Literal["crop", "pad", "stretch"] = setting(
        "crop",
        "Fit",
        "How a picture that is not square fills the square: its middle cut out, black bars added, or stretched.",
    )
    colour: Literal["as stored", "grey", "rgb"] = setting(
        "as stored",
        "Colour",
        "Channels given to the network: as the set has them, one grey channel, or red, green and blue.",
    )
    mean: tuple[float, ...] | None = setting(
        None, "Mean", "Subtracted from each channel (pixels run from 0 to 1). Empty: measured on the training pictures.",
        min_length=1, max_length=3,
    )  # fmt: skip
    std: tuple[Annotated[float, Gt(0)], ...] | None = setting(
        None, "Standard deviation", "Each channel is divided by it. Empty: measured on the training pictures.",
        min_length=1, max_length=3,
    )  # fmt: skip
    drawing: Literal["auto", "none", "mnist", "digits"] = setting(
        "auto", "Drawings", "How drawings and photographs of a digit are brought to the look of the set: light on dark, "
        "cropped, scaled and centred as MNIST or scikit-learn's digits were made. Automatic: as suits the set.",
    )  # fmt: skip


class Augmentation(Section):
    """Random changes, drawn anew for every training picture. Evaluation never sees them."""

    shift_px: int = setting(0, "Shift", "Moved by up to this many pixels each way.", unit="px", ge=0, le=64)
    flip: bool = setting(False, "Mirror", "Half of the pictures are mirrored left to right. Wrong for digits and letters.")
    rotate_deg: float = setting(0.0, "Rotate", "Turned by up to this angle each way.", unit="°", ge=0, le=180)
    scale: float = setting(0.0, "Scale", "Made larger or smaller by up to this share.", ge=0, le=0.9)
    erase_px: int = setting(0, "Erase", "A square of this side is blanked out (cutout).", unit="px", ge=0, le=512)

    @property
    def is_active(self) -> bool:
        return self != Augmentation()


class ModelConfig(Section):
    name: str = setting("mnist-first-cnn", "Model", "The network's architecture.", basic=True, min_length=1, max_length=200)
    width: float = setting(
        1.0,
        "Width",
        "Channels and hidden units relative to the original: 2 is twice as wide, 0.5 half.",
        unit="×",
        gt=0,
        le=16,
    )


class OptimizerBase(Section):
    lr: float = setting(
        0.01, "Learning rate", "Size of each update. Too high and the loss jumps or explodes; too low and it crawls.",
        basic=True, gt=0, le=100,
    )  # fmt: skip
    weight_decay: float = setting(0.0, "Weight decay", "Pulls the weights towards zero at every step.", ge=0, le=10)
    decay_all: bool = setting(
        True,
        "Decay biases and norms",
        "Off: weight decay leaves biases and normalisation layers alone, as newer recipes do.",
    )


class SGD(OptimizerBase):
    name: Literal["sgd"] = "sgd"
    momentum: float = setting(0.0, "Momentum", "Share of the last update that is carried on.", basic=True, ge=0, lt=1)
    nesterov: bool = setting(False, "Nesterov", "Looks ahead along the momentum. Needs momentum above 0.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; set momentum, for example to 0.9, or turn nesterov off")
        return self


class Adam(OptimizerBase):
    name: Literal["adam"] = "adam"
    lr: float = setting(0.001, "Learning rate", OptimizerBase.model_fields["lr"].description, basic=True, gt=0, le=100)
    beta1: float = setting(0.9, "Beta 1", "Memory of the mean gradient.", ge=0, lt=1)
    beta2: float = setting(0.999, "Beta 2", "Memory of the squared gradient.", ge=0, lt=1)
    eps: float = setting(1e-8, "Epsilon", "Added to the denominator for stability.", gt=0, le=1)


class AdamW(Adam):
    name: Literal["adamw"] = "adamw"
    weight_decay: float = setting(0.01, "Weight decay", "Pulls the weights towards zero, apart from the gradient.", ge=0, le=10)


class RMSprop(OptimizerBase):
    name: Literal["rmsprop"] = "rmsprop"
    alpha: float = setting(0.99, "Alpha", "Memory of the squared gradient.", ge=0, lt=1)
    momentum: float = setting(0.0, "Momentum", "Share of the last update that is carried on.", ge=0, lt=1)
    eps: float = setting(1e-8, "Epsilon", "Added to the denominator for stability.", gt=0, le=1)


class ScheduleBase(Section):
    warmup_epochs: float = setting(
        0.0, "Warm-up", "The learning rate climbs from near zero over this many epochs.", unit="epochs", ge=0, le=1000
    )
    update_every: Literal["step", "epoch"] = setting(
        "step", "Follow the curve", "Whether the learning rate moves at every step or only from epoch to epoch."
    )


class Constant(ScheduleBase):
    name: Literal["constant"] = "constant"


class Step(ScheduleBase):
    name: Literal["step"] = "step"
    step_epochs: int = setting(10, "Every", "The learning rate drops after each of these.", unit="epochs", ge=1, le=100_000)
    gamma: float = setting(0.1, "Factor", "What it is multiplied by at each drop.", gt=0, le=1)


class Cosine(ScheduleBase):
    name: Literal["cosine"] = "cosine"
    period_epochs: int | None = setting(
        None, "Half period", "Epochs from the highest to the lowest rate (T_max). Empty: the whole run.",
        unit="epochs", ge=1, le=100_000,
    )  # fmt: skip
    final_fraction: float = setting(0.0, "Lowest", "The lowest rate as a share of the learning rate.", ge=0, le=1)


class OneCycle(ScheduleBase):
    name: Literal["one-cycle"] = "one-cycle"
    peak_at: float = setting(0.3, "Peak at", "Share of the run after which the learning rate is reached.", ge=0, le=1)
    initial_fraction: float = setting(0.04, "Start", "The first rate as a share of the learning rate.", ge=0, le=1)
    final_fraction: float = setting(0.0, "End", "The last rate as a share of the learning rate.", ge=0, le=1)
    shape: Literal["linear", "cosine"] = setting("linear", "Shape", "How the rate climbs and falls.")

    @model_validator(mode="after")
    def _warms_up_by_itself(self) -> "OneCycle":
        if self.warmup_epochs:
            raise ValueError("one-cycle has its own climb; set warmup_epochs to 0 and use peak_at and initial_fraction")
        return self


class LossConfig(Section):
    label_smoothing: float = setting(
        0.0,
        "Label smoothing",
        "Share of each target spread over all classes; keeps the network from being too sure.",
        ge=0,
        lt=1,
    )


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
        30.0, "And at least every", "Within long epochs a checkpoint is taken this often, and replaces the one before.",
        unit="s", ge=0.1, le=86_400,
    )  # fmt: skip


Optimizer = Annotated[Union[SGD, Adam, AdamW, RMSprop], Field(discriminator="name")]
Schedule = Annotated[Union[Constant, Step, Cosine, OneCycle], Field(discriminator="name")]


class TrainConfig(Section):
    """Complete: a run can be repeated from this alone (and the same pictures)."""

    recipe: str = setting("", "Recipe", "The recipe this configuration began as.", max_length=100)
    data: DataConfig = DataConfig()
    preprocessing: Preprocessing = Preprocessing()
    augmentation: Augmentation = Augmentation()
    model: ModelConfig = ModelConfig()
    optimizer: Optimizer = SGD()
    schedule: Schedule = Constant()
    loss: LossConfig = LossConfig()
    epochs: int = setting(3, "Epochs", "Passes over the training pictures.", basic=True, ge=1, le=100_000)
    batch_size: int = setting(
        64, "Batch size", "Pictures per update. Larger is faster a picture, but makes fewer updates.",
        unit="pictures", basic=True, ge=1, le=65_536,
    )  # fmt: skip
    eval_batch_size: int = setting(
        1000, "Evaluation batch", "Pictures per evaluation step: affects speed and memory, never the result.",
        unit="pictures", ge=1, le=65_536,
    )  # fmt: skip
    drop_last: bool = setting(False, "Drop last batch", "Leaves out the last batch of an epoch when it is not full.")
    log_every: int = setting(
        10,
        "Record every",
        "A point of the loss curve: the mean over this many steps.",
        unit="steps",
        ge=1,
        le=1_000_000,
    )
    checkpoint: CheckpointConfig = CheckpointConfig()
    seed: int = setting(
        1, "Seed", "Decides first weights, order of the pictures and random changes. The same seed repeats a run.",
        ge=0, le=2**32 - 1,
    )  # fmt: skip
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Device", "Where the arithmetic is done. Automatic takes a GPU where there is one."
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Precision", "bfloat16 is several times faster where the processor has instructions for it, at the same accuracy. "
        "Weights are kept, and evaluation is done, in float32.",
    )  # fmt: skip
    threads: int = setting(
        0,
        "Threads",
        "Processor threads for training. 0: one for small batches, else one for each core, and fewer while "
        "other programs need them. A fixed number repeats a run to the last bit, also on a busy machine.",
        ge=0,
        le=1024,
    )
    tensorboard: bool = setting(True, "TensorBoard files", "Also write the curves for TensorBoard.")


SECTIONS = {
    "data": "Data", "preprocessing": "Preprocessing", "augmentation": "Augmentation", "model": "Model",
    "optimizer": "Optimizer", "schedule": "Learning rate schedule", "loss": "Loss", "": "Training", "checkpoint": "Checkpoints",
}  # fmt: skip
VARIANTS: dict[str, dict[str, type[Section]]] = {
    "optimizer": {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop},
    "schedule": {"constant": Constant, "step": Step, "cosine": Cosine, "one-cycle": OneCycle},
}


@dataclass(frozen=True)
class Setting:
    """One field as forms and help texts need it. path: "optimizer.lr"; lower and upper: None where unbounded."""

    path: str
    title: str
    explanation: str
    unit: str
    basic: bool
    kind: Literal["int", "float", "bool", "choice", "text", "floats"]
    optional: bool
    default: Any
    choices: tuple[str, ...]
    lower: float | None
    upper: float | None
    bounds: str

    @property
    def section(self) -> str:
        return self.path.rpartition(".")[0]


def _as_setting(path: str, field: Any) -> Setting:
    annotation, optional = field.annotation, False
    if type(None) in get_args(annotation):
        optional = True
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    if get_origin(annotation) is Literal:
        kind, choices = "choice", get_args(annotation)
    else:
        choices = ()
        kind = {bool: "bool", int: "int", float: "float", str: "text"}.get(annotation, "floats")
    lower = upper = None
    words = []
    for bound in field.metadata:
        if isinstance(bound, Ge):
            lower = bound.ge
            words.append(f"at least {bound.ge:g}" if abs(bound.ge) < 1e5 else f"at least {bound.ge}")
        elif isinstance(bound, Gt):
            lower = bound.gt
            words.append(f"above {bound.gt:g}")
        elif isinstance(bound, Le):
            upper = bound.le
            words.append(f"at most {bound.le:,}")
        elif isinstance(bound, Lt):
            upper = bound.lt
            words.append(f"below {bound.lt:g}")
    if choices:
        words = ["one of " + ", ".join(choices)]
    extra = field.json_schema_extra
    return Setting(
        path, field.title, field.description, extra["unit"], extra["basic"], kind, optional, field.default, tuple(choices),
        lower, upper, " and ".join(words),
    )  # fmt: skip


def settings_of(section: type[Section], prefix: str = "") -> Iterator[Setting]:
    """The settings of one section in order, sections within it left out."""
    for name, field in section.model_fields.items():
        if field.title is not None:
            yield _as_setting(f"{prefix}{name}", field)


def sections(config: TrainConfig) -> Iterator[tuple[str, str, list[Setting]]]:
    """(name, title, settings) of each section of this configuration, by the variants it has chosen."""
    for name, title in SECTIONS.items():
        section = type(getattr(config, name)) if name else TrainConfig
        yield name, title, list(settings_of(section, f"{name}." if name else ""))


def all_settings() -> Iterator[Setting]:
    """Every setting there is, those of every optimizer and schedule included; for help texts."""
    for name in SECTIONS:
        if name in VARIANTS:
            seen = set()
            for variant in VARIANTS[name].values():
                for item in settings_of(variant, f"{name}."):
                    if item.path not in seen:
                        seen.add(item.path)
                        yield item
        else:
            section = TrainConfig.model_fields[name].annotation if name else TrainConfig
            yield from settings_of(section, f"{name}." if name else "")


def get(config: TrainConfig, path: str) -> Any:
    """The value at "optimizer.lr"."""
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """A validated configuration from nested plain values. Raises InputError that names field, value and range."""
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(" ".join(_sentence(problem) for problem in error.errors()), code="config") from None


def config_from_json(text: str | bytes) -> TrainConfig:
    """A configuration from JSON text; NaN and Infinity in it are refused."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The configuration is not JSON: {error}.", code="config") from None
    if not isinstance(values, dict):
        raise InputError(f"The configuration must be a JSON object, found {type(values).__name__}.", code="config")
    return config_from(values)


def changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """The configuration with values replaced by path, for example {"optimizer.lr": 0.1}.

    Choosing another optimizer or schedule by name starts from that one's own defaults.
    """
    values = config.model_dump(mode="json")
    # names first, so that a changed optimizer's own settings can follow in any order
    for path, value in sorted(changes.items(), key=lambda item: not item[0].endswith(".name")):
        *parents, last = path.split(".")
        target = values
        for name in parents:
            target = target.get(name) if isinstance(target, dict) else None
        if not isinstance(target, dict) or not _is_known(path):
            raise InputError(f"There is no setting '{path}'.", code="config", hint=_closest(path))
        if last == "name" and parents and parents[0] in VARIANTS and target["name"] != value:
            values[parents[0]] = {"name": value}
        else:
            target[last] = value
    return config_from(values)


def parse_assignment(text: str) -> tuple[str, Any]:
    """("optimizer.lr", 0.1) from "optimizer.lr=0.1". Values are JSON where they can be, text otherwise."""
    path, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"'{text}' is not of the form name=value.", code="config", hint="For example: optimizer.lr=0.1")
    if path.strip() in ("data.dataset", "model.name"):
        return path.strip(), value
    try:
        return path.strip(), json.loads(value)
    except ValueError:
        lowered = value.strip().lower()
        special = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "none": None, "": None}
        return path.strip(), special.get(lowered, value)


def _is_known(path: str) -> bool:
    names = {item.path for item in all_settings()} | {f"{name}.name" for name in VARIANTS} | set(filter(None, SECTIONS))
    return path in names


def _closest(path: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(path, [item.path for item in all_settings()], n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}?" if near else "'python -m core train --help' lists them all."


def _sentence(problem: Mapping[str, Any]) -> str:
    """One error of pydantic's in our words: field, value, range."""
    location = [str(part) for part in problem["loc"]]
    if len(location) > 1 and location[0] in VARIANTS and location[1] in VARIANTS[location[0]]:
        del location[1]  # the name of the variant, which pydantic puts into the path
    path = ".".join(location) or "configuration"
    if problem["type"] == "extra_forbidden":
        return f"There is no setting '{path}'."
    if problem["type"] == "union_tag_invalid":
        return f"{path}.name: found {problem['input'].get('name')!r}, expected one of {', '.join(VARIANTS[path])}."
    found = problem["input"]
    if problem["type"] == "value_error":
        return f"{path}: {problem['ctx']['error']}."
    known = {item.path: item for item in all_settings()}.get(path)
    expected = problem["msg"][0].lower() + problem["msg"][1:]
    if known:  # our own words for it
        kinds = {"int": "a whole number", "float": "a finite number", "bool": "true or false", "text": "text",
                 "floats": "one to three numbers", "choice": ""}  # fmt: skip
        expected = " ".join(filter(None, [kinds[known.kind], known.bounds])) or expected
    return f"{path}: found {_short(found)}, expected {expected}."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
