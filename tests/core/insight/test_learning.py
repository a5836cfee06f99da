"""How images were learned, and which are shown first, by hand-made records."""

import numpy as np
import pytest

from core.insight.gallery import Wanted, select
from core.insight.learning import learning_of
from core.training.events import Predictions

LABELS = np.array([0, 0, 1, 1, 0])
HISTORY = {  # right or wrong after each epoch, an image a column
    0: [1, 1, 1, 1, 1],
    1: [1, 0, 0, 1, 0],
    2: [1, 0, 0, 0, 0],
    3: [1, 1, 0, 1, 0],
    4: [1, 1, 0, 0, 0],
}


def record(right: list[int], sure: float = 0.9) -> Predictions:
    is_right = np.array(right, bool)
    predicted = np.where(is_right, LABELS, 1 - LABELS).astype(np.uint8)
    confidence = np.full(len(LABELS), sure, np.float16)
    return Predictions(
        predicted=predicted, confidence=confidence, true_probability=np.where(is_right, sure, 1 - sure).astype(np.float16)
    )


RECORDS = {epoch: record(right) for epoch, right in HISTORY.items()}


def test_first_right_epoch_and_times_forgotten_leave_the_untrained_network_out():
    learning = learning_of(RECORDS, LABELS)
    assert learning.learned_at.tolist() == [1, 3, 0, 1, 0]
    assert learning.forgotten.tolist() == [0, 0, 0, 2, 0]
    assert learning.is_right.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(("kind", "expected"), [("early", [0]), ("late", [1]), ("forgotten", [3]), ("never", [2, 4])])
def test_each_picture_is_of_one_kind(kind, expected):
    assert np.flatnonzero(learning_of(RECORDS, LABELS).of_kind(kind)).tolist() == expected


def test_labels_most_denied_are_the_most_suspicious():
    learning = learning_of(RECORDS, LABELS)
    assert learning.suspicion[2] == learning.suspicion[4] > learning.suspicion[3] > learning.suspicion[0]
    assert select(Wanted("suspicious labels"), RECORDS[4], LABELS, learning)[:2].tolist() == [2, 4]


def test_no_epoch_yet_is_nothing_learned():
    learning = learning_of({0: RECORDS[0]}, LABELS)
    assert learning.epochs == []
    assert not learning.of_kind("early").any()


PREDICTIONS = Predictions(
    predicted=np.array([0, 1, 1, 0, 0], np.uint8),
    confidence=np.array([0.4, 0.9, 0.99, 0.6, 0.95], np.float16),
    true_probability=np.array([0.4, 0.1, 0.99, 0.3, 0.95], np.float16),
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted("mistakes"), [1, 3]),
        (Wanted("certain and wrong"), [1, 3]),
        (Wanted("least certain"), [0, 3, 1, 4, 2]),
        (Wanted("highest loss"), [1, 3, 0, 4, 2]),
        (Wanted("right by luck"), [0]),
        (Wanted("all"), [0, 1, 2, 3, 4]),
        (Wanted("all", true=1), [2, 3]),
        (Wanted("all", true=1, predicted=0), [3]),
        (Wanted("mistakes", true=1, predicted=1), []),
    ],
)
def test_pictures_are_chosen_and_ordered_by_what_is_asked(wanted, expected):
    assert select(wanted, PREDICTIONS, LABELS).tolist() == expected
