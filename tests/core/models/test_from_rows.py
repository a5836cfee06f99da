"""Networks put together from rows of layers: what PyTorch makes of the same lines, and sentences where something does not fit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from core.config import CatalogueNetwork, LayerNetwork
from core.errors import InputError
from core.export.bundles import run_zip
from core.inference.predictor import predict
from core.intake.load import load_file
from core.layers import (
    LAYERS,
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
)
from core.models import residual
from core.models.catalogue import build_model, describe_model
from core.models.from_rows import examine, from_rows, layer_of
from core.models.to_rows import REFERENCES, as_rows
from core.running.branch import begun_from, create_branch
from core.running.plan import complete
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint
from core.runs.directory import create_run
from core.settings import changed, config_from, settings_of
from core.workspace import open_workspace

FIRST_CNN = (
    Conv2d(channels=10, kernel=5),
    MaxPool2d(),
    ReLU(),
    Conv2d(channels=20, kernel=5),
    Dropout2d(),
    MaxPool2d(),
    ReLU(),
    Flatten(),
    Linear(features=50),
    ReLU(),
    Dropout(),
    Linear(),
)


def test_rows_of_the_first_cnn_are_the_first_cnn_to_the_last_bit():
    images = torch.rand(4, 1, 28, 28)
    outputs = []
    for config in (CatalogueNetwork(name="mnist-first-cnn"), LayerNetwork(rows=FIRST_CNN)):
        torch.manual_seed(3)
        outputs.append(build_model(config, (1, 28, 28), 10).eval()(images))
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_the_one_of_torch_with_the_settings_of_its_row(name):
    entry = LAYERS[name]
    before = (Flatten(),) if entry.takes == (1,) else ()
    after = () if entry.takes == (1,) else (Flatten(),) * (name != "flatten") + (Linear(),)
    passed = (ReLU(), ReLU()) if name == "residual" else ()
    network = from_rows((*before, entry.settings(), *passed, *after), (2, 8, 8), 5)
    assert type(network[len(before)]) is (residual.Residual if name == "residual" else getattr(nn, entry.title))
    assert network(torch.rand(3, 2, 8, 8)).shape == (3, 5)
    assert entry.summary.endswith(".")
    assert all(item.explanation for item in settings_of(entry.settings))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"layer": "linear"}], "row 1 (linear): found 1 × 8 × 8, expected a row of values. Put a flatten row before it."),
        ([{"layer": "flatten"}, {"layer": "conv2d"}], "row 2 (conv2d): found 64 values, expected images"),
        ([{"layer": "relu"}, {"layer": "conv2d", "kernel": 9}], "row 2 (conv2d): found a kernel that reaches over 9 px"),
        ([{"layer": "flatten"}, {"layer": "linear", "features": 3}], "found an output of 3 values, expected 10 values"),
        ([{"layer": "conv2d"}], "found an output of 16 × 6 × 6, expected 10 values"),
        (
            [{"layer": "conv2d", "channels": 12}, {"layer": "conv2d", "channels": 18, "groups": 4}],
            "row 2 (conv2d): found 4 groups, expected a number that divides the 18 channels of its output. "
            "Choose 1, 2, 3 or 6 groups, or other channels.",
        ),
        (
            [{"layer": "conv2d", "groups": 2}],
            "row 1 (conv2d): found 2 groups, expected a number that divides the 1 channel that arrive. Choose 1 group,",
        ),
        (
            [{"layer": "conv2d", "padding": [0, 8], "padding_mode": "reflect"}],
            "row 1 (conv2d): found a padding of 8 px, expected at most 7 px: reflect takes it from the 8 px that arrive.",
        ),
        (
            [{"layer": "conv2d", "kernel": [1, 9]}],
            "row 1 (conv2d): found a kernel that reaches over 9 px, expected at most the 8 px that arrive.",
        ),
        (
            [{"layer": "max-pool2d", "kernel": 3, "dilation": 4}],
            "row 1 (max-pool2d): found a kernel that reaches over 9 px, expected at most the 8 px that arrive.",
        ),
    ],
)
def test_what_does_not_fit_is_said_at_its_row(rows, sentence):
    config = config_from({"model": {"kind": "layers", "rows": rows}})
    with pytest.raises(InputError) as refusal:
        describe_model(config.model, (1, 8, 8), 10)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"layer": "relu"}, {"layer": "convolution"}], "model.rows, row 2: found layer 'convolution', expected one of conv2d,"),
        (
            [{"layer": "conv2d", "kernel": [3, 0]}],
            "model.rows, row 1 (conv2d), kernel: found [3, 0], expected a whole number, or two for height and width, at least 1",
        ),
        (
            [{"layer": "max-pool2d", "padding": [0, 2]}],
            "padding 0 × 2 is more than half of kernel 2, which pooling does not take",
        ),
        (
            [{"layer": "conv2d", "channels": 0}],
            "model.rows, row 1 (conv2d), channels: found 0, expected a whole number at least 1",
        ),
        ([{"layer": "relu", "slope": 1}], "model.rows, row 1 (relu), slope: there is no such setting"),
        ([{"layer": "max-pool2d", "padding": 2}], "model.rows, row 1 (max-pool2d): padding 2 is more than half of kernel 2"),
        ([{"kernel": 3}], 'model.rows, row 1: found {\'kernel\': 3}, expected an object such as {"layer": "relu"}'),
        ([], "model.rows: found [], expected a list of 1 to 200 rows"),
        ([{"layer": "relu"}] * 201, "model.rows: found 201 rows, expected at most 200."),
        ([{"layer": "x"}] * 1_000_000, "model.rows: found 1,000,000 rows, expected at most 200."),
        ("relu", "model.rows: found 'relu', expected a list of 1 to 200 rows"),
    ],
)
def test_rows_that_can_not_be_are_refused_in_one_sentence(rows, sentence):
    with pytest.raises(InputError) as refusal:
        config_from({"model": {"kind": "layers", "rows": rows}})
    assert str(refusal.value).startswith(sentence) or sentence in str(refusal.value)
    assert str(refusal.value).count("model.rows") == 1


def test_rows_of_before_mean_the_same_and_two_alike_are_one():
    written = {"layer": "conv2d", "channels": 8, "kernel": 3, "stride": 2, "padding": 1, "dilation": 1}
    rows = config_from({"model": {"kind": "layers", "rows": [written, {**written, "kernel": [3, 3]}]}}).model.rows
    assert rows[0] == rows[1] == Conv2d(channels=8, kernel=3, stride=2, padding=1)
    network = from_rows((rows[0], Flatten(), Linear()), (1, 8, 8), 10)
    assert repr(network[0]) == repr(nn.Conv2d(1, 8, 3, 2, 1, 1))


def test_a_row_says_in_words_what_is_not_the_usual():
    assert str(Conv2d(channels=32, kernel=(3, 5), padding=1, padding_mode="reflect", bias=False)) == (
        "Conv2d(channels 32, kernel 3 × 5, stride 1, padding 1, padding mode reflect, bias off)"
    )
    assert str(MaxPool2d(ceil_mode=True)) == "MaxPool2d(kernel 2, stride 2, ceil mode on)"
    assert str(ReLU()) == "ReLU()"


@pytest.mark.parametrize(
    ("row", "torchs"),
    [
        (
            Conv2d(channels=4, kernel=(3, 5), stride=(1, 2), padding=(2, 0), dilation=(2, 1), padding_mode="circular", groups=2),
            nn.Conv2d(2, 4, (3, 5), (1, 2), (2, 0), (2, 1), 2, padding_mode="circular"),
        ),
        (Conv2d(channels=4, bias=False), nn.Conv2d(2, 4, 3, bias=False)),
        (MaxPool2d(kernel=(3, 2), padding=1, dilation=2, ceil_mode=True), nn.MaxPool2d((3, 2), 2, 1, 2, ceil_mode=True)),
        (AvgPool2d(kernel=3, padding=1, count_include_pad=False), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        (AdaptiveAvgPool2d(side=(2, 3)), nn.AdaptiveAvgPool2d((2, 3))),
    ],
)
def test_settings_of_a_row_are_those_of_torch(row, torchs):
    layer, leaving = layer_of(row, (2, 9, 7), 5, "Row 1")
    assert repr(layer) == repr(torchs)
    assert leaving == tuple(torchs(torch.rand(1, 2, 9, 7)).shape[1:])


ROWS = st.lists(
    st.one_of(
        st.builds(
            Conv2d,
            channels=st.integers(1, 8),
            kernel=st.integers(1, 7) | st.tuples(st.integers(1, 7), st.integers(1, 7)),
            padding=st.integers(0, 9),
            stride=st.integers(1, 3),
            groups=st.integers(1, 3),
            padding_mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
        ),
        st.builds(Residual, over=st.integers(1, 4)),
        st.builds(MaxPool2d, kernel=st.integers(2, 4), stride=st.integers(1, 3), ceil_mode=st.booleans()),
        st.sampled_from([ReLU(), Flatten(), Linear(), Linear(features=7), Dropout()]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_rows_of_a_reference_network_train_a_step_as_it_does_to_the_last_bit(name, shape):
    states = []
    for config in (CatalogueNetwork(name=name), as_rows(name, shape, 10)):
        torch.manual_seed(5)
        model = build_model(config, shape, 10).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        nn.functional.cross_entropy(model(torch.rand(8, *shape)), torch.arange(8)).backward()
        optimizer.step()
        states.append(list(model.state_dict().values()))
    assert [tensor.shape for tensor in states[0]] == [tensor.shape for tensor in states[1]]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))


def test_a_shortcut_adds_what_arrives_to_what_its_rows_make_of_it():
    rows = (Conv2d(channels=4), Residual(over=2), Conv2d(channels=4, padding=1), ReLU(), Flatten(), Linear())
    network = from_rows(rows, (1, 8, 8), 3)
    images = torch.rand(2, 1, 8, 8)
    before = network[0](images)
    assert torch.equal(network[1](before), before + network[1][1](network[1][0](before)))
    states, misfit = examine(rows, (1, 8, 8), 3)
    assert misfit is None
    assert states[2].shape == (4, 6, 6) and states[2].num_parameters == 0, "its rows have them"
    assert sum(state.num_parameters for state in states.values()) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("rows", "row", "mended"),
    [
        ([Linear()], 1, "Put a Flatten before it"),
        ([Flatten(), Conv2d(), Linear()], 2, "Put it before the Flatten"),
        ([Conv2d(kernel=12), Flatten(), Linear()], 1, "Use kernel 8"),
        ([Conv2d(channels=6, groups=4), Flatten(), Linear()], 1, "Use 1 group"),
        ([Conv2d()], 2, "Add Flatten and Linear"),
        ([Flatten()], 2, "Add a Linear"),
        ([Flatten(), Linear(features=3)], 3, "Give the last Linear one output for each class"),
        ([Residual(over=9), ReLU(), Flatten(), Linear()], 1, "Let it pass over 3"),
        ([Residual(over=1), Conv2d(), Flatten(), Linear()], 1, "Let its convolutions keep channels and size"),
        ([Residual(over=1), MaxPool2d(), Flatten(), Linear()], 1, "Remove it"),
        ([Linear(), Conv2d()], 1, "Put a Flatten before it"),
    ],
)
def test_a_mend_is_offered_at_the_row_and_mends_it(rows, row, mended):
    _, misfit = examine(rows, (1, 8, 8), 5)
    assert misfit and (misfit.row, misfit.mend.words) == (row, mended)
    _, after = examine(misfit.mend.rows, (1, 8, 8), 5)
    assert after is None or after.row > row or after.message != misfit.message


def shapes_made(network: nn.Sequential, shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """Of what leaves each row, as PyTorch makes it."""
    made: dict[nn.Module, tuple[int, ...]] = {}
    rows = list(network.modules())[1:]  # a shortcut, then the rows that it passes: as they are written
    for row in rows:
        row.register_forward_hook(lambda row, _, leaving: made.update({row: tuple(leaving.shape[1:])}))
    assert network.eval()(torch.rand(2, *shape)).shape == (2, *made[rows[-1]])
    return [made[row] for row in rows]


@settings(deadline=None)  # up to 60 mends
@given(ROWS)
def test_mends_one_after_another_make_a_network_of_any_rows(rows):
    for _ in range(60):
        _, misfit = examine(rows, (2, 9, 7), 4)
        if misfit is None or misfit.mend is None:
            break
        rows = misfit.mend.rows
    assert misfit is None or len(rows) == 1
    if misfit is None:
        network = from_rows(rows, (2, 9, 7), 4)
        assert network.eval()(torch.rand(2, 2, 9, 7)).shape == (2, 4)


@given(ROWS)
def test_whatever_the_rows_there_is_a_network_that_answers_or_a_sentence(rows):
    try:
        network = from_rows(rows, (2, 9, 7), 4)
    except InputError as refusal:
        assert "model.rows" in refusal.message
    else:
        states, _ = examine(rows, (2, 9, 7), 4)
        assert [states[number].shape for number in sorted(states)] == shapes_made(network, (2, 9, 7))


def test_network_of_rows_trains_is_carried_to_another_machine_and_begun_from_there(tmp_path, workspace):
    rows = [{"layer": "conv2d", "channels": 4}, {"layer": "relu"}, {"layer": "flatten"}, {"layer": "linear"}]
    config = config_from(
        {"model": {"kind": "layers", "name": "mine", "rows": rows}, "epochs": 1, "threads": 1, "tensorboard": False}
    )
    config = changed(config, {"data.validation_fraction": 0.2, "data.evaluate_on": "validation", "optimizer.lr": 0.1})
    run = create_run(workspace, config)
    assert run_session(workspace, run).reason == "finished"
    assert "digits-mine" in run.id

    other = open_workspace(tmp_path / "other")
    zipped = tmp_path / "run.zip"
    zipped.write_bytes(b"".join(run_zip(run)))
    carried = load_file(other, zipped, "run.zip").run
    image = Image.fromarray(np.full((8, 8), 90, np.uint8))
    answers = [predict(find_checkpoint(which, "last"), image).probabilities for which in (run, carried)]
    assert np.array_equal(*answers)

    child = create_branch(workspace, complete(workspace, begun_from(changed(run.config, {"epochs": 2}), run, "last")))
    assert run_session(workspace, child).reason == "finished"
    wider = changed(run.config, {"model.rows": [{"layer": "flatten"}, {"layer": "linear"}]})
    with pytest.raises(InputError, match=r"The checkpoint is of mine \(4 rows of layers\), the new run's model is mine \(2 rows"):
        create_branch(workspace, complete(workspace, begun_from(wider, run, "last")))


def test_network_too_large_for_any_machine_of_ours_is_said_at_its_row_before_memory_is_taken():
    rows = (Conv2d(channels=4096), Flatten(), Linear(features=65_536), Linear())
    with pytest.raises(InputError, match=r"row 3 \(linear\): found [\d,]+ parameters up to here, expected at most 500,000,000"):
        from_rows(rows, (1, 28, 28), 10)


def test_size_that_would_do_is_offered_where_images_are_too_small():
    rows = (Conv2d(kernel=5), MaxPool2d(kernel=2), Conv2d(kernel=5), Flatten(), Linear())
    with pytest.raises(InputError, match="reaches over 5 px") as refusal:
        describe_model(LayerNetwork(rows=rows), (1, 8, 8), 10)
    assert refusal.value.mended_by == {"preprocessing.size_px": 16}
    with pytest.raises(InputError) as refusal:
        describe_model(LayerNetwork(rows=(Linear(),)), (1, 8, 8), 10)
    assert refusal.value.mended_by == {}
