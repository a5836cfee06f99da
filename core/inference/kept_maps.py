"""Maps of images, kept with the run so that opening one again costs nothing."""

from pathlib import Path
from typing import Any

import numpy as np

from core.data.store.image_store import ImageStore, Progress, no_progress
from core.errors import InputError
from core.inference.embedding import ITERATIONS, MOST_POINTS, Points, points_of, tsne
from core.inference.predictor import network_of
from core.insight.run_results import EvaluatedImages, evaluated_named, images_of
from core.jobs.job import Request
from core.runs.artifacts import Artifact, ArtifactKind, Inputs, find_kept, kept, save_array
from core.runs.checkpoints import Checkpoint, find_checkpoint, weights_sum
from core.runs.directory import Run, find_run
from core.workspace import Workspace

POINTS = ArtifactKind("artifacts/map", 24)  # about a megabyte each
TSNE = ArtifactKind("artifacts/tsne", 24)
ARRAYS = ("positions", "predicted", "scores", "explained")


def map_inputs(checkpoint: Checkpoint, store: ImageStore, indices: np.ndarray, most: int = MOST_POINTS) -> Inputs:
    """What a map is made from: the weights, the images, and how many of them are taken."""
    return Inputs([weights_sum(checkpoint), store.meta.checksums["images.npy"], most], [indices])


def kept_points(run: Run, inputs: Inputs) -> Points | None:
    return _points_in(find_kept(run, POINTS, inputs))


def points_for(
    run: Run, checkpoint: Checkpoint, store: ImageStore, indices: np.ndarray, most: int, progress: Progress = no_progress
) -> Points:
    """The points of these evaluated images, kept or worked out now. Raises InputError as points_of does."""

    def make(folder: Path) -> dict[str, Any]:
        model, spec = network_of(checkpoint)
        points = points_of(model, spec, store.images, indices, most, progress)
        for name in ARRAYS:
            save_array(folder, name, getattr(points, name))
        return {"num_features": points.num_features, "num_used": points.num_used}

    points = _points_in(kept(run, POINTS, map_inputs(checkpoint, store, indices, most), make))
    assert points, "of the form that is written here"
    return points


def kept_tsne(run: Run, inputs: Inputs, num_points: int) -> np.ndarray | None:
    artifact = find_kept(run, TSNE, _tsne_inputs(inputs))
    places = artifact and artifact.array("places")
    return places if places is not None and places.shape == (num_points, 2) and np.isfinite(places).all() else None


def tsne_for(run: Run, inputs: Inputs, points: Points, progress: Progress = no_progress) -> np.ndarray:
    """The places (n, 2) of these points by t-SNE, kept or worked out now."""

    def make(folder: Path) -> dict[str, Any]:
        save_array(folder, "places", tsne(points.scores, progress=progress))
        return {}

    return kept(run, TSNE, _tsne_inputs(inputs), make).array("places")


def _tsne_inputs(inputs: Inputs) -> Inputs:
    return Inputs([sum(ITERATIONS), inputs.key])


def _points_in(artifact: Artifact | None) -> Points | None:
    if artifact is None:
        return None
    arrays: dict[str, Any] = {name: artifact.array(name) for name in ARRAYS}
    return Points(**arrays, num_features=artifact.facts["num_features"], num_used=artifact.facts["num_used"])


def map_request(run: Run, checkpoint: Checkpoint, evaluated: EvaluatedImages, most: int, with_tsne: bool) -> Request:
    inputs = {"run": run.id, "checkpoint": checkpoint.name, "evaluated": evaluated.reference, "most": most, "tsne": with_tsne}
    return Request("map", f"{'t-SNE' if with_tsne else 'Map'} of {checkpoint.name} of {run.id}", inputs)


def work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> None:
    """The job."""
    run = find_run(workspace, inputs["run"])
    checkpoint, evaluated = find_checkpoint(run, inputs["checkpoint"]), evaluated_named(run, inputs["evaluated"])
    store = images_of(workspace, run, evaluated)
    if store is None:
        raise InputError("The images that this run was evaluated on are no longer on this machine.", code="dataset")
    points = points_for(run, checkpoint, store, evaluated.indices, inputs["most"], progress)
    if inputs["tsne"]:
        tsne_for(run, map_inputs(checkpoint, store, evaluated.indices, inputs["most"]), points, progress)
