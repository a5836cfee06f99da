"""The report of a run: one file, whole for every state of a run, and nothing in it that a name from outside could set off."""

import json
import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.commands.parser import build_parser
from core.data.imports import import_images
from core.export.report import report
from core.inference.kept_evaluations import evaluate_and_keep
from core.insight.run_results import evaluated_after
from core.running.session import run_session
from core.runs.calibration import Calibration, save_calibration
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import create_run
from core.runs.notes import Notes, write_notes
from pages._routes import ROUTES
from tests.core.inference.test_evaluations import images
from tests.core.serving.test_launcher import tiny

HOSTILE = "</script><img src=x onerror=alert(1)>{{7*7}}@x"


@pytest.fixture
def run(workspace):
    run = create_run(workspace, tiny(epochs=2))
    assert run_session(workspace, run).reason == "finished"
    return run


def without_plotly(page: str) -> str:
    return re.sub(r"<script>/\*\*.*?</script>", "", page, flags=re.DOTALL)


def charts(page: str) -> dict:
    return json.loads(re.search(r"const charts = (.*);\n", page)[1])


def test_report_holds_figures_tables_and_pictures_and_asks_nobody(workspace, run):
    save_calibration(find_checkpoint(run, "last"), Calibration(1.5, 0.25, "half of the test"))
    evaluate_and_keep(workspace, run, find_checkpoint(run, "last"), "train")
    page = report(workspace, run)
    evaluated = evaluated_after(run, 2)
    accuracy = (evaluated.predictions.predicted == evaluated.labels).mean()
    assert f"{100 * accuracy:.2f} %" in page
    for heading in (
        "Curves",
        "Classes",
        "Confusions",
        "Surest mistakes",
        "Calibration",
        "Other evaluations",
        "Settings",
        "History",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert "temperature of 1.500" in page
    ids = set(re.findall(r'<div id="(chart-\d+)"', page))
    assert ids == set(charts(page)) and len(ids) == 5
    mine = without_plotly(page)
    assert not re.findall(r"""(?:src|href)=["'](?!data:image/png;base64,)""", mine)
    assert mine.count("data:image/png;base64,") >= 24
    assert "default-src 'none'" in page


def test_names_from_outside_are_text(workspace, tmp_path):
    names = [HOSTILE.replace("/", "∕"), "b"]  # a folder's name has no slash
    import_images(workspace, images(tmp_path / "mine", names, 6, (8, 8)), HOSTILE.replace("/", "")[:30])
    config = tiny(
        data={"dataset": HOSTILE.replace("/", "")[:30], "validation_fraction": 0.3, "evaluate_on": "validation"}, batch_size=4
    )
    run = create_run(workspace, config)
    ended = run_session(workspace, run)
    assert ended.reason == "finished", ended.message
    write_notes(run, Notes(name=HOSTILE, tags=(), note=HOSTILE))
    page = report(workspace, run)
    mine = without_plotly(page)
    assert "<img src=x" not in mine and "{{7*7}}" in mine
    assert mine.count("<script>") == mine.count("</script>")
    assert len(charts(page)) == 5


@pytest.mark.parametrize("state", ["nothing yet", "paused in mid-epoch", "failed", "images gone", "records gone"])
def test_report_of_a_run_in_any_state_is_whole(workspace, run, state):
    if state == "nothing yet":
        run = create_run(workspace, tiny())
    elif state == "paused in mid-epoch":
        run = create_run(workspace, tiny(epochs=50))
        run_session(workspace, run, should_pause=iter([False] * 5 + [True] * 1000).__next__)
    elif state == "failed":
        run = create_run(workspace, tiny(optimizer={"name": "sgd", "lr": 100.0}))
        run_session(workspace, run)
    elif state == "images gone":
        import shutil

        shutil.rmtree(workspace.stores)
    else:
        for record in run.records.glob("epoch-*"):
            record.unlink()
    page = report(workspace, run)
    assert page.rstrip().endswith("</html>")
    assert "<h2>Settings</h2>" in page
    if state in ("nothing yet", "images gone", "records gone"):
        assert "Surest mistakes" not in page


def test_it_is_downloaded_by_its_address_and_written_by_the_command_line(workspace, run, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINSCOPE_HOME", str(workspace.home))
    answer = TestClient(Starlette(routes=ROUTES)).get(f"/trainscope/runs/{run.id}/report.html")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{run.id}.html"'
    path = tmp_path / "r.html"
    options = build_parser().parse_args(["export", run.id, "--to", str(path)])
    assert options.command(workspace, options)["format"] == "html"
    assert path.read_text()[:15] == answer.text[:15] == "<!doctype html>"
