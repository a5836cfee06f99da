"""Many images at once on the Predict page: asked as a job, kept with the run, filtered, with figures where labels are known."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from streamlit.testing.v1 import AppTest

from core.inference.kept_answers import answers_request, ask, drop_upload, kept_answers
from core.runs.directory import Run
from core.workspace import Workspace
from tests.fixtures.waiting import until
from tests.pages.test_inside import settled
from tests.pages.test_pages import finished, texts, visit, workspace  # noqa: F401 fixtures


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    place, found = tmp_path / "outside" / "digits", load_digits()
    for number in range(120):
        path = place / str(found.target[number]) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((found.images[number] * 15.9).astype(np.uint8)).save(path)
    (place / "0" / "broken.png").write_bytes(b"none")
    return place


def on_predict(run: Run) -> AppTest:
    app = visit("predict", run=run.id)
    app.session_state["way"] = "Many at once"
    app.run()
    assert not app.exception
    return app


def keyed(app: AppTest, kind: str, start: str):
    return next(widget for widget in app.get(kind) if widget.key and widget.key.startswith(start))


def test_folder_becomes_a_table_that_is_filtered_and_told_how_right_it_is(finished: Run, digits: Path) -> None:  # noqa: F811
    app = on_predict(finished)
    assert app.button(key="many-now").disabled
    app.text_input(key="many-path-0").set_value(str(digits)).run()
    app.button(key="many-now").click().run()
    settled(app, "121 images, 1 to 100 shown")
    (table,) = kept_answers(finished)
    answers = table.answers
    assert (len(answers), table.title) == (121, "digits")
    right = sum(answer.said == answer.true for answer in answers if not answer.error)
    metrics = {metric.label: metric.value for metric in app.metric}
    assert (metrics["Images"], metrics["Can't be read"]) == ("121", "1")
    assert metrics["Accuracy"] == f"{100 * right / 120:.1f} %"
    assert [header.value for header in app.header] == ["Where labels are known"]
    keyed(app, "selectbox", "many-sure-").set_value("Can't be read").run()
    rows = next(frame.value for frame in app.dataframe if "File" in frame.value)
    assert list(rows["File"]) == ["digits/0/broken.png"]
    keyed(app, "selectbox", "many-sure-").set_value("All").run()
    keyed(app, "selectbox", "many-class-").set_value("3").run()
    keyed(app, "selectbox", "many-order-").set_value("unsure").run()
    rows = next(frame.value for frame in app.dataframe if "File" in frame.value)
    assert set(rows["Class"]) == {"3"} and list(rows["Probability"]) == sorted(rows["Probability"])


def test_what_can_not_be_asked_is_said(finished: Run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "empty").mkdir()
    app = on_predict(finished)
    app.text_input(key="many-path-0").set_value(str(tmp_path / "nowhere")).run()
    app.button(key="many-now").click().run()
    assert "There is no folder, zip or image" in " ".join(error.value for error in app.error)
    assert app.text_input(key="many-path-0").value == str(tmp_path / "nowhere"), "what was typed can be mended"
    app.text_input(key="many-path-0").set_value(str(tmp_path / "empty")).run()
    app.button(key="many-now").click().run()
    until(lambda: [error.value for error in (app.error or app.run().error) if "There is no image in" in error.value], 30)
    assert kept_answers(finished) == []


def test_an_upload_goes_once_it_was_asked_about_and_nothing_else_does(finished: Run, workspace: Workspace, digits: Path) -> None:  # noqa: F811
    upload = workspace.home / "upload-abc"
    shutil.copytree(digits / "3", upload)
    request = answers_request(finished, "last", str(upload), "three", is_upload=True)
    ask(workspace, finished, "last", [upload], "three")
    drop_upload(workspace, request.inputs)
    assert not upload.exists()
    for path in (workspace.runs, digits, digits / "3" / "003.png"):
        drop_upload(workspace, {**request.inputs, "path": str(path)})
        assert path.exists()


def test_uploaded_files_are_asked_about_and_downloaded_as_a_table(finished: Run, digits: Path) -> None:  # noqa: F811
    app = on_predict(finished)
    files = [(path.name, path.read_bytes(), "image/png") for path in sorted((digits / "7").glob("*.png"))]
    keyed(app, "file_uploader", "many-files-").set_value(files).run()
    app.button(key="many-now").click().run()
    settled(app, f"{len(files)} images, 1 to {len(files)} shown")
    (table,) = kept_answers(finished)
    assert table.title == f"{len(files)} uploaded images"
    assert [answer.file.rpartition("/")[2][4:] for answer in table.answers] == [name for name, _, _ in files]
    assert not list(finished.path.parent.parent.glob("upload-*"))
