"""Figures: thinning keeps what the eye looks for, smoothing is TensorBoard's, and a split has one colour everywhere."""

import numpy as np
import pytest

from core.config import VARIANTS, TrainConfig
from core.figures.epochs import class_bars
from core.figures.look import labels
from core.figures.runs import (
    COLOURS,
    MAX_POINTS,
    X_AXES,
    accuracy_curve,
    confusion_heatmap,
    loss_curve,
    lr_curve,
    probability_bars,
    schedule_curve,
    smooth,
    thin,
)
from core.figures.sets import class_histogram
from core.runs.event_log import to_row
from core.runs.history import History
from core.settings import changed
from core.training.events import Evaluated, Event, Started, StepLogged

CURVES = {"loss": loss_curve, "accuracy": accuracy_curve, "lr": lr_curve}


def history(steps: int = 20, split: str = "test", steps_per_epoch: int = 10) -> History:
    """A run of which every number can be told from its step."""
    events: list[Event] = [
        Started(
            dataset="Digits",
            class_names=["a", "b"],
            num_train=640,
            num_evaluated=5,
            evaluated_split=split,
            steps_per_epoch=steps_per_epoch,
            num_parameters=100,
            device="cpu",
            device_reason="",
            precision="float32",
            precision_reason="",
            threads=1,
            from_step=0,
            versions={},
            epochs=3,
        )
    ]
    for step in range(0, steps + 1, steps_per_epoch):
        events.append(
            Evaluated(
                epoch=step // steps_per_epoch,
                step=step,
                examples=64 * step,
                seconds=step / 4,
                split=split,
                loss=3 / (step + 1),
                accuracy=0.5,
                correct=[1, 1],
                support=[2, 2],
                predictions=None,
            )
        )
    for step in range(1, steps + 1):
        events.append(
            StepLogged(
                step=step,
                epoch=1,
                examples=64 * step,
                seconds=step / 4,
                loss=2 / step,
                accuracy=1 - 0.9 / step,
                lr=0.1 / step,
                images_per_s=1000.0,
            )
        )
    result = History()
    for event in events:
        result.add_rows([{"n": 1, "time": 0.0, **to_row(event)}])
    return result


# --- thinning


@pytest.mark.parametrize("seed", range(20))
def test_thinning_keeps_extrema_ends_and_order(seed):
    """For random curves with spikes and gaps: lowest, highest, first and last are there, and nothing is made up."""
    random = np.random.default_rng(seed)
    n, most = int(random.integers(1, 6000)), int(random.integers(10, 1500))
    x, y = np.cumsum(random.random(n)), np.cumsum(random.standard_normal(n))
    y[random.random(n) < 0.01] *= 50
    y[random.random(n) < 0.05] = np.nan
    thin_x, thin_y = thin(x, y, most)
    assert len(thin_x) == len(thin_y) <= max(n if n <= most else 0, most + 2)
    assert (np.diff(thin_x) > 0).all()
    where = np.searchsorted(x, thin_x)
    np.testing.assert_array_equal(x[where], thin_x)
    np.testing.assert_array_equal(y[where], thin_y)
    assert (thin_x[0], thin_x[-1]) == (x[0], x[-1])
    if np.isfinite(y).any():
        assert np.nanmin(thin_y) == np.nanmin(y)
        assert np.nanmax(thin_y) == np.nanmax(y)


def test_thinning_leaves_a_single_spike_in_a_million_points():
    y = np.zeros(1_000_000)
    y[123_457] = 1
    thin_x, thin_y = thin(np.arange(1_000_000), y)
    assert 123_457 in thin_x
    assert thin_y.max() == 1


def test_infinity_hides_no_finite_extremum():
    y = np.sin(np.arange(5000) / 700)
    y[np.argmax(y) + 1] = np.inf
    y[np.argmin(y) + 1] = -np.inf
    finite = y[np.isfinite(y)]
    _, kept = thin(np.arange(5000), y)
    assert {finite.max(), finite.min()} <= set(kept)


def test_short_curve_is_left_as_it_is():
    x, y = np.arange(1000.0), np.random.default_rng(0).random(1000)
    thin_x, thin_y = thin(x, y)
    assert thin_x is x
    assert thin_y is y


# --- smoothing


def tensorboard_smoothing(values: list[float], weight: float) -> list[float]:
    """TensorBoard's own: tensorboard/components/vz_line_chart2, resmoothDataset."""
    last, count, result = 0.0, 0, []
    for value in values:
        if not np.isfinite(value):
            result.append(None)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        result.append(last / (1 - weight**count))
    return result


@pytest.mark.parametrize("weight", [0.1, 0.6, 0.99])
def test_smoothing_is_tensorboard_s(weight):
    values = np.random.default_rng(1).random(300)
    np.testing.assert_allclose(smooth(values, weight), tensorboard_smoothing(values.tolist(), weight))


def test_weight_zero_leaves_the_values():
    values = np.random.default_rng(2).random(50)
    np.testing.assert_array_equal(smooth(values, 0), values)


@pytest.mark.parametrize("weight", [0.5, 0.9, 0.999])
def test_smoothing_leaves_a_constant_alone_and_stays_between_the_extremes(weight):
    np.testing.assert_allclose(smooth(np.full(100, 0.3), weight), 0.3)
    values = np.random.default_rng(3).random(200)
    smoothed = smooth(values, weight)
    assert values.min() <= smoothed.min() <= smoothed.max() <= values.max()


def test_gap_in_the_values_does_not_spread():
    values = np.array([1.0, np.nan, np.inf, 1.0, 1.0])
    np.testing.assert_allclose(smooth(values, 0.9), 1.0)


# --- curves


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("name", ["loss", "accuracy"])
def test_curve_carries_the_colour_of_its_split(name, split):
    train, evaluated = CURVES[name](history(split=split)).data
    assert (train.name, train.line.color) == ("train", COLOURS["train"])
    assert (evaluated.name, evaluated.line.color, evaluated.marker.color) == (split, COLOURS[split], COLOURS[split])


def test_splits_have_colours_of_their_own():
    assert set(COLOURS) == {"train", "validation", "test"}
    assert len(set(COLOURS.values())) == 3


@pytest.mark.parametrize(
    ("x", "train_x", "evaluated_x"),
    [
        ("examples", [64, 128, 1280], [0, 640, 1280]),
        ("step", [1, 2, 20], [0, 10, 20]),
        ("epoch", [0.1, 0.2, 2], [0, 1, 2]),
        ("seconds", [0.25, 0.5, 5], [0, 2.5, 5]),
    ],
)
def test_curve_is_drawn_over_the_chosen_axis(x, train_x, evaluated_x):
    figure = loss_curve(history(), x=x)
    train, evaluated = figure.data
    np.testing.assert_allclose(np.asarray(train.x)[[0, 1, -1]], train_x)
    measured = np.isfinite(evaluated.y)  # after the first there is a gap
    np.testing.assert_allclose(evaluated.x[measured], evaluated_x)
    np.testing.assert_allclose(train.y, [2 / step for step in range(1, 21)])
    np.testing.assert_allclose(evaluated.y[measured], [3, 3 / 11, 3 / 21])
    assert figure.layout.xaxis.title.text == X_AXES[x]


@pytest.mark.parametrize("x", X_AXES)
@pytest.mark.parametrize("name", CURVES)
def test_run_that_has_not_begun_gives_an_empty_curve(name, x):
    assert all(len(trace.x) == 0 for trace in CURVES[name](History(), x=x).data)


@pytest.mark.parametrize("name", CURVES)
def test_long_run_is_thinned(name):
    figure = CURVES[name](history(steps=5000, steps_per_epoch=2500))
    assert 500 < len(figure.data[0].x) <= MAX_POINTS + 2


def test_smoothing_moves_the_training_line_and_never_the_evaluations():
    plain, smoothed = loss_curve(history()), loss_curve(history(), smoothing=0.9)
    assert not np.allclose(plain.data[0].y, smoothed.data[0].y)
    np.testing.assert_array_equal(plain.data[1].y, smoothed.data[1].y)


def test_loss_can_be_drawn_on_a_log_scale():
    assert loss_curve(history(), log=True).layout.yaxis.type == "log"
    assert loss_curve(history()).layout.yaxis.type == "linear"


# --- the others


@pytest.mark.parametrize("name", VARIANTS["schedule"])
def test_schedule_curve_shows_the_rates_of_the_run(name):
    config = changed(TrainConfig(), {"schedule.name": name, "optimizer.lr": 0.2, "epochs": 5})
    [line] = schedule_curve(config, steps_per_epoch=100).data
    assert line.x[0] == 0
    assert line.x[-1] == pytest.approx(4.99)
    assert 0 <= min(line.y) <= max(line.y) <= 0.2
    if name == "constant":
        assert set(line.y) == {0.2}


def test_heatmap_shades_by_the_share_of_the_true_class_and_writes_the_counts():
    """A class of four and one of four hundred, a quarter of each mistaken: the same shades, other counts."""
    [cells] = confusion_heatmap(np.array([[3, 1, 0], [100, 300, 0], [0, 0, 0]]), ["cat", "dog", "yak"]).data
    shades = np.array(cells.z, float)
    assert (
        -shades[0, 0] == -shades[1, 1] > shades[0, 1] == shades[1, 0] > shades[0, 2] == shades[2, 2] == 0
    )  # mistakes in another hue
    assert (cells.zmin, cells.zmax) == (-1, 1)
    assert np.abs(shades).max() < 1
    assert np.array(cells.text).tolist() == [["3", "1", ""], ["100", "300", ""], ["", "", ""]]
    np.testing.assert_allclose(np.array(cells.customdata)[1, 0], [100, 0.25, 100 / 103, 0, 1])  # predicted 0, true 1
    assert list(cells.x) == list(cells.y) == ["cat", "dog", "yak"]


def test_counts_are_left_out_where_they_would_not_fit():
    [cells] = confusion_heatmap(np.eye(100, dtype=int), [f"class {i}" for i in range(100)]).data
    assert cells.text is None


def test_classes_that_are_called_like_numbers_stay_names():
    figure = confusion_heatmap(np.eye(2, dtype=int), ["0", "1"])
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("category", "category")
    assert probability_bars([("0", 0.9), ("1", 0.1)]).layout.yaxis.type == "category"


def test_probability_bars_stand_in_the_order_given_with_the_first_on_top():
    figure = probability_bars([("seven", 0.8), ("one", 0.2)])
    [bars] = figure.data
    assert (list(bars.y), list(bars.x), list(bars.text)) == (["seven", "one"], [0.8, 0.2], ["80.0%", "20.0%"])
    assert figure.layout.yaxis.autorange == "reversed"


def test_names_that_plotly_would_make_links_of_are_shown_as_they_are():
    names = ['<a href="http://evil.example/">x</a>', "<b>y</b>", "a & b", "plain", "x" * 60, "x" * 61, "y" * 60]
    shown = labels(names)
    assert shown[:4] == ['&lt;a href="http://evil.example/"&gt;x&lt;/a&gt;', "&lt;b&gt;y&lt;/b&gt;", "a &amp; b", "plain"]
    assert shown[4:6] == names[4:6]  # cut, they would be one
    assert shown[6] == "y" * 39 + "…"
    figure = class_histogram({"train": dict.fromkeys(names, 1)})
    assert list(figure.data[0].y) == shown
    assert "<a" not in confusion_heatmap(np.eye(7, dtype=int), names).to_json()
    assert "<a" not in probability_bars([(names[0], 0.5)]).to_json()


def test_a_click_names_classes_by_their_numbers_whatever_becomes_of_their_names():
    """Names that are cut to the same, escaped, or in another order."""
    names = ["<b>a</b>", "x" * 90 + "1", "x" * 90 + "2", "0"]
    order = np.array([2, 0, 3, 1])
    figure = confusion_heatmap(np.arange(16).reshape(4, 4), [names[k] for k in order], classes=order)
    clicked = np.array(figure.data[0].customdata)[..., -2:].astype(int)  # [predicted, true] of each cell
    for row, true in enumerate(order):
        for column, predicted in enumerate(order):
            assert clicked[row, column].tolist() == [predicted, true]
    assert list(figure.layout.meta["classes"]) == order.tolist()
    bars = class_bars(np.array([0, 1, 2, 3]), np.array([0, 1, 2, 2]), names, order, "test")
    assert np.array(bars.data[0].customdata)[:, -1].tolist() == order.tolist() == list(bars.layout.meta["classes"])


# --- what a reader can trust


def test_learning_rate_is_drawn_up_to_the_last_step_also_within_an_epoch():
    [trace] = lr_curve(history(steps=17), "step").data
    assert trace.x[-1] == 17


@pytest.mark.parametrize("name", ["loss", "accuracy"])
def test_evaluation_before_training_stands_alone(name):
    """A line from it to the first epoch would cross what was never measured."""
    x, y = CURVES[name](history(steps=20), "step").data[1]["x"], CURVES[name](history(steps=20), "step").data[1]["y"]
    assert x[0] == 0
    assert np.isnan(y[1])
    assert np.isfinite(np.delete(y, 1)).all()


def test_logarithmic_axes_have_a_tick_for_each_power_of_ten():
    axis = lr_curve(history(), "step", log=True).layout.yaxis
    assert (axis.type, axis.dtick, axis.tickformat) == ("log", 1, ".0e")


def test_axis_of_shares_ends_at_a_tick_of_a_hundred_per_cent():
    axis = probability_bars([("a", 0.9), ("b", 0.1)]).layout.xaxis
    assert axis.tickvals[-1] == 1 <= axis.range[1]


def test_pointing_anywhere_tells_all_curves_at_that_place_in_words():
    figure = loss_curve(history(), "epoch")
    assert figure.layout.hovermode == "x unified"
    assert figure.layout.xaxis.unifiedhovertitle.text.startswith("Epoch ")
    assert [trace.hovertemplate.split()[0] for trace in figure.data] == ["train", "test"]
