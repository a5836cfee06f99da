"""Which files make up a run's directory and a checkpoint's, for bundles that go out and those that come in. Nothing else travels."""

import re
from dataclasses import dataclass

CHECKPOINT_NAME = r"(?:epoch-\d{4,9}|step-\d{10,15})"
CHECKPOINT_FILES = ("weights.safetensors", "optimizer.safetensors", "state.json", "network.json")
MANIFEST = "manifest.json"
GIGABYTE, MEGABYTE = 10**9, 10**6


@dataclass(frozen=True)
class Kind:
    """Files of one kind: their paths below the run's directory, and how large one may be."""

    pattern: str
    max_bytes: int


KINDS = (
    Kind(r"config\.json", MEGABYTE),
    Kind(r"notes\.json", MEGABYTE),
    Kind(r"(?:calibration|pins)\.json", MEGABYTE),
    Kind(r"events\.jsonl", GIGABYTE),
    Kind(r"worker\.log", 100 * MEGABYTE),
    Kind(r"left-out\.txt", MEGABYTE),
    Kind(r"records/(?:pictures|division)\.npy", 20 * MEGABYTE),
    Kind(r"records/epoch-\d{4,9}\.npy", 20 * MEGABYTE),
    Kind(r"records/filters-\d{4,9}\.npy", 20 * MEGABYTE),
    Kind(rf"checkpoints/{CHECKPOINT_NAME}/(?:weights|optimizer)\.safetensors", 4 * GIGABYTE),
    Kind(rf"checkpoints/{CHECKPOINT_NAME}/network\.json", 5 * MEGABYTE),
    Kind(rf"checkpoints/{CHECKPOINT_NAME}/state\.json", MEGABYTE),
    Kind(rf"checkpoints/{CHECKPOINT_NAME}/manifest\.json", 100_000),
    Kind(r"checkpoints/(?:best|last)\.json", 10_000),
    Kind(r"tensorboard/events\.out\.tfevents\.[\w.-]{1,200}", GIGABYTE),
)


def max_bytes_of(path: str) -> int | None:
    """How large the file of a run may be, by its path below the run's directory; None if runs have no such file."""
    return next((kind.max_bytes for kind in KINDS if re.fullmatch(kind.pattern, path, re.ASCII)), None)
