import copy
import errno
import io
import itertools
import os
import pickle
from typing import ClassVar

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tests.tiny import start
from zoo.report.curves import plot_accuracy_and_loss, plot_history, plot_range_test, save_history


def row(epoch, phase, epoch_in_phase, **values):
    return {"epoch": epoch, "phase": phase, "epoch_in_phase": epoch_in_phase, **values}


ROWS = [
    row(1, "head", 1, loss=1.5, accuracy=0.25, val_loss=1.25, val_accuracy=0.5),
    row(2, "head", 2, loss=1.0, accuracy=0.5, val_loss=0.75, val_accuracy=0.625),
    row(3, "all", 1, loss=0.5, accuracy=0.75, val_loss=0.875, val_accuracy=0.75),
]


TITLE = "Äpfel $\nresnet50 on 3,068 images of 3 classes, 341 to validate"  # a lone dollar is not a formula


def rings(axes):
    """Place and label of each marker that has no line."""
    return [
        (line.get_xydata().tolist(), line.get_label()) for line in axes.get_lines() if line.get_linestyle() == "None"
    ]


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines() if line.get_label()[0] != "_"}


def test_the_lines_are_the_rows():
    accuracy, loss = plot_accuracy_and_loss(ROWS, "pets").axes
    assert curves(accuracy) == {
        "train": [[1, 0.25], [2, 0.5], [3, 0.75]],
        "validation": [[1, 0.5], [2, 0.625], [3, 0.75]],
    }
    assert curves(loss) == {
        "train": [[1, 1.5], [2, 1.0], [3, 0.5]],
        "validation": [[1, 1.25], [2, 0.75], [3, 0.875]],
    }


def test_the_panels_are_labelled_and_phases_are_marked():
    figure = plot_accuracy_and_loss(ROWS, "pets")
    assert figure.get_suptitle() == "pets"
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == [
        ("epoch", "accuracy"),
        ("epoch", "loss"),
    ]
    for axes in figure.axes:
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "validation"]
        assert [text.get_text() for text in axes.texts] == ["head", "all"]
        marks = [line.get_xdata()[0] for line in axes.get_lines() if line.get_label()[0] == "_"]
        assert marks == [0.5, 2.5]
        assert all(tick == round(tick) for tick in axes.get_xticks())


def test_what_keras_fit_returns_is_drawn_as_well():
    class History:
        history: ClassVar = {
            "accuracy": [0.25, 0.5],
            "loss": [1.5, 1.0],
            "val_accuracy": [0.5, 0.75],
            "val_loss": [2.0, 1.0],
        }

    for history in (History(), History.history):
        accuracy, loss = plot_accuracy_and_loss(history, "keras").axes
        assert curves(accuracy) == {"train": [[1, 0.25], [2, 0.5]], "validation": [[1, 0.5], [2, 0.75]]}
        assert curves(loss) == {"train": [[1, 1.5], [2, 1.0]], "validation": [[1, 2.0], [2, 1.0]]}


def test_without_validation_there_is_one_line():
    rows = [{**one, "val_loss": None, "val_accuracy": None} for one in ROWS]
    for axes in plot_accuracy_and_loss(rows, "pets").axes:
        assert list(curves(axes)) == ["train"]


def test_the_best_epoch_has_a_ring_and_its_values_on_the_validation_curves():
    accuracy, loss = plot_accuracy_and_loss(ROWS, "pets", kept=2).axes
    assert rings(accuracy) == [([[2, 0.625]], "kept: epoch 2, 62.5 %")]
    assert rings(loss) == [([[2, 0.75]], "kept: epoch 2, 0.7500")]
    for axes in plot_accuracy_and_loss(ROWS, "pets").axes:
        assert rings(axes) == []


def test_without_validation_the_ring_says_that_the_last_is_kept():
    rows = [{**one, "val_loss": None, "val_accuracy": None} for one in ROWS]
    accuracy, _ = plot_accuracy_and_loss(rows, "pets", kept=3).axes
    assert rings(accuracy) == [([[3, 0.75]], "kept: epoch 3, the last")]


def test_accuracy_is_in_percent_as_in_the_terminal():
    accuracy, loss = plot_accuracy_and_loss(ROWS, "pets").axes
    assert accuracy.yaxis.get_major_formatter()(0.875, 0) == "87.5 %"
    assert accuracy.yaxis.get_major_formatter()(1.0, 0) == "100 %"
    assert "%" not in loss.yaxis.get_major_formatter()(0.875, 0)


def test_the_panels_stand_apart():
    figure = plot_accuracy_and_loss(ROWS, "pets")
    figure.draw_without_rendering()
    left, right = figure.axes
    between = right.get_tightbbox().x0 - left.get_tightbbox().x1
    assert between > 0.03 * figure.bbox.width


@pytest.mark.parametrize("epochs", [1, 6, 100])
def test_the_axis_holds_whole_epochs_and_no_others(epochs):
    rows = [row(epoch, "all", epoch, loss=1.0, accuracy=0.5) for epoch in range(1, epochs + 1)]
    for axes in plot_accuracy_and_loss(rows, "pets").axes:
        assert axes.get_xlim() == (0.5, epochs + 0.5)
        ticks = [tick for tick in axes.get_xticks() if 0.5 < tick < epochs + 0.5]
        assert ticks and all(tick == round(tick) for tick in ticks)


def test_names_of_many_short_phases_do_not_cover_each_other():
    rows = [row(epoch, f"unfreeze_block_{epoch}", 1, loss=1.0, accuracy=0.5) for epoch in range(1, 31)]
    figure = plot_accuracy_and_loss(rows, "pets")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) > 10
    assert all(left.x1 <= right.x0 + 1 for left, right in itertools.pairwise(boxes))


def test_losses_that_are_not_finite_are_named_and_get_no_ring():
    rows = [{**one, "loss": float("nan"), "val_loss": float("inf")} for one in ROWS]
    figure = plot_accuracy_and_loss(rows, "pets", kept=2)
    figure.draw_without_rendering()
    accuracy, loss = figure.axes
    assert len(rings(accuracy)) == 1
    assert rings(loss) == []
    assert list(curves(loss)) == ["train: no finite value", "validation: no finite value"]


def test_a_run_without_an_epoch_is_an_empty_picture():
    figure = plot_accuracy_and_loss([], "pets")
    figure.draw_without_rendering()
    assert [axes.get_legend() for axes in figure.axes] == [None, None]


def test_validation_in_every_second_epoch_of_keras_is_drawn_where_it_was():
    history = {"accuracy": [0.1, 0.2, 0.3, 0.4], "loss": [4.0, 3.0, 2.0, 1.0], "val_accuracy": [0.15, 0.35]}
    accuracy, loss = plot_accuracy_and_loss(history, "keras").axes
    assert curves(accuracy)["validation"] == [[2, 0.15], [4, 0.35]]
    assert list(curves(loss)) == ["train"]


def test_a_long_title_stays_inside_the_figure():
    figure = plot_accuracy_and_loss(ROWS, "x" * 300)
    figure.draw_without_rendering()
    title = figure.findobj(lambda one: one is figure._suptitle)[0].get_window_extent()
    assert title.x0 >= 0 and title.x1 <= figure.bbox.width


def test_a_range_test_has_a_title_and_the_present_rate():
    rates, losses = [1e-4, 1e-3, 1e-2, 1e-1], [1.0, 0.9, 0.4, 2.0]
    (axes,) = plot_range_test(rates, losses, losses, 1e-2, title="pets, phase head", present=5e-3).axes
    assert axes.figure.get_suptitle() == "pets, phase head"
    marks = {line.get_label(): line.get_xdata()[0] for line in axes.get_lines()[2:]}
    assert marks == {"steepest: 0.01": 1e-2, "the recipe's: 0.005": 5e-3}
    (axes,) = plot_range_test(rates, losses, losses, None, present=10.0).axes
    assert [line.get_label() for line in axes.get_lines()[2:]] == ["the recipe's: 10"]
    assert axes.get_xlim()[1] > 10


def test_a_single_epoch_can_be_seen():
    accuracy, _ = plot_accuracy_and_loss(ROWS[:1], "pets").axes
    assert [line.get_marker() for line in accuracy.get_lines() if line.get_label() == "train"] == ["o"]


def test_the_png_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "history.png"
    save_history(ROWS, path, title=TITLE, best_step=20)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (1200, 480)
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_history(ROWS[:1], path, title=TITLE, best_step=20)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_ring_of_a_run_is_at_its_best_step(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("zoo.report.curves.save_figure", lambda figure, path: drawn.append(figure))
    steps = [{**one, "step": 10 * one["epoch"]} for one in ROWS]
    save_history(steps, tmp_path / "history.png", title=TITLE, best_step=20)
    assert rings(drawn[0].axes[0]) == [([[2, 0.625]], "kept: epoch 2, 62.5 %")]


def test_a_run_that_kept_nothing_yet_has_no_ring():
    assert [rings(axes) for axes in plot_history(ROWS, title=TITLE, best_step=None).axes] == [[], []]


def test_settings_of_the_program_around_do_not_stop_a_run_nor_change(tmp_path):
    # LaTeX may not be installed, and a whole run would fail at its last step.
    with matplotlib.rc_context({"text.usetex": True, "savefig.dpi": 10, "font.size": 40}):
        save_history(ROWS, tmp_path / "history.png", title=TITLE, best_step=20)
        assert matplotlib.rcParams["text.usetex"] is True
    with Image.open(tmp_path / "history.png") as image:
        assert image.size == (1200, 480)


def test_a_backend_or_a_folder_that_matplotlib_refuses_stops_no_picture(tmp_path):
    code = (
        "import sys; from pathlib import Path; from zoo.report.curves import save_history\n"
        "row = {'epoch': 1, 'loss': 1.0, 'accuracy': 0.5, 'step': 1}\n"
        "save_history([row], Path(sys.argv[1]), title='x', best_step=1)\n"
        "import os; print(os.environ['MPLBACKEND'])"
    )
    settings = {"MPLBACKEND": "nonsense", "MPLCONFIGDIR": "/dev/null/matplotlib"}
    process = start(code, tmp_path / "history.png", **settings)
    assert process.communicate() == ("nonsense\n", "")
    assert (tmp_path / "history.png").is_file()


def test_a_notebook_shows_the_figure_and_it_can_be_copied():
    figure = plot_accuracy_and_loss(ROWS, "pets")
    for shown in (figure, pickle.loads(pickle.dumps(figure)), copy.deepcopy(figure)):
        with Image.open(io.BytesIO(shown._repr_png_())) as image:
            assert image.size == (1200, 480)


def test_the_legend_lies_over_no_curve():
    for figure in (plot_accuracy_and_loss(ROWS, "quickstart", kept=2), plot_accuracy_and_loss(ROWS[:1], "one epoch")):
        figure.draw_without_rendering()
        for axes in figure.axes:
            assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0
            assert axes.get_legend().get_window_extent().y0 >= 0
