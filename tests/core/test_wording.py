"""Numbers as people read them."""

import math

import pytest

from core.wording import duration, large, percent, rough_duration, share, speed


@pytest.mark.parametrize(
    ("fraction", "words"), [(0.973, "97.3 %"), (1, "100.0 %"), (0, "0.0 %"), (None, "–"), (math.nan, "–"), (0.99951, "100.0 %")]
)
def test_fraction_is_read_as_per_cent(fraction, words):
    assert percent(fraction) == words


@pytest.mark.parametrize(("fraction", "words"), [(0, "0 %"), (0.000459, "0.05 %"), (0.004, "0.4 %"), (0.5, "50 %"), (1, "100 %")])
def test_small_share_is_told_from_none(fraction, words):
    assert share(fraction) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (252, "4 min 12 s"),
        (3599.7, "1 h 0 min"),
        (7260, "2 h 1 min"),
        (90_000, "25 h 0 min"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_duration_is_read_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "a second"), (3.4, "about 3 s"), (43, "about 45 s"), (89, "about 90 s"), (200, "about 3 min"), (7200, "about 2.0 h")],
)
def test_estimate_claims_no_false_precision(seconds, words):
    assert rough_duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (999, "999"), (21_840, "21.8 k"), (999_999, "1.0 M"), (1_234_567, "1.2 M"), (3.2e9, "3.2 G")]
)
def test_large_number_has_one_digit_and_a_unit(number, words):
    assert large(number) == words


def test_speed_is_in_pictures_per_second():
    assert speed(12_345.6) == "12,346 images/s"
    assert speed(None) == "–"
