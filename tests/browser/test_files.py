"""Files by clicks: a tutorial's .pt becomes a run with results, a pickled model is refused, a run travels to another installation."""

import zipfile
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from torch import nn

from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, load_network
from core.runs.directory import Run, create_run, list_runs
from core.runs.history import history_of
from core.runs.notes import Notes, read_notes, write_notes
from core.runs.status import status_of
from core.workspace import open_workspace
from tests.browser.conftest import Server, choose, run_shown, start_server, view
from tests.core.serving.test_launcher import tiny
from tests.fixtures.waiting import until


@pytest.fixture(scope="module")
def trained(server: Server) -> Run:
    workspace = open_workspace(server.home)
    run = create_run(workspace, tiny(epochs=3, optimizer={"name": "sgd", "lr": 0.2, "momentum": 0.9}))
    run_session(workspace, run)
    write_notes(run, Notes("The *travelled* one", ("far",), "note"))
    return run


def open_form(page: Page) -> None:
    page.goto("/runs")
    page.get_by_text("Load a checkpoint or a run").click()


class Perceptron(nn.Module):
    """As a tutorial would write it: names of its own, the layers those of ours at width 0.05."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 26), nn.Linear(26, 13), nn.Linear(13, 10)


def test_weights_of_a_tutorial_become_a_run_with_results(page: Page, server: Server, trained: Run, tmp_path: Path) -> None:
    model, _ = load_network(find_checkpoint(trained, "last"))
    sizes = [tuple(tensor.shape) for tensor in model.state_dict().values()]
    theirs = dict(zip(Perceptron().state_dict(), model.state_dict().values(), strict=True))
    assert [tuple(t.shape) for t in theirs.values()] == sizes
    torch.save({"epoch": 3, "model_state_dict": theirs, "loss": 0.1}, tmp_path / "tutorial.pt")
    open_form(page)
    page.locator("input[type=file]").set_input_files(tmp_path / "tutorial.pt")
    expect(page.get_by_text("What do its weights belong to?")).to_be_visible()
    choose(page, "load-recipe", "Something else")
    choose(page, "load-model", "Perceptron")
    page.locator(".st-key-load-width").get_by_role("spinbutton").fill("0.05")
    page.locator(".st-key-load-width").get_by_role("spinbutton").press("Enter")
    choose(page, "load-dataset", "Digits")
    page.get_by_role("button", name="Load it").click()
    run = run_shown(page, server)
    expect(page.get_by_text("Loaded from the file tutorial.pt").first).to_be_visible()
    until(lambda: status_of(run).state == "finished", timeout_s=60)
    assert history_of(run).evaluations[0].accuracy > 0.5  # it had learned, and its weights are where they belong
    page.goto(f"/results?run={run.id}")
    view(page, "Confusion")
    expect(page.get_by_text("Rows are true classes")).to_be_visible()


def test_a_whole_pickled_model_is_refused_with_what_to_do_instead(page: Page, server: Server, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    before = list_runs(open_workspace(server.home))
    open_form(page)
    page.locator("input[type=file]").set_input_files(tmp_path / "model.pt")
    page.get_by_role("button", name="Load it").click()
    expect(page.get_by_text("torch.save(model.state_dict()")).to_be_visible(timeout=5_000)
    assert list_runs(open_workspace(server.home)) == before


def test_a_run_travels_to_another_installation_with_curves_records_and_checkpoints(
    page: Page, browser: Browser, trained: Run, tmp_path: Path
) -> None:
    page.goto(f"/run?run={trained.id}")
    with page.expect_download() as waiting:
        page.locator(".st-key-download-run a").first.click()
    waiting.value.save_as(tmp_path / "run.zip")
    assert zipfile.ZipFile(tmp_path / "run.zip").testzip() is None
    elsewhere = start_server(tmp_path)
    try:
        other = browser.new_page(base_url=elsewhere.url)
        open_form(other)
        other.locator("input[type=file]").set_input_files(tmp_path / "run.zip")
        other.get_by_role("button", name="Load it").click()
        run = run_shown(other, elsewhere)
        expect(other.get_by_role("heading", name="The *travelled* one")).to_be_visible()
        assert run.id == trained.id
        assert read_notes(run) == read_notes(trained)
        assert history_of(run).steps == history_of(trained).steps
        for name in ("epoch-0001", "last"):
            theirs, ours = (load_network(find_checkpoint(of, name))[0].state_dict() for of in (trained, run))
            assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
        other.goto(f"/results?run={run.id}")
        view(other, "Confusion")
        expect(other.get_by_text("Rows are true classes")).to_be_visible()
        other.goto(f"/train?run={run.id}")
        other.locator(".st-key-go-on button").first.click()
        other.locator("[class*='st-key-epochs-of-']").get_by_role("spinbutton").fill("4")
        other.locator("[class*='st-key-epochs-of-']").get_by_role("spinbutton").press("Enter")
        until(lambda: status_of(run).epoch == 4 and status_of(run).state == "finished", timeout_s=60)
        other.close()
    finally:
        elsewhere.process.terminate()
        elsewhere.process.wait(20)


@pytest.mark.parametrize("kind", ["pt", "safetensors", "zip"])
def test_a_checkpoint_is_downloaded_as_others_read_it(page: Page, trained: Run, tmp_path: Path, kind: str) -> None:
    from safetensors.torch import load_file

    page.goto(f"/run?run={trained.id}")
    with page.expect_download() as waiting:
        page.locator(f".st-key-download-{kind} a").first.click()
    path = tmp_path / f"file.{kind}"
    waiting.value.save_as(path)
    expected = load_network(find_checkpoint(trained, "last"))[0].state_dict()
    if kind == "zip":
        assert any(name.endswith("manifest.json") for name in zipfile.ZipFile(path).namelist())
        return
    found = torch.load(path, weights_only=True) if kind == "pt" else load_file(path)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
