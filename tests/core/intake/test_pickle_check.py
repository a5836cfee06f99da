"""The structural check: what torch.save writes is understood to the last tensor, and nothing in a pickle ever runs."""

import argparse
import collections
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import InputError
from core.intake.pickle_as_data import MAX_OPCODES, Opaque, read_pickle
from core.intake.pickle_check import TORCH_ZIP_LIMITS, read_torch_archive
from core.intake.state_dict import find_state_dicts
from core.intake.tensors import StoredTensor
from core.zips import open_zip
from tests.fixtures.hostile_files import PROTOCOLS, attacks, execution_samples, mutated, start, tensor_pickle, torch_zip


def read(tmp_path: Path, content: bytes):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with open_zip(path, TORCH_ZIP_LIMITS) as archive:
        return read_torch_archive(archive)


def saved(value: object, protocol: int = 2) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, pickle_protocol=protocol)
    return out.getvalue()


@pytest.mark.parametrize("protocol", PROTOCOLS[1:])
def test_plain_values_are_read_as_pickle_reads_them(protocol):
    value = {
        "text": "ü",
        "number": -5,
        "large": 2**70,
        "fraction": 1e300,
        "flags": [True, False, None],
        "tuple": (1, (2, 3), ()),
        "one": (1,),
        "two": (1, 2),
        "four": (1, 2, 3, 4),
        "dict": {1: {"a": []}},
        "empty": {},
        "long": "x" * 1000,
        "many": list(range(3000)),
        "shared": [[1]] * 3,
    }
    content = pickle.dumps(value, protocol)
    assert read_pickle(content) == (pickle.loads(content), [])


@pytest.mark.parametrize("protocol", PROTOCOLS[1:])
def test_tensors_are_described_as_torch_says_of_them(tmp_path, protocol):
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "plain": base,
        "transposed": base.transpose(0, 2),
        "part": base[:, 1:, ::2],
        "half": base.half(),
        "bf16": base.bfloat16(),
        "double": base.double(),
        "long": base.long(),
        "number": torch.tensor(3.0),
        "empty": torch.zeros(0, 4),
        "flags": base > 3,
        "parameter": nn.Parameter(base.clone()),
        "last": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "expanded": torch.ones(1).expand(5),
        "complex": torch.zeros(2, dtype=torch.complex64),
        "unsigned": torch.zeros(3, dtype=torch.uint16),
    }
    content = saved({"state_dict": collections.OrderedDict(tensors)}, protocol)
    archive = read(tmp_path, content)
    found = archive.content["state_dict"]
    names = {
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "F64": torch.float64,
        "I64": torch.int64,
        "BOOL": torch.bool,
        "C64": torch.complex64,
        "U16": torch.uint16,
    }
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        stored = found[name]
        assert isinstance(stored, StoredTensor), name
        assert (stored.shape, names[stored.dtype]) == (tuple(tensor.shape), tensor.dtype), name
        if (
            tensor.numel() == tensor.untyped_storage().nbytes() // tensor.element_size()
            and tensor.is_contiguous()
            and tensor.numel()
        ):
            first = archive.starts[stored.storage] + stored.offset
            raw = content[first : first + tensor.numel() * tensor.element_size()]
            assert raw == tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes(), name


@pytest.mark.parametrize("protocol", PROTOCOLS[1:])
def test_what_honest_scripts_keep_beside_weights_is_passed_over(tmp_path, protocol):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    value = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best_acc": np.float64(0.9),
        "loss": np.float32(0.1),
        "args": argparse.Namespace(lr=0.1, out=Path("x")),
        "history": np.arange(4.0),
        "rng": torch.get_rng_state(),
        "counts": collections.Counter("aab"),
        "by": collections.defaultdict(list, {"a": [1]}),
        "set": {1, 2},
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
        "bytes": b"x",
        "array": bytearray(b"xy"),
        "frozen": frozenset([1]),
    }
    content = read(tmp_path, saved(value, protocol)).content
    assert list(content) == list(value)
    assert list(content["model"]) == ["weight", "bias"]
    assert content["args"] == Opaque("argparse.Namespace") or isinstance(content["args"], Opaque)
    assert content["counts"] == {"a": 2, "b": 1}


def test_attacks_of_the_corpus_are_real():
    """Else the tests below would prove nothing: the standard library's unpickler does run them."""
    program = (
        "import pickle, pathlib, sys; sys.path.insert(0, {root!r})\n"
        "from tests.fixtures.hostile_files import attacks, start\n"
        "for protocol in range(6):\n"
        "    for kind in ('os-system', 'eval', 'exec', 'getattr-chain', 'inst', 'set-state', 'subprocess', 'posix-system'):\n"
        "        marker = pathlib.Path({folder!r}) / f'{{kind}}-{{protocol}}'\n"
        "        body = dict(attacks(marker, protocol))[kind]\n"
        "        try: pickle.loads(start(protocol) + body + b'.')\n"
        "        except Exception: pass\n"
        "        print(marker.exists(), kind, protocol)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(__file__).resolve().parents[3])
        out = subprocess.run(
            [sys.executable, "-c", program.format(root=root, folder=folder)], capture_output=True, text=True, check=True
        )
    lines = out.stdout.splitlines()
    assert len(lines) == 48
    assert all(line.startswith("True") for line in lines), out.stdout


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_attack_runs_when_read(tmp_path, protocol):
    marker = tmp_path / "marker"
    for kind, body in attacks(marker, protocol):
        with pytest.raises(InputError) as refusal:
            read_pickle(start(protocol) + body + b".")
        assert "can't be taken" in str(refusal.value), kind
        assert "weights_only" not in str(refusal.value)
    assert not marker.exists()


def test_dangerous_names_are_named():
    with pytest.raises(InputError, match=r"calls 'os\.system'"):
        read_pickle(b"cos\nsystem\n(Vls\ntR.")
    with pytest.raises(InputError, match=r"'builtins\.eval'"):
        read_pickle(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.")


@pytest.mark.parametrize("model", [nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2), nn.DataParallel(nn.Linear(2, 2))])
def test_whole_model_is_refused_with_how_to_save_its_weights(tmp_path, model):
    for value in (model, {"model": model}):
        with pytest.raises(InputError, match=r"whole pickled model.*torch\.save\(model\.state_dict\(\)"):
            read(tmp_path, saved(value))


def test_model_of_ones_own_class_is_refused_as_a_whole_model(tmp_path):
    from core.models.catalogue import build_model
    from tests.fixtures.hostile_files import small_spec

    with pytest.raises(InputError, match="whole pickled model"):
        read(tmp_path, saved(build_model(small_spec().model, (1, 8, 8), 3)))


def test_length_of_a_pickle_is_bounded():
    assert read_pickle(b"](" + b"N" * (MAX_OPCODES - 4) + b"e.")
    with pytest.raises(InputError, match="500,000"):
        read_pickle(b"](" + b"N" * (MAX_OPCODES - 3) + b"e.")


def test_storage_must_be_as_long_as_it_says(tmp_path):
    floats = np.arange(100, dtype="<f4").tobytes()
    archive = read(tmp_path, torch_zip(tensor_pickle((10, 10), 100), {"0": floats}))
    assert archive.content["w"].shape == (10, 10)
    for numel in (99, 101, 2**29, 0, -100):
        with pytest.raises(InputError):
            read(tmp_path, torch_zip(tensor_pickle((1,), numel), {"0": floats}))


def test_changed_byte_anywhere_in_the_numbers_is_noticed(tmp_path):
    content = bytearray(saved({"w": torch.ones(1000)}))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        at = next(info.header_offset for info in archive.infolist() if info.filename.endswith("data/0"))
    content[at + 2000] ^= 1
    with pytest.raises(InputError, match="checksum"):
        read(tmp_path, bytes(content))


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickle_changed_at_random_is_read_or_refused_and_nothing_else(protocol):
    """Without the archive's checksums, which an attacker makes right."""
    value = {"net": nn.Linear(3, 2).state_dict(), "args": argparse.Namespace(lr=0.1), "acc": np.float64(1), "set": {1, 2}}
    with zipfile.ZipFile(io.BytesIO(saved(value, protocol))) as archive:
        content = archive.read("archive/data.pkl")
    outcomes = collections.Counter()
    for seed in range(1500):
        try:
            found, _ = read_pickle(mutated(content, seed))
            find_state_dicts(found)
            outcomes["read"] += 1
        except InputError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 1000
    assert outcomes["read"] > 10


def test_corpus_of_attacks_covers_every_protocol():
    names = [sample.name for sample in execution_samples()]
    assert len(names) == len(set(names)) > 80
    for protocol in PROTOCOLS:
        assert sum(name.endswith(f"-protocol-{protocol}") for name in names) >= 13
