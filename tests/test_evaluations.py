"""Checkpoints judged by hand on other splits and sets, and kept: equal to what training recorded, matched by class names, refused in words."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from core.data.edits import Action, edit
from core.data.imports import import_pictures
from core.data.sets import prepare_store
from core.errors import InputError
from core.insight.class_report import top_accuracy
from core.insight.run_results import checkpoint_for, class_names_of, judged_after, judged_by, pictures_of
from core.runs.checkpoints import find_checkpoint, list_checkpoints
from core.runs.directory import create_run
from core.runs.evaluations import checkpoint_of, evaluate_and_keep, list_evaluations, remove_evaluation
from core.runs.records import load_filters, load_predictions
from core.runs.session import train_in
from tests.test_launcher import tiny


@pytest.fixture
def run(workspace):
    run = create_run(workspace, tiny(epochs=2, checkpoint={"every_epochs": 1}))
    assert train_in(workspace, run).reason == "finished"
    return run


def pictures(folder, names, count=3, size=(20, 20), mode="RGB"):
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for n in range(count):
            Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).convert(mode).save(folder / name / f"{n}.png")
    return folder


def test_evaluation_of_the_last_checkpoint_says_what_training_recorded(workspace, run):
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "validation")
    recorded = judged_after(run, 2)
    judged = judged_by(kept)
    np.testing.assert_array_equal(judged.indices, recorded.indices)
    np.testing.assert_array_equal(judged.labels, recorded.labels)
    for field in ("predicted", "confidence", "true_probability", "rank"):
        np.testing.assert_array_equal(getattr(judged.predictions, field), getattr(recorded.predictions, field))
    assert kept.about.accuracy == accuracy_score(judged.labels, judged.predictions.predicted)
    assert (judged.epoch, judged.split) == (2, "validation")
    np.testing.assert_array_equal(kept.logits.argmax(axis=1), judged.predictions.predicted)
    assert pictures_of(workspace, run, judged).path == pictures_of(workspace, run, recorded).path


@pytest.mark.parametrize("k", [1, 2, 3])
def test_ranks_give_top_k_accuracy_as_scikit_learn_has_it(workspace, run, k):
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "all")
    judged = judged_by(kept)
    expected = top_k_accuracy_score(judged.labels, kept.logits, k=k, labels=range(10))
    assert (judged.predictions.rank < k).mean() == expected
    if k == 3:
        assert top_accuracy(judged.predictions.rank, 10).value == expected
    assert top_accuracy(None, 10) is top_accuracy(judged.predictions.rank, 3) is None


def test_same_evaluation_is_kept_once_and_others_beside_it(workspace, run):
    first, last = list_checkpoints(run)[-2:]
    for _ in range(2):
        evaluate_and_keep(workspace, run, last, "train")
    evaluate_and_keep(workspace, run, first, "train")
    evaluate_and_keep(workspace, run, last, "all")
    found = list_evaluations(run)
    assert sorted((e.about.checkpoint, e.about.split) for e in found) == [
        (first.name, "train"), (last.name, "all"), (last.name, "train"),
    ]  # fmt: skip
    assert checkpoint_for(run, judged_by(found[0])) == last == checkpoint_of(run, found[0])
    remove_evaluation(found[0])
    assert len(list_evaluations(run)) == 2


def test_another_set_is_judged_by_the_names_of_its_classes(workspace, run, tmp_path):
    own = prepare_store(workspace, "digits", run.config.preprocessing)
    folder = tmp_path / "mine"
    for digit in (9, 3, 0):  # in another order, and only some of them
        (folder / str(digit)).mkdir(parents=True)
        for n, index in enumerate(np.flatnonzero(own.labels == digit)[:5]):
            Image.fromarray(own.images[index, 0]).convert("RGB").save(folder / str(digit) / f"{n}.png")
    pictures(folder, ["cow"], 2, (8, 8))
    import_pictures(workspace, folder, "mine")
    kept = evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "all", "mine")
    judged, store = judged_by(kept), pictures_of(workspace, run, judged_by(kept))
    assert kept.about.left_out == 2
    assert sorted(judged.labels.tolist()) == [0] * 5 + [3] * 5 + [9] * 5
    assert [store.meta.class_names[store.labels[i]] for i in judged.indices] == [str(k) for k in judged.labels]
    names = class_names_of(run)
    of_own = judged_by(evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "all"))
    same = {own.images[i].tobytes(): p for i, p in zip(of_own.indices, of_own.predictions.predicted, strict=True)}
    for index, predicted in zip(judged.indices, judged.predictions.predicted, strict=True):
        assert same.get(store.images[index].tobytes(), predicted) == predicted, "the same pixels, the same answer"
    assert len(names) == 10


def test_what_does_not_fit_is_refused_in_words(workspace, run, tmp_path):
    last = find_checkpoint(run, "last")
    pictures(tmp_path / "farm", ["cow", "pig"])
    import_pictures(workspace, tmp_path / "farm", "farm")
    with pytest.raises(InputError, match=r"knows none of the classes of 'farm'.*0, 1, 2"):
        evaluate_and_keep(workspace, run, last, "all", "farm")
    pictures(tmp_path / "some", ["1", "2"])
    import_pictures(workspace, tmp_path / "some", "some")
    with pytest.raises(InputError, match=r"'some' has no test split.*Use all, train"):
        evaluate_and_keep(workspace, run, last, "test", "some")
    with pytest.raises(InputError, match="no test split"):
        evaluate_and_keep(workspace, run, last, "test")
    with pytest.raises(InputError, match="no data set 'nowhere'"):
        evaluate_and_keep(workspace, run, last, "test", "nowhere")
    assert list_evaluations(run) == []
    assert not list((run.path / "evaluations").glob("*")) if (run.path / "evaluations").exists() else True


def test_edits_of_another_set_count_as_they_are_now(workspace, run, tmp_path):
    pictures(tmp_path / "some", ["1", "2"])
    import_pictures(workspace, tmp_path / "some", "some")
    last = find_checkpoint(run, "last")
    before = evaluate_and_keep(workspace, run, last, "all", "some")
    edit(workspace, "some", Action("relabel", ("1/0.png",), "2"))
    edit(workspace, "some", Action("exclude", ("2/0.png",)))
    after = evaluate_and_keep(workspace, run, last, "all", "some")
    assert before.name != after.name
    assert before.about.num_pictures == 6
    assert sorted(after.pictures[1].tolist()) == [1, 1, 2, 2, 2]


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
        _ = kept.predictions, kept.pictures, kept.logits


def test_first_layer_s_filters_are_kept_of_every_epoch(run):
    filters = [load_filters(run, epoch) for epoch in range(3)]
    assert all(f.shape == (min(32, len(f)), 1, 8, 8) for f in filters), "a dense layer's weights in the pictures' shape"
    assert not np.array_equal(filters[0], filters[2])
    assert load_filters(run, 9) is None


def test_records_of_before_ranks_were_noted_are_read(run):
    path = run.records / "epoch-0001.npy"
    record = np.load(path)
    np.save(path, record[["predicted", "confidence", "true_probability"]].astype(
        [("predicted", "u1"), ("confidence", "<f2"), ("true_probability", "<f2")]
    ))  # fmt: skip
    found = load_predictions(run, 1)
    assert found.rank is None
    np.testing.assert_array_equal(found.predicted, record["predicted"])
