"""Corruptions do what they say, and the bench counts right answers as evaluation does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.data.transforms.corruptions import CORRUPTIONS, corrupted
from core.inference.robustness import LEVELS, kept_robustness, last_robustness, measure, worse_and_worse
from core.insight.run_results import evaluated_after, images_of
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import create_run
from tests.core.serving.test_launcher import tiny

SHAPES = [(7, 1, 8, 8), (5, 3, 32, 32), (3, 3, 64, 48), (1, 1, 4, 4)]


def drawn(shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_strength_keeps_the_shape_is_the_same_each_time_and_moves_further_from_the_picture(name, shape):
    images = drawn(shape)
    distances = []
    for level in range(LEVELS):
        result = corrupted(images, name, level)
        assert result.shape == shape and result.dtype == torch.uint8
        torch.testing.assert_close(result, corrupted(images, name, level))
        distances.append(float((result.float() - images.float()).abs().mean()))
    assert distances[0] == 0
    assert distances[-1] > 0
    if name in ("noise", "brightness", "contrast", "blur"):
        assert distances == sorted(distances)


def test_known_pictures():
    half = torch.full((2, 1, 8, 8), 100, dtype=torch.uint8)
    assert corrupted(half, "brightness", 2)[:, 0, 0, 0].tolist() == [120, 80]
    split = torch.tensor([0, 200], dtype=torch.uint8).repeat(1, 1, 2, 1)
    assert sorted(set(corrupted(split, "contrast", 2).flatten().tolist())) == [40, 160]
    dot = torch.zeros((4, 1, 20, 20), dtype=torch.uint8)
    dot[:, 0, 10, 10] = 255
    moved = corrupted(dot, "shift", 2)  # by 2 pixels, each another way
    assert {tuple(np.argwhere(image[0].numpy() == 255)[0].tolist()) for image in moved} == {
        (10, 12),
        (10, 8),
        (12, 10),
        (8, 10),
    }
    blurred = corrupted(dot, "blur", 3).float()
    assert blurred.sum().item() == pytest.approx(4 * 255, rel=0.05), "light is spread, not lost"


@pytest.fixture
def evaluated(workspace):
    run = create_run(workspace, tiny(epochs=2))
    assert run_session(workspace, run).reason == "finished"
    return run, evaluated_after(run, 2)


def test_bench_on_all_pictures_begins_with_the_evaluation_s_own_figures_and_is_kept(workspace, evaluated):
    run, evaluated = evaluated
    store, last = images_of(workspace, run, evaluated), find_checkpoint(run, "last")
    assert kept_robustness(run, last, store, evaluated, 10_000) is None
    told = []
    measured = measure(run, last, store, evaluated, 10_000, lambda what, done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == 31 * len(evaluated.labels)
    right = evaluated.predictions.predicted == evaluated.labels
    for name in CORRUPTIONS:
        assert measured.accuracy(name)[0] == right.mean()
        assert measured.right[name][0] == np.bincount(evaluated.labels[right], minlength=10).tolist()
        np.testing.assert_allclose(measured.by_class(name)[0], [right[evaluated.labels == k].mean() for k in range(10)])
    assert measured.accuracy("noise")[-1] < measured.accuracy("noise")[0]
    assert measured.weakest == min(CORRUPTIONS, key=lambda name: sum(measured.accuracy(name)[1:]))
    assert kept_robustness(run, last, store, evaluated, 10_000) == measured
    assert kept_robustness(run, last, store, evaluated, 200) is None


def test_bench_of_other_labels_is_not_the_one_kept(workspace, evaluated):
    run, evaluated = evaluated
    store, last = images_of(workspace, run, evaluated), find_checkpoint(run, "last")
    measure(run, last, store, evaluated, 50)
    assert kept_robustness(run, last, store, replace(evaluated, labels=(evaluated.labels + 1) % 10), 50) is None
    assert kept_robustness(run, last, store, replace(evaluated, indices=evaluated.indices[::-1]), 50) is None
    assert last_robustness(run) == kept_robustness(run, last, store, evaluated, 50)


def test_sample_is_spread_over_all_and_damaged_file_measured_anew(workspace, evaluated):
    run, evaluated = evaluated
    store, last = images_of(workspace, run, evaluated), find_checkpoint(run, "last")
    measured = measure(run, last, store, evaluated, 50)
    assert measured.num_pictures == sum(measured.support) == 50
    (file,) = (run.path / "artifacts/robustness").glob("*/about.json")
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    assert kept_robustness(run, last, store, evaluated, 50) is None
    assert [image.size for image in worse_and_worse(store, 0, "blur")] == [(8, 8)] * LEVELS
