import errno
import os
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from zoo.report.curves import plot_accuracy_and_loss, plot_rates, save_history


def row(epoch, phase, epoch_in_phase, **values):
    return {"epoch": epoch, "phase": phase, "epoch_in_phase": epoch_in_phase, **values}


ROWS = [
    row(1, "head", 1, loss=1.5, accuracy=0.25, val_loss=1.25, val_accuracy=0.5),
    row(2, "head", 2, loss=1.0, accuracy=0.5, val_loss=0.75, val_accuracy=0.625),
    row(3, "all", 1, loss=0.5, accuracy=0.75, val_loss=0.875, val_accuracy=0.75),
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


def test_rates_of_phases_stand_one_after_the_other():
    rise, fall = np.array([1e-5, 1e-2]), np.array([1e-3, 0.0])
    phases = [("head", np.array([0.0, 2.0]), rise), ("all", np.array([0.0, 3.0]), fall)]
    (axes,) = plot_rates(phases, "pets").axes
    assert curves(axes) == {"head": [[0, 1e-5], [2, 1e-2]], "all": [[2, 1e-3], [5, 0]]}
    # Where a schedule ends at 0 the axis does not follow it down.
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] == pytest.approx(1e-6)


def test_a_single_epoch_can_be_seen():
    accuracy, _ = plot_accuracy_and_loss(ROWS[:1], "pets").axes
    assert [line.get_marker() for line in accuracy.get_lines() if line.get_label() == "train"] == ["o"]


def test_the_png_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "history.png"
    save_history(ROWS, "Äpfel $", path)  # a lone dollar is no formula
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (1200, 480)
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_history(ROWS[:1], "pets", path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
