"""Planted label errors are found: real digits, 3 % of the labels of a held-out part flipped, the suspicion list read from its top."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from core.data.sources import builtin
from core.insight.gallery import Wanted, select
from core.insight.learning import learning_of
from core.insight.run_results import evaluated_after, records_of
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.directory import create_run
from core.settings import changed
from tests.fixtures.real_data import real_data

TRAINED_ON, HELD_OUT, SHARE = 15_000, 10_000, 0.03


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    content = path.read_bytes()
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(struct.pack(f">{array.ndim + 1}I", 0x0800 + array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def flipped(workspace, monkeypatch) -> np.ndarray:
    """Of MNIST's training images the first 15,000, the last 10,000 as the test split; (300,) positions there whose label is wrong."""
    raw = real_data("MNIST") / "raw"
    images = read_idx(raw / "train-images-idx3-ubyte", 3)
    labels = read_idx(raw / "train-labels-idx1-ubyte", 1).copy()
    random = np.random.default_rng(0)
    wrong = random.choice(HELD_OUT, int(SHARE * HELD_OUT), replace=False)
    held = labels[-HELD_OUT:]
    held[wrong] = (held[wrong] + random.integers(1, 10, len(wrong))) % 10
    mine = workspace.datasets / "MNIST" / "raw"
    mine.mkdir(parents=True)
    for name, part in (("train", slice(None, TRAINED_ON)), ("t10k", slice(-HELD_OUT, None))):
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = mine / f"{name}-{what}-ubyte"
            write_idx(path, array[part])
            monkeypatch.setitem(builtin.MNIST_RAW_SHA256, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return wrong


def test_most_planted_label_errors_are_at_the_top_of_the_suspicion_list(workspace, flipped):
    config = changed(recipe_named("mnist-first-cnn").config, {"epochs": 3, "tensorboard": False})
    run = create_run(workspace, config)
    assert run_session(workspace, run).reason == "finished"
    evaluated = evaluated_after(run, 3)
    assert len(evaluated.labels) == HELD_OUT
    learning = learning_of(records_of(run, range(4)), evaluated.labels)
    first = select(Wanted("suspicious labels"), evaluated.predictions, evaluated.labels, learning)[: HELD_OUT // 20]
    found = np.isin(flipped, first).mean()
    assert found >= 0.8, f"{found:.1%} of the planted errors are among the first 5 %"
    never = select(Wanted("never"), evaluated.predictions, evaluated.labels, learning)
    assert np.isin(never[:100], flipped).mean() > 0.9, "likely label errors come first among the never learned"
