"""Networks of one's own: kept under a name, taken elsewhere as a file, refused in a sentence where the file is none."""

import json

import pytest

from core.config import LayerNetwork
from core.errors import InputError
from core.layers import Conv2d, Flatten, Linear, Residual
from core.models.own_networks import MOST_BYTES, as_json, delete_network, faults_by_row, from_json, own_networks, save_network

MINE = LayerNetwork(
    name="mine", rows=(Conv2d(channels=3, bias=False), Residual(over=1), Conv2d(channels=3, padding=1), Flatten(), Linear())
)


def test_a_network_is_kept_under_its_name_replaced_and_deleted(workspace):
    assert save_network(workspace, MINE.model_copy(update={"name": " mine "})) == MINE
    assert own_networks(workspace) == {"mine": MINE}
    other = MINE.model_copy(update={"rows": (Flatten(), Linear())})
    save_network(workspace, other)
    save_network(workspace, other.model_copy(update={"name": "../其他"}))
    assert list(own_networks(workspace)) == ["../其他", "mine"]
    assert own_networks(workspace)["mine"] == other
    delete_network(workspace, "mine")
    delete_network(workspace, "mine")
    assert list(own_networks(workspace)) == ["../其他"]
    assert len(list(workspace.networks.iterdir())) == 1


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 101])
def test_a_name_that_can_not_be_is_refused(workspace, name):
    with pytest.raises(InputError, match="can't be the name of a network"):
        save_network(workspace, LayerNetwork.model_construct(name=name, rows=MINE.rows))
    assert own_networks(workspace) == {}


def test_a_damaged_one_is_passed_over(workspace):
    save_network(workspace, MINE)
    (workspace.networks / "broken.json").write_text("{")
    (workspace.networks / "0000000000000000.json").write_text(as_json(MINE))  # a copy under another name
    assert own_networks(workspace) == {"mine": MINE}


def test_it_comes_back_from_its_file():
    assert from_json(as_json(MINE).encode()) == MINE


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x89PNG", "The file is no JSON"),
        (b"[" * 100_000, "The file is no JSON"),
        (b"[]", "The file is not a network of rows"),
        (b'{"rows": [], "run": 1}', "The file is not a network of rows"),
        (b" " * (MOST_BYTES + 1), "expected at most 1,000,000"),
        (json.dumps({"name": "x", "rows": [{"layer": "conv2d", "kernel": 0}]}).encode(), "row 1 (conv2d), kernel: found 0"),
        (json.dumps({"name": 3, "rows": [{"layer": "relu"}]}).encode(), "model.name: found 3"),
        (json.dumps({"name": "x", "rows": [{"layer": "exec"}]}).encode(), "row 1: found layer 'exec'"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(data, sentence):
    with pytest.raises(InputError) as refusal:
        from_json(data)
    assert sentence in str(refusal.value)


def test_faults_are_told_by_row():
    rows = [{"layer": "relu"}, {"layer": "conv2d", "kernel": 0, "channels": 0}, {"layer": "max-pool2d", "padding": 3}]
    with pytest.raises(InputError) as refusal:
        from_json(json.dumps({"name": "x", "rows": rows}).encode())
    found = faults_by_row(refusal.value)
    assert list(found) == [2, 3]
    assert found[2][1].startswith("Kernel: found 0, expected a whole number")
    assert found[3] == ["Padding 3 is more than half of kernel 2, which pooling does not take."]
