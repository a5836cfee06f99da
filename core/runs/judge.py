"""Any checkpoint of a run judged on any split of the set it was trained on, after the training."""

from dataclasses import dataclass

import torch

from core.data.sets import divide, prepare_store
from core.data.store import Progress, no_progress
from core.errors import InputError
from core.runs.checkpoints import Checkpoint, load_network
from core.runs.directory import Run
from core.settings import changed
from core.training.batches import load_training_data
from core.training.evaluation import evaluate
from core.training.events import Evaluated
from core.workspace import Workspace


@dataclass(frozen=True)
class Judgement:
    result: Evaluated
    class_names: tuple[str, ...]


def judge(workspace: Workspace, run: Run, checkpoint: Checkpoint, split: str, progress: Progress = no_progress) -> Judgement:
    """The evaluation of a checkpoint on "train", "validation" or "test". Raises InputError if the set has no such split."""
    model, spec = load_network(checkpoint)
    config = changed(run.config, {"preprocessing": spec.preprocessing.model_dump(mode="json")})
    store = prepare_store(workspace, config.data.dataset, config.preprocessing, progress)
    if tuple(store.meta.class_names) != spec.class_names:
        raise InputError(
            f"The checkpoint knows {len(spec.class_names)} classes, the data set '{store.meta.title}' now has {store.num_classes}, "
            "or others. Choose the data it was trained on.",
            code="dataset",
        )
    data = load_training_data(store, divide(workspace, store, config.data), config, torch.device("cpu"), evaluate_on=split)
    model = model.to(memory_format=torch.channels_last)
    total = len(data.evaluated)
    position = {"epoch": 0, "step": 0, "examples": 0, "seconds": 0.0, "split": split}
    for done, event in enumerate(evaluate(model, data, config.eval_batch_size, store.num_classes, **position), start=1):
        if isinstance(event, Evaluated):
            return Judgement(event, spec.class_names)
        progress(f"Evaluating on {split}", min(done * config.eval_batch_size, total), total)
    raise AssertionError("evaluate ends with its result")
