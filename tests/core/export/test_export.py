"""Downloads: weights that other programs load, zips that hold everything, taken from a run that trains on meanwhile."""

import argparse
import io
import json
import shutil
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from core.commands import exchange
from core.errors import InputError
from core.export.bundles import checkpoint_zip, run_zip
from core.export.weights import write_safetensors, write_state_dict_pt
from core.intake.load import load_file
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, list_checkpoints, load_network
from core.runs.directory import Run, create_run
from core.runs.event_log import decode_line
from core.runs.history import history_of
from core.runs.status import status_of
from core.workspace import Workspace, open_workspace
from tests.core.intake.test_load import digits_config, equal, weights_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Workspace, Run]:
    workspace = open_workspace(tmp_path_factory.mktemp("trained"))
    run = create_run(workspace, digits_config(epochs=3))
    assert run_session(workspace, run).reason == "finished"
    return workspace, run


@pytest.fixture
def copy(trained, tmp_path) -> Run:
    """The run in a workspace of its own, to be changed."""
    workspace = open_workspace(tmp_path / "copy")
    shutil.copytree(trained[1].path, workspace.runs / trained[1].id)
    return Run(workspace.runs / trained[1].id)


def opened(pieces) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None  # every checksum, by the standard library
    return archive


# Weights


def test_pt_is_a_plain_state_dict_that_torch_loads_safely(trained):
    _, run = trained
    checkpoint, out = find_checkpoint(run, "last"), io.BytesIO()
    write_state_dict_pt(checkpoint, out)
    out.seek(0)
    state_dict = torch.load(out, weights_only=True)
    assert type(state_dict) is dict
    model, spec = load_network(checkpoint)
    assert equal(state_dict, model.state_dict())
    spec.build().load_state_dict(state_dict)  # every name and shape
    assert all(value.is_contiguous() and value.device.type == "cpu" for value in state_dict.values())


def test_safetensors_hold_the_same_weights(trained):
    _, run = trained
    out = io.BytesIO()
    write_safetensors(find_checkpoint(run, "last"), out)
    found = safetensors.torch.load(out.getvalue())
    assert equal({name: found.pop(name) for name in weights_of(run)}, weights_of(run))
    assert not found


def test_damaged_checkpoint_is_told_before_anything_is_sent(copy):
    checkpoint = find_checkpoint(copy, "last")
    weights = checkpoint.path / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for attempt in (
        lambda: checkpoint_zip(checkpoint),
        lambda: write_state_dict_pt(checkpoint, io.BytesIO()),
        lambda: write_safetensors(checkpoint, io.BytesIO()),
    ):
        with pytest.raises(InputError, match="damaged"):
            attempt()


# Zips


def test_checkpoint_zip_holds_the_checkpoint_and_its_configuration(trained):
    _, run = trained
    checkpoint = find_checkpoint(run, "last")
    archive = opened(checkpoint_zip(checkpoint))
    files = {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}
    assert files.pop("config.json") == (run.path / "config.json").read_bytes()
    assert files == {path.name: path.read_bytes() for path in checkpoint.path.iterdir()}


def test_run_zip_holds_every_file_of_the_run(trained):
    _, run = trained
    archive = opened(run_zip(run))
    files = {info.filename: archive.read(info) for info in archive.infolist()}
    expected = {
        f"{run.id}/{path.relative_to(run.path)}": path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and path.name not in ("lock", "control.json")
    }
    assert files == expected
    assert len(list_checkpoints(run)) == 3


def test_files_that_are_no_part_of_a_run_stay_behind(copy):
    (copy.path / "secret.txt").write_text("x")
    (copy.records / ".tmp-12").write_text("x")
    (copy.checkpoints / ".tmp-epoch").mkdir()
    names = opened(run_zip(copy)).namelist()
    assert not [name for name in names if "secret" in name or ".tmp" in name or "lock" in name]


def test_events_end_at_the_last_whole_line(copy):
    whole = copy.events.read_bytes()
    copy.events.write_bytes(whole + b'{"n":999,"ki')
    assert opened(run_zip(copy)).read(f"{copy.id}/events.jsonl") == whole
    copy.events.write_bytes(b'{"n":1')
    assert opened(run_zip(copy)).read(f"{copy.id}/events.jsonl") == b""


def test_checkpoint_that_vanishes_meanwhile_is_whole_or_left_out(copy, tmp_path):
    left_out: list[str] = []
    pieces, content = run_zip(copy, left_out), b""
    for piece in pieces:
        content += piece
        if b"epoch-0001/weights" in content:
            break
    for name in ("epoch-0001", "epoch-0002"):  # pruned while the first is being sent
        shutil.rmtree(copy.checkpoints / name)
    path = tmp_path / "run.zip"
    path.write_bytes(content + b"".join(pieces))
    loaded = load_file(open_workspace(tmp_path / "other"), path, "run.zip").run
    assert [checkpoint.name for checkpoint in list_checkpoints(loaded)] == ["epoch-0001", "epoch-0003"]
    assert left_out == []


def test_damaged_checkpoint_is_left_out_and_named(copy, tmp_path):
    (copy.checkpoints / "epoch-0001" / "weights.safetensors").write_bytes(b"x")
    left_out: list[str] = []
    path = tmp_path / "run.zip"
    path.write_bytes(b"".join(run_zip(copy, left_out)))
    loaded = load_file(open_workspace(tmp_path / "other"), path, "run.zip").run
    assert [checkpoint.name for checkpoint in list_checkpoints(loaded)] == ["epoch-0002", "epoch-0003"]
    assert len(left_out) == 1
    assert "epoch-0001 is damaged" in left_out[0]


def test_run_that_trains_meanwhile_gives_a_zip_that_opens(trained, tmp_path):
    workspace, _ = trained
    run = create_run(workspace, digits_config(**{"epochs": 15, "checkpoint.every_seconds": 0.1}))
    trainer = threading.Thread(target=run_session, args=(workspace, run))
    trainer.start()
    taken = []
    while trainer.is_alive():
        taken.append(b"".join(run_zip(run)))
    trainer.join()
    assert len(taken) > 5
    other = open_workspace(tmp_path / "other")
    for number in sorted({0, len(taken) // 3, len(taken) // 2, len(taken) - 1}):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(taken[number])
        loaded = load_file(other, path, "run.zip").run
        assert not status_of(loaded).is_active
        events = [decode_line(line) for line in loaded.events.read_bytes().splitlines()]
        assert None not in events
        evaluated = {row.epoch for row in history_of(loaded).evaluations}
        assert evaluated <= {int(path.stem[6:]) for path in loaded.records.glob("epoch-*.npy")}, (
            "events speak of records that are there"
        )


def test_zip_is_made_piece_by_piece(copy):
    big = copy.tensorboard / "events.out.tfevents.1.big"
    big.parent.mkdir(exist_ok=True)
    with big.open("wb") as file:
        file.truncate(200_000_000)
    largest = max(len(piece) for piece in run_zip(copy))
    assert largest < 2_000_000


# The commands


def run_command(command: str, *arguments: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    getattr(exchange, f"add_{command}_options")(parser)
    return parser.parse_args([str(argument) for argument in arguments])


@pytest.mark.parametrize("file", ["weights.pt", "weights.pth", "weights.safetensors", "epoch.zip", "whole.zip"])
def test_what_export_writes_load_takes(trained, tmp_path, file, capsys):
    workspace, run = trained
    other = open_workspace(tmp_path / "other")
    path = tmp_path / file
    checkpoint = [] if file == "whole.zip" else ["--checkpoint", "last"]
    result = exchange.export(workspace, run_command("export", run.id, "--to", path, *checkpoint))
    assert json.loads(json.dumps(result)) == result
    assert (result["num_bytes"], result["left_out"]) == (path.stat().st_size, [])
    exchange.show_export(result)
    assert file in capsys.readouterr().out
    (tmp_path / "config.json").write_bytes((run.path / "config.json").read_bytes())
    source = [] if path.suffix == ".zip" else ["--config", tmp_path / "config.json"]
    loaded = exchange.load(other, run_command("load", path, *source, "--name", "mine"))
    assert json.loads(json.dumps(loaded)) == loaded
    exchange.show_load(loaded)
    assert loaded["run"] in capsys.readouterr().out
    assert equal(weights_of(Run(other.runs / loaded["run"])), weights_of(run))


def test_model_and_data_set_can_be_named_alone(trained, tmp_path):
    _, run = trained
    path = tmp_path / "w.pt"
    torch.save(weights_of(run), path)
    other = open_workspace(tmp_path / "other")
    options = ("--model", "mnist-batchnorm-cnn", "--dataset", "digits", "--set", "model.width=0.25")
    result = exchange.load(other, run_command("load", path, *options))
    assert (result["model"], result["dataset"], result["kind"]) == ("mnist-batchnorm-cnn", "digits", "torch")


def test_export_never_overwrites_unasked_and_leaves_nothing_half_written(trained, tmp_path, monkeypatch):
    workspace, run = trained
    path = tmp_path / "run.zip"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        exchange.export(workspace, run_command("export", run.id, "--to", path))

    def failing(*_: object):
        yield b"half"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules["core.export.bundles"], "run_zip", failing)
    with pytest.raises(InputError, match="No space left"):
        exchange.export(workspace, run_command("export", run.id, "--to", path, "--overwrite"))
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.zip"]
    monkeypatch.undo()
    exchange.export(workspace, run_command("export", run.id, "--to", path, "--overwrite"))
    assert zipfile.is_zipfile(path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "x.bin", "--checkpoint", "last"], "does not say which format"),
        (["--to", "x.pt", "--format", "pt"], "which is a zip, or a report"),
        (["--to", "/no/such/folder/x.zip"], "not a file that can be written"),
        (["--to", "x.zip", "--checkpoint", "epoch-0099"], "has no checkpoint"),
    ],
)
def test_what_can_not_be_exported_is_said(trained, arguments, says):
    workspace, run = trained
    with pytest.raises(InputError, match=says):
        exchange.export(workspace, run_command("export", run.id, *arguments))


def test_file_that_is_not_there_can_not_be_loaded(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        exchange.load(open_workspace(tmp_path), run_command("load", Path("/no/such/file.pt")))
