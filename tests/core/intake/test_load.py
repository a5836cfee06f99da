"""Files from outside become runs: weights to evaluate and to train on from, exported runs as they were, tampered ones refused."""

import collections
import hashlib
import io
import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from core.config import Preprocessing, TrainConfig
from core.data.sources.decoding import decode_image
from core.errors import InputError
from core.export.bundles import checkpoint_zip, run_zip
from core.files import sealed, unsealed
from core.inference.predictor import predict
from core.intake.load import kind_of, load_file
from core.models.network_spec import NetworkSpec
from core.running import session
from core.running.session import run_session
from core.runs.checkpoints import Checkpoint, find_checkpoint, load_network
from core.runs.directory import ID_PATTERN, Run, create_run, find_run, list_runs
from core.runs.event_log import append_event, encode_line
from core.runs.history import history_of
from core.runs.records import load_predictions
from core.runs.status import status_of
from core.settings import changed, config_from
from core.training.events import Ended
from core.workspace import Workspace, open_workspace


def digits_config(**changes: object) -> TrainConfig:
    return changed(
        TrainConfig(),
        {
            "data.dataset": "digits",
            "data.evaluate_on": "validation",
            "data.validation_fraction": 0.2,
            "model.name": "mnist-batchnorm-cnn",
            "model.width": 0.25,
            "optimizer.name": "adam",
            "epochs": 2,
            "threads": 1,
            "device": "cpu",
            "precision": "float32",
            **changes,
        },
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Workspace, Run]:
    workspace = open_workspace(tmp_path_factory.mktemp("trained"))
    run = create_run(workspace, digits_config())
    assert run_session(workspace, run).reason == "finished"
    return workspace, run


@pytest.fixture
def other(tmp_path) -> Workspace:
    """Another installation."""
    return open_workspace(tmp_path / "other")


def bundle(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    path.write_bytes(b"".join(run_zip(run)))
    return path


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    return load_network(find_checkpoint(run, "last"))[0].state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


# Weights


@pytest.mark.parametrize("suffix", ["pt", "safetensors", "zip"])
def test_loaded_weights_are_evaluated_exactly_as_where_they_were_trained(trained, other, tmp_path, suffix):
    _, run = trained
    path = tmp_path / f"weights.{suffix}"
    if suffix == "zip":
        path.write_bytes(b"".join(checkpoint_zip(find_checkpoint(run, "last"))))
    elif suffix == "pt":
        torch.save({"net": weights_of(run), "epoch": 2}, path)
    else:
        safetensors.torch.save_file(weights_of(run), path)
    loaded = load_file(other, path, path.name, None if suffix == "zip" else run.config).run
    assert equal(weights_of(loaded), weights_of(run))
    origin = loaded.config.origin
    assert (origin.kind, origin.name) == ("file", path.name)
    written = find_checkpoint(loaded, "last").path / "weights.safetensors"
    assert origin.sha256 == hashlib.sha256(written.read_bytes()).hexdigest() or len(origin.sha256) == 64
    assert loaded.config.epochs == 0
    ended = run_session(other, loaded)  # only evaluated: nothing is trained
    assert ended.reason == "finished"
    assert ended.accuracy == history_of(run).last_evaluation.accuracy
    assert equal(weights_of(loaded), weights_of(run))


def test_loaded_weights_classify_pictures(trained, other, tmp_path):
    from PIL import Image

    _, run = trained
    path = tmp_path / "weights.pt"
    torch.save(weights_of(run), path)
    loaded = load_file(other, path, "weights.pt", run.config).run
    image = tmp_path / "digit.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (8, 8), dtype=np.uint8)).save(image)
    mine, theirs = (predict(find_checkpoint(r, "last"), decode_image(image)).top(10) for r in (loaded, run))
    assert mine == theirs


def test_tutorial_names_become_a_run_and_the_note_is_kept(other, tmp_path):
    torch.manual_seed(3)
    config = digits_config(**{"model.name": "mnist-first-cnn", "model.width": 1.0, "preprocessing.size_px": 28})
    shapes = {"conv1": (10, 1, 5, 5), "conv2": (20, 10, 5, 5), "fc1": (50, 320), "fc2": (10, 50)}
    theirs = collections.OrderedDict()
    for layer, shape in shapes.items():
        theirs[f"{layer}.weight"], theirs[f"{layer}.bias"] = torch.rand(shape), torch.rand(shape[0])
    path = tmp_path / "mnist_cnn.pt"
    torch.save(theirs, path)
    loaded = load_file(other, path, "mnist_cnn.pt", config, name="from the tutorial")
    found = weights_of(loaded.run)
    assert torch.equal(found["features.0.weight"], theirs["conv1.weight"])
    assert torch.equal(found["head.4.bias"], theirs["fc2.bias"])
    assert "named otherwise" in loaded.run.config.origin.note
    assert json.loads((loaded.run.path / "notes.json").read_text())["name"] == "from the tutorial"


def test_weights_need_a_model_and_classes(trained, other, tmp_path):
    _, run = trained
    path = tmp_path / "weights.pt"
    torch.save(weights_of(run), path)
    with pytest.raises(InputError, match="Choose the model and the data set"):
        load_file(other, path, "weights.pt")
    with pytest.raises(InputError, match="don't fit") as refusal:
        load_file(other, path, "weights.pt", digits_config(**{"model.name": "mlp"}))
    assert refusal.value.code == "misfit"
    assert list(other.runs.iterdir()) == []


def test_kind_is_decided_by_content_never_by_name(trained, tmp_path):
    _, run = trained
    path = tmp_path / "picture.png"
    torch.save(weights_of(run), path)
    assert kind_of(path) == "torch"
    safetensors.torch.save_file(weights_of(run), path)
    assert kind_of(path) == "safetensors"
    path.write_bytes(b"".join(checkpoint_zip(find_checkpoint(run, "last"))))
    assert kind_of(path) == "checkpoint"
    path.write_bytes(b"".join(run_zip(run)))
    assert kind_of(path) == "run"


def test_name_of_a_file_is_inert(trained, other, tmp_path):
    _, run = trained
    path = tmp_path / "weights.pt"
    torch.save(weights_of(run), path)
    loaded = load_file(other, path, "../../x\x1b[2J\n![a](http://b/c)" + "x" * 1000, run.config).run
    assert loaded.config.origin.name.isprintable()
    assert len(loaded.config.origin.name) == 300
    assert loaded.path.parent == other.runs


def test_checkpoint_for_other_classes_is_refused(trained, other, tmp_path):
    _, run = trained
    folder = tmp_path / "flowers"
    for kind in ("ants", "bees"):
        for n in range(4):
            from PIL import Image

            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 10 * n).save(folder / kind / f"{n}.png")
    from core.data.sets import prepare_store

    config = changed(run.config, {"data.dataset": str(folder)})
    prepare_store(other, str(folder), find_network(run).preprocessing)
    path = tmp_path / "checkpoint.zip"
    path.write_bytes(b"".join(checkpoint_zip(find_checkpoint(run, "last"))))
    with pytest.raises(InputError, match="knows 10 classes, the data set 'flowers' has 2"):
        load_file(other, path, "checkpoint.zip", config)


def test_files_of_a_run_on_edited_classes_are_loaded_onto_the_set_as_it_is_edited(workspace, tmp_path):
    from core.data.edits import Action, edit
    from core.data.sets import prepare_store
    from core.running.plan import complete

    prepare_store(workspace, "digits", Preprocessing())
    edit(workspace, "digits", Action(kind="drop", images=(), sources=("8", "9"), classes=("8", "9")))
    edit(workspace, "digits", Action(kind="rename", images=(), sources=("7",), classes=("7",), label="seven"))
    data = {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation"}
    small = {"model": {"name": "mlp", "width": 0.1}, "epochs": 1, "tensorboard": False}
    run = create_run(workspace, complete(workspace, config_from({"data": data, **small})))
    assert run_session(workspace, run).reason == "finished"
    names = ("0", "1", "2", "3", "4", "5", "6", "seven")
    torch.save(weights_of(run), tmp_path / "weights.pt")
    (tmp_path / "checkpoint.zip").write_bytes(b"".join(checkpoint_zip(find_checkpoint(run, "last"))))
    for file in ("weights.pt", "checkpoint.zip"):
        assert find_network(load_file(workspace, tmp_path / file, file, run.config).run).class_names == names
    elsewhere = load_file(open_workspace(tmp_path / "elsewhere"), bundle(run, tmp_path), "run.zip").run
    assert find_network(elsewhere).class_names == names


def find_network(run: Run) -> NetworkSpec:
    return load_network(find_checkpoint(run, "last"))[1]


# Whole runs


def test_exported_run_opens_elsewhere_with_charts_records_and_checkpoints(trained, other, tmp_path):
    _, run = trained
    loaded = load_file(other, bundle(run, tmp_path), "run.zip").run
    assert loaded.id == run.id
    assert loaded.config == run.config
    assert history_of(loaded) == history_of(run)
    assert status_of(loaded) == status_of(run)
    for epoch in range(3):
        mine, theirs = load_predictions(loaded, epoch), load_predictions(run, epoch)
        assert np.array_equal(mine.predicted, theirs.predicted)
    assert equal(weights_of(loaded), weights_of(run))
    assert find_checkpoint(loaded, "best").name == find_checkpoint(run, "best").name
    left = {path.name for path in run.path.rglob("*") if path.is_file()} - {path.name for path in loaded.path.rglob("*")}
    assert left <= {"lock", "control.json"}


def test_run_that_is_there_already_comes_under_another_id(trained, tmp_path):
    workspace, run = trained
    path = bundle(run, tmp_path)
    first, second = (load_file(workspace, path, "run.zip").run for _ in range(2))
    assert len({run.id, first.id, second.id}) == 3
    assert ID_PATTERN.fullmatch(first.id)
    assert {first, second} <= set(list_runs(workspace))
    assert find_run(workspace, first.id) == first


def test_zip_unpacked_and_packed_again_by_hand_is_taken(trained, other, tmp_path):
    _, run = trained
    with zipfile.ZipFile(bundle(run, tmp_path)) as archive:
        archive.extractall(tmp_path / "by-hand")
    shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path / "by-hand")
    assert load_file(other, tmp_path / "again.zip", "again.zip").run.id == run.id


def test_run_that_was_training_rests_as_interrupted(trained, other, tmp_path):
    workspace, run = trained
    copy = Run(workspace.runs / "20260101-000000-copy-0000")
    shutil.copytree(run.path, copy.path)
    lines = copy.events.read_bytes().splitlines(keepends=True)
    copy.events.write_bytes(b"".join(lines[:-3]) + lines[-3][:20])  # no end, and a line half written
    loaded = load_file(other, bundle(copy, tmp_path), "run.zip").run
    status = status_of(loaded)
    assert (status.state, status.message) == ("interrupted", "It was still training when it was exported.")
    assert not status.is_unexplained
    shutil.rmtree(copy.path)


def test_run_that_its_server_paused_is_not_resumed_by_another_server(trained, other, tmp_path):
    workspace, run = trained
    copy = Run(workspace.runs / "20260101-000000-copy-0001")
    shutil.copytree(run.path, copy.path)
    append_event(copy.events, Ended(reason="paused", message="Paused as Trainscope was ended.", epoch=1, cause="server"))
    status = status_of(load_file(other, bundle(copy, tmp_path), "run.zip").run)
    assert (status.state, status.cause) == ("paused", "hand")
    shutil.rmtree(copy.path)


def test_run_resumed_elsewhere_equals_the_uninterrupted_one(trained, other, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "POLL_S", 0.0)  # so that the pause is heard at the very next step
    workspace, _ = trained
    config = digits_config(**{"optimizer.decay_all": False, "optimizer.weight_decay": 0.01, "epochs": 3})
    whole, part = create_run(workspace, config), create_run(workspace, config)
    run_session(workspace, whole)
    seen = []

    def after_the_second_epoch() -> bool:
        return len(seen) >= 2

    run_session(workspace, part, after_the_second_epoch, lambda event: seen.append(event) if event.kind == "checkpoint" else None)
    assert status_of(part).state == "paused"
    loaded = load_file(other, bundle(part, tmp_path), "run.zip").run
    run_session(other, loaded)
    assert equal(weights_of(loaded), weights_of(whole))


# Tampered bundles


def tampered(run: Run, tmp_path: Path, change: Callable[[Run], object]) -> Path:
    """The run's zip after a change to its files, whatever export itself would have left out."""
    copy = Run(tmp_path / "tampered" / run.id)
    shutil.copytree(run.path, copy.path, ignore=shutil.ignore_patterns("lock", "control.json"))
    change(copy)
    path = tmp_path / "tampered.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(copy.path.rglob("*")):
            if file.is_file():
                archive.write(file, f"{run.id}/{file.relative_to(copy.path)}")
    return path


def resealed(checkpoint: Checkpoint, **files: bytes) -> None:
    """The checkpoint with other files under a manifest that agrees with them, as an attacker would make it."""
    sums = unsealed((checkpoint.path / "manifest.json").read_bytes())
    for name, content in files.items():
        file = name.replace("_", ".")
        (checkpoint.path / file).write_bytes(content)
        sums["files"][file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (checkpoint.path / "manifest.json").write_bytes(sealed(sums))


def with_weights(name: str, value: torch.Tensor) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        checkpoint = find_checkpoint(run, "last")
        weights = safetensors.torch.load_file(checkpoint.path / "weights.safetensors")
        weights[name] = value
        resealed(checkpoint, weights_safetensors=safetensors.torch.save(weights))

    return change


def with_event(**row: object) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        with run.events.open("ab") as file:
            file.write(encode_line({"n": 9999, "time": 1.0, **row}))

    return change


def with_array(name: str, array: np.ndarray) -> Callable[[Run], None]:
    return lambda run: np.save(run.records / name, array, allow_pickle=True)


def pointing(to: object) -> Callable[[Run], object]:
    return lambda run: (run.checkpoints / "best.json").write_bytes(sealed({"checkpoint": to, "accuracy": 0.5, "epoch": 1}))


class Harmful:
    """Makes a marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def with_other_manifest(run: Run) -> None:
    checkpoint = find_checkpoint(run, "last")
    manifest = unsealed((checkpoint.path / "manifest.json").read_bytes())
    manifest["files"]["../../../../../../etc/hostname"] = manifest["files"].pop("state.json")
    (checkpoint.path / "manifest.json").write_bytes(sealed(manifest))


def with_foreign_optimizer(run: Run) -> None:
    resealed(find_checkpoint(run, "last"), optimizer_safetensors=safetensors.torch.save({"0.exp_avg": torch.zeros(1000, 1000)}))


def with_other_network(run: Run) -> None:
    checkpoint = find_checkpoint(run, "last")
    network = json.loads((checkpoint.path / "network.json").read_bytes())
    network["model"]["width"] = 16
    resealed(checkpoint, network_json=json.dumps(network).encode())


def with_probabilities(value: float) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        path = run.records / "epoch-0001.npy"
        record = np.load(path)
        record["true_probability"][3] = value
        np.save(path, record)

    return change


RECORD = np.zeros(10, [("predicted", "u1"), ("confidence", "<f2"), ("true_probability", "<f2")])
TAMPERED = {
    "file-that-runs-have-not": (lambda run: (run.path / "evil.py").write_text("x"), "not a file that runs have"),
    "lock": (lambda run: (run.path / "lock").write_text(""), "not a file that runs have"),
    "control": (lambda run: (run.path / "control.json").write_text("{}"), "not a file that runs have"),
    "no-configuration": (lambda run: (run.path / "config.json").unlink(), "neither a run"),
    "wrong-configuration": (lambda run: (run.path / "config.json").write_text('{"epochs": -1}'), "epochs"),
    "large-configuration": (lambda run: (run.path / "config.json").write_bytes(b" " * 1_000_001), "at most"),
    "nested-configuration": (lambda run: (run.path / "config.json").write_text("[" * 100_000), "not JSON"),
    "changed-weights": (
        lambda run: (find_checkpoint(run, "last").path / "weights.safetensors").write_bytes(b"x"),
        "not as it was written",
    ),
    "missing-weights": (
        lambda run: (find_checkpoint(run, "last").path / "weights.safetensors").unlink(),
        "weights.safetensors is missing",
    ),
    "no-manifest": (lambda run: (find_checkpoint(run, "last").path / "manifest.json").unlink(), "manifest"),
    "other-manifest": (with_other_manifest, "manifest names other files"),
    "nan": (with_weights("head.1.bias", torch.full((10,), float("nan"))), "not finite"),
    "other-shape": (with_weights("head.1.bias", torch.zeros(11)), "don't fit"),
    "one-too-many": (with_weights("extra", torch.zeros(11)), "don't fit"),
    "foreign-optimizer": (with_foreign_optimizer, "belongs to no weight"),
    "other-network": (with_other_network, "another network"),
    "network-that-is-none": (
        lambda run: resealed(find_checkpoint(run, "last"), network_json=b'{"model": 1}'),
        "description of a network",
    ),
    "state-that-is-none": (
        lambda run: resealed(find_checkpoint(run, "last"), state_json=b'{"epoch": "x"}'),
        "state of a training",
    ),
    "pointer-that-leads-out": (pointing("../../../../etc"), "names no checkpoint"),
    "pointer-to-nothing": (pointing("epoch-0099"), "names no checkpoint"),
    "pointer-that-is-no-text": (pointing(["x"]), "names no checkpoint"),
    "pointer-without-seal": (
        lambda run: (run.checkpoints / "best.json").write_text('{"checkpoint": "epoch-0001"}'),
        "names no checkpoint",
    ),
    "unknown-event": (with_event(kind="explosion"), "not one that this version"),
    "event-without-fields": (with_event(kind="ended"), "not one that this version"),
    "event-of-other-types": (with_event(kind="ended", reason="finished", message=["x"]), "not one that this version"),
    "event-of-unknown-reason": (with_event(kind="ended", reason="won", message="x"), "not one that this version"),
    "figures-of-other-classes": (
        with_event(
            kind="evaluation",
            epoch=1,
            step=1,
            examples=1,
            seconds=1.0,
            split="test",
            loss=1.0,
            accuracy=1.0,
            correct=[1],
            support=[1],
        ),
        "not one that this version",
    ),
    "change-of-a-frozen-setting": (
        with_event(
            kind="changed",
            number=1,
            step=1,
            epoch=1,
            examples=1,
            seconds=1.0,
            after_evaluation=True,
            setting="model.name",
            before=1,
            after=2,
        ),
        "not one that this version",
    ),
    "enormous-numbers": (with_event(kind="ended", reason="finished", message="x", epoch=10**400), "not one that this version"),
    "record-of-objects": (
        with_array("epoch-0001.npy", np.array([Harmful(Path("/tmp/trainscope-marker"))], dtype=object)),
        "another kind",
    ),
    "record-of-other-length": (with_array("epoch-0001.npy", RECORD), "10 images"),
    "record-of-text": (with_array("epoch-0001.npy", np.array(["x"])), "another kind"),
    "record-that-lies": (
        lambda run: (run.records / "epoch-0001.npy").write_bytes((run.records / "epoch-0001.npy").read_bytes()[:-1]),
        "another size",
    ),
    "record-of-no-probabilities": (with_probabilities(np.nan), "holds probabilities that are none"),
    "record-of-negative-probabilities": (with_probabilities(-0.5), "holds probabilities that are none"),
    "filters-of-nothing": (with_array("filters-0001.npy", np.zeros((0, 1, 3, 3), "<f2")), "other filters"),
    "filters-without-width": (with_array("filters-0001.npy", np.zeros((4, 1, 0, 0), "<f2")), "other filters"),
    "filters-too-wide": (with_array("filters-0001.npy", np.zeros((32, 1, 1, 3000), "<f2")), "other filters"),
    "record-that-is-none": (lambda run: (run.records / "epoch-0001.npy").write_bytes(b"x" * 200), "not a plain array"),
    "pictures-of-other-classes": (
        lambda run: np.save(
            run.records / "pictures.npy", np.load(run.records / "pictures.npy") + np.array([[0], [10]], np.uint32)
        ),
        "classes that the network does not have",
    ),
    "notes-that-are-none": (lambda run: (run.path / "notes.json").write_text('{"name": {"a": []}}'), "what a person wrote"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_tampered_run_is_refused_with_its_reason_and_leaves_nothing(trained, other, tmp_path, case):
    change, says = TAMPERED[case]
    _, run = trained
    with pytest.raises(InputError) as refusal:
        load_file(other, tampered(run, tmp_path, change), "run.zip")
    assert says in str(refusal.value)
    assert list(other.runs.iterdir()) == []
    assert not Path("/tmp/trainscope-marker").exists()


def test_run_that_does_not_fit_on_the_disk_is_refused_before_it_is_unpacked(trained, other, tmp_path, monkeypatch):
    from collections import namedtuple

    path = bundle(trained[1], tmp_path)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9, 1000))
    with pytest.raises(InputError, match=r"no room for the run: .* are needed, 1\.0 kB are free"):
        load_file(other, path, "run.zip")
    assert list(other.runs.iterdir()) == []


def test_names_in_a_bundle_never_leave_the_folder_of_runs(trained, other, tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("../../evil", "run/config.json", "run/checkpoints/epoch-0001/../../../../evil/weights.safetensors"):
            archive.writestr(name, b"x")
    path = tmp_path / "evil.zip"
    path.write_bytes(out.getvalue())
    with pytest.raises(InputError, match="leads out"):
        load_file(other, path, "evil.zip")
    assert not list(tmp_path.glob("**/evil"))


def test_run_of_a_hostile_root_gets_an_id_of_ours(trained, other, tmp_path):
    _, run = trained
    source = bundle(run, tmp_path)
    for number, root in enumerate(("evil; rm -rf", ".new-x", "20260101-000000-UPPER-0000", "x" * 200)):
        renamed = tmp_path / f"renamed{number}.zip"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(renamed, "w") as new:
            for info in old.infolist():
                new.writestr(f"{root}/{info.filename.partition('/')[2]}", old.read(info))
        assert ID_PATTERN.fullmatch(load_file(other, renamed, "run.zip").run.id)


def test_real_torchscript_archive_is_refused_with_how_to_save_its_weights(other, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have us use something newer
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "scripted.pt")
    with pytest.raises(InputError, match=r"TorchScript archive, .* torch\.save\(torch\.jit\.load"):
        load_file(other, tmp_path / "scripted.pt", "scripted.pt", digits_config())
