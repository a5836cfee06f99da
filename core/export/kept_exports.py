"""Files made of a run to be taken away, kept with it until what they were made from has changed: reports, zips, weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.store.image_store import Progress, no_progress
from core.export.bundle.make import write_bundle
from core.export.downloads import export
from core.export.formats import BUNDLE
from core.jobs.job import Request
from core.runs.artifacts import ArtifactKind, Inputs, find_kept, kept
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, find_run
from core.workspace import Workspace

EXPORTS = ArtifactKind("artifacts/export", 8)  # as large as the run itself may be
MADE_FROM = ("events.jsonl", "notes.json", "calibration.json", "pins.json", "checkpoints", "evaluations", "artifacts/robustness")


@dataclass(frozen=True)
class KeptExport:
    """proof: of a bundle, that it answers as the app does, in words."""

    path: Path
    proof: str = ""


def kept_export(run: Run, file: str) -> KeptExport | None:
    """The file as `export` names it, if it is there and still says what the run says."""
    found = find_kept(run, EXPORTS, _inputs(run, file))
    return KeptExport(found.file(file), found.facts.get("proof", "")) if found else None


def export_and_keep(workspace: Workspace, run: Run, file: str, progress: Progress = no_progress) -> Path:
    """Raises InputError as `export` does."""

    def make(folder: Path) -> dict[str, Any]:
        progress(f"Making {file}", 0, 0)
        if file.endswith(BUNDLE):
            with (folder / file).open("xb") as made:
                proof = write_bundle(workspace, run, find_checkpoint(run, file.removesuffix(BUNDLE)), made, progress)
            return {"file": file, "proof": str(proof)}
        _, pieces = export(workspace, run.id, file)
        written = 0
        with (folder / file).open("xb") as made:
            for piece in pieces:
                written += made.write(piece)
                progress(f"Making {file}", written, 0)
        return {"file": file}

    return kept(run, EXPORTS, _inputs(run, file), make).file(file)


def _inputs(run: Run, file: str) -> Inputs:
    """When the files of which it is made were last changed."""
    changed = [(name, path.stat().st_mtime_ns) for name in MADE_FROM if (path := run.path / name).exists()]
    return Inputs([file, changed])


def export_request(run: Run, file: str) -> Request:
    kind = "report" if file.endswith(".html") else "export"
    return Request(kind, f"{file} of {run.id}", {"run": run.id, "file": file})


def work(workspace: Workspace, inputs: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The job: says the name of the file."""
    export_and_keep(workspace, find_run(workspace, inputs["run"]), inputs["file"], progress)
    return {"file": inputs["file"]}
