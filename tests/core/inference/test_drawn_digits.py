"""The first thing a beginner tries: a digit drawn on the network that the quick start has trained."""

import numpy as np
import pytest

from core.inference.predictor import predict
from core.recipes import recipe_named
from core.running.session import run_session
from core.runs.checkpoints import Checkpoint, find_checkpoint
from core.runs.directory import create_run
from core.settings import changed
from core.workspace import open_workspace
from tests.fixtures.drawn_digits import STYLES, drawn_digit


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    workspace = open_workspace(tmp_path_factory.mktemp("home"))
    run = create_run(workspace, changed(recipe_named("digits-quickstart").config, {"threads": 1, "tensorboard": False}))
    assert run_session(workspace, run).reason == "finished"
    return find_checkpoint(run, "last")


def answer(checkpoint: Checkpoint, digit: int, style: str) -> int:
    said = predict(checkpoint, drawn_digit(digit, style))
    return int(np.argmax(said.probabilities))


def test_at_least_27_of_30_drawn_digits_are_recognised(checkpoint):
    wrong = [(style, digit) for style in STYLES for digit in range(10) if answer(checkpoint, digit, style) != digit]
    assert len(wrong) <= 3, wrong


def test_a_plain_bar_is_a_one(checkpoint):
    assert answer(checkpoint, 1, "round") == 1
    assert answer(checkpoint, 1, "angular") == 1
