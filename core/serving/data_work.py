"""Jobs that bring images and weights: imports, sets read or downloaded, pretrained weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.config import CatalogueNetwork
from core.data.browse import keep_only_classes
from core.data.imports import drop_uploads
from core.data.sets import import_set, own_preprocessing, prepare_store
from core.data.store.image_store import Progress, sweep_unfinished
from core.files import remove_quietly
from core.intake.pretrained import make_pretrained_ready
from core.jobs.job import Job, Request
from core.locks import is_locked
from core.workspace import Workspace


def import_request(
    path: Path | str,
    name: str = "",
    size_px: int | None = None,
    fit: str = "crop",
    is_upload: bool = False,
    names: str = "",
    classes: Sequence[str] = (),
) -> Request:
    """A folder or zip as a set, with these classes only, or all. An upload lies in a folder of its own, which goes with the end of the work."""
    inputs = {
        "path": str(path),
        "name": name,
        "size_px": size_px,
        "fit": fit,
        "is_upload": is_upload,
        "names": names,
        "classes": list(classes),
    }
    return Request("import", f"Import of {name or Path(path).name}", inputs)


def import_work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Says the name of the set."""
    path, is_upload = Path(inputs["path"]), inputs["is_upload"]
    try:
        chosen = inputs["name"], inputs["size_px"], inputs["fit"]
        name, store = import_set(workspace, path, *chosen, progress, is_upload, inputs.get("names", ""))
        if classes := inputs.get("classes"):
            keep_only_classes(workspace, name, store, classes)
        return {"dataset": name}
    finally:
        if is_upload:
            remove_quietly(path.parent)


def tidy_import(workspace: Workspace, job: Job) -> None:
    """After an import whose process was killed."""
    if job.inputs["is_upload"]:
        remove_quietly(Path(job.inputs["path"]).parent)
    sweep_unfinished(workspace)
    if not is_locked(workspace.locks / "import.lock"):
        drop_uploads(workspace)


def store_request(dataset: str, title: str) -> Request:
    """A set read, and downloaded first where it has to be, at the size at which it is looked at."""
    return Request("download", f"Images of {title}", {"dataset": dataset})


def store_work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> None:
    dataset = inputs["dataset"]
    prepare_store(workspace, dataset, own_preprocessing(workspace, dataset), progress)


def tidy_store(workspace: Workspace, job: Job) -> None:
    """After the process that read or downloaded a set was killed."""
    sweep_unfinished(workspace)


def weights_request(model: str) -> Request:
    return Request("weights", f"Pretrained weights of {model}", {"model": model})


def weights_work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> None:
    make_pretrained_ready(workspace, CatalogueNetwork(name=inputs["model"], weights="pretrained"), progress)
