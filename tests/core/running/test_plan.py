"""The plan: what can't work is refused before anything starts, naming field, value and what was expected."""

import pytest

from core.config import TrainConfig
from core.data.sets import DatasetInfo
from core.errors import InputError
from core.running.plan import plan_for, plan_run
from core.runs.directory import create_run
from core.settings import config_from
from core.workspace import open_workspace


def spec(shape=(3, 32, 32), classes=10, **splits: int) -> DatasetInfo:
    return DatasetInfo(
        title="Things", shape=shape, num_classes=classes, splits=splits or {"train": 100, "test": 20}, is_ready=True
    )


def config(**changes) -> TrainConfig:
    return config_from({"model": {"name": "mlp"}, "batch_size": 10, "device": "cpu", **changes})


def test_plan_counts_pictures_and_steps():
    plan = plan_for(config(batch_size=30, epochs=7), spec(train=100, test=20))
    assert (plan.num_train, plan.num_evaluated, plan.steps_per_epoch) == (100, 20, 4)
    assert plan_for(config(batch_size=30, drop_last=True), spec()).steps_per_epoch == 3


def test_batch_larger_than_the_training_split_is_refused():
    assert plan_for(config(batch_size=100), spec()).steps_per_epoch == 1
    with pytest.raises(
        InputError, match=r"batch_size: found 101, expected at most 100, the images in the training split of 'Things'"
    ):
        plan_for(config(batch_size=101), spec())


@pytest.mark.parametrize(("batch_size", "train"), [(33, 100), (1, 100), (99, 100), (64, 1025)])
def test_last_batch_of_one_with_batch_norm_is_refused(batch_size, train):
    with pytest.raises(InputError, match=rf"batch_size: found {batch_size}; .* leaves a batch of one, which the batch norm"):
        plan_for(config(model={"name": "mnist-batchnorm-cnn"}, batch_size=batch_size), spec(train=train, test=20))


def test_last_batch_of_one_is_fine_without_batch_norm():
    assert plan_for(config(batch_size=33), spec()).steps_per_epoch == 4


def test_last_batch_of_one_is_fine_when_it_is_dropped():
    dropped = config(model={"name": "mnist-batchnorm-cnn"}, batch_size=33, drop_last=True)
    assert plan_for(dropped, spec()).steps_per_epoch == 3


def test_batches_of_one_with_batch_norm_are_refused_also_when_the_last_is_dropped():
    with pytest.raises(InputError, match="Choose 2 or more"):
        plan_for(config(model={"name": "mnist-batchnorm-cnn"}, batch_size=1, drop_last=True), spec())


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_on_a_split_that_is_not_there_is_refused_with_the_way_out(split):
    with pytest.raises(
        InputError, match=rf"data\.evaluate_on: 'Things' has no {split} split \(100 train\)\. Set data\.{split}_fraction"
    ):
        plan_for(config(data={"dataset": "digits", "evaluate_on": split}), spec(train=100))


@pytest.mark.parametrize("field", ["mean", "std"])
def test_wrong_number_of_means_is_refused(field):
    with pytest.raises(InputError, match=rf"preprocessing\.{field}: found 1 numbers, expected one for each of the 3 channels"):
        plan_for(config(preprocessing={field: [0.5]}), spec())
    assert plan_for(config(preprocessing={field: [0.5]}), spec(shape=(1, 32, 32)))


def test_picture_too_small_for_the_model_is_refused():
    with pytest.raises(InputError, match="cifar10-blitz needs images of at least 16 × 16 pixels, these have 8 × 8"):
        plan_for(config(model={"name": "cifar10-blitz"}), spec(shape=(1, 8, 8)))


def test_unknown_model_and_unknown_set_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"model\.name: found 'vgg99'"):
        plan_for(config(model={"name": "vgg99"}), spec())
    with pytest.raises(InputError, match="There is no data set 'imagenet'"):
        plan_run(open_workspace(tmp_path), config(data={"dataset": "imagenet"}))


def test_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="device: found cuda, but PyTorch sees no NVIDIA GPU here"):
        plan_for(config(device="cuda"), spec())


def test_built_in_set_is_planned_from_the_catalogue_before_it_is_downloaded(tmp_path):
    workspace = open_workspace(tmp_path)
    plan = plan_run(workspace, config(data={"dataset": "cifar100", "validation_fraction": 0.1, "evaluate_on": "validation"}))
    assert (plan.num_train, plan.num_evaluated, plan.dataset.num_classes, plan.dataset.is_ready) == (45_000, 5_000, 100, False)
    assert not any(workspace.stores.iterdir())
    assert not any(workspace.datasets.iterdir())


def test_configuration_of_a_run_is_written_before_anything_starts(tmp_path):
    chosen = config(epochs=9)
    run = create_run(open_workspace(tmp_path), chosen)
    assert run.config == chosen
    assert not run.events.exists()
