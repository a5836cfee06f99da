"""The browser asks for the first point of a run's curves itself: it gets the figure as soon as there is one, and no more than that."""

import json
import threading

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.figures.runs import accuracy_curve, loss_curve
from core.running.session import run_session
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.workspace import Workspace
from pages import _routes
from pages._routes import ROUTES, first_point_url
from tests.core.serving.test_launcher import tiny
from tests.pages.test_pages import workspace  # noqa: F401 a fixture


@pytest.fixture
def get(workspace: Workspace):  # noqa: F811
    return TestClient(Starlette(routes=ROUTES)).get


@pytest.fixture
def run(workspace: Workspace) -> Run:  # noqa: F811
    return create_run(workspace, tiny(epochs=1))


def test_the_figure_comes_as_soon_as_there_is_a_point(get, run: Run, workspace: Workspace) -> None:  # noqa: F811
    training = threading.Thread(target=run_session, args=(workspace, run))
    training.start()  # the request is there before its first evaluation, or after it: it is answered either way
    answer = get(first_point_url(run, "loss", "epoch"))
    training.join()
    assert answer.status_code == 200
    traces = answer.json()["data"]
    assert any(trace["name"] == "validation" and trace["x"] for trace in traces)
    for name, x, log, figure in (
        ("loss", "step", True, loss_curve(history_of(run), "step", log=True)),
        ("accuracy", "examples", False, accuracy_curve(history_of(run))),
    ):
        assert get(first_point_url(run, name, x, log)).json() == json.loads(figure.to_json())


def test_without_a_point_nothing_comes_after_a_while(get, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_routes, "FIRST_POINT_S", 0.05)
    answer = get(first_point_url(run, "loss", "examples"))
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["nobody/loss", "..%2F..%2Fetc/loss", "{run}/gradient"])
def test_what_there_is_not_is_not_found(get, run: Run, path: str) -> None:
    assert get(f"trainscope/curves/{path.format(run=run.id)}?x=<b>").status_code == 404
