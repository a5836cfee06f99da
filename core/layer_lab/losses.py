"""Losses of typed numbers: the result of PyTorch's function, and the sum that makes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.layer_lab.typed_numbers import number_rows, written

MOST_NUMBERS = 100


@dataclass(frozen=True, kw_only=True)
class Worked:
    """A loss worked out. terms: a line each, in words; values: what they are, (n,); value: their mean or sum.

    code: the same in PyTorch.
    """

    terms: tuple[str, ...]
    values: tuple[float, ...]
    value: float
    total: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Loss:
    """title, summary: for people; formula: of one term. example: prediction and target to begin with.

    work(prediction, target) returns the terms in words and as numbers, and PyTorch's two tensors.
    """

    name: str
    title: str
    summary: str
    formula: str
    example: tuple[str, str]
    prediction: str
    target: str
    work: Callable[[str, str], tuple[list[str], Tensor, Tensor, Tensor]]


def worked_loss(name: str, prediction: str, target: str, is_mean: bool) -> Worked:
    """A loss on typed numbers. Raises InputError with fields "prediction" or "target" for what can't be."""
    loss = LOSSES[name]
    words, values, given, wanted = loss.work(prediction, target)
    reduction = "mean" if is_mean else "sum"
    result = getattr(nn, loss.title)(reduction=reduction)(given, wanted)
    summed = " + ".join(written(v) if v >= 0 else f"({written(v)})" for v in values.tolist())
    total = f"({summed}) / {len(values)} = {written(float(result))}" if is_mean else f"{summed} = {written(float(result))}"
    argument = "" if is_mean else 'reduction="sum"'
    code = (
        f"import torch\nfrom torch import nn\n\nprediction = torch.tensor({_literal(given)})\n"
        f"target = torch.tensor({_literal(wanted)})\nloss = nn.{loss.title}({argument})(prediction, target)\nprint(loss)"
    )
    return Worked(terms=tuple(words), values=tuple(values.tolist()), value=float(result), total=total, code=code)


def _numbers(text: str, field: str) -> list[list[float]]:
    try:
        rows = number_rows(text, field.capitalize())
    except InputError as error:
        raise InputError(error.message, code="numbers", hint=error.hint, fields={field: str(error)}) from None
    if not rows:
        raise _wrong(field, f"{field.capitalize()} is empty.", "Type numbers such as 1, 2, 3.")
    if any(len(row) != len(rows[0]) for row in rows):
        raise _wrong(field, f"{field.capitalize()}: every row needs as many numbers as the first.", "A row is one image's.")
    if len(rows) * len(rows[0]) > MOST_NUMBERS:
        raise _wrong(field, f"{field.capitalize()}: {len(rows) * len(rows[0])} numbers, expected at most {MOST_NUMBERS}.", "")
    return rows


def _wrong(field: str, message: str, hint: str) -> InputError:
    return InputError(message, code="numbers", hint=hint, fields={field: f"{message} {hint}".strip()})


def _alike(prediction: str, target: str) -> tuple[Tensor, Tensor]:
    """Two tensors of one shape: a row of values, or rows."""
    given, wanted = _numbers(prediction, "prediction"), _numbers(target, "target")
    if (len(given), len(given[0])) != (len(wanted), len(wanted[0])):
        found, expected = (f"{len(rows)} × {len(rows[0])}" for rows in (wanted, given))
        raise _wrong("target", f"Target: found {found} numbers, expected {expected}, as many as the prediction has.", "")
    return _tensor(given), _tensor(wanted)


def _tensor(rows: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(rows[0] if len(rows) == 1 else rows, dtype=torch.float64)


def _by_number(words: str, function: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """A loss with a term for each pair of numbers."""

    def work(prediction: str, target: str) -> tuple[list[str], Tensor, Tensor, Tensor]:
        given, wanted = _alike(prediction, target)
        values = function(given, wanted).flatten()
        pairs = zip(given.flatten().tolist(), wanted.flatten().tolist(), values.tolist(), strict=True)
        return [f"{words.format(x=_bracketed(x), y=_bracketed(y))} = {written(v)}" for x, y, v in pairs], values, given, wanted

    return work


def _bracketed(value: float) -> str:
    return written(value) if value >= 0 else f"({written(value)})"


def _cross_entropy(prediction: str, target: str) -> tuple[list[str], Tensor, Tensor, Tensor]:
    """A term for each row of scores, with the class that is right."""
    given, wanted = _numbers(prediction, "prediction"), _numbers(target, "target")
    classes = [value for row in wanted for value in row]
    if len(classes) != len(given):
        raise _wrong(
            "target",
            f"Target: found {len(classes)} classes, expected {len(given)}: the number of the right class for each row of scores.",
            "Classes count from 0.",
        )
    if bad := [value for value in classes if value != int(value) or not 0 <= value < len(given[0])]:
        raise _wrong(
            "target",
            f"Target: found class {written(bad[0])}, expected a whole number from 0 to {len(given[0]) - 1}: there are "
            f"{len(given[0])} scores.",
            "",
        )
    scores, right = torch.tensor(given, dtype=torch.float64), torch.tensor([int(value) for value in classes])
    values = nn.functional.cross_entropy(scores, right, reduction="none")
    words = []
    for row, label, value in zip(given, right.tolist(), values.tolist(), strict=True):
        powers = " + ".join(f"exp({written(score)})" for score in row)
        words.append(f"−{_bracketed(row[label])} + ln({powers}) = {written(value)}")
    return words, values, scores, right


def _binary(prediction: str, target: str) -> tuple[list[str], Tensor, Tensor, Tensor]:
    given, wanted = _alike(prediction, target)
    for field, values, what in (("prediction", given, "a probability"), ("target", wanted, "0 or 1, or a share between them")):
        if bad := [value for value in values.flatten().tolist() if not 0 <= value <= 1]:
            raise _wrong(
                field,
                f"{field.capitalize()}: found {written(bad[0])}, expected {what}, from 0 to 1.",
                "Choose BCEWithLogitsLoss for scores." if field == "prediction" else "",
            )
    values = nn.functional.binary_cross_entropy(given, wanted, reduction="none").flatten()
    words = []
    for x, y, value in zip(given.flatten().tolist(), wanted.flatten().tolist(), values.tolist(), strict=True):
        words.append(f"−({written(y)} · ln({written(x)}) + {written(1 - y)} · ln({written(1 - x)})) = {written(value)}")
    return words, values, given, wanted


def _binary_of_scores(prediction: str, target: str) -> tuple[list[str], Tensor, Tensor, Tensor]:
    given, wanted = _alike(prediction, target)
    if bad := [value for value in wanted.flatten().tolist() if not 0 <= value <= 1]:
        raise _wrong("target", f"Target: found {written(bad[0])}, expected 0 or 1, or a share between them.", "")
    values = nn.functional.binary_cross_entropy_with_logits(given, wanted, reduction="none").flatten()
    words = []
    for x, y, value in zip(given.flatten().tolist(), wanted.flatten().tolist(), values.tolist(), strict=True):
        words.append(
            f"p = 1 / (1 + exp({written(-x)})); −({written(y)} · ln p + {written(1 - y)} · ln(1 − p)) = {written(value)}"
        )
    return words, values, given, wanted


LOSSES = {
    record.name: record
    for record in (
        Loss(
            name="l1",
            title="L1Loss",
            summary="How far prediction and target are apart.",
            formula="|prediction − target|",
            example=("1, 2, 3", "1, 2, 5"),
            prediction="Numbers",
            target="As many numbers",
            work=_by_number("|{x} − {y}|", lambda x, y: (x - y).abs()),
        ),
        Loss(
            name="mse",
            title="MSELoss",
            summary="Squared distances: one large mistake counts more than several small ones.",
            formula="(prediction − target)²",
            example=("1, 2, 3", "1, 2, 5"),
            prediction="Numbers",
            target="As many numbers",
            work=_by_number("({x} − {y})²", lambda x, y: (x - y) ** 2),
        ),
        Loss(
            name="cross-entropy",
            title="CrossEntropyLoss",
            summary="For classes: scores go in as they are, softmax is part of it. Low where the right class has by far the largest score.",
            formula="−(score of the right class) + ln(sum of exp(score) over all classes)",
            example=("0.1, 0.2, 0.3", "1"),
            prediction="Scores (logits): a row an image, a number a class",
            target="The right class of each row, from 0",
            work=_cross_entropy,
        ),
        Loss(
            name="bce",
            title="BCELoss",
            summary="For yes or no: probabilities go in, after a sigmoid.",
            formula="−(target · ln(prediction) + (1 − target) · ln(1 − prediction))",
            example=("0.9, 0.2, 0.6", "1, 0, 1"),
            prediction="Probabilities, 0 to 1",
            target="0 or 1 for each",
            work=_binary,
        ),
        Loss(
            name="bce-logits",
            title="BCEWithLogitsLoss",
            summary="For yes or no: scores go in as they are, the sigmoid is part of it.",
            formula="the same with prediction = 1 / (1 + exp(−score))",
            example=("2, -1.5, 0.4", "1, 0, 1"),
            prediction="Scores (logits)",
            target="0 or 1 for each",
            work=_binary_of_scores,
        ),
    )
}


def _literal(values: Tensor) -> str:
    return str([[round(v, 6) for v in row] for row in values.tolist()] if values.dim() == 2 else values.tolist())
