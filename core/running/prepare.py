"""A configuration prepared: its images, what each is used for, its network and its plan. Made once; all that trains is built from it."""

from dataclasses import dataclass, replace

import torch

from core.config import TrainConfig
from core.data.sets import describe_dataset, divide, prepare_store
from core.data.splits import Division
from core.data.store.image_store import ImageStore, Progress, no_progress
from core.jobs.slots import Slot
from core.models.network_spec import NetworkSpec
from core.running.plan import Plan, plan_for
from core.settings import changed
from core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """config: with what was left to the images filled in."""

    config: TrainConfig
    store: ImageStore
    division: Division
    network: NetworkSpec
    plan: Plan


def prepare(workspace: Workspace, config: TrainConfig, progress: Progress = no_progress, slot: Slot | None = None) -> Prepared:
    """The store is built first where it is not there. config: complete. slot: the device that was given, where there are several.

    Raises InputError for whatever would fail later.
    """
    store = prepare_store(workspace, config.data.dataset, config.preprocessing, progress)
    division = divide(workspace, store, config.data)
    plan = plan_for(config, describe_dataset(workspace, config.data, store, division))
    if slot and plan.compute.device.type == "cuda" and torch.cuda.device_count() > 1:
        plan = replace(plan, compute=replace(plan.compute, device=torch.device("cuda", slot.index)))
    config = measured(config, store)
    return Prepared(
        config=config,
        store=store,
        division=division,
        network=NetworkSpec(
            model=config.model,
            shape=store.meta.shape,
            class_names=division.class_names,
            preprocessing=config.preprocessing,
        ),
        plan=plan,
    )


def measured(config: TrainConfig, store: ImageStore) -> TrainConfig:
    """With what was left to be measured on the images: mean, standard deviation, the way drawings are treated."""
    given = config.preprocessing
    return changed(
        config,
        {
            "preprocessing.mean": given.mean or store.meta.mean,
            "preprocessing.std": given.std or store.meta.std,
            "preprocessing.drawing": store.meta.drawing if given.drawing == "auto" else given.drawing,
        },
    )
