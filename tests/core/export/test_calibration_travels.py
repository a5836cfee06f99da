"""A checkpoint's temperature and threshold go with its zip, and are used where it is loaded."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from core.export.bundles import checkpoint_zip
from core.export.formats import WRITERS
from core.files import sealed, unsealed
from core.inference.predictor import predict
from core.intake.load import load_file
from core.running.session import run_session
from core.runs.calibration import PLAIN, Calibration, calibration_of, save_calibration
from core.runs.checkpoints import find_checkpoint, weights_sum
from core.runs.directory import Run, create_run
from core.workspace import Workspace, open_workspace
from tests.core.intake.test_load import digits_config
from tests.fixtures.drawn_digits import drawn_digit

KEPT = Calibration(1.7, 0.6, "half of 359 images, validation of digits")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    workspace = open_workspace(tmp_path_factory.mktemp("trained"))
    run = create_run(workspace, digits_config(epochs=2))
    assert run_session(workspace, run).reason == "finished"
    save_calibration(find_checkpoint(run, "epoch-0002"), KEPT)
    return run


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "elsewhere")


def rewritten(content: bytes, path: Path, change) -> Path:
    """The zip with its calibration.json as `change` makes it of what it was; None leaves it out, as earlier versions did."""
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            held = old.read(name)
            if name.endswith("/calibration.json"):
                held = change(held)
            if held is not None:
                new.writestr(name, held)
    return path


def zipped(run: Run, path: Path, name: str = "epoch-0002") -> Path:
    path.write_bytes(b"".join(checkpoint_zip(find_checkpoint(run, name))))
    return path


def test_calibration_is_the_same_where_the_checkpoint_was_loaded(run: Run, elsewhere: Workspace, tmp_path: Path) -> None:
    loaded = load_file(elsewhere, zipped(run, tmp_path / "c.zip"), "c.zip")
    for name in ("last", "epoch-0000"):
        assert calibration_of(find_checkpoint(loaded.run, name)) == KEPT
    assert "Its temperature of 1.700 and its threshold of 60.0 % were taken over." in loaded.notes
    said, there = (predict(find_checkpoint(of, "last"), drawn_digit(7, "round")) for of in (run, loaded.run))
    assert said.top(3) == there.top(3)
    assert said.is_sure == there.is_sure


def test_only_the_calibration_of_these_weights_goes_along(run: Run, elsewhere: Workspace, tmp_path: Path) -> None:
    path = zipped(run, tmp_path / "c.zip", "epoch-0001")
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if "calibration" in name]
    loaded = load_file(elsewhere, path, "c.zip")
    assert calibration_of(find_checkpoint(loaded.run, "last")) == PLAIN
    assert not [note for note in loaded.notes if "temperature" in note]


def test_zip_of_an_earlier_version_is_taken(run: Run, elsewhere: Workspace, tmp_path: Path) -> None:
    path = rewritten(b"".join(checkpoint_zip(find_checkpoint(run, "last"))), tmp_path / "old.zip", lambda held: None)
    loaded = load_file(elsewhere, path, "old.zip")
    assert calibration_of(find_checkpoint(loaded.run, "last")) == PLAIN


def with_values(held: bytes, **values: object) -> bytes:
    return sealed({weights: {**kept, **values} for weights, kept in unsealed(held).items()})


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.replace(b"1.7", b"1.8"),  # its checksum tells
        lambda held: b"",
        lambda held: b"[" * 100_000,
        lambda held: b"\xff\xfe",
        lambda held: with_values(held, temperature=0.0),
        lambda held: with_values(held, temperature="NaN"),
        lambda held: with_values(held, threshold=[1]),
        lambda held: sealed({"0" * 64: json.loads(held)}),
        lambda held: sealed({next(iter(unsealed(held))): None}),
    ],
    ids=["changed", "empty", "deep", "no text", "no temperature", "NaN", "a list", "other weights", "null"],
)
def test_damaged_calibration_is_told_and_the_checkpoint_taken(run: Run, elsewhere: Workspace, tmp_path: Path, change) -> None:
    path = rewritten(b"".join(checkpoint_zip(find_checkpoint(run, "last"))), tmp_path / "c.zip", change)
    loaded = load_file(elsewhere, path, "c.zip")
    assert calibration_of(find_checkpoint(loaded.run, "last")) == PLAIN
    assert "Its temperature and threshold are damaged and were not taken over: fit them anew on the Results page." in loaded.notes


def test_words_from_outside_are_short_and_printable(run: Run, elsewhere: Workspace, tmp_path: Path) -> None:
    path = rewritten(
        b"".join(checkpoint_zip(find_checkpoint(run, "last"))),
        tmp_path / "c.zip",
        lambda held: with_values(held, fitted_on="\x1b[2J" + "x" * 1000),
    )
    kept = calibration_of(find_checkpoint(load_file(elsewhere, path, "c.zip").run, "last"))
    assert kept.fitted_on.isprintable() or "\N{REPLACEMENT CHARACTER}" in kept.fitted_on
    assert "\x1b" not in kept.fitted_on
    assert len(kept.fitted_on) == 300
    assert kept.temperature == KEPT.temperature


def test_weights_have_the_same_checksum_wherever_they_lie(run: Run, elsewhere: Workspace, tmp_path: Path) -> None:
    """Which is why the calibration can be looked up by it there."""
    loaded = load_file(elsewhere, zipped(run, tmp_path / "c.zip"), "c.zip")
    again = load_file(elsewhere, zipped(loaded.run, tmp_path / "d.zip", "last"), "d.zip")
    assert weights_sum(find_checkpoint(loaded.run, "last")) == weights_sum(find_checkpoint(again.run, "last"))
    assert calibration_of(find_checkpoint(again.run, "last")) == KEPT


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_weights_alone_bring_it_along_as_metadata(run: Run, elsewhere: Workspace, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"w.{kind}"
    with path.open("wb") as file:
        WRITERS[kind](find_checkpoint(run, "epoch-0002"), file)
    if kind == "pt":
        assert type(torch.load(path, weights_only=True)) is dict  # as before
    else:
        with safe_open(path, "pt") as file:
            about = file.metadata()
        assert (about["temperature"], about["threshold"]) == ("1.7", "0.6")
        assert json.loads(about["class_names"]) == list("0123456789")
    loaded = load_file(elsewhere, path, path.name, digits_config())
    assert calibration_of(find_checkpoint(loaded.run, "last")) == KEPT
    assert "Its temperature of 1.700 and its threshold of 60.0 % were taken over." in loaded.notes


@pytest.mark.parametrize(
    "said", [b"no json", b"[]", b'{"temperature": "nan", "threshold": "0.5"}', b'{"temperature": "1e9", "threshold": "0"}', b"{"]
)
def test_metadata_that_is_not_sound_is_passed_by(run: Run, elsewhere: Workspace, tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "w.pt"
    with path.open("wb") as file:
        WRITERS["pt"](find_checkpoint(run, "epoch-0001"), file)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "odd.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, said if name.endswith("trainscope.json") else old.read(name))
    loaded = load_file(elsewhere, tmp_path / "odd.pt", "odd.pt", digits_config())
    assert calibration_of(find_checkpoint(loaded.run, "last")) == PLAIN
