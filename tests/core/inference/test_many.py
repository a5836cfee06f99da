"""Many images at once: the same answers as one by one, labels from folders, bad files named, tables that no spreadsheet takes for a program."""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from core.commands.parser import main
from core.data.sources.decoding import decode_image
from core.errors import InputError
from core.inference.many import Answer, answer_of, as_csv, figures_of, images_at, predictions_of
from core.inference.predictor import predict
from core.running.session import run_session
from core.runs.checkpoints import Checkpoint, find_checkpoint
from core.runs.directory import create_run
from core.workspace import Workspace, open_workspace
from tests.core.intake.test_load import digits_config

NUM_IMAGES = 100


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Workspace, Checkpoint]:
    workspace = open_workspace(tmp_path_factory.mktemp("many"))
    run = create_run(workspace, digits_config(epochs=3))
    assert run_session(workspace, run).reason == "finished"
    return workspace, find_checkpoint(run, "last")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Digits in folders of their class, one that is broken, and one of a class that the network does not know."""
    place, digits = tmp_path_factory.mktemp("pictures") / "digits", load_digits()
    for number in range(NUM_IMAGES):
        path = place / str(digits.target[number]) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 15.9).astype(np.uint8)).save(path)
    (place / "3" / "broken.png").write_bytes(b"no image")
    (place / "letter").mkdir()
    shutil.copy(place / "0" / "000.png", place / "letter" / "o.png")
    return place


def answers(checkpoint: Checkpoint, *paths: Path) -> list[Answer]:
    return [answer_of(source, said) for source, said in predictions_of(checkpoint, images_at(paths))]


def test_answers_are_those_given_one_by_one(trained, folder):
    found = [(source, said) for source, said in predictions_of(trained[1], images_at([folder]))]
    assert len(found) == NUM_IMAGES + 2
    for source, said in found[::7]:
        if source.name == "3/broken.png":
            continue
        alone = predict(trained[1], decode_image(folder / source.name))
        np.testing.assert_allclose(said.probabilities, alone.probabilities, rtol=0, atol=1e-6)
        assert (said.done, said.is_sure) == (alone.done, alone.is_sure)


def test_labels_of_folders_make_figures_and_the_broken_one_is_named(trained, folder):
    found = answers(trained[1], folder)
    (broken,) = [answer for answer in found if answer.error]
    assert broken.file == "digits/3/broken.png" and "not an image in a format we read" in broken.error
    figures = figures_of(found, [str(n) for n in range(10)])
    assert (len(figures.labels), figures.left_out) == (NUM_IMAGES, 1)
    right = sum(answer.said == answer.true for answer in found if not answer.error)
    assert figures.report.accuracy.value == pytest.approx(right / NUM_IMAGES)
    assert figures_of(found, ["cat", "dog"]) is None


def test_zip_is_read_as_its_folder_and_flat_folders_have_no_labels(trained, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as packed:
        for path in sorted(folder.rglob("*.png")):
            packed.write(path, path.relative_to(folder))
    assert [(a.said, a.true) for a in answers(trained[1], tmp_path / "digits.zip")] == [
        (a.said, a.true) for a in answers(trained[1], folder)
    ]
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(folder / "4" / "004.png", flat)
    (one,) = answers(trained[1], flat)
    assert (one.file, one.true) == ("flat/004.png", "")


def test_what_is_not_there_or_has_no_images_is_said(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There is no image in"):
        images_at([tmp_path / "empty"])
    (missing,) = answers(trained[1], tmp_path / "no.png")
    assert missing.error == "There is no such file."
    (tmp_path / "bad.zip").write_bytes(b"PK no zip")
    with pytest.raises(InputError):
        images_at([tmp_path / "bad.zip"])


def test_table_has_a_row_an_image_and_nothing_that_a_spreadsheet_would_run():
    odd = Answer(file="=cmd|' /C calc'!A0.png", said="+1", probability=0.75, second="a,b", second_probability=0.25, true="@x")
    header, row, bad = csv.reader(as_csv([odd, Answer(file="b.png", error="It is empty.")]).splitlines())
    assert header == ["file", "class", "probability", "second class", "second probability", "sure", "true class", "error"]
    assert row == ["'=cmd|' /C calc'!A0.png", "'+1", "0.750000", "a,b", "0.250000", "no", "'@x", ""]
    assert bad == ["b.png", "", "", "", "", "", "", "It is empty."]


def test_command_line_writes_the_table_and_says_how_many_are_right(trained, folder, tmp_path, capsys):
    workspace, checkpoint = trained
    run = checkpoint.path.parent.parent.name
    command = ["--home", str(workspace.home), "--json", "predict", run, str(folder), "--csv", str(tmp_path / "answers.csv")]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [row["file"] for row in result["pictures"]]
    right = sum(row["class"] == row["true class"] for row in rows if not row["error"])
    assert result["labelled"]["count"] == NUM_IMAGES
    assert result["labelled"]["accuracy"] == pytest.approx(right / NUM_IMAGES)
    assert main([*command[:2], "predict", run, str(folder / "5" / "005.png"), "--csv", str(tmp_path / "no" / "a.csv")]) == 2
    assert "there is no folder for" in capsys.readouterr().err
