"""A bundle made, proved and packed."""

import json
import tempfile
import time
import zipfile
from pathlib import Path
from typing import BinaryIO

from core.data.store.image_store import Progress, no_progress
from core.export.bundle.content import program_of
from core.export.bundle.parity import Parity, prove
from core.export.bundle.words import model_card, readme
from core.runs.checkpoints import Checkpoint
from core.runs.directory import Run
from core.workspace import Workspace


def write_bundle(
    workspace: Workspace, run: Run, checkpoint: Checkpoint, file: BinaryIO, progress: Progress = no_progress
) -> Parity:
    """A zip of a folder with the run's name. Raises InputError if the checkpoint is damaged, or the bundle answers otherwise than the app."""
    with tempfile.TemporaryDirectory(prefix="bundle-") as place:
        folder, images = Path(place) / "bundle", Path(place) / "images"
        folder.mkdir()
        images.mkdir()
        progress("Writing the bundle", 0, 0)
        content = program_of(checkpoint)
        for name, data in content.items():
            (folder / name).write_bytes(data)
        parity = prove(folder, images, workspace, run, checkpoint, progress)
    content["parity.json"] = json.dumps(parity.as_dict(), indent=2).encode()
    content["MODEL_CARD.md"] = model_card(workspace, run, checkpoint, parity).encode()
    content["README.md"] = readme(run, checkpoint, parity).encode()
    with zipfile.ZipFile(file, "w") as packed:
        for name, data in sorted(content.items()):
            info = zipfile.ZipInfo(f"{run.id}/{name}", time.localtime()[:6])
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
            packed.writestr(info, data)
    return parity
