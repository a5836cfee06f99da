"""A run learns from the set as it was edited when it began, says so, keeps which image was used for what, and goes on with the same."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.utils.class_weight import compute_class_weight

from core.config import Preprocessing, TrainConfig
from core.data.edits import Action, current_edits, edit, undo
from core.data.imports import imported_sets
from core.data.sets import dataset_info, divide, import_set, prepare_store
from core.data.splits import is_same
from core.errors import InputError
from core.inference.evaluation import evaluate_checkpoint, to_evaluate
from core.insight.run_results import class_names_of, evaluated_image, is_still_its_set, samples, store_of
from core.models.network_spec import NetworkSpec
from core.running import session
from core.running.branch import config_to_branch
from core.running.plan import complete
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, load_network, read_file
from core.runs.directory import Run, create_run
from core.runs.event_log import append_event
from core.runs.history import history_of
from core.runs.records import evaluated_images, load_division
from core.settings import changed, config_from
from core.training.batches import class_weights, load_training_data, training_batches
from core.training.events import Started
from core.workspace import Workspace


def tiny(**changes) -> TrainConfig:
    return config_from(
        {
            "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"},
            "model": {"name": "mlp", "width": 0.1},
            "epochs": 1,
            "batch_size": 64,
            "threads": 1,
            "tensorboard": False,
            **changes,
        }
    )


def finished(workspace: Workspace, config: TrainConfig) -> Run:
    run = create_run(workspace, complete(workspace, config))
    assert run_session(workspace, run).reason == "finished"
    return run


def edited(workspace: Workspace) -> None:
    prepare_store(workspace, "digits", Preprocessing())
    edit(workspace, "digits", Action(kind="relabel", images=("#0", "#1"), label="7"))
    edit(workspace, "digits", Action(kind="exclude", images=tuple(f"#{i}" for i in range(100, 300))))


def test_new_run_uses_the_edited_set_and_names_the_revision(workspace):
    edited(workspace)
    run = finished(workspace, tiny())
    assert run.config.data.edits == current_edits(workspace, "digits").revision
    division = load_division(run)
    assert division.labels[[0, 1]].tolist() == [7, 7]
    used = np.concatenate(list(division.splits.values()))
    assert len(used) == 1597
    assert not set(used.tolist()) & set(range(100, 300))
    indices, labels = evaluated_images(run)
    np.testing.assert_array_equal(labels, division.labels[indices])
    assert history_of(run).started.num_train == len(division.splits["train"])


def test_what_will_be_used_is_said_before_the_start(workspace):
    edited(workspace)
    spec = dataset_info(workspace, complete(workspace, tiny()))
    assert spec.edits == "2 relabelled, 200 excluded"
    assert sum(spec.splits.values()) == 1597


def test_later_edits_leave_a_run_as_it_was_and_it_goes_on_exactly(workspace):
    edited(workspace)
    whole = finished(workspace, tiny(epochs=2))
    half = create_run(workspace, complete(workspace, tiny(epochs=2)))
    asked = iter(range(10**6))
    assert run_session(workspace, half, should_pause=lambda: next(asked) > 3).reason in ("paused", "finished")
    edit(workspace, "digits", Action(kind="exclude", images=tuple(f"#{i}" for i in range(300, 400))))
    undo(workspace, "digits")
    edit(workspace, "digits", Action(kind="relabel", images=("#5",), label="1"))
    assert run_session(workspace, half).reason == "finished"
    assert history_of(half).last_evaluation.loss == history_of(whole).last_evaluation.loss


def test_set_as_delivered_can_be_asked_for(workspace):
    edited(workspace)
    run = finished(
        workspace, tiny(data={"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation", "edits": "none"})
    )
    assert len(np.concatenate(list(load_division(run).splits.values()))) == 1797


def test_run_begun_from_another_takes_the_set_as_it_is_now(workspace):
    run = finished(workspace, tiny())
    edited(workspace)
    config = complete(workspace, config_to_branch(run))
    assert config.data.edits == current_edits(workspace, "digits").revision != ""


def test_edits_that_are_not_here_are_said(workspace):
    config = changed(tiny(), {"data.edits": "0123456789abcdef"})
    with pytest.raises(InputError, match="0123456789abcdef of 'digits' that this run used are not here"):
        dataset_info(workspace, config)


def test_results_find_the_pictures_of_an_edited_run(workspace):
    edited(workspace)
    run = finished(workspace, tiny())
    assert store_of(workspace, run).path == prepare_store(workspace, "digits", Preprocessing()).path
    found = samples(workspace, run, 1)
    _, labels = evaluated_images(run)
    assert {sample.true for sample in found} <= set(labels.tolist())
    assert len(found) == 6


@pytest.mark.parametrize("rule", ["drawn", "by key"])
def test_run_goes_on_with_its_own_division_whatever_rule_it_was_divided_by(workspace, rule):
    """Files of before there were two rules say nothing of it."""
    data = {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation", "split_rule": rule}
    whole, half = finished(workspace, tiny(epochs=2, data=data)), create_run(workspace, tiny(epochs=2, data=data))
    asked = iter(range(10**6))
    run_session(workspace, half, should_pause=lambda: next(asked) > 3)
    before = load_division(half)
    if rule == "drawn":
        file = half.path / "config.json"
        content = json.loads(file.read_text())
        assert content["data"].pop("split_rule") == "drawn"
        file.write_text(json.dumps(content))
        half = Run(half.path)
    assert half.config.data.split_rule == rule
    assert is_same(before, divide(workspace, prepare_store(workspace, "digits", Preprocessing()), half.config.data))
    assert run_session(workspace, half).reason == "finished"
    assert history_of(half).last_evaluation.loss == history_of(whole).last_evaluation.loss


def test_network_trained_again_after_edits_is_evaluated_on_the_same_images(workspace):
    data = {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation", "split_rule": "by key"}
    before = load_division(finished(workspace, tiny(data=data)))
    edit(workspace, "digits", Action(kind="relabel", images=("#3",), label="7"))
    edit(workspace, "digits", Action(kind="exclude", images=("#10", "#200")))
    after = load_division(finished(workspace, tiny(data=data)))
    same = np.intersect1d(before.splits["validation"], after.splits["validation"])
    assert len(same) >= 0.97 * len(before.splits["validation"])


def with_edited_classes(workspace: Workspace) -> None:
    """8 and 9 are none of the set, 1 and 7 are one class."""
    prepare_store(workspace, "digits", Preprocessing())
    edit(workspace, "digits", Action(kind="drop", images=(), sources=("8", "9"), classes=("8", "9")))
    edit(workspace, "digits", Action(kind="rename", images=(), sources=("1", "7"), classes=("1", "7"), label="one or seven"))


def test_run_on_edited_classes_has_an_output_for_each_and_none_for_those_that_are_gone(workspace):
    with_edited_classes(workspace)
    names = ["0", "one or seven", "2", "3", "4", "5", "6"]
    run = finished(workspace, tiny())
    assert history_of(run).started.class_names == class_names_of(run) == names
    last = find_checkpoint(run, "last")
    assert list(NetworkSpec.model_validate_json(read_file(last, "network.json")).class_names) == names
    model, _ = load_network(last)
    assert list(model.parameters())[-1].shape == (7,)
    evaluated = history_of(run).last_evaluation
    digits = prepare_store(workspace, "digits", Preprocessing()).labels
    assert sum(evaluated.support) == history_of(run).started.num_evaluated
    assert sum(len(part) for part in load_division(run).splits.values()) == (digits < 8).sum()
    assert load_division(run).labels.max() == 6
    assert store_of(workspace, run) is not None
    assert {sample.true for sample in samples(workspace, run, 1)} <= set(range(7))
    shown = evaluated_image(workspace, run, 0)
    assert shown.true == names[evaluated_images(run)[1][0]]


def test_run_on_edited_classes_goes_on_and_is_evaluated_as_it_was_after_they_are_taken_back(workspace):
    with_edited_classes(workspace)
    whole = finished(workspace, tiny(epochs=2))
    half = create_run(workspace, complete(workspace, tiny(epochs=2)))
    asked = iter(range(10**6))
    run_session(workspace, half, should_pause=lambda: next(asked) > 3)
    undo(workspace, "digits")
    assert run_session(workspace, half).reason == "finished"
    assert history_of(half).last_evaluation.loss == history_of(whole).last_evaluation.loss
    again = evaluate_checkpoint(to_evaluate(workspace, half, find_checkpoint(half, "last"), "validation")).result
    assert again.correct == history_of(half).last_evaluation.correct


def test_network_of_delivered_classes_is_evaluated_on_an_edited_set_by_what_it_knows(workspace, tmp_path):
    run = finished(workspace, tiny())
    digits = prepare_store(workspace, "digits", Preprocessing())
    for n in range(100):
        folder = tmp_path / "mine" / str(digits.labels[n])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[n, 0]).save(folder / f"{n}.png")
    import_set(workspace, tmp_path / "mine")
    edit(workspace, "mine", Action(kind="drop", images=(), sources=("8",), classes=("8",)))
    edit(workspace, "mine", Action(kind="rename", images=(), sources=("9",), classes=("9",), label="nine"))
    found = to_evaluate(workspace, run, find_checkpoint(run, "last"), "train", dataset="mine")
    assert len(found.indices) == (digits.labels[:100] < 8).sum()
    assert found.left_out == (digits.labels[:100] == 9).sum()
    keys = [int(found.store.key(i).split("/")[1].removesuffix(".png")) for i in found.indices.tolist()]
    assert found.labels[found.indices].tolist() == digits.labels[keys].tolist()


# --- imbalance


def data_of(workspace: Workspace, config: TrainConfig):
    """Digits with nine tenths of the first five classes left out."""
    store = prepare_store(workspace, "digits", Preprocessing())
    rare = [i for i in range(1797) if store.labels[i] < 5 and i % 10]
    edit(workspace, "digits", Action(kind="exclude", images=tuple(f"#{i}" for i in rare)))
    config = complete(workspace, changed(config, {"preprocessing.mean": store.meta.mean, "preprocessing.std": store.meta.std}))
    return load_training_data(store, divide(workspace, store, config.data), config, torch.device("cpu")), config


def test_class_weights_are_those_of_scikit_learn(workspace):
    data, _ = data_of(workspace, tiny())
    labels = data.labels[data.train].numpy()
    expected = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    torch.testing.assert_close(class_weights(data, 10), torch.tensor(expected, dtype=torch.float32))
    assert class_weights(data, 12)[10:].tolist() == [0, 0]  # of a class without images


def test_balanced_sampling_shows_every_class_equally_often_and_repeats_with_the_seed(workspace):
    data, config = data_of(
        workspace,
        tiny(data={"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation", "sampling": "balanced"}),
    )

    def labels(epoch: int) -> np.ndarray:
        return torch.cat([labels for _, labels in training_batches(data, config, epoch, torch.float32)]).numpy()

    drawn = np.concatenate([labels(epoch) for epoch in range(20)])
    counts = np.bincount(drawn, minlength=10)
    expected = len(drawn) / 10
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()
    assert len(labels(0)) == len(data.train)
    assert np.array_equal(labels(3), labels(3))
    assert not np.array_equal(labels(0), labels(1))


@pytest.mark.parametrize("remedy", [{"loss": {"class_weights": "balanced"}}, {"data.sampling": "balanced"}])
def test_remedies_of_imbalance_help_the_rare_classes(workspace, remedy):
    def rare_accuracy(config: TrainConfig) -> float:
        last = history_of(finished(workspace, config)).last_evaluation
        return sum(last.correct[:5]) / sum(last.support[:5])

    _, config = data_of(workspace, tiny(epochs=5, optimizer={"name": "sgd", "lr": 0.1}))
    config = changed(config, {"preprocessing.mean": None, "preprocessing.std": None})
    helped = changed(config, {"loss.class_weights": "balanced"} if "loss" in remedy else remedy)
    assert rare_accuracy(helped) > rare_accuracy(config)


def test_results_say_that_the_set_was_edited(workspace, monkeypatch):
    from tests.pages.test_pages import texts, visit

    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    monkeypatch.setenv("TRAINSCOPE_RESERVE", "0")
    edited(workspace)
    run = finished(workspace, tiny())
    assert "The set was used as edited\\: 2 relabelled, 200 excluded" in texts(visit("results", run=run.id))


# --- images that change behind a run


def coloured(root: Path, shade: int, names: tuple[str, str] = ("a", "b")) -> Path:
    rng = np.random.default_rng(shade)
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 255, (12, 12, 3)).astype(np.uint8)).save(root / name / f"{i}.png")
    return root


def own(workspace: Workspace, name: str) -> TrainConfig:
    return complete(workspace, changed(tiny(epochs=4, batch_size=8), {"data.dataset": name}))


def test_run_whose_pictures_were_exchanged_is_not_resumed_on_others(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "POLL_S", 0)
    import_set(workspace, coloured(tmp_path / "pics", 1))
    run = create_run(workspace, own(workspace, "pics"))
    asked = iter(range(10**6))
    assert run_session(workspace, run, should_pause=lambda: next(asked) > 2).reason == "paused"
    import_set(workspace, coloured(tmp_path / "pics", 2))
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert "are not those this run began with" in ended.message
    assert store_of(workspace, run) is not None  # its own are still there to look at
    assert not is_still_its_set(workspace, run.config.data.dataset, store_of(workspace, run))


def test_pictures_of_a_set_of_the_same_name_elsewhere_are_not_taken_for_a_run_s(workspace, tmp_path):
    import_set(workspace, coloured(tmp_path / "pics", 1))
    run = create_run(workspace, own(workspace, "pics"))
    assert run_session(workspace, run).reason == "finished"
    store = store_of(workspace, run)
    shutil.rmtree(store.path)
    assert store_of(workspace, run) is None
    import_set(workspace, coloured(tmp_path / "pics", 1))  # the very same images again
    assert store_of(workspace, run) is not None
    shutil.rmtree(workspace.stores)
    workspace.stores.mkdir()
    shutil.rmtree(tmp_path / "pics")
    import_set(workspace, coloured(tmp_path / "pics", 1, ("cats", "dogs")))
    assert store_of(workspace, run) is None


def test_folder_that_a_run_from_outside_names_is_not_searched(workspace, tmp_path, monkeypatch):
    from core.data.sources import own_images as own_images

    run = create_run(workspace, changed(tiny(), {"data.dataset": str(coloured(tmp_path / "big", 1))}))
    append_event(run.events, history_row())
    monkeypatch.setattr(own_images, "open_container", lambda path: pytest.fail("searched"))
    assert store_of(workspace, run) is None


def history_row() -> Started:
    return Started(
        dataset="x",
        class_names=["a", "b"],
        num_train=1,
        num_evaluated=1,
        evaluated_split="test",
        steps_per_epoch=1,
        num_parameters=1,
        device="cpu",
        device_reason="",
        precision="float32",
        precision_reason="",
        threads=1,
        from_step=0,
        versions={},
        epochs=1,
        store="../../etc",
    )


def test_import_that_is_given_up_waits_for_the_other_and_takes_nothing_of_it_back(workspace, tmp_path):
    folder = coloured(tmp_path / "pics", 1)
    begun, go_on = threading.Event(), threading.Event()

    def slow(what: str, done: int, total: int) -> None:
        begun.set()
        assert go_on.wait(20)
        raise KeyboardInterrupt  # the visitor leaves

    def first() -> None:
        with pytest.raises(KeyboardInterrupt):
            import_set(workspace, folder, progress=slow)

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(20)
    told = []

    def waiting(what: str, done: int, total: int) -> None:
        told.append(what)
        go_on.set()

    name, _ = import_set(workspace, folder, progress=waiting)
    thread.join(20)
    assert told[0] == "Waiting for another import to end"
    assert list(imported_sets(workspace)) == [name]
