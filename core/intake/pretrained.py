"""Pretrained weights made ready: downloaded once or put in place by hand, and through the quarantine like any file from outside."""

import tempfile
from pathlib import Path

from core.config import CatalogueNetwork, ModelConfig, Preprocessing
from core.data.sources.download import Unreachable, fetch_file
from core.data.store.image_store import Progress, no_progress
from core.files import replace_file
from core.intake.contract import wanted_by
from core.intake.sandbox import Task, examine
from core.models.network_spec import NetworkSpec
from core.models.pretrained import PRETRAINED, missing, original_path, weights_path
from core.workspace import Workspace

IMAGENET_CLASSES = 1000


def make_pretrained_ready(workspace: Workspace, network: ModelConfig, progress: Progress = no_progress) -> None:
    """Sees to it that the weights that a network begins with are here. Raises InputError that says where to put them."""
    model = network.name
    if not network.is_pretrained or (model in PRETRAINED and weights_path(workspace, model).is_file()):
        return
    if model not in PRETRAINED:
        raise missing(workspace, model)
    weights, original = PRETRAINED[model], original_path(workspace, model)
    if not original.is_file():  # one that a person has put there need not be the published one: the quarantine decides
        try:
            fetch_file([weights.url], original, weights.sha256_prefix, f"weights of {model}", progress, algorithm="sha256")
        except Unreachable as reason:
            raise missing(workspace, model, str(reason)) from None
    spec = NetworkSpec(
        model=CatalogueNetwork(name=model),
        shape=(3, 224, 224),
        class_names=tuple(map(str, range(IMAGENET_CLASSES))),
        preprocessing=Preprocessing(),
    )
    with tempfile.TemporaryDirectory(prefix=".new-", dir=workspace.models) as folder:
        clean = Path(folder) / "weights.safetensors"
        examine([Task(file=original, kind="torch" if _is_zip(original) else "legacy", wanted=wanted_by(spec), out=clean)])
        replace_file(clean, weights_path(workspace, model))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
