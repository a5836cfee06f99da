"""Checkpoints evaluated by hand on other splits and sets, and kept: equal to what training recorded, matched by class names, refused in words."""

import math
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from core.data.edits import Action, edit
from core.data.imports import import_images
from core.data.sets import prepare_store
from core.errors import InputError
from core.export.report import report
from core.inference.kept_evaluations import evaluate_and_keep
from core.insight.class_report import top_accuracy
from core.insight.run_results import (
    are_of_the_same_images,
    checkpoint_for,
    class_names_of,
    evaluated_after,
    evaluated_by,
    images_of,
    records_of,
    store_of,
)
from core.models.first_layer import first_filters
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, list_checkpoints
from core.runs.directory import create_run
from core.runs.evaluations import checkpoint_of, list_evaluations, remove_evaluation
from core.runs.records import evaluated_images, load_division, load_filters, load_predictions, save_array
from tests.core.serving.test_launcher import tiny


@pytest.fixture
def run(workspace):
    run = create_run(workspace, tiny(epochs=2, checkpoint={"every_epochs": 1}))
    assert run_session(workspace, run).reason == "finished"
    return run


def images(folder, names, count=3, size=(20, 20), mode="RGB"):
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for n in range(count):
            Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).convert(mode).save(folder / name / f"{n}.png")
    return folder


def test_evaluation_of_the_last_checkpoint_says_what_training_recorded(workspace, run):
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "validation")
    recorded = evaluated_after(run, 2)
    evaluated = evaluated_by(kept)
    np.testing.assert_array_equal(evaluated.indices, recorded.indices)
    np.testing.assert_array_equal(evaluated.labels, recorded.labels)
    for field in ("predicted", "confidence", "true_probability", "rank"):
        np.testing.assert_array_equal(getattr(evaluated.predictions, field), getattr(recorded.predictions, field))
    assert kept.about.accuracy == accuracy_score(evaluated.labels, evaluated.predictions.predicted)
    assert (evaluated.epoch, evaluated.split) == (2, "validation")
    np.testing.assert_array_equal(kept.logits.argmax(axis=1), evaluated.predictions.predicted)
    assert images_of(workspace, run, evaluated).path == images_of(workspace, run, recorded).path


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ranks_give_top_k_accuracy_as_scikit_learn_has_it(workspace, run, k):
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "all")
    evaluated = evaluated_by(kept)
    expected = top_k_accuracy_score(evaluated.labels, kept.logits, k=k, labels=range(10))
    assert (evaluated.predictions.rank < k).mean() == expected
    if k == 3:
        assert top_accuracy(evaluated.predictions.rank, 10).value == expected
    assert top_accuracy(None, 10) is top_accuracy(evaluated.predictions.rank, 3) is None


def test_same_evaluation_is_kept_once_and_others_beside_it(workspace, run):
    first, last = list_checkpoints(run)[-2:]
    for _ in range(2):
        evaluate_and_keep(workspace, run, last, "train")
    evaluate_and_keep(workspace, run, first, "train")
    evaluate_and_keep(workspace, run, last, "all")
    found = list_evaluations(run)
    assert sorted((e.about.checkpoint, e.about.split) for e in found) == [
        (first.name, "train"),
        (last.name, "all"),
        (last.name, "train"),
    ]
    assert checkpoint_for(run, evaluated_by(found[0])) == last == checkpoint_of(run, found[0])
    remove_evaluation(found[0])
    assert len(list_evaluations(run)) == 2


def test_another_set_is_evaluated_by_the_names_of_its_classes(workspace, run, tmp_path):
    own = prepare_store(workspace, "digits", run.config.preprocessing)
    folder = tmp_path / "mine"
    for digit in (9, 3, 0):  # in another order, and only some of them
        (folder / str(digit)).mkdir(parents=True)
        for n, index in enumerate(np.flatnonzero(own.labels == digit)[:5]):
            Image.fromarray(own.images[index, 0]).convert("RGB").save(folder / str(digit) / f"{n}.png")
    images(folder, ["cow"], 2, (8, 8))
    import_images(workspace, folder, "mine")
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "all", "mine")
    evaluated, store = evaluated_by(kept), images_of(workspace, run, evaluated_by(kept))
    assert kept.about.left_out == 2
    assert sorted(evaluated.labels.tolist()) == [0] * 5 + [3] * 5 + [9] * 5
    assert [store.meta.class_names[store.labels[i]] for i in evaluated.indices] == [str(k) for k in evaluated.labels]
    names = class_names_of(run)
    of_own = evaluated_by(evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "all"))
    same = {own.images[i].tobytes(): p for i, p in zip(of_own.indices, of_own.predictions.predicted, strict=True)}
    for index, predicted in zip(evaluated.indices, evaluated.predictions.predicted, strict=True):
        assert same.get(store.images[index].tobytes(), predicted) == predicted, "the same pixels, the same answer"
    assert len(names) == 10


def test_what_does_not_fit_is_refused_in_words(workspace, run, tmp_path):
    last = find_checkpoint(run, "last")
    images(tmp_path / "farm", ["cow", "pig"])
    import_images(workspace, tmp_path / "farm", "farm")
    with pytest.raises(InputError, match=r"knows none of the classes of 'farm'.*0, 1, 2"):
        evaluate_and_keep(workspace, run, last, "all", "farm")
    images(tmp_path / "some", ["1", "2"])
    import_images(workspace, tmp_path / "some", "some")
    with pytest.raises(InputError, match=r"'some' has no test split.*Use all, train"):
        evaluate_and_keep(workspace, run, last, "test", "some")
    with pytest.raises(InputError, match="no test split"):
        evaluate_and_keep(workspace, run, last, "test")
    with pytest.raises(InputError, match="no data set 'nowhere'"):
        evaluate_and_keep(workspace, run, last, "test", "nowhere")
    assert list_evaluations(run) == []
    assert not list((run.path / "evaluations").glob("*")) if (run.path / "evaluations").exists() else True


def test_edits_of_another_set_count_as_they_are_now(workspace, run, tmp_path):
    images(tmp_path / "some", ["1", "2"])
    import_images(workspace, tmp_path / "some", "some")
    last = find_checkpoint(run, "last")
    before = evaluate_and_keep(workspace, run, last, "all", "some")
    edit(workspace, "some", Action(kind="relabel", images=("1/0.png",), label="2"))
    edit(workspace, "some", Action(kind="exclude", images=("2/0.png",)))
    after = evaluate_and_keep(workspace, run, last, "all", "some")
    assert before.name != after.name
    assert before.about.num_pictures == 6
    assert sorted(after.images[1].tolist()) == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}"])
def test_evaluation_with_a_damaged_description_is_not_listed(workspace, run, damage):
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "validation")
    (kept.path / "about.json").write_bytes(damage)
    assert list_evaluations(run) == []


@pytest.mark.parametrize("file", ["record.npy", "pictures.npy", "logits.npy"])
def test_changed_bit_is_noticed_and_said(workspace, run, file):
    evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "validation")
    (kept,) = list_evaluations(run)
    content = bytearray((kept.path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (kept.path / file).write_bytes(content)
    with pytest.raises(InputError, match=f"{file} is not as it was written"):
        _ = kept.predictions, kept.images, kept.logits


def test_two_sessions_that_ask_the_same_keep_it_once_and_readers_never_see_half_of_it(workspace, run):
    last = find_checkpoint(run, "last")
    evaluate_and_keep(workspace, run, last, "validation")
    expected = list_evaluations(run)[0].predictions.predicted

    def ask(n: int) -> None:
        if n % 2:
            evaluate_and_keep(workspace, run, last, "validation")
        else:
            (kept,) = list_evaluations(run)
            np.testing.assert_array_equal(kept.predictions.predicted, expected)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(24)))
    assert len(list((run.path / "evaluations").iterdir())) == 1
    kept = list_evaluations(run)[0]
    for _ in range(2):
        remove_evaluation(kept)
    assert list_evaluations(run) == []


def test_evaluation_is_not_taken_for_that_of_other_weights_of_the_same_name(workspace, run):
    last = find_checkpoint(run, "last")
    kept = evaluate_and_keep(workspace, run, last, "validation")
    other = create_run(workspace, tiny(epochs=2, seed=9, checkpoint={"every_epochs": 1}))
    run_session(workspace, other)
    shutil.rmtree(last.path)
    shutil.copytree(find_checkpoint(other, "last").path, last.path)
    assert checkpoint_of(run, kept) is None
    with pytest.raises(InputError, match="not kept any more"):
        checkpoint_for(run, evaluated_by(kept))


def test_first_layer_s_filters_are_kept_of_every_epoch(run):
    filters = [load_filters(run, epoch) for epoch in range(3)]
    assert all(f.shape == (min(32, len(f)), 1, 8, 8) for f in filters), "a dense layer's weights in the images' shape"
    assert not np.array_equal(filters[0], filters[2])
    assert load_filters(run, 9) is None


def test_records_of_before_ranks_were_noted_are_read(run):
    path = run.records / "epoch-0001.npy"
    record = np.load(path)
    np.save(
        path,
        record[["predicted", "confidence", "true_probability"]].astype(
            [("predicted", "u1"), ("confidence", "<f2"), ("true_probability", "<f2")]
        ),
    )
    found = load_predictions(run, 1)
    assert found.rank is None
    np.testing.assert_array_equal(found.predicted, record["predicted"])


@pytest.mark.parametrize(("shape", "side"), [((1, 28, 28), 28), ((3, 32, 32), 32), ((3, 224, 224), 56), ((1, 100, 60), 50)])
def test_filters_of_a_dense_layer_are_kept_small(shape, side):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(math.prod(shape), 40))
    found = first_filters(model, shape)
    assert found.shape[:3] == (32, shape[0], side)
    part = math.ceil(max(shape[1:]) / 64)
    first = model[1].weight.detach()[0].reshape(shape)[0, :part, :part].mean()
    assert float(found[0, 0, 0, 0]) == pytest.approx(float(first), abs=1e-3)


@pytest.mark.parametrize("name", ["epoch-0001.npy", "epoch-0002.npy", "filters-0001.npy", "pictures.npy", "division.npy"])
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_damaged_record_is_as_one_that_is_missing(workspace, run, name, damage):
    path = run.records / name
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "other": b"\x93NUMPY garbage"}[damage])
    epoch = int(name[-8:-4]) if name[-8:-4].isdigit() else 1
    found = {
        "epoch": lambda: load_predictions(run, epoch),
        "filters": lambda: load_filters(run, epoch),
        "pictures": lambda: evaluated_images(run)[0].tolist() or None,
        "division": lambda: load_division(run),
    }[name.split("-")[0].removesuffix(".npy")]()
    assert found is None
    assert epoch not in records_of(run, range(3)) or name.startswith(("filters", "division"))
    assert report(workspace, run).rstrip().endswith("</html>")


def test_what_is_said_of_pictures_that_are_not_in_the_set_is_not_shown_with_them(workspace, run):
    indices, labels = evaluated_images(run)
    save_array(run.records / "pictures.npy", np.stack([indices + 10**6, labels]).astype(np.uint32))
    assert store_of(workspace, run) is None


def test_difference_says_whether_both_speak_of_the_same_pictures(workspace, run):
    other = create_run(workspace, tiny(epochs=1, seed=3))
    run_session(workspace, other)
    other_split = {"dataset": "digits", "validation_fraction": 0.2, "split_seed": 7, "evaluate_on": "validation"}
    elsewhere = create_run(workspace, tiny(epochs=1, data=other_split))
    run_session(workspace, elsewhere)
    here = evaluated_after(run, 2)
    assert are_of_the_same_images(run, here, run, evaluated_after(run, 1))
    assert are_of_the_same_images(run, here, other, evaluated_after(other, 1))
    assert not are_of_the_same_images(run, here, elsewhere, evaluated_after(elsewhere, 1))
    kept = evaluated_by(evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "train"))
    assert not are_of_the_same_images(run, kept, run, here)
