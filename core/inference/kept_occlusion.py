"""What covering parts of an image showed, kept with the run: it costs hundreds of passes, and a page is drawn anew at every click."""

import base64
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.data.store.image_store import Progress, no_progress
from core.inference.layers import as_input
from core.inference.predictor import network_of
from core.inference.saliency import occlusion
from core.jobs.job import Request
from core.runs.artifacts import ArtifactKind, Inputs, find_kept, kept, save_array
from core.runs.checkpoints import Checkpoint, find_checkpoint, weights_sum
from core.runs.directory import Run, find_run
from core.workspace import Workspace

OCCLUSIONS = ArtifactKind("artifacts/occlusion", 64)  # 200 kB each for images of 224 pixels


@dataclass(frozen=True, kw_only=True)
class Covering:
    """target: the class. patch, stride: pixels of the covered square and of its moves. temperature: of the prediction explained."""

    target: int
    patch: int
    stride: int
    temperature: float


def _inputs(checkpoint: Checkpoint, seen: np.ndarray, how: Covering) -> Inputs:
    return Inputs([weights_sum(checkpoint), list(seen.shape), asdict(how)], [seen])


def kept_occlusion(run: Run, checkpoint: Checkpoint, seen: np.ndarray, how: Covering) -> np.ndarray | None:
    """seen: (C, H, W) uint8, the image as the network gets it."""
    found = find_kept(run, OCCLUSIONS, _inputs(checkpoint, seen, how))
    return found.array("fall") if found else None


def occlusion_for(
    run: Run, checkpoint: Checkpoint, seen: np.ndarray, how: Covering, progress: Progress = no_progress
) -> np.ndarray:
    """(H, W) float32 as `occlusion` has it, kept or worked out now."""

    def make(folder: Path) -> dict[str, Any]:
        model, spec = network_of(checkpoint)
        image = as_input(seen[None], spec)
        fall = occlusion(model, image, how.target, how.patch, how.stride, how.temperature, progress)
        save_array(folder, "fall", fall)
        return {}

    return kept(run, OCCLUSIONS, _inputs(checkpoint, seen, how), make).array("fall")


def occlusion_request(run: Run, checkpoint: Checkpoint, seen: np.ndarray, how: Covering) -> Request:
    content = io.BytesIO()
    np.save(content, seen, allow_pickle=False)
    image = base64.b64encode(content.getvalue()).decode()
    inputs = {"run": run.id, "checkpoint": checkpoint.name, "image": image, **asdict(how)}
    return Request("occlusion", f"Parts of an image covered, {checkpoint.name} of {run.id}", inputs)


def work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> None:
    """The job."""
    run = find_run(workspace, inputs["run"])
    seen = np.load(io.BytesIO(base64.b64decode(inputs["image"])), allow_pickle=False)
    how = Covering(**{name: inputs[name] for name in ("target", "patch", "stride", "temperature")})
    occlusion_for(run, find_checkpoint(run, inputs["checkpoint"]), seen, how, progress)
