"""The quarantine: every hostile or broken file gets its reason within seconds, no code runs, the server's memory stays; honest files pass."""

import argparse
import collections
import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from core.config import CatalogueNetwork, Preprocessing
from core.errors import InputError
from core.intake import sandbox as sandbox
from core.intake.contract import wanted_by
from core.intake.load import kind_of
from core.intake.sandbox import Task, examine, examine_each
from core.models.network_spec import NetworkSpec
from tests.fixtures.hostile_files import (
    PROTOCOLS,
    execution_samples,
    hostile_samples,
    mutated,
    small_files,
    small_spec,
    small_state_dict,
    tensor_pickle,
    torch_zip,
    verdict,
)
from tests.fixtures.networks import LIGHT

VERDICT_S = 5.0
MEGABYTE = 2**20


def network(name: str, width: float = 1.0) -> NetworkSpec:
    shape = (1, 28, 28) if name.startswith("mnist") or name == "residual-light" else (3, 32, 32)
    classes = tuple("abcdefghij")
    return NetworkSpec(
        model=CatalogueNetwork(name=name, width=width), shape=shape, class_names=classes, preprocessing=Preprocessing()
    )


def trained(spec: NetworkSpec) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The network and its optimizer after one step."""
    torch.manual_seed(1)
    model = spec.build()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(8, *spec.shape)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def taken(tmp_path: Path, content: bytes, spec: NetworkSpec) -> tuple[dict[str, Tensor], str]:
    """(the weights that came out, what was said of them)."""
    path, out = tmp_path / "file", tmp_path / "out.safetensors"
    path.write_bytes(content)
    (notes,) = examine([Task(file=path, kind=kind_of(path), wanted=wanted_by(spec), out=out)])
    return safetensors.torch.load_file(out), " ".join(notes)


def saved(value: object, **options: object) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(found) == list(expected) and all(
        found[name].dtype == value.dtype and torch.equal(found[name], value) for name, value in expected.items()
    )


# Honest files


@pytest.mark.parametrize("name", LIGHT)
def test_honest_files_of_every_model_are_taken_bit_for_bit(tmp_path, name):
    spec = network(name)
    model, optimizer = trained(spec)
    weights = model.state_dict()
    full = {
        "epoch": 3,
        "model_state_dict": weights,
        "optimizer_state_dict": optimizer.state_dict(),
        "loss": torch.tensor(0.5),
        "best_acc": np.float64(0.9),
        "args": argparse.Namespace(lr=0.1, out=Path("x")),
    }
    files = {
        "state_dict": saved(weights),
        "checkpoint": saved(full),
        "parameters": saved(dict(model.named_parameters()) | dict(model.named_buffers())),
        "data-parallel": saved(nn.DataParallel(model).state_dict()),
        "compiled": saved({f"_orig_mod.{key}": value for key, value in weights.items()}),
        "averaged": saved(AveragedModel(model).state_dict()),
        "lightning": saved({"state_dict": {f"model.{key}": value for key, value in weights.items()}, "callbacks": {}}),
        "channels-last": saved(model.to(memory_format=torch.channels_last).state_dict()),
        "safetensors": safetensors.torch.save(weights),
        **{f"protocol-{p}": saved(full, pickle_protocol=p) for p in PROTOCOLS[1:]},
    }
    paths = []
    for kind, content in files.items():
        path = tmp_path / kind
        path.write_bytes(content)
        paths.append(path)
    wanted = wanted_by(spec)
    tasks = [Task(file=path, kind=kind_of(path), wanted=wanted, out=tmp_path / f"{path.name}.out") for path in paths]
    examine(tasks)  # raises for the first that is not taken
    for task in tasks:
        assert same(safetensors.torch.load_file(task.out), weights), task.file.name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_as_torch_converts_them(tmp_path, dtype):
    weights = {name: value.to(dtype) if value.is_floating_point() else value for name, value in small_state_dict().items()}
    expected = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    for content in (saved(weights), safetensors.torch.save(weights)):
        found, said = taken(tmp_path, content, small_spec())
        assert same(found, expected)
        assert str(dtype).removeprefix("torch.") in said


TUTORIALS = {
    "mnist-first-cnn": [
        ("conv1", nn.Conv2d(1, 10, 5)),
        ("conv2", nn.Conv2d(10, 20, 5)),
        ("fc1", nn.Linear(320, 50)),
        ("fc2", nn.Linear(50, 10)),
    ],
    "cifar10-quick": [
        ("model1.0", nn.Conv2d(3, 32, 5)),
        ("model1.2", nn.Conv2d(32, 32, 5)),
        ("model1.4", nn.Conv2d(32, 64, 5)),
        ("model1.7", nn.Linear(1024, 64)),
        ("model1.8", nn.Linear(64, 10)),
    ],
    "mnist-batchnorm-cnn": [
        ("conv1", nn.Conv2d(1, 8, 3)),
        ("conv2", nn.Conv2d(8, 16, 3)),
        ("bn", nn.BatchNorm2d(8)),
        ("fc", nn.Linear(3136, 10)),
    ],
    "cifar10-blitz": [
        ("conv1", nn.Conv2d(3, 6, 5)),
        ("conv2", nn.Conv2d(6, 16, 5)),
        ("fc1", nn.Linear(400, 120)),
        ("fc2", nn.Linear(120, 84)),
        ("fc3", nn.Linear(84, 10)),
    ],
}


@pytest.mark.parametrize("name", TUTORIALS)
def test_layers_named_as_the_tutorial_names_them_are_taken_by_their_shapes(tmp_path, name):
    theirs = collections.OrderedDict(
        (f"{layer}.{key}", torch.rand(value.shape) if value.is_floating_point() else value)
        for layer, module in TUTORIALS[name]
        for key, value in module.state_dict().items()
    )
    for content in (saved(theirs), safetensors.torch.save(theirs)):
        found, said = taken(tmp_path, content, network(name))
        assert "named otherwise" in said
        # each of ours has the numbers of one of theirs, and none is used twice
        sources = [next(key for key, value in theirs.items() if torch.equal(value, ours)) for ours in found.values()]
        assert sorted(sources) == sorted(theirs)
        kinds = [(a.rpartition(".")[2], b.rpartition(".")[2]) for a, b in zip(found, sources, strict=True)]
        assert all(a == b for a, b in kinds)
        convolutions = [source for source in sources if source.endswith("weight") and theirs[source].ndim == 4]
        assert convolutions == [key for key in theirs if key.endswith("weight") and theirs[key].ndim == 4]


def test_layers_of_equal_shape_keep_their_order_also_past_the_tenth(tmp_path):
    """The perceptron's middle layer and a file whose layers are called 2, 9 and 10: sorted by name, 10 would come first."""
    spec = NetworkSpec(
        model=CatalogueNetwork(name="mlp", width=0.25),
        shape=(1, 8, 8),
        class_names=tuple(map(str, range(64))),
        preprocessing=Preprocessing(),
    )
    weights = spec.build().state_dict()  # 64 → 64 → 64 → 64: all layers alike
    renamed = {
        name.replace("layers.1.", "body.2.").replace("layers.3.", "body.9.").replace("layers.5.", "body.10."): value
        for name, value in weights.items()
    }
    for content in (saved(renamed), safetensors.torch.save(renamed)):
        found, _ = taken(tmp_path, content, spec)
        assert same(found, weights)


def test_missing_counter_of_batches_starts_at_zero(tmp_path):
    weights = small_state_dict()
    found, _ = taken(tmp_path, saved({n: v for n, v in weights.items() if not n.endswith("num_batches_tracked")}), small_spec())
    assert same(found, {n: torch.tensor(0) if n.endswith("num_batches_tracked") else v for n, v in weights.items()})


def test_first_dict_of_tensors_that_fits_is_taken(tmp_path):
    weights = small_state_dict()
    other = {"weight": torch.rand(3, 3)}
    found, said = taken(tmp_path, saved({"model": other, "generator": weights}), small_spec())
    assert same(found, weights)
    assert "'generator'" in said
    assert "'model'" in said


def test_what_is_passed_over_is_named(tmp_path):
    _, said = taken(tmp_path, saved({"net": small_state_dict(), "epoch": 3, "optimizer": {"state": {}}}), small_spec())
    assert said == "The weights were taken from 'net' in the file. Not taken over: 'epoch', 'optimizer'."


# What does not fit


def refused(tmp_path: Path, value: object, spec: NetworkSpec | None = None) -> str:
    with pytest.raises(InputError) as refusal:
        taken(tmp_path, value if isinstance(value, bytes) else saved(value), spec or small_spec())
    assert "weights_only=False" not in str(refusal.value)
    return str(refusal.value)


def test_missing_unexpected_and_misshapen_entries_are_listed(tmp_path):
    weights = small_state_dict()
    del weights["features.0.bias"]
    weights["extra.weight"] = torch.zeros(2, 3)
    weights["head.1.weight"] = torch.zeros(7, 64)
    said = refused(tmp_path, weights)
    assert "1 missing: 'features.0.bias'" in said
    assert "1 unexpected: 'extra.weight' 2 × 3" in said
    assert "1 of another shape: 'head.1.weight' is 7 × 64, expected 10 × 64" in said


def test_long_lists_are_cut_and_counted(tmp_path):
    said = refused(tmp_path, {f"layer{n}.weight": torch.zeros(1) for n in range(500)})
    assert "500 unexpected: " in said
    assert "and 490 more" in said
    assert len(said) < 3000


def test_classes_that_differ_are_told_by_the_last_layer(tmp_path):
    spec = small_spec()
    five = NetworkSpec(model=spec.model, shape=spec.shape, class_names=tuple("abcde"), preprocessing=spec.preprocessing)
    said = refused(tmp_path, five.build().state_dict())
    assert "'head.1.weight' is 5 × 64, expected 10 × 64" in said
    assert "the data set (for its classes)" in said


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("form", ["torch", "safetensors", "transposed"])
def test_number_that_is_not_finite_is_refused_with_its_entry(tmp_path, number, form):
    weights = small_state_dict()
    weights["features.4.weight"][1, 0, 2, 2] = number
    if form == "transposed":
        weights["features.4.weight"] = weights["features.4.weight"].transpose(2, 3).contiguous().transpose(2, 3)
    said = refused(tmp_path, safetensors.torch.save(weights) if form == "safetensors" else saved(weights))
    assert "not finite" in said
    assert "'features.4.weight'" in said


def test_double_that_is_infinite_as_float_is_refused(tmp_path):
    weights = small_state_dict()
    weights["head.1.bias"] = torch.full((10,), 1e300, dtype=torch.float64)
    assert "not finite" in refused(tmp_path, weights)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool, torch.float8_e4m3fn])
def test_other_types_are_refused(tmp_path, dtype):
    weights = small_state_dict()
    weights["head.1.bias"] = torch.zeros(10).to(dtype)
    assert "1 of another type: 'head.1.bias' is " in refused(tmp_path, weights)


def test_optimizer_alone_is_no_network(tmp_path):
    _, optimizer = trained(small_spec())
    assert "no weights" in refused(tmp_path, optimizer.state_dict()) or "don't fit" in refused(tmp_path, optimizer.state_dict())


def test_network_beyond_all_bounds_is_refused_before_memory_is_taken():
    def of(**changes: object) -> NetworkSpec:
        return small_spec().model_copy(update=changes)

    began = time.monotonic()
    for spec in (
        of(model=CatalogueNetwork(name="mlp", width=16), shape=(3, 4096, 4096)),
        of(shape=(10**9, 8, 8)),
        of(shape=(1, 10**9, 8)),
        of(shape=(0, 8, 8)),
        of(shape=(1, -8, 8)),
        of(class_names=()),
        of(class_names=("x",) * 100_001),
    ):
        with pytest.raises(InputError):
            wanted_by(spec)
    assert time.monotonic() - began < 1


# Hostile and broken files


def memory_peak_reset() -> int:
    """Bytes of memory that this process holds now; its peak is counted anew from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def test_attacks_of_every_protocol_are_refused_and_none_runs(tmp_path):
    marker = tmp_path / "marker"
    wanted = wanted_by(small_spec())
    tasks, says = [], []
    for sample in execution_samples():
        path = tmp_path / sample.name
        path.write_bytes(sample.make(marker))
        try:
            tasks.append(Task(file=path, kind=kind_of(path), wanted=wanted))
            says.append(sample.says)
        except InputError as error:
            assert sample.says in str(error)
    began = time.monotonic()
    for task, said, verdict_ in zip(tasks, says, examine_each(tasks), strict=True):
        assert isinstance(verdict_, InputError), task.file.name
        assert said in str(verdict_), task.file.name
    assert time.monotonic() - began < VERDICT_S
    assert not marker.exists()


def test_hostile_files_get_their_reason_in_time_and_cost_the_server_no_memory(tmp_path):
    marker = tmp_path / "marker"
    protocols = {sample.name for sample in execution_samples()}
    samples = [sample for sample in hostile_samples() if sample.name not in protocols]
    assert len(samples) > 90
    paths = []
    for number, sample in enumerate(samples):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "made").write_bytes(sample.make(marker))
        paths.append(folder)
    wanted = wanted_by(small_spec())

    def examined(folder: Path) -> tuple[str, float]:
        began = time.monotonic()
        try:
            examine([Task(file=folder / "made", kind=kind_of(folder / "made"), wanted=wanted, out=folder / "out")])
            said = ""
        except InputError as error:
            said = str(error)
        return said, time.monotonic() - began

    before = memory_peak_reset() if sys.platform == "linux" else 0
    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(examined, paths))
    if sys.platform == "linux":
        assert _status("VmHWM") - before < 50 * MEGABYTE
    for sample, (said, seconds) in zip(samples, verdicts, strict=True):
        assert sample.says in said, f"{sample.name}: {said}"
        assert seconds < VERDICT_S, sample.name
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_truncated_and_changed_files_get_a_verdict_and_never_other_weights(tmp_path, kind):
    content = small_files()[kind]
    wanted = wanted_by(small_spec())
    tasks, early = [], 0
    variants = [mutated(content, seed) for seed in range(300)] + [content[: len(content) * n // 20] for n in range(20)]
    for number, variant in enumerate(variants):
        path = tmp_path / f"{number}"
        path.write_bytes(variant)
        try:
            tasks.append(Task(file=path, kind=kind_of(path), wanted=wanted, out=tmp_path / f"{number}.out"))
        except InputError:
            early += 1
    verdicts = examine_each(tasks)
    accepted = [task.out for task, found in zip(tasks, verdicts, strict=True) if not isinstance(found, InputError)]
    assert len(accepted) < len(variants) / 2 or kind == "safetensors"  # safetensors have no checksum: changed numbers pass
    for out in accepted:
        weights = safetensors.torch.load_file(out)
        assert all(bool(value.isfinite().all()) for value in weights.values())
        if kind == "torch":
            assert same(weights, small_state_dict())


def test_large_honest_file_costs_the_server_no_memory(tmp_path):
    spec = NetworkSpec(
        model=CatalogueNetwork(name="mlp", width=16),
        shape=(3, 32, 32),
        class_names=tuple("abcdefghij"),
        preprocessing=Preprocessing(),
    )
    path, out = tmp_path / "large.pt", tmp_path / "out"
    weights = {name: torch.full(want.shape, 0.5) for name, want in wanted_by(spec).items()}
    torch.save(weights, path)
    del weights
    assert path.stat().st_size > 100 * MEGABYTE
    before = memory_peak_reset()
    began = time.monotonic()
    examine([Task(file=path, kind=kind_of(path), wanted=wanted_by(spec), out=out)])
    assert time.monotonic() - began < VERDICT_S
    assert _status("VmHWM") - before < 50 * MEGABYTE
    assert out.stat().st_size > 100 * MEGABYTE


# The process itself


def test_reader_never_loads_torch_nor_pickle_of_its_own():
    program = "import sys, core.intake.sandbox_child; print(sorted({'torch', 'pydantic', 'streamlit'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=sandbox.PROJECT)
    assert out.stdout.strip() == "[]"


def test_reader_that_takes_too_long_is_ended_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "S_PER_GIGABYTE", 0.0)
    path = tmp_path / "file.pt"
    path.write_bytes(small_files()["torch"])
    with pytest.raises(InputError, match=r"could not be read within"):
        examine([Task(file=path, kind="torch", wanted=wanted_by(small_spec()))], base_s=0.001)
    assert readers() == []  # none is left behind


def readers() -> list[int]:
    """Reading processes of ours that are still there, dead ones that nobody has collected too."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and b"sandbox_child" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_reader_that_wants_too_much_memory_is_ended_with_a_sentence(tmp_path):
    path = tmp_path / "file.pt"
    path.write_bytes(torch_zip(b"](" + b"]" * 400_000 + b"e."))
    with pytest.raises(InputError, match="more memory or time"):
        examine([Task(file=path, kind="torch", wanted=wanted_by(small_spec()))], memory_bytes=60_000_000)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_reader_that_is_killed_is_told_in_a_sentence(tmp_path, monkeypatch, number):
    """Whatever brings it down, the server sees an InputError and nothing of the child's."""
    program = f"import os, sys; sys.stderr.write('advice'); os.kill(os.getpid(), {int(number)})"
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: real([sys.executable, "-c", program], **options))
    path = tmp_path / "file.pt"
    path.write_bytes(small_files()["torch"])
    with pytest.raises(InputError) as refusal:
        examine([Task(file=path, kind="torch", wanted=wanted_by(small_spec()))])
    assert "advice" not in str(refusal.value)


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "nothing", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a file"):
            kind_of(path)


def test_environment_is_not_handed_on(monkeypatch):
    seen = {}

    def spy(command, **options):
        seen.update(options["env"])
        raise OSError

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setattr(subprocess, "Popen", spy)
    with pytest.raises(OSError):
        examine([])
    assert not {name for name in seen if name.startswith("TORCH") or "SECRET" in name}


def test_verdict_helper_of_the_corpus_takes_what_is_honest(tmp_path):
    assert [verdict(tmp_path, content) for content in small_files().values()] == ["", ""]
    assert "don't fit" in verdict(tmp_path, torch_zip(tensor_pickle((100,), 100), {"0": bytes(400)}))
