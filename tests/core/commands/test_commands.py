"""The command line on the digits, and docs/command-line.md held to what the commands really say."""

import argparse
import ast
import contextlib
import io
import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from core.commands import parser
from core.commands.training import training_result
from core.data.catalogue import DATASETS
from core.data.edits import Action, actions_on, edit, undo_all
from core.inference import evaluation
from core.jobs.job import JobProgress, JobStarted, Request, create_job, server_lock
from core.models.catalogue import MODELS
from core.recipes import RECIPES
from core.running.session import run_session
from core.runs.calibration import PLAIN, Calibration, save_calibration
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run, find_run
from core.runs.event_log import EventReader, append_event
from core.runs.notes import Notes, write_notes
from core.runs.status import status_of
from core.settings import config_from, config_from_json
from core.training.events import Queued, StepLogged
from core.workspace import open_workspace
from tests.fixtures.forked import Forked

PROJECT = Path(__file__).resolve().parents[3]
DOCUMENT = (PROJECT / "docs" / "command-line.md").read_text()
TINY = [
    "--recipe",
    "digits-quickstart",
    "--set",
    "model.name=mlp",
    "--set",
    "model.width=0.1",
    "--set",
    "epochs=2",
    "--set",
    "threads=1",
    "--set",
    "tensorboard=false",
    "--set",
    "augmentation.shift_px=0",
    "--set",
    "precision=float32",
]


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """`train` takes Ctrl-C for itself; afterwards it is pytest's again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def ctrl_c_stays_pytest_s() -> Iterator[None]:
    with signals_kept():
        yield


class Home:
    """A workspace and the commands run in it, each answer kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, list[dict]] = {}

    def run(self, *arguments: object, expect: int = 0) -> dict:
        """The JSON document of a command, which must be all that stands on standard output."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = parser.main(["--json", "--home", str(self.path), *map(str, arguments)])
        text = output.getvalue()
        assert status == expect, text
        assert text.endswith("\n")
        assert "\n" not in text[:-1]
        document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
        self.answers.setdefault("error" if expect else str(arguments[0]), []).append(document)
        return document


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Home:
    """A workspace with one finished run."""
    home = Home(tmp_path_factory.mktemp("trained"))
    with signals_kept():
        assert parser.main(["--home", str(home.path), "train", *TINY]) == 0
    return home


def image_folder(root: Path, counts: dict[str, int]) -> Path:
    """Small images by folder, such as {"train/cat": 3}, each of a colour of its own."""
    for number, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (12, 12), (40 * number, 10 * i, 200)).save(root / folder / f"{i}.png")
    return root


# --- what they say


def test_lists_name_what_the_catalogues_hold(home):
    assert [row["name"] for row in home.run("datasets")["datasets"]] == list(DATASETS)
    assert [row["name"] for row in home.run("models")["models"]] == list(MODELS)
    assert [row["name"] for row in home.run("recipes")["recipes"]] == list(RECIPES)
    assert home.run("runs") == {"runs": [], "total": 0}


def test_recipe_from_the_list_can_be_trained_as_a_config_file(home):
    for row in home.run("recipes")["recipes"]:
        assert config_from_json(json.dumps(row["config"])) == RECIPES[row["name"]].config


def test_training_reports_its_history_and_final_figures(home):
    result = home.run("train", *TINY)
    assert result["status"] == "finished"
    assert [row["epoch"] for row in result["history"]] == [0, 1, 2]
    assert [row["examples"] for row in result["history"]] == [0, 1438, 2876]  # 1,797 without a fifth of each class, 359
    assert result["history"][0]["train_loss"] is None
    assert result["final"]["accuracy"] == result["history"][-1]["accuracy"] > result["history"][0]["accuracy"]
    per_class = result["final"]["per_class"]
    assert sum(row["support"] for row in per_class) == 359
    assert sum(row["correct"] for row in per_class) / 359 == pytest.approx(result["final"]["accuracy"])
    assert Path(result["path"]).name == result["run"]
    [row] = home.run("runs")["runs"]
    assert (row["run"], row["status"], row["epoch"], row["epochs"]) == (result["run"], "finished", 2, 2)
    assert row["accuracy"] == result["final"]["accuracy"]


def test_evaluation_of_the_last_checkpoint_repeats_the_training_s_final_figures(trained):
    run = find_run(open_workspace(trained.path), "last")
    final = training_result(run)["final"]
    evaluated = trained.run("evaluate", "last")
    assert evaluated["checkpoint"] == "epoch-0002"
    assert evaluated["accuracy"] == final["accuracy"]
    assert evaluated["loss"] == pytest.approx(final["loss"], rel=1e-5)
    assert [{name: row[name] for name in final["per_class"][0]} for row in evaluated["per_class"]] == final["per_class"]


def test_evaluation_on_another_split_judges_those_pictures(trained):
    evaluated = trained.run("evaluate", "last", "--split", "train", "--checkpoint", "best")
    assert evaluated["split"] == "train"
    assert sum(row["support"] for row in evaluated["per_class"]) == 1438


def test_prediction_names_the_likeliest_classes_and_the_files_that_can_t_be_read(trained, tmp_path):
    digit, broken = tmp_path / "seven.png", tmp_path / "broken.png"
    Image.fromarray((load_digits().images[7] * 15.9375).round().astype(np.uint8)).save(digit)
    broken.write_bytes(digit.read_bytes()[:60])
    answer = trained.run("predict", "last", digit, broken, tmp_path / "none.png", "--top-k", 10)
    good, bad, missing = answer["pictures"]
    assert good["classes"][0]["class"] == "7"
    probabilities = [row["probability"] for row in good["classes"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert "can't be read" in bad["error"]
    assert "no such file" in missing["error"]
    assert len(trained.run("predict", "last", digit)["pictures"][0]["classes"]) == 5


def test_imported_folder_is_reported_and_can_be_trained_on_by_name(home, tmp_path):
    folder = image_folder(tmp_path / "pets", {"train/cat": 5, "train/dog": 4, "test/cat": 2})
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    (folder / "train" / "dog" / "broken.png").write_bytes(b"nothing")
    report = home.run("import", folder, "--name", "my pets")
    assert report["dataset"] == "my pets"
    (job,) = home.run("jobs", "--all")["jobs"]
    assert (job["kind"], job["title"], job["status"]) == ("import", "Import of my pets", "finished")
    assert report["class_names"] == ["cat", "dog"]
    assert report["shape"] == [3, 12, 12]
    assert report["splits"] == {"train": {"cat": 5, "dog": 4}, "test": {"cat": 2, "dog": 0}}
    assert {row["file"] for row in report["skipped"]} == {"train/cat/notes.txt", "train/dog/broken.png"}
    assert "'dog' has no images in test." in report["warnings"]
    as_delivered = {"summary": "", "relabelled": 0, "left_out": 0, "flagged": 0, "renamed": [], "dropped": []}
    listed = home.run("datasets")["datasets"][-1]
    assert listed == {"name": "my pets", "kind": "folder", "path": str(folder), "edits": as_delivered}
    result = home.run("train", *TINY, "--set", "data.dataset=my pets", "--set", "data.evaluate_on=test", "--set", "batch_size=4")
    assert [row["class"] for row in result["final"]["per_class"]] == ["cat", "dog"]
    assert result["final"]["per_class"][1] == {"class": "dog", "accuracy": None, "correct": 0, "support": 0}


def test_small_set_without_splits_trains_by_a_recipe_made_for_another(home, tmp_path):
    folder = image_folder(tmp_path / "pets", {"cat": 8, "dog": 7})
    home.run("import", folder)
    result = home.run(
        "train",
        "--recipe",
        "ants-bees",
        "--set",
        "data.dataset=pets",
        "--set",
        "epochs=1",
        "--set",
        "threads=1",
        "--set",
        "model.name=mlp",
    )
    run = find_run(open_workspace(home.path), result["run"])
    assert run.config.data.validation_fraction == 0.2
    assert run.config.batch_size == 2
    assert sum(row["support"] for row in result["final"]["per_class"]) == 3


def test_size_of_an_import_is_the_stored_one(home, tmp_path):
    folder = image_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    assert home.run("import", folder, "--size", 16)["shape"] == [3, 16, 16]


def test_config_file_of_a_run_repeats_it_exactly(trained):
    first = training_result(find_run(open_workspace(trained.path), "last"))
    again = trained.run("train", "--config", Path(first["path"]) / "config.json")
    assert again["run"] != first["run"]
    assert [row["loss"] for row in again["history"]] == [row["loss"] for row in first["history"]]
    assert again["final"] == first["final"]


def test_run_that_another_has_trained_meanwhile_is_not_trained_again(home):
    """The second looks only once the first is done with it: there is nothing left to do then."""
    run = create_run(
        open_workspace(home.path),
        config_from(
            {
                **RECIPES["digits-quickstart"].config.model_dump(),
                "model": {"name": "mlp", "width": 0.1},
                "epochs": 1,
                "threads": 1,
                "tensorboard": False,
            }
        ),
    )
    first = home.run("resume", run.id)
    assert first["status"] == "finished"
    refused = home.run("resume", run.id, expect=2)
    assert refused["error"]["code"] == "finished"
    assert sum(row["kind"] == "started" for row in EventReader(run.events).read()) == 1


def test_stop_ends_a_training_in_another_thread_or_process(home):
    workspace = open_workspace(home.path)
    config = config_from(
        {
            **RECIPES["digits-quickstart"].config.model_dump(),
            "model": {"name": "mlp", "width": 0.1},
            "epochs": 100_000,
            "threads": 1,
            "tensorboard": False,
        }
    )
    run, trains = create_run(workspace, config), threading.Event()

    def on_event(event) -> None:
        if isinstance(event, StepLogged):
            trains.set()

    thread = threading.Thread(target=run_session, args=(workspace, run), kwargs={"on_event": on_event})
    thread.start()
    assert trains.wait(30)
    answer = home.run("stop", run.id)
    thread.join(10)
    assert answer["status"] == "stopped"
    assert status_of(run).state == "stopped"


def test_stop_takes_a_waiting_run_out_of_the_queue(home):
    run = create_run(open_workspace(home.path), config_from({}))
    append_event(run.events, Queued())
    assert home.run("stop", "last")["status"] == "stopped"


def test_ctrl_c_saves_and_pauses_and_resume_finishes(home):
    """A real process: one document on standard output, progress on standard error."""
    process = Forked("-m", "core", "train", *TINY, "--set", "epochs=50", "--json", "--home", str(home.path))
    progress = []
    for line in process.stderr:
        progress.append(line.decode())
        if line.startswith(b"epoch   1"):
            process.send_signal(signal.SIGINT)
            break
    rest, output = process.stderr.read().decode(), process.stdout.read()  # one document, less than a pipe holds
    document = json.loads(output)
    assert process.wait(60) == 0
    assert document["status"] == "paused"
    assert 1 <= document["history"][-1]["epoch"] < 50
    assert "Traceback" not in "".join(progress) + rest
    result = home.run("resume", "last")
    assert result["status"] == "finished"
    assert [row["epoch"] for row in result["history"]] == list(range(51))


def test_jobs_lists_what_goes_on_and_cancel_ends_it(home):
    workspace = open_workspace(home.path)
    run = create_run(workspace, config_from({}))
    append_event(run.events, Queued())
    job = create_job(workspace, Request("evaluate", "last of a run", {"run": run.id}), server="here")
    with FileLock(server_lock(workspace, "here")):  # the server in whose queue it waits
        rows = {row["job"]: row for row in home.run("jobs")["jobs"]}
        assert set(rows) == {run.id, job.id}
        assert rows[run.id]["kind"] == "train" and rows[run.id]["status"] == "queued"
        assert (rows[job.id]["title"], rows[job.id]["status"]) == ("last of a run", "queued")
        assert home.run("cancel", job.id) == {
            "job": job.id,
            "status": "cancelled",
            "message": "Taken out of the queue before it began.",
        }
    assert home.run("cancel", run.id)["status"] == "stopped"
    assert home.run("jobs")["jobs"] == []
    assert [row["job"] for row in home.run("jobs", "--all")["jobs"]] == [job.id]
    assert home.run("cancel", job.id, expect=2)["error"]["code"] == "not-running"
    assert home.run("cancel", "../../etc", expect=2)["error"]["code"] == "job"


# --- what they refuse

REFUSED = {
    "a recipe that is not there": (["train", "--recipe", "mnist-worst"], "recipe", "mnist-worst"),
    "a value out of range": (["train", *TINY, "--set", "optimizer.lr=-1"], "config", "optimizer.lr: found -1, expected"),
    "NaN": (["train", *TINY, "--set", "optimizer.lr=nan"], "config", "optimizer.lr: found nan, expected a finite number"),
    "a setting that is not there": (
        ["train", *TINY, "--set", "optimizer.speed=1"],
        "config",
        "There is no setting 'optimizer.speed'",
    ),
    "no assignment": (["train", *TINY, "--set", "optimizer.lr"], "config", "name=value"),
    "a batch larger than the set": (["train", *TINY, "--set", "batch_size=2000"], "config", "batch_size: found 2,000"),
    "a split that is not there": (["train", *TINY, "--set", "data.evaluate_on=test"], "config", "no test split"),
    "a model that is not there": (["train", *TINY, "--set", "model.name=vgg99"], "model", "vgg99"),
    "images too small": (["train", *TINY, "--set", "model.name=cifar10-blitz"], "model", "16 × 16"),
    "a data set that is not there": (["train", *TINY, "--set", "data.dataset=imagenet"], "dataset", "imagenet"),
    "a folder that is not there": (["import", "/no/such/folder"], "dataset", "/no/such/folder"),
    "a size out of range": (["import", ".", "--size", "3"], "config", "preprocessing.size_px: found 3"),
    "a config file that is not there": (["train", "--config", "/no/such.json"], "config", "/no/such.json"),
    "a run that is not there": (["evaluate", "20990101-000000-none-0000"], "run", "20990101-000000-none-0000"),
    "a path for a run": (["evaluate", "../../etc"], "run", "There is no run"),
    "no run yet": (["resume", "last"], "run", "no runs yet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_is_one_error_document_with_exit_status_2(home, case):
    arguments, code, words = REFUSED[case]
    error = home.run(*arguments, expect=2)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert not list(open_workspace(home.path).runs.iterdir()), "nothing was started"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["evaluate", "last", "--checkpoint", "epoch-0009"], "checkpoint"),
        (["evaluate", "last", "--split", "test"], "split"),
        (["predict", "last", "x.png", "--top-k", "0"], "arguments"),
        (["resume", "last"], "finished"),
        (["stop", "last"], "not-running"),
    ],
)
def test_refusal_about_a_finished_run_is_an_error_document(trained, arguments, code):
    run = find_run(open_workspace(trained.path), "last")
    before = run.events.read_bytes()
    assert trained.run(*arguments, expect=2)["error"]["code"] == code
    assert run.events.read_bytes() == before


def test_damaged_checkpoint_is_refused_by_name(trained, tmp_path):
    run: Run = find_run(open_workspace(trained.path), "last")
    weights = run.checkpoints / "epoch-0002" / "weights.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        error = trained.run("evaluate", "last", "--checkpoint", "epoch-0002", expect=2)["error"]
    finally:
        weights.write_bytes(sound)
    assert error["code"] == "checkpoint"
    assert "weights.safetensors" in error["message"]


@pytest.mark.parametrize(
    "arguments", [["train"], ["dance"], ["evaluate", "last", "--split", "holiday"], ["predict", "last", "--top-k", "x"], []]
)
def test_wrong_arguments_with_json_are_an_error_document_too(capsys, arguments):
    try:
        status = parser.main(["--json", *arguments])
    except SystemExit as leave:
        status = leave.code
    assert status == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "arguments"


def test_error_without_json_is_a_sentence_on_standard_error(home, capsys):
    assert parser.main(["--home", str(home.path), "train", "--recipe", "nope"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: There is no recipe 'nope'. Known are digits-quickstart")


def test_every_command_can_be_read_without_json(trained, capsys, tmp_path):
    folder = image_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    digit = tmp_path / "d.png"
    Image.new("L", (8, 8)).save(digit)
    run = create_run(open_workspace(tmp_path / "other"), config_from({}))
    append_event(run.events, Queued())
    lines = [
        (["datasets"], "digits"),
        (["models"], "mlp"),
        (["recipes"], "Published: 97 %"),
        (["runs"], "finished"),
        (["import", folder], "2 classes"),
        (["report", "pets"], "2 classes"),
        (["evaluate", "last"], "validation accuracy"),
        (["predict", "last", digit], "%"),
    ]
    for arguments, words in lines:
        assert parser.main(["--home", str(trained.path), *map(str, arguments)]) == 0
        assert words in capsys.readouterr().out
    assert parser.main(["--home", str(tmp_path / "other"), "stop", "last"]) == 0
    assert "stopped" in capsys.readouterr().out


def test_home_is_taken_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINSCOPE_HOME", str(tmp_path / "elsewhere"))
    assert parser.main(["runs", "--json"]) == 0
    assert (tmp_path / "elsewhere" / "runs").is_dir()


# --- the document

KINDS: dict[str, Callable[[object], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "list": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "configuration": lambda v: isinstance(v, dict) and config_from(v) is not None,
}


def parsers() -> dict[str, argparse.ArgumentParser]:
    [action] = [a for a in parser.build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return action.choices


def section(title: str) -> str:
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL).group(1)


def fields_of(title: str) -> dict[str, str]:
    """Type by field, as the document's tables give them."""
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", section(title), re.MULTILINE)
    return {name: kind for name, kind in rows if set(kind.split(" or ")) <= set(KINDS)}


def options_of(title: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)`[^|]* \| [^|]+ \|$", section(title), re.MULTILINE))


def walk(value: object, path: str, kinds: dict[str, str]) -> Iterator[tuple[str, object]]:
    """(field, value) all through a document; the words SPLIT, CLASS and SETTING stand for keys."""
    if path:
        yield path, value
    if kinds.get(path) == "configuration":
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            name = {"splits": "SPLIT", "splits.SPLIT": "CLASS", "changes": "SETTING"}.get(path, key)
            yield from walk(inner, f"{path}.{name}" if path else name, kinds)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, f"{path}[]", kinds) if not isinstance(inner, dict) else _inside(inner, f"{path}[]", kinds)


def _inside(row: dict, path: str, kinds: dict[str, str]) -> Iterator[tuple[str, object]]:
    for key, inner in row.items():
        yield from walk(inner, f"{path}.{key}", kinds)


def evaluations_with_little_to_say(home: Home, run_id: str, folder: Path) -> None:
    """Of classes that don't occur and are not predicted, by a network that is sure of nothing, its outputs kept and not kept."""
    home.run("import", image_folder(folder, {"3": 2, "5": 2}))
    checkpoint = find_checkpoint(find_run(open_workspace(home.path), run_id), "last")
    save_calibration(checkpoint, Calibration(50.0, 1.0, "nothing"))
    home.run("evaluate", run_id, "--dataset", "few", "--split", "all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "MAX_LOGIT_BYTES", 0)
        home.run("evaluate", run_id)
    save_calibration(checkpoint, PLAIN)


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, list[dict]]:
    """Every command run for real, so that each of its fields comes up at least once."""

    root = tmp_path_factory.mktemp("document")
    home = Home(root / "home")
    with signals_kept():
        folder = image_folder(root / "pets", {"train/cat": 3, "train/dog": 3, "test/cat": 2})
        (folder / "train" / "notes.txt").write_text("")
        (folder / "train" / "cat" / "broken.png").write_text("")
        home.run("import", folder)
        for copy in ("train/dog/copy.png", "test/cat/copy.png"):
            shutil.copy(next((folder / "train" / "cat").glob("[0-9]*.png")), folder / copy)
        home.run("import", folder)
        home.run("report", "pets")
        run = create_run(open_workspace(home.path), config_from({}))
        append_event(run.events, Queued())
        home.run("runs")
        workspace = open_workspace(home.path)
        job = create_job(workspace, Request("evaluate", "a test", {"run": run.id}))
        with job.lock:
            append_event(job.events, JobStarted(1))
            for done in (0, 50):
                append_event(job.events, JobProgress(what="Counting", done=done, total=100, seconds=done / 10))
            home.run("jobs")
        home.run("jobs", "--all")
        home.run("cancel", run.id)
        run = create_run(open_workspace(home.path), config_from({}))
        append_event(run.events, Queued())
        home.run("stop", run.id)
        home.run("train", *TINY, "--set", "data.dataset=pets", "--set", "data.evaluate_on=test", "--set", "batch_size=3")
        (folder / "train").rename(folder / "moved")  # a run that fails before anything is known
        failing = create_run(open_workspace(home.path), config_from({"data": {"dataset": str(folder)}}))
        append_event(failing.events, Queued())
        home.run("resume", failing.id)
        (folder / "moved").rename(folder / "train")
        result = home.run("train", *TINY, "--set", "epochs=1")
        home.run("evaluate", result["run"])
        home.run("evaluate", home.answers["train"][0]["run"], "--split", "test")
        evaluations_with_little_to_say(home, result["run"], root / "few")
        home.run("tensorboard", result["run"])
        home.run("train", *TINY, "--set", "epochs=1", "--set", "tensorboard=true")
        home.run("tensorboard")
        Image.new("L", (8, 8)).save(root / "black.png")
        home.run("predict", result["run"], root / "black.png", root / "none.png")
        (root / "labelled" / "0").mkdir(parents=True)
        Image.new("L", (8, 8)).save(root / "labelled" / "0" / "black.png")
        home.run("predict", result["run"], root / "labelled")
        workspace = open_workspace(home.path)
        edit(workspace, "digits", Action(kind="drop", images=(), sources=("9",), classes=("9",)))
        edit(workspace, "digits", Action(kind="rename", images=(), sources=("8",), classes=("8",), label="eight"))
        for name in ("datasets", "models", "recipes", "runs"):
            home.run(name)
        undo_all(workspace, "digits", actions_on(workspace, "digits"))
        home.run("stop", "last", expect=2)
        for state in ("pause", "change"):
            waiting = create_run(open_workspace(home.path), config_from({}))
            append_event(waiting.events, Queued())
            if state == "change":
                home.run("change", waiting.id, "--set", "optimizer.lr=0.5")
            home.run("pause", waiting.id)
        home.run("export", result["run"], "--to", root / "run.zip")
        home.run("export", result["run"], "--checkpoint", "last", "--to", root / "last.safetensors")
        home.run("load", root / "run.zip", "--name", "again")
        write_notes(find_run(open_workspace(home.path), result["run"]), Notes(tags=("kept",)))
        home.run("runs")
        home.run("load", root / "last.safetensors", "--config", Path(result["path"]) / "config.json")
        torch.save({"model_state_dict": load_file(root / "last.safetensors"), "epoch": 1}, root / "last.pt")
        home.run("load", root / "last.pt", "--config", Path(result["path"]) / "config.json")
        damaged = find_checkpoint(find_run(open_workspace(home.path), result["run"]), "last")
        (damaged.path / "network.json").write_text("{}")
        home.run("export", result["run"], "--to", root / "without.zip")
    return home.answers


SAME_ANSWER = {"resume": "train", "report": "import"}
SECTIONS = {name: SAME_ANSWER.get(name, name) for name in [*parsers(), "error"]} | {"error": "For every command"}


def test_document_has_a_section_for_every_command_and_no_other():
    assert set(re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)) == {"For every command", *parsers()}


@pytest.mark.parametrize("command", parsers())
def test_document_names_every_option_and_no_other(command):
    shared = {"--home", "--json", "--help", "-h"}
    real = set()
    for action in parsers()[command]._actions:
        names = action.option_strings or [action.metavar or action.dest]
        real.update(name for name in names if name not in shared)
    documented = {name for name in options_of(command) if name.startswith("--") or name.isupper()} - {"SPLIT"}
    assert documented == real
    assert {"--home", "--json", "--help"} <= options_of("For every command")


@pytest.mark.parametrize("command", [*parsers(), "error"])
def test_every_field_of_the_answers_is_documented_with_its_type(answers, command):
    kinds = fields_of(SECTIONS[command])
    assert answers[command]
    for document in answers[command]:
        for path, value in walk(document, "", kinds):
            assert path in kinds, f"{command}: the document does not name {path}"
            assert any(KINDS[kind](value) for kind in kinds[path].split(" or ")), (
                f"{command}: {path} is {value!r}, not {kinds[path]}"
            )


@pytest.mark.parametrize("command", [name for name in [*parsers(), "error"] if name not in SAME_ANSWER])
def test_every_documented_field_and_type_comes_up(answers, command):
    kinds = fields_of(SECTIONS[command])
    documents = answers[command] + [answer for other, same in SAME_ANSWER.items() if same == command for answer in answers[other]]
    found: dict[str, set[str]] = {path: set() for path in kinds}
    for document in documents:
        for path, value in walk(document, "", kinds):
            found[path].add("null" if value is None else "value")
    for path, kind in kinds.items():
        assert "value" in found[path], f"{command}: {path} never came up"
        if kind.endswith("or null"):
            assert "null" in found[path], f"{command}: {path} was never null"


def test_document_lists_the_error_codes_that_the_code_uses():
    used = {"input"}  # InputError's default
    for path in (PROJECT / "core").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "InputError":
                codes = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
                used.update(code.value for code in codes if isinstance(code, ast.Constant))  # else it was made elsewhere
    documented = set(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", section("For every command"), re.MULTILINE)) - {
        "--home",
        "--json",
        "--help",
    }
    assert documented == used


def test_document_names_every_status_of_a_run():
    from typing import get_args

    from core.runs.status import State

    assert all(f"`{state}`" in section("runs") for state in get_args(State))


def test_commands_of_the_help_s_examples_exist():
    epilog = parser.build_parser().epilog
    named = re.findall(r"python -m core (\w+)", epilog)
    assert named
    assert set(named) <= set(parsers())
