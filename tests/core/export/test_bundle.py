"""Bundles: plain PyTorch that is the network, the preprocessing that the app has, and answers that are compared before they are handed out."""

import io
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.commands.parser import main
from core.config import CatalogueNetwork, LayerNetwork, Preprocessing
from core.data.sets import import_set
from core.data.sources.decoding import decode_image
from core.data.transforms.preprocessing import prepare
from core.errors import InputError
from core.export.bundle import make as making
from core.export.bundle.carried import carried
from core.export.bundle.content import program_of
from core.export.bundle.make import write_bundle
from core.export.bundle.network_source import network_source
from core.export.kept_exports import export_and_keep, kept_export
from core.inference.predictor import predict
from core.layers import Conv2d, Flatten, Linear, ReLU, Residual
from core.models.catalogue import MODELS
from core.models.network_spec import NetworkSpec
from core.running.session import run_session
from core.runs.calibration import Calibration, save_calibration
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import Run, create_run
from core.settings import changed
from core.workspace import Workspace, open_workspace
from tests.core.intake.test_load import digits_config
from tests.fixtures.networks import LIGHT
from tests.fixtures.odd_images import odd_images

FAMILY_HEADS = [(name, head) for name in MODELS for head in ("replaced", "appended") if head == "replaced" or MODELS[name].family]


def spec_of(name: str, head: str = "replaced", channels: int = 1, side: int = 32) -> NetworkSpec:
    preprocessing = Preprocessing(mean=(0.4,) * channels, std=(0.3,) * channels)
    model = CatalogueNetwork(name=name, head=head)
    return NetworkSpec(model=model, shape=(channels, side, side), class_names=("a", "b", "c"), preprocessing=preprocessing)


def run_source(source: str, name: str = "made") -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses ask for it
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(("name", "head"), FAMILY_HEADS)
def test_every_network_is_written_as_plain_pytorch_with_the_same_weights(name, head):
    spec = spec_of(name, head)
    source = network_source(spec)
    assert "core" not in source
    with torch.device("meta"):
        ours, theirs = spec.build(), run_source(source).build()
    assert {n: t.shape for n, t in ours.state_dict().items()} == {n: t.shape for n, t in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert str(theirs).partition("(")[2] == str(ours).partition("(")[2]


@pytest.mark.parametrize("head", ["replaced", "appended"])
@pytest.mark.parametrize("name", LIGHT)
def test_it_answers_as_ours_to_the_bit(name, head):
    if head == "appended" and not MODELS[name].family:
        return
    spec = spec_of(name, head)
    torch.manual_seed(0)
    ours = spec.build().eval()
    assert_same(spec, ours)


def assert_same(spec: NetworkSpec, ours: nn.Module) -> None:
    theirs = run_source(network_source(spec)).build().eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, *spec.shape)
    with torch.inference_mode():
        assert torch.equal(theirs(images), ours(images))


def test_network_of_rows_is_written_row_by_row():
    rows = (Conv2d(channels=4, padding=(1, 0), padding_mode="reflect"), Residual(over=2), Conv2d(channels=4, padding=1), ReLU())
    network = LayerNetwork(name="mine <b>", rows=(*rows, Flatten(), Linear()))
    spec = spec_of("mlp").model_copy(update={"model": network})
    assert "nn.Conv2d(1, 4, 3, padding=(1, 0), padding_mode='reflect'),  # 4 × 32 × 30" in network_source(spec)
    assert_same(spec, spec.build().eval())


@pytest.mark.parametrize(
    "settings",
    [
        {"drawing": "mnist"},
        {"drawing": "digits", "invert": True},
        {"fit": "pad"},
        {"fit": "stretch", "colour": "grey"},
        {"size_px": 20, "short_side_px": 24},
    ],
)
def test_carried_preprocessing_makes_the_same_of_every_odd_image(settings):
    theirs = run_source(carried(InputError, decode_image, prepare), "carried_preprocessing")
    preprocessing = Preprocessing(mean=(0.5,), std=(0.5,), **settings)
    channels = 1 if "drawing" in settings or "colour" in settings else 3
    compared = 0
    for odd in odd_images():
        pixels, done = prepare(decode_image(odd.content), preprocessing, channels, (20, 20))
        again, said = theirs.prepare(theirs.decode_image(odd.content), preprocessing, channels, (20, 20))
        np.testing.assert_array_equal(again, pixels, err_msg=odd.name)
        assert said == done
        compared += 1
    assert compared > 40
    for broken in (b"", b"no image", next(odd_images()).content[:-20]):
        with pytest.raises(theirs.InputError) as refusal:
            theirs.decode_image(broken)
        with pytest.raises(InputError) as expected:
            decode_image(broken)
        assert refusal.value.message == expected.value.message


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> tuple[Workspace, Run]:
    """A run on one's own images, whose files are of every odd kind."""
    home = open_workspace(tmp_path_factory.mktemp("photographs"))
    pictures = tmp_path_factory.mktemp("pictures")
    for number, odd in enumerate(odd_images()):
        folder = pictures / ("even" if number % 2 else "odd")
        folder.mkdir(exist_ok=True)
        suffix = Image.open(io.BytesIO(odd.content)).format.lower().replace("jpeg", "jpg")
        (folder / f"{number:03d}.{suffix}").write_bytes(odd.content)
    name, _ = import_set(home, str(pictures), "odd kinds", 16, "crop")
    config = digits_config(epochs=1)
    config = changed(
        config, {"data": {"dataset": name, "validation_fraction": 0.5, "evaluate_on": "validation"}, "model.name": "mlp"}
    )
    run = create_run(home, changed(config, {"preprocessing": {"size_px": 16}, "model.width": 0.1}))
    ended = run_session(home, run)
    assert ended.reason == "finished", ended.message
    save_calibration(find_checkpoint(run, "last"), Calibration(temperature=1.5, threshold=0.6, fitted_on="a few images"))
    return home, run


@pytest.fixture(scope="module")
def bundle(photographs, tmp_path_factory) -> Path:
    """Unpacked."""
    workspace, run = photographs
    place = tmp_path_factory.mktemp("bundle")
    with (place / "bundle.zip").open("wb") as file:
        parity = write_bundle(workspace, run, find_checkpoint(run, "last"), file)
    assert parity.num_images > 15 and parity.largest_difference <= 1e-6
    assert parity.images == "of those that it was evaluated on, files as they came"
    with zipfile.ZipFile(place / "bundle.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(place)
    return place / run.id


def alone(bundle: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([sys.executable, *command], cwd=bundle, env=environment, capture_output=True, text=True, timeout=120)


def test_bundle_has_all_that_a_stranger_needs(bundle, photographs):
    assert sorted(path.name for path in bundle.iterdir()) == [
        "MODEL_CARD.md",
        "README.md",
        "answers.json",
        "model.py",
        "parity.json",
        "predict.py",
        "preprocessing.json",
        "preprocessing.py",
        "requirements.txt",
        "serve.py",
        "weights.safetensors",
    ]
    answers = json.loads((bundle / "answers.json").read_text())
    assert (answers["class_names"], answers["temperature"], answers["threshold"]) == (["even", "odd"], 1.5, 0.6)
    for program in bundle.glob("*.py"):
        assert "core." not in program.read_text(), program.name
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "95 % confidence intervals" in card and "| even |" in card
    assert "got the same class in a process without Trainscope" in (bundle / "README.md").read_text()
    assert f"torch=={torch.__version__.partition('+')[0]}" in (bundle / "requirements.txt").read_text()


def test_its_program_answers_as_the_app_does(bundle, photographs, tmp_path):
    checkpoint = find_checkpoint(photographs[1], "last")
    odd = list(odd_images())[:6]
    files = [tmp_path / f"{number}.bin" for number in range(len(odd))]
    for file, image in zip(files, odd, strict=True):
        file.write_bytes(image.content)
    (tmp_path / "no.png").write_bytes(b"nothing")
    ended = alone(bundle, "predict.py", "--json", *map(str, files), str(tmp_path / "no.png"))
    assert ended.returncode == 0, ended.stderr
    *rows, bad = json.loads(ended.stdout)["pictures"]
    assert "not an image in a format we read" in bad["error"]
    for file, row in zip(files, rows, strict=True):
        ours = predict(checkpoint, decode_image(file))
        assert [c["class"] for c in row["classes"]] == [name for name, _ in ours.top(2)]
        assert [c["probability"] for c in row["classes"]] == pytest.approx([p for _, p in ours.top(2)], abs=1e-6)
        assert (row["is_sure"], row["prepared"]) == (ours.is_sure, ours.done)
    said = alone(bundle, "predict.py", str(files[0]))
    first = predict(checkpoint, decode_image(files[0]))
    assert f"{first.top(1)[0][0]} {100 * first.top(1)[0][1]:.1f} %" in said.stdout


def test_its_server_answers_one_picture_and_refuses_what_is_none(bundle, photographs):
    odd = next(odd_images())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    server = subprocess.Popen(
        [sys.executable, "serve.py", "--port", "0"],
        cwd=bundle,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert server.stdout
        address = server.stdout.readline().strip()
        with urllib.request.urlopen(address, data=odd.content, timeout=30) as response:
            answer = json.load(response)
        ours = predict(find_checkpoint(photographs[1], "last"), decode_image(odd.content))
        assert answer["classes"][0]["class"] == ours.top(1)[0][0]
        assert answer["classes"][0]["probability"] == pytest.approx(ours.top(1)[0][1], abs=1e-6)
        with urllib.request.urlopen(address, timeout=30) as response:
            assert json.load(response)["classes"] == ["even", "odd"]
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(address, data=b"no picture", timeout=30)
        assert refusal.value.code == 400 and "not an image" in json.load(refusal.value)["error"]
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(address, data=b"", timeout=30)
        assert refusal.value.code == 413
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("what", ["preprocessing.json", "answers.json", "predict.py"])
def test_bundle_that_answers_otherwise_is_not_handed_out(photographs, tmp_path, monkeypatch, what):
    workspace, run = photographs

    def tampered(checkpoint):
        content = program_of(checkpoint)
        changed = {
            "preprocessing.json": lambda text: json.dumps(json.loads(text) | {"mean": [0.1, 0.1, 0.1]}),
            "answers.json": lambda text: json.dumps(json.loads(text) | {"temperature": 1.501}),
            "predict.py": lambda text: text.replace("import json", "import jsno"),
        }[what](content[what].decode())
        return content | {what: changed.encode()}

    monkeypatch.setattr(making, "program_of", tampered)
    with pytest.raises(InputError, match="does not answer as the app does") as refusal:
        export_and_keep(workspace, run, "last.bundle.zip")
    assert refusal.value.code == "parity"
    assert ("No module named 'jsno'" if what == "predict.py" else "the largest difference is") in refusal.value.message
    assert kept_export(run, "last.bundle.zip") is None


def test_bundle_is_kept_with_its_proof_and_made_anew_when_the_calibration_changes(photographs, tmp_path):
    workspace, run = photographs
    shutil.copytree(run.path, tmp_path / "runs" / run.id)
    copy = Run(tmp_path / "runs" / run.id)
    path = export_and_keep(workspace, copy, "last.bundle.zip")
    kept = kept_export(copy, "last.bundle.zip")
    assert kept and kept.path == path and "got the same class" in kept.proof
    save_calibration(find_checkpoint(copy, "last"), Calibration(temperature=2.0))
    assert kept_export(copy, "last.bundle.zip") is None


def test_run_without_its_images_is_proved_on_made_up_ones(photographs, tmp_path):
    _, run = photographs
    elsewhere = open_workspace(tmp_path / "elsewhere")
    shutil.copytree(run.path, elsewhere.runs / run.id)
    parity = write_bundle(elsewhere, Run(elsewhere.runs / run.id), find_checkpoint(run, "last"), io.BytesIO())
    assert parity.num_images == 200 and "made up" in parity.images


def test_command_line_writes_a_bundle_of_the_best_checkpoint(photographs, tmp_path, capsys):
    workspace, run = photographs
    home = ["--home", str(workspace.home)]
    assert main([*home, "--json", "export", run.id, "--to", str(tmp_path / "b.zip"), "--format", "bundle"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["format"], result["checkpoint"]) == ("bundle", "epoch-0001")
    assert "got the same class" in result["proof"]
    assert zipfile.ZipFile(tmp_path / "b.zip").testzip() is None
