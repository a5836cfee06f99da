"""A checkpoint evaluated by hand on a split of some set, and kept with the run; read again in core/runs/evaluations.py."""

from pathlib import Path
from typing import Any

import numpy as np

from core.data.store.image_store import Progress, no_progress
from core.inference.evaluation import ToEvaluate, evaluate_checkpoint, to_evaluate
from core.jobs.job import Request
from core.runs.artifacts import Inputs, kept, save_array
from core.runs.checkpoints import Checkpoint, epoch_of, find_checkpoint, weights_sum
from core.runs.directory import Run, find_run
from core.runs.evaluations import EVALUATIONS, Evaluation, evaluation_in
from core.runs.records import as_record
from core.workspace import Workspace


def evaluate_and_keep(
    workspace: Workspace, run: Run, checkpoint: Checkpoint, split: str, dataset: str = "", progress: Progress = no_progress
) -> Evaluation:
    """The same weights on the same images with the same labels are evaluated once. Raises InputError as `to_evaluate` does."""
    of, weights = to_evaluate(workspace, run, checkpoint, split, progress, dataset), weights_sum(checkpoint)
    images = np.stack([of.indices, of.labels[of.indices]]).astype(np.uint32)

    def make(folder: Path) -> dict[str, Any]:
        found = evaluate_checkpoint(of, progress)
        assert found.result.predictions, "only one that was read again has none"
        save_array(folder, "record", as_record(found.result.predictions))
        save_array(folder, "pictures", images)
        if found.logits is not None:
            save_array(folder, "logits", found.logits)
        about = _about(of, dataset or run.config.data.dataset)
        figures = {"accuracy": found.result.accuracy, "loss": found.result.loss}
        return {"checkpoint": checkpoint.name, "epoch": epoch_of(checkpoint), "weights": weights, **about, **figures}

    evaluation = evaluation_in(kept(run, EVALUATIONS, Inputs([weights, of.store.path.name, split], [images]), make))
    assert evaluation, "of the form that is written here"
    return evaluation


def _about(of: ToEvaluate, dataset: str) -> dict[str, Any]:
    meta = of.store.meta
    return {
        "dataset": dataset,
        "title": meta.title,
        "split": of.split,
        "store": of.store.path.name,
        "pictures": meta.checksums["images.npy"],
        "num_pictures": len(of.indices),
        "left_out": of.left_out,
    }


def evaluation_request(run: Run, checkpoint: str, split: str, dataset: str = "") -> Request:
    on = f"{split} of {dataset}" if dataset else split
    inputs = {"run": run.id, "checkpoint": checkpoint, "split": split, "dataset": dataset}
    return Request("evaluate", f"{checkpoint} of {run.id} on {on}", inputs)


def work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The job: says the name of the evaluation."""
    run = find_run(workspace, inputs["run"])
    checkpoint = find_checkpoint(run, inputs["checkpoint"])
    return {"evaluation": evaluate_and_keep(workspace, run, checkpoint, inputs["split"], inputs["dataset"], progress).name}
