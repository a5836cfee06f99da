"""A checkpoint evaluated by hand on a split of some set, and kept with the run; read again in core/runs/evaluations.py."""

import errno
import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from core.data.store.image_store import Progress, no_progress
from core.files import remove_quietly, sealed, write_bytes_atomically
from core.inference.evaluation import evaluate_checkpoint
from core.runs.checkpoints import Checkpoint, epoch_of, weights_sum
from core.runs.directory import Run
from core.runs.evaluations import About, Evaluation, read_evaluation, sum_of_file
from core.runs.records import save_array, save_record
from core.workspace import Workspace

ASIDE = ".tmp-"


def evaluate_and_keep(
    workspace: Workspace, run: Run, checkpoint: Checkpoint, split: str, dataset: str = "", progress: Progress = no_progress
) -> Evaluation:
    """Judges and keeps; the same weights on the same pictures with the same labels are kept once. Raises InputError as `judge` does."""
    weights, epoch = weights_sum(checkpoint), epoch_of(checkpoint)
    evaluated = evaluate_checkpoint(workspace, run, checkpoint, split, progress, dataset)
    images = np.stack([evaluated.indices, evaluated.labels]).astype(np.uint32)
    of = hashlib.sha256(json.dumps([weights, evaluated.store.path.name, split]).encode() + images.tobytes()).hexdigest()[:16]
    folder = run.path / "evaluations"
    folder.mkdir(exist_ok=True)
    _sweep(folder)
    aside = folder / f"{ASIDE}{secrets.token_hex(8)}"
    aside.mkdir()
    try:
        save_record(aside / "record.npy", evaluated.result.predictions)
        save_array(aside / "pictures.npy", images)
        if evaluated.logits is not None:
            save_array(aside / "logits.npy", evaluated.logits)
        about = About(
            checkpoint.name,
            epoch,
            weights,
            dataset or run.config.data.dataset,
            evaluated.store.meta.title,
            split,
            evaluated.store.path.name,
            evaluated.store.meta.checksums["images.npy"],
            len(evaluated.indices),
            evaluated.left_out,
            evaluated.result.accuracy,
            evaluated.result.loss,
            time.time(),
            {path.name: sum_of_file(path) for path in aside.iterdir()},
        )
        write_bytes_atomically(aside / "about.json", sealed(asdict(about)))  # last
        _put(aside, folder / of)
    finally:
        remove_quietly(aside)
    return read_evaluation(folder / of) or Evaluation(folder / of, about)


def _sweep(folder: Path) -> None:
    """What was being written when its process was killed, an hour ago at least."""
    for path in folder.glob(f"{ASIDE}*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 3600:
                remove_quietly(path)


def _put(aside: Path, path: Path) -> None:
    """Whole, by one rename. One of the same pictures and weights says the same, and stays, unless it is damaged."""
    if path.exists() and read_evaluation(path) is None:
        remove_quietly(path)
    try:
        os.rename(aside, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
