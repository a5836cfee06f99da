"""A configuration completed, and what it would do: whether it can, on how much, in how many steps. Nothing starts here."""

from dataclasses import dataclass
from typing import Any

from core.config import Preprocessing, TrainConfig
from core.data.edits import current_edits
from core.data.imports import imported_sets
from core.data.sets import DatasetInfo, dataset_info, place_of
from core.errors import InputError
from core.losses import LOSSES
from core.models.catalogue import ModelDescription, describe_model
from core.settings import changed
from core.training.batches import steps_per_epoch
from core.training.device import Compute, choose_compute
from core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Plan:
    """config: complete."""

    config: TrainConfig
    dataset: DatasetInfo
    model: ModelDescription
    compute: Compute
    num_train: int
    num_evaluated: int
    steps_per_epoch: int


def plan_run(workspace: Workspace, config: TrainConfig) -> Plan:
    """The plan of a configuration, which is completed first. Raises InputError for whatever would fail later."""
    config = complete(workspace, config)
    return plan_for(config, dataset_info(workspace, config))


def complete(workspace: Workspace, config: TrainConfig) -> TrainConfig:
    """A path absolute, the size that the set was imported at, the edits as they are now. Completing it again changes nothing.

    What depends on the pixels is filled in by `prepare`, once they are here. Raises InputError for a set that is not there.
    """
    name = config.data.dataset
    place, entry = place_of(workspace, name), imported_sets(workspace).get(name)
    changes: dict[str, Any] = {}
    if place and not entry:
        name = changes["data.dataset"] = str(place)
    if entry and entry.size_px and config.preprocessing.size_px is None:
        changes |= {"preprocessing.size_px": entry.size_px, "preprocessing.fit": entry.fit}
    if not config.data.edits and (revision := current_edits(workspace, name).revision):
        changes["data.edits"] = revision
    return changed(config, changes) if changes else config


def plan_for(config: TrainConfig, dataset: DatasetInfo) -> Plan:
    """The plan of a complete configuration, on a set of which this much is known."""
    _check_normalisation(config.preprocessing, dataset)
    num_train, num_evaluated = dataset.splits.get("train", 0), dataset.splits.get(config.data.evaluate_on, 0)
    if not num_evaluated:
        raise InputError(
            f"data.evaluate_on: '{dataset.title}' has no {config.data.evaluate_on} split ({_counts(dataset)}).",
            code="config",
            hint=f"Set data.{config.data.evaluate_on}_fraction above 0, for example to 0.2, or evaluate on another split.",
        )
    wanted = LOSSES[config.loss.name].num_classes
    if wanted not in (None, dataset.num_classes):
        raise InputError(
            f"loss.name: {config.loss.name} is for {wanted} classes, '{dataset.title}' has {dataset.num_classes}.",
            code="config",
            hint="Choose cross-entropy, which is the same for any number of classes.",
        )
    model = describe_model(config.model, dataset.shape, dataset.num_classes)
    if config.batch_size > num_train:
        raise InputError(
            f"batch_size: found {config.batch_size:,}, expected at most {num_train:,}, the images in the training split of '{dataset.title}'.",
            code="config",
        )
    last = num_train % config.batch_size or config.batch_size
    if model.has_batch_norm and last == 1 and not (config.drop_last and config.batch_size > 1):
        raise InputError(
            f"batch_size: found {config.batch_size:,}; of {num_train:,} training images that leaves a batch of one, "
            f"which the batch norm in {config.model.name} can't learn from.",
            code="config",
            hint="Change the batch size by one, or turn drop_last on." if config.batch_size > 1 else "Choose 2 or more.",
        )
    return Plan(
        config=config,
        dataset=dataset,
        model=model,
        compute=choose_compute(config),
        num_train=num_train,
        num_evaluated=num_evaluated,
        steps_per_epoch=steps_per_epoch(num_train, config.batch_size, config.drop_last),
    )


def _check_normalisation(given: Preprocessing, dataset: DatasetInfo) -> None:
    for name in ("mean", "std"):
        values = getattr(given, name)
        if values is not None and len(values) != dataset.shape[0]:
            raise InputError(
                f"preprocessing.{name}: found {len(values)} numbers, expected one for each of the {dataset.shape[0]} channels of '{dataset.title}'.",
                code="config",
                hint="Leave it empty to have it measured.",
            )


def _counts(dataset: DatasetInfo) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in dataset.splits.items())
