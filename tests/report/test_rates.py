"""The picture of a recipe's learning rates."""

import itertools

import numpy as np
import pytest

from zoo.cli.recipes.rates import rates_by_stage
from zoo.recipe.loading import load_recipe
from zoo.report.rates import PhaseRates, plot_rates


def cosine(name, peak, epochs, **keys):
    done = np.linspace(0, 1, 101)
    return PhaseRates(name=name, epochs=epochs * done, rates=peak * 0.5 * (1 + np.cos(np.pi * done)), **keys)


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_phases_stand_one_after_the_other():
    (axes,) = plot_rates([cosine("head", 5e-3, 2), cosine("all", 3e-4, 3)], "pets").axes
    ends = {line.get_label(): line.get_xydata()[[0, -1]].tolist() for line in axes.get_lines()}
    assert ends == {"head": [[0, 5e-3], [2, 0]], "all": [[2, 3e-4], [5, 0]]}
    assert axes.figure.get_suptitle() == "pets"


def test_the_highest_rate_of_each_phase_is_a_labelled_tick():
    (axes,) = plot_rates([cosine("head", 5e-3, 2), cosine("all", 3e-4, 3)], "pets").axes
    assert {"0", "0.005", "0.0003"} <= set(labels(axes))
    assert axes.get_ylim()[1] > 5e-3


def test_labels_do_not_cover_each_other():
    phases = [cosine(f"p{number}", 1e-3 * (1 + number / 50), 1) for number in range(20)]
    figure = plot_rates(phases, "pets")
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].get_yticklabels()), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
    assert "0.00138" in labels(figure.axes[0])


@pytest.mark.parametrize("peaks", [(5e-3,), (5e-3, 3e-4), (1e-2, 1e-5)])
def test_a_cosine_ends_without_a_cliff(peaks):
    figure = plot_rates([cosine("one", peak, 4) for peak in peaks], "pets")
    (axes,) = figure.axes
    figure.draw_without_rendering()
    places = axes.transData.transform(axes.get_lines()[0].get_xydata())[:, 1]
    # The last fiftieth of the phase takes a small part of the fall; on a logarithmic axis it took more than half.
    assert (places[-3] - places[-1]) / (places[0] - places[-1]) < 0.1


@pytest.mark.parametrize("count", [2, 12, 30, 60])
def test_every_phase_is_named_and_curves_keep_their_room(count):
    figure = plot_rates([cosine(f"a_phase_with_a_very_long_name_{number}", 1e-3, 1) for number in range(count)], "pets")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend() or figure.legends[0]
    assert len(legend.get_texts()) == count
    assert axes.get_window_extent().width > 0.3 * figure.bbox.width
    assert legend.get_window_extent().x1 <= figure.bbox.width


def testrates_by_stage_are_lines_and_a_table_with_what_is_frozen():
    stages = {"stem": None, "stage1": 1e-4, "head": 1e-3}
    above, below = plot_rates([cosine("top", 1e-3, 3, stages=stages)], "pets").axes
    peaks = [max(line.get_ydata()) for line in above.get_lines() if len(line.get_ydata())]
    assert peaks == pytest.approx([1e-3, 1e-4])
    assert [text.get_text() for text in below.texts] == ["0.001", "0.0001", "frozen"]
    assert labels(below) == ["head", "stage1", "stem"]


def test_a_phase_without_decay_beside_one_with_it_has_one_rate_for_what_it_trains():
    phases = [
        cosine("head", 5e-3, 2, stages={"stem": None, "head": 5e-3}),
        cosine("all", 1e-3, 2, stages={"stem": 5e-4, "head": 1e-3}),
    ]
    _, below = plot_rates(phases, "pets").axes
    assert [text.get_text() for text in below.texts] == ["0.005", "0.001", "frozen", "0.0005"]


def test_a_constant_rate_is_seen():
    rates = PhaseRates(name="all", epochs=np.array([0.0, 1.0]), rates=np.array([1e-3, 1e-3]))
    (axes,) = plot_rates([rates], "pets").axes
    assert "0.001" in labels(axes)


def test_therates_by_stage_are_those_of_training():
    recipe = load_recipe("finetune/gradual", ["model.name=mnist_conv_tiny"])
    found = rates_by_stage(recipe)
    # The head's is the phase's own, and each stage below it gets 0.385 times that of the one above.
    assert found["head"] == {"stem": None, "stage1": None, "stage2": None, "head": 5e-3}
    by_hand = {"stem": 1e-3 * 0.385**3, "stage1": 1e-3 * 0.385**2, "stage2": 3.85e-4, "head": 1e-3}
    assert found["all"] == pytest.approx(by_hand)
    assert rates_by_stage(load_recipe("finetune/default")) == {}
