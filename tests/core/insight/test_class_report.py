"""Per-class figures against scikit-learn's on the same predictions, intervals against a second method."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from core.insight.class_report import as_csv, class_report, wilson


def drawn(seed: int, classes: int = 7, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return labels, np.where(rng.random(count) < 0.7, labels, rng.integers(0, classes, count))


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed):
    labels, predicted = drawn(seed)
    report = class_report(labels, predicted, [str(k) for k in range(7)])
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted)
    for k, row in enumerate(report.rows):
        assert (row.precision.value, row.recall.value, row.support) == (precision[k], recall[k], support[k])
        assert row.f1 == pytest.approx(f1[k], abs=1e-15)
    assert report.accuracy.value == accuracy_score(labels, predicted)
    for means, average in ((report.macro, "macro"), (report.weighted, "weighted")):
        expected = precision_recall_fscore_support(labels, predicted, average=average)[:3]
        assert (means.precision, means.recall, means.f1) == pytest.approx(expected, abs=1e-14)


def test_class_that_never_occurs_or_is_never_predicted_has_no_figure_and_spoils_no_mean():
    labels, predicted = np.array([0, 0, 1]), np.array([0, 0, 0])
    report = class_report(labels, predicted, ["a", "b", "c"])
    assert np.isnan(report.rows[2].recall.value) and np.isnan(report.rows[1].precision.value)
    for labels, predicted in (([0, 0, 1], [0, 0, 0]), ([0, 0, 1], [0, 2, 0])):  # the third class is only predicted
        report = class_report(np.array(labels), np.array(predicted), ["a", "b", "c", "d"])
        expected = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)[:3]
        assert (report.macro.precision, report.macro.recall, report.macro.f1) == pytest.approx(expected)


@pytest.mark.parametrize(("right", "total"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 9), (973, 1000), (1, 10_000)])
def test_interval_is_wilson_s(right, total):
    expected = binomtest(right, total).proportion_ci(0.95, method="wilson")
    share = wilson(right, total)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share.value == right / total


def test_share_of_nothing_is_no_number():
    assert np.isnan(wilson(0, 0).value)


def test_interval_holds_the_truth_in_about_95_of_100_samples():
    rng = np.random.default_rng(0)
    shares = [wilson(int(right), 200) for right in rng.binomial(200, 0.9, 4000)]
    assert sum(share.low <= 0.9 <= share.high for share in shares) / 4000 == pytest.approx(0.95, abs=0.015)


def test_csv_has_a_row_a_class_and_no_formula():
    labels, predicted = drawn(1, 2)
    lines = as_csv(class_report(labels, predicted, ["=1+1", "b, c"])).splitlines()
    assert lines[0].startswith("class,recall")
    assert lines[1].startswith("'=1+1,")
    assert lines[2].startswith('"b, c",')


@pytest.mark.parametrize(("seed", "classes"), [(0, 2), (1, 3), (2, 10), (3, 40)])
def test_figures_hold_where_some_classes_have_no_pictures(seed, classes):
    labels, predicted = drawn(seed, classes, 60)
    report = class_report(labels, predicted, [str(k) for k in range(classes)])
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=np.nan
    )
    np.testing.assert_allclose([row.recall.value for row in report.rows], recall)
    np.testing.assert_allclose([row.precision.value for row in report.rows], precision)
    np.testing.assert_allclose([row.f1 for row in report.rows], f1)
    assert [row.support for row in report.rows] == support.tolist()
    assert np.average(np.nan_to_num(recall), weights=support) == pytest.approx(report.accuracy.value)


def test_class_without_pictures_has_no_recall_and_one_never_predicted_no_precision():
    rows = class_report(np.array([0, 0, 1]), np.array([0, 2, 2]), list("abcd")).rows
    np.testing.assert_array_equal([row.recall.value for row in rows], [0.5, 0, np.nan, np.nan])
    np.testing.assert_array_equal([row.precision.value for row in rows], [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal([row.f1 for row in rows], [2 / 3, 0, 0, np.nan])
    assert [row.support for row in rows] == [2, 1, 0, 0]
