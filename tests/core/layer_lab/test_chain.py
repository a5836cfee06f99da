"""Layers of the lab against torch.nn.functional, their worked-out numbers against what they answer, their code against itself."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from core.errors import InputError
from core.layer_lab.chain import LAB_LAYERS, LabRow, Step, walk
from core.layer_lab.formula import size_formula, weights_formula
from core.layer_lab.inputs import LabInput, image_input, ones_input, typed_input
from core.layer_lab.pytorch_code import code_of
from core.layer_lab.weights import NAMED, Weights, row_like
from core.layer_lab.worked import formulas_of, linear_terms, softmax_at, window_at
from core.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    pair,
)
from core.models.pytorch_code import line_of

MATRIX = typed_input("1 2 0 3 1\n0 1 2 3 1\n1 2 1 0 0\n5 2 3 1 1\n2 1 0 1 1")
TYPED = Weights(kind="typed", text="1 2 1\n0 1 0\n2 1 0")
SETTINGS = 1000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in the server: the inputs are small, and the cores are others'."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def no_run(weights: Weights) -> nn.Conv2d:
    raise AssertionError("no row has the weights of a run")


def only(layer: Layer, given: LabInput, weights: Weights | None = None) -> Step:
    return walk([LabRow(layer, weights or Weights())], given, no_run)[0]


def some(*shape: int, seed: int = 0) -> LabInput:
    return LabInput(values=torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed)), code="x")


def size(chance: random.Random, least: int, most: int) -> int | tuple[int, int]:
    both = chance.randint(least, most), chance.randint(least, most)
    return chance.choice([both[0], both])


def drawn(chance: random.Random) -> tuple[type[Layer], dict[str, Any]]:
    """A layer and settings for it, possible or not."""
    kind = chance.choice([Conv2d, Conv2d, Conv2d, MaxPool2d, MaxPool2d, AvgPool2d, *(e.settings for e in LAB_LAYERS.values())])
    settings: dict[str, Any] = {}
    if kind in (Conv2d, MaxPool2d, AvgPool2d):
        settings |= {"kernel": size(chance, 1, 5), "stride": size(chance, 1, 3), "padding": size(chance, 0, 3)}
    if kind in (Conv2d, MaxPool2d):
        settings["dilation"] = size(chance, 1, 3)
    if kind is Conv2d:
        modes = ["zeros", "reflect", "replicate", "circular"]
        settings |= {"padding_mode": chance.choice(modes), "groups": chance.choice([1, 1, 2, 3])}
        settings |= {"channels": chance.randint(1, 6), "bias": chance.random() < 0.5}
    if kind in (MaxPool2d, AvgPool2d):
        settings["ceil_mode"] = chance.random() < 0.5
    if kind is AvgPool2d:
        settings["count_include_pad"] = chance.random() < 0.5
    if kind is AdaptiveAvgPool2d:
        settings["side"] = size(chance, 1, 5)
    if kind is LeakyReLU:
        settings["slope"] = chance.random()
    if kind is Linear:
        settings |= {"features": chance.randint(1, 5), "bias": chance.random() < 0.5}
    return kind, settings


def by_functional(kind: type, s: dict[str, Any], x: Tensor, weight: Tensor | None, bias: Tensor | None, seed: int) -> Tensor:
    """What torch.nn.functional makes of x. Raises RuntimeError or ValueError where it can't."""
    if kind in (Conv2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, BatchNorm2d, Dropout2d, Flatten) and x.dim() != 4:
        raise ValueError("not an image")
    match kind.__name__:
        case "Conv2d":
            if s["padding_mode"] != "zeros":
                height, width = pair(s["padding"])
                x = F.pad(x, (width, width, height, height), mode=s["padding_mode"])
            padding = s["padding"] if s["padding_mode"] == "zeros" else 0
            return F.conv2d(x, weight, bias, s["stride"], padding, s["dilation"], s["groups"])
        case "MaxPool2d":
            return F.max_pool2d(x, s["kernel"], s["stride"], s["padding"], s["dilation"], s["ceil_mode"])
        case "AvgPool2d":
            return F.avg_pool2d(x, s["kernel"], s["stride"], s["padding"], s["ceil_mode"], s["count_include_pad"])
        case "AdaptiveAvgPool2d":
            return F.adaptive_avg_pool2d(x, s["side"])
        case "BatchNorm2d":
            return F.batch_norm(x, None, None, training=True)
        case "LeakyReLU":
            return F.leaky_relu(x, s["slope"])
        case "Softmax":
            return F.softmax(x, 1)
        case "Dropout" | "Dropout2d":
            torch.manual_seed(seed)
            return (F.dropout if kind is Dropout else F.dropout2d)(x, 0.5, True)
        case "Flatten":
            return x.flatten(1)
        case "Linear":
            return F.linear(x, weight, bias)
    return getattr(F, {"ReLU": "relu", "SiLU": "silu", "Sigmoid": "sigmoid", "Tanh": "tanh"}[kind.__name__])(x)


def weights_like_torch(kind: type, s: dict[str, Any], x: Tensor, seed: int) -> tuple[Tensor | None, Tensor | None]:
    """As torch draws them after manual_seed. Raises ValueError where torch refuses the settings."""
    torch.manual_seed(seed)
    if kind is Conv2d:
        layer = nn.Conv2d(x.shape[1], s["channels"], s["kernel"], groups=s["groups"], bias=s["bias"])
    elif kind is Linear:
        layer = nn.Linear(x.shape[1], s["features"], s["bias"])
    else:
        return None, None
    return layer.weight.detach(), None if layer.bias is None else layer.bias.detach()


def is_right_at(step: Step, chance: random.Random) -> bool:
    """Whether the number worked out at a random place of the output is the layer's own."""
    place = tuple(chance.randrange(side) for side in step.after.shape[1:])
    answer, x = float(step.after[0][place]), step.before[0]
    if isinstance(step.row.layer, Conv2d | MaxPool2d | AvgPool2d | AdaptiveAvgPool2d):
        return window_at(step, *place).total == pytest.approx(answer, abs=1e-4)
    if isinstance(step.row.layer, Linear):
        terms = linear_terms(step, place[0] + 1)[-1]
        summed = sum(term[3] for term in terms.largest) + terms.rest + (terms.bias or 0)
        return summed == pytest.approx(answer, abs=1e-4) and terms.total == pytest.approx(answer, abs=1e-4)
    if isinstance(step.row.layer, Softmax):
        return softmax_at(step, *place[1:])[1][place[0]] == pytest.approx(answer, abs=1e-5)
    number = float(x.flatten()[place[0]]) if isinstance(step.row.layer, Flatten) else float(x[place])
    formulas = formulas_of(step)
    formula = formulas[place[0] if len(formulas) > 1 else 0]
    words = formula.filled(number, answer)
    is_dropped = formula.when == "y=0" and answer == 0
    return "{" not in words and (is_dropped or formula.function(number) == pytest.approx(answer, abs=1e-4))


def test_a_thousand_random_settings_are_those_of_torch_functional_or_refused_where_it_refuses() -> None:
    chance, seen, refused = random.Random(11), set(), 0
    for number in range(SETTINGS):
        kind, settings = drawn(chance)
        shape = (chance.randint(1, 6), chance.randint(2, 9), chance.randint(2, 9)) if chance.random() < 0.8 else (7,)
        given = some(*shape, seed=number)
        try:
            drawn_weights = weights_like_torch(kind, settings, given.values, number)
            expected = by_functional(kind, settings, given.values, *drawn_weights, number)
        except (RuntimeError, ValueError):
            expected = None
        if kind is Linear and len(shape) == 3:  # torch takes the last side; a row of the lab asks for flatten first
            expected = None
        try:
            step = only(kind(**settings), given, Weights(seed=number))
        except (InputError, ValidationError) as refusal:
            assert expected is None, (kind, settings, shape, str(refusal))
            sentence = str(refusal)
            assert ": found " in sentence or "which pooling does not take" in sentence
            refused += 1
            continue
        assert expected is not None, (kind, settings, shape)
        assert step.after.shape == expected.shape, (kind, settings, shape)
        assert torch.allclose(step.after, expected, atol=1e-5), (kind, settings, shape)
        assert is_right_at(step, chance), (kind, settings, shape)
        seen.add(kind)
    assert seen == {entry.settings for entry in LAB_LAYERS.values()}
    assert SETTINGS // 5 < refused < SETTINGS // 2


def test_the_tutorials_matrix_and_kernel() -> None:
    assert only(Conv2d(channels=1, bias=False), MATRIX, TYPED).after[0, 0].tolist() == [[10, 12, 12], [18, 16, 16], [13, 9, 3]]
    assert only(Conv2d(channels=1, stride=2, bias=False), MATRIX, TYPED).after[0, 0].tolist() == [[10, 12], [13, 3]]
    padded = only(Conv2d(channels=1, padding=1, bias=False), MATRIX, TYPED).after[0, 0]
    assert padded.tolist()[0] == [1, 3, 4, 10, 8]
    assert only(MaxPool2d(kernel=3, stride=3, ceil_mode=True), MATRIX).after[0, 0].tolist() == [[2, 3], [5, 1]]
    assert only(MaxPool2d(kernel=3, stride=3), MATRIX).after[0, 0].tolist() == [[2]]


def test_a_window_is_worked_out_with_its_padding() -> None:
    corner = window_at(only(Conv2d(channels=1, padding=1), MATRIX, TYPED), 0, 0, 0)
    assert corner.values[0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 0, 1]]
    assert corner.weights[0].tolist() == [[1, 2, 1], [0, 1, 0], [2, 1, 0]]
    assert (corner.bias, corner.total) == (0, 1)
    mirrored = window_at(only(Conv2d(channels=1, padding=1, padding_mode="reflect"), MATRIX, TYPED), 0, 0, 0)
    assert mirrored.values[0].tolist() == [[1, 0, 1], [2, 1, 2], [1, 0, 1]]
    largest = window_at(only(MaxPool2d(kernel=3, stride=3, ceil_mode=True), MATRIX), 0, 1, 0)
    assert (largest.total, largest.winner) == (5, (0, 0))
    assert np.isnan(largest.values[0][2]).all()


def test_sizes_stand_there_with_the_numbers_filled_in() -> None:
    step = only(Conv2d(channels=6, kernel=(3, 5), stride=2, padding=1), some(3, 32, 32))
    assert size_formula(step) == [
        "Height = ⌊(32 + 2 · 1 − 1 · (3 − 1) − 1) / 2⌋ + 1 = 16",
        "Width = ⌊(32 + 2 · 1 − 1 · (5 − 1) − 1) / 2⌋ + 1 = 15",
    ]
    assert weights_formula(step) == "6 filters × 3 × 3 × 5 + 6 biases = 276 weights to learn"
    assert size_formula(only(MaxPool2d(kernel=1, stride=3, ceil_mode=True), some(1, 6, 5)))[0] == (
        "Height = ⌈(6 + 2 · 0 − 1 · (1 − 1) − 1) / 3⌉ + 1 − 1 (no window begins beyond the image) = 2"
    )


@pytest.mark.parametrize(
    "rows",
    [
        [LabRow(Conv2d(channels=4, kernel=(3, 5), padding=1, padding_mode="reflect"), Weights(seed=3)), LabRow(ReLU())],
        [LabRow(Conv2d(channels=2, bias=False), Weights(kind="named", name="sharpen"))],
        [LabRow(Conv2d(channels=2), Weights(kind="typed", text="1 0\n0 -1", bias=0.5)), LabRow(MaxPool2d(ceil_mode=True))],
        [LabRow(BatchNorm2d()), LabRow(LeakyReLU(slope=0.2)), LabRow(AdaptiveAvgPool2d(side=(2, 3))), LabRow(Softmax())],
        [LabRow(Dropout2d(probability=0.3), Weights(seed=5)), LabRow(Flatten()), LabRow(Linear(features=4), Weights(seed=2))],
        [
            LabRow(AvgPool2d(kernel=3, stride=3, count_include_pad=False, padding=1)),
            LabRow(SiLU()),
            LabRow(Tanh()),
            LabRow(Sigmoid()),
        ],
    ],
)
def test_copied_code_makes_the_very_same(rows: list[LabRow]) -> None:
    for given in (MATRIX, typed_input("1 2 3 4 5\n" * 5 + "\n" + "0 -1 2 .5 1\n" * 5)):
        steps = walk(rows, given, no_run)
        names: dict[str, Any] = {}
        exec(code_of(given, steps), names)
        assert torch.allclose(names["y"], steps[-1].after, atol=1e-6)


def test_a_line_says_only_what_is_not_usual() -> None:
    assert line_of(nn.Conv2d(1, 6, 5)) == "nn.Conv2d(1, 6, 5)"
    assert line_of(nn.Conv2d(4, 6, (3, 5), 2, (1, 0), groups=2, bias=False)) == (
        "nn.Conv2d(4, 6, (3, 5), stride=2, padding=(1, 0), groups=2, bias=False)"
    )
    assert line_of(nn.MaxPool2d(3)) == "nn.MaxPool2d(3)"
    assert line_of(nn.MaxPool2d(3, 1, ceil_mode=True)) == "nn.MaxPool2d(3, stride=1, ceil_mode=True)"
    assert line_of(nn.Softmax(dim=1)) == "nn.Softmax(dim=1)"


def test_named_kernels_do_what_their_names_say() -> None:
    flat = LabInput(values=torch.full((1, 1, 9, 9), 0.4), code="")
    image = some(1, 9, 9)
    for name, named in NAMED.items():
        after = only(Conv2d(channels=1, kernel=3), flat, Weights(kind="named", name=name)).after
        is_edge = name in ("edges", "vertical", "horizontal")
        assert torch.allclose(after, torch.zeros_like(after) if is_edge else torch.full_like(after, 0.4), atol=1e-6), named.title
    same = only(Conv2d(channels=1, kernel=5, padding=2), image, Weights(kind="named", name="identity"))
    assert torch.equal(same.after, image.values)
    with pytest.raises(InputError, match=r"found a kernel of 2 × 2, expected at least 3 × 3 for 'Edges'"):
        only(Conv2d(channels=1, kernel=2), image, Weights(kind="named", name="edges"))


def test_weights_of_a_trained_layer_decide_the_filters_and_leave_the_way_they_move() -> None:
    trained = nn.Conv2d(3, 4, 5, padding=2)
    row = LabRow(Conv2d(channels=99, kernel=1, stride=2, padding=2), Weights(kind="run", layer="conv1"))
    step = walk([row], some(3, 8, 8), lambda weights: trained)[0]
    assert torch.allclose(step.after, F.conv2d(step.before, trained.weight, trained.bias, 2, 2), atol=1e-6)
    assert row_like(trained) == Conv2d(channels=4, kernel=5, padding=2)
    with pytest.raises(InputError, match=r"Layer 1 \(Conv2d\): found 1 channel, expected 3"):
        walk([row], some(1, 8, 8), lambda weights: trained)


def test_the_network_of_a_tutorial_takes_a_batch_of_ones() -> None:
    layers = [
        Conv2d(channels=32, kernel=5, padding=2), MaxPool2d(), Conv2d(channels=32, kernel=5, padding=2), MaxPool2d(),
        Conv2d(channels=64, kernel=5, padding=2), MaxPool2d(), Flatten(), Linear(features=64), Linear(features=10),
    ]  # fmt: skip
    steps = walk([LabRow(layer) for layer in layers], ones_input("64, 3, 32, 32"), no_run)
    assert [step.shape for step in steps][-4:] == ["64 × 64 × 4 × 4", "64 × 1,024 values", "64 × 64 values", "64 × 10 values"]


def test_what_does_not_fit_is_said_at_its_layer() -> None:
    with pytest.raises(InputError, match=r"^Layer 2 \(Linear\): found 1 × 3 × 3, expected a row of values"):
        walk([LabRow(Conv2d(channels=1)), LabRow(Linear())], MATRIX, no_run)
    with pytest.raises(InputError, match="expected at most 20,000,000 in the lab"):
        walk([LabRow(Flatten()), LabRow(Linear(features=4096))], ones_input("1, 3, 224, 224"), no_run)
    with pytest.raises(InputError, match="found one value in each channel"):
        walk([LabRow(AdaptiveAvgPool2d()), LabRow(BatchNorm2d())], MATRIX, no_run)


def test_channels_of_a_colour_image() -> None:
    image = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2) * 20
    assert image_input(image).values.shape == (1, 3, 2, 2)
    assert torch.allclose(image_input(image, "green").values[0, 0], torch.from_numpy(image[1]) / 255)
    assert torch.allclose(image_input(image, "grey").values[0, 0], torch.from_numpy(image).float().mean(0) / 255)
