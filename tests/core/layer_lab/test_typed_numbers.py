"""Numbers that people type: what is understood, and the sentence for what is not."""

import pytest
import torch

from core.errors import InputError
from core.layer_lab.inputs import ones_input, typed_input
from core.layer_lab.losses import LOSSES, worked_loss
from core.layer_lab.typed_numbers import matrices, matrix, written


@pytest.mark.parametrize(
    "text", ["1 2\n3 -4", "1, 2; \n3; −4", "[[1, 2],\n [3, -4]]", "tensor([[ 1.,  2.], [ 3., -4.]])", " [[1,2],[3,-4]]"]
)
def test_a_matrix_is_read_as_it_is_written_or_pasted(text: str) -> None:
    assert matrix(text, "The matrix").tolist() == [[1, 2], [3, -4]]


def test_an_empty_line_begins_another_channel_and_one_row_is_a_row_of_values() -> None:
    assert matrices("1 2\n3 4\n\n5 6\n7 8", "The matrix").tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert typed_input("1 2 3").values.shape == (1, 3)
    assert typed_input("1\n2\n3").values.shape == (1, 1, 3, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2\n3", "The matrix: row 2 has 1 number, row 1 has 2. Give every row as many."),
        ("1 x", "The matrix: 'x' is not a number. Write numbers such as 2, -1 or 0.5."),
        ("1 nan", "The matrix: 'nan' is not a number. Write numbers such as 2, -1 or 0.5."),
        ("  \n", "The matrix is empty."),
        ("1 2\n\n3 4\n5 6", "The matrix: channel 2 is 2 × 2, channel 1 is 1 × 2. Make all of one size."),
        ("1 " * 65, "The matrix has 1 × 65 numbers, expected at most 64 × 64."),
    ],
)
def test_what_is_typed_wrong_gets_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        typed_input(text)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("text", ["", "3, 32", "1.5, 3", "0, 3, 8, 8", "1, 2, 3", "-1, 3, 8, 8"])
def test_a_shape_of_ones_that_is_none_is_refused(text: str) -> None:
    if text == "3, 32":
        assert ones_input(text).values.shape == (1, 32)
        return
    with pytest.raises(InputError, match="The shape: found"):
        ones_input(text)


def test_numbers_are_written_with_four_digits_that_count() -> None:
    assert [written(v) for v in (1.0, -0.33333, 0.0, -0.0, 12345.6, float("-inf"))] == [
        "1",
        "−0.3333",
        "0",
        "0",
        "1.235e+04",
        "−∞",
    ]


@pytest.mark.parametrize(
    ("name", "prediction", "target", "mean", "total"),
    [  # worked by hand
        ("l1", "1, 2, 3", "1, 2, 5", 2 / 3, 2.0),
        ("mse", "1, 2, 3", "1, 2, 5", 4 / 3, 4.0),
        ("cross-entropy", "0.1, 0.2, 0.3", "1", 1.1019, 1.1019),
        ("cross-entropy", "0 0\n0 0", "0 1", 0.6931, 1.3863),
        ("bce", "0.5, 0.5", "1, 0", 0.6931, 1.3863),
        ("bce-logits", "0, 0", "1, 0", 0.6931, 1.3863),
    ],
)
def test_a_loss_is_the_published_one_and_its_terms_make_it(
    name: str, prediction: str, target: str, mean: float, total: float
) -> None:
    for is_mean, expected in ((True, mean), (False, total)):
        worked = worked_loss(name, prediction, target, is_mean)
        assert worked.value == pytest.approx(expected, abs=1e-4)
        assert sum(worked.values) / (len(worked.values) if is_mean else 1) == pytest.approx(worked.value)
        assert all(term.endswith(f"= {written(value)}") for term, value in zip(worked.terms, worked.values, strict=True))
        names: dict = {}
        exec(worked.code, names)
        assert float(names["loss"]) == pytest.approx(worked.value, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_an_example_that_works_and_words(name: str) -> None:
    loss = LOSSES[name]
    assert worked_loss(name, *loss.example, is_mean=True).value > 0
    assert loss.summary.endswith(".") and loss.title == getattr(torch.nn, loss.title).__name__


@pytest.mark.parametrize(
    ("name", "prediction", "target", "field", "sentence"),
    [
        ("l1", "1, 2", "1, 2, 3", "target", "Target: found 1 × 3 numbers, expected 1 × 2"),
        ("mse", "1, b", "1, 2", "prediction", "Prediction: 'b' is not a number."),
        ("mse", "", "1, 2", "prediction", "Prediction is empty."),
        ("cross-entropy", "1, 2, 3", "3", "target", "Target: found class 3, expected a whole number from 0 to 2"),
        ("cross-entropy", "1, 2, 3", "0, 1", "target", "Target: found 2 classes, expected 1"),
        ("bce", "1.5", "1", "prediction", "Prediction: found 1.5, expected a probability, from 0 to 1. Choose BCEWithLogitsLoss"),
        ("bce-logits", "1.5", "2", "target", "Target: found 2, expected 0 or 1"),
    ],
)
def test_what_a_loss_can_not_take_is_said_at_its_field(
    name: str, prediction: str, target: str, field: str, sentence: str
) -> None:
    with pytest.raises(InputError) as refusal:
        worked_loss(name, prediction, target, True)
    assert refusal.value.fields[field].startswith(sentence)
