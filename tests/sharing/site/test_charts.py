import math
import re

import pytest

from tests.sharing.site.made import curves
from zoo.sharing.site.charts import HEIGHT, MOST_POINTS, WIDTH, charts_of, drawn_epochs, nice_ticks
from zoo.sharing.site.contents import Epoch

NAN = float("nan")


def numbers(path):
    return [tuple(float(one) for one in pair) for pair in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_points_are_where_the_axes_say():
    """Every point is read back from its place by the ticks alone, as a reader of the chart does."""
    rows = curves(2, 3)
    accuracy, loss = charts_of(rows, kept_step=None)
    for chart, metric in ((accuracy, "accuracy"), (loss, "loss")):
        (x1, e1), (x2, e2) = ((float(one.at), float(one.label)) for one in (chart.x_ticks[0], chart.x_ticks[-1]))
        (y1, v1), (y2, v2) = (
            (float(one.at), float(one.label.removesuffix(" %")) / (100 if metric == "accuracy" else 1))
            for one in (chart.y_ticks[0], chart.y_ticks[-1])
        )
        for line, prefix in zip(chart.lines, ("", "val_"), strict=True):
            for number, ((x, y), row) in enumerate(zip(numbers(line.path), rows, strict=True), 1):
                assert e1 + (x - x1) / (x2 - x1) * (e2 - e1) == pytest.approx(number, abs=0.01)
                read = v1 + (y - y1) / (y2 - y1) * (v2 - v1)
                assert read == pytest.approx(getattr(row, prefix + metric), abs=abs(v2 - v1) / 1000)


def test_a_line_breaks_where_a_value_is_missing_and_what_stands_alone_is_a_dot():
    values = [0.5, None, 0.4, 0.3, NAN, 0.2] * 20
    (chart,) = charts_of([Epoch(phase="all", loss=value) for value in values], None)
    (line,) = chart.lines
    # 0.2 and the 0.5 after it are joined: 1 + 2 runs of each six values, one fewer for each joint.
    assert line.path.count("M") == 3 * 20 - 19
    assert len(numbers(line.path)) == 4 * 20
    assert len(line.dots) == 2  # the first and the last, of 120 epochs that get no dots otherwise


def test_what_is_not_finite_or_past_all_bounds_is_left_out():
    rows = [Epoch(phase="all", loss=value) for value in (math.inf, -math.inf, 1e300, NAN, 5e-324, 1.0)]
    (chart,) = charts_of(rows, None)
    assert len(numbers(chart.lines[0].path)) == 2
    assert charts_of([Epoch(phase="all", loss=NAN)], None) == () == charts_of([], None)


def test_many_epochs_are_drawn_every_so_many_and_the_last():
    chosen = drawn_epochs(100_000)
    assert len(chosen) <= MOST_POINTS + 1 and (chosen[0], chosen[-1]) == (1, 100_000)
    assert drawn_epochs(3) == [1, 2, 3] and drawn_epochs(0) == []
    (chart,) = charts_of([Epoch(phase="all", loss=1 / n) for n in range(1, 10_001)], None)
    assert len(numbers(chart.lines[0].path)) <= MOST_POINTS + 1


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5, 1e11, 1e-13, -3.0])
def test_a_metric_that_never_changes_has_an_axis(value):
    (chart,) = charts_of([Epoch(phase="all", loss=value)] * 2, None)
    places = [float(one.at) for one in chart.y_ticks]
    assert len(places) >= 2 and places == sorted(places, reverse=True)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in numbers(chart.lines[0].path))


def test_no_axis_shows_what_cannot_be():
    rows = [Epoch(phase="all", accuracy=value, loss=value) for value in (0.98, 1.0, 1.0)]
    accuracy, _ = charts_of(rows, None)
    assert max(float(one.label.removesuffix(" %")) for one in accuracy.y_ticks) == 100
    _, loss = charts_of([Epoch(phase="all", accuracy=0.0, loss=0.0)], None)
    assert min(float(one.label) for one in loss.y_ticks) == 0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.31, 0.93, [0.2, 0.4, 0.6, 0.8, 1]),
        (1, 15, [0, 5, 10, 15]),
        (-3, 4, [-4, -2, 0, 2, 4]),
        (0.3001, 0.3002, [0.3001, 0.30012, 0.30014, 0.30016, 0.30018, 0.3002]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_the_kept_epoch_has_a_ring_on_the_validation_line():
    rows = curves(5, 10)
    for chart in charts_of(rows, kept_step=rows[11].step):
        (validation,) = (line for line in chart.lines if line.split == "validation")
        assert (float(chart.kept.x), float(chart.kept.y)) == numbers(validation.path)[11]
        assert "epoch 12" in chart.kept.label
    assert charts_of(rows, kept_step=None)[0].kept is None


def test_phases_are_marked_where_they_begin():
    chart = charts_of(curves(5, 10), None)[0]
    assert [one.label for one in chart.phases] == ["head", "all"]
    by_epoch = {one.label: float(one.at) for one in chart.x_ticks}
    assert by_epoch["5"] < float(chart.phases[1].at) < numbers(chart.lines[0].path)[5][0]


def test_a_chart_says_in_words_what_it_shows():
    rows = [Epoch(phase="all", loss=2.0, val_loss=1.5), Epoch(phase="all", loss=1.0, val_loss=1.25)]
    (chart,) = charts_of(rows, None)
    assert chart.summary == "loss over 2 epochs: train from 2 to 1, validation from 1.5 to 1.25"
