"""ONNX and torch.export: one graph with normalisation, temperature and softmax inside, for any number of images."""

import io
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from core.commands.parser import main
from core.data.transforms.preprocessing import normalise
from core.errors import InputError
from core.export import traced
from core.export.traced import write_onnx, write_pt2
from core.running.session import run_session
from core.runs.calibration import Calibration, save_calibration
from core.runs.checkpoints import Checkpoint, find_checkpoint, load_network
from core.runs.directory import create_run
from core.settings import changed
from core.workspace import open_workspace
from tests.core.intake.test_load import digits_config


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Checkpoint:
    workspace = open_workspace(tmp_path_factory.mktemp("traced"))
    run = create_run(workspace, changed(digits_config(epochs=1), {"model.name": "residual-light", "model.width": 0.25}))
    assert run_session(workspace, run).reason == "finished"
    found = find_checkpoint(run, "last")
    save_calibration(found, Calibration(temperature=0.7, threshold=0.5))
    return found


def expected(checkpoint: Checkpoint, pixels: torch.Tensor) -> np.ndarray:
    network, spec = load_network(checkpoint)
    mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
    with torch.inference_mode():
        return (network.eval()(normalise(pixels, mean, std)) / 0.7).softmax(dim=1).numpy()


def pixels_of(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), generator=torch.Generator().manual_seed(count)).float()


def test_onnx_answers_as_the_network_for_any_number_of_images(checkpoint):
    content = io.BytesIO()
    write_onnx(checkpoint, content)
    onnx.checker.check_model(onnx.load_from_string(content.getvalue()), full_check=True)
    session = onnxruntime.InferenceSession(content.getvalue(), providers=["CPUExecutionProvider"])
    for count in (1, 2, 17):
        found = session.run(["probabilities"], {"pixels": pixels_of(count).numpy()})[0]
        assert found.shape == (count, 10)
        assert np.abs(found - expected(checkpoint, pixels_of(count))).max() <= 1e-5
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == list("0123456789")
    assert (float(about["temperature"]), float(about["threshold"])) == (0.7, 0.5)
    assert json.loads(about["preprocessing"])["drawing"] == "digits"


def test_torch_export_answers_as_the_network_for_any_number_of_images(checkpoint):
    content, about = io.BytesIO(), {"about.json": ""}
    write_pt2(checkpoint, content)
    content.seek(0)
    program = torch.export.load(content, extra_files=about).module()
    for count in (1, 2, 17):
        found = program(pixels_of(count)).detach().numpy()
        assert np.abs(found - expected(checkpoint, pixels_of(count))).max() <= 1e-5
    assert json.loads(about["about.json"])["class_names"] == list("0123456789")


@pytest.mark.parametrize("write", [write_onnx, write_pt2])
def test_graph_that_answers_otherwise_is_not_handed_out(checkpoint, monkeypatch, write):
    plain = traced._Answering.forward
    monkeypatch.setattr(traced._Answering, "forward", lambda self, pixels: plain(self, pixels * 1.01))
    content = io.BytesIO()
    with pytest.raises(InputError, match="probabilities differ by"):
        write(checkpoint, content)
    assert content.getvalue() == b""


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_command_line_writes_them_of_the_best_checkpoint(checkpoint, tmp_path, capsys, suffix):
    run = checkpoint.path.parent.parent
    arguments = ["--home", str(run.parent.parent), "--json", "export", run.name, "--to", str(tmp_path / f"network.{suffix}")]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["format"], result["checkpoint"]) == (suffix, "epoch-0001")
    assert (tmp_path / f"network.{suffix}").stat().st_size == result["num_bytes"]
