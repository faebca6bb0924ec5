"""The picture of a confusion matrix, from two classes to a thousand."""

import itertools

import numpy as np
import pytest

from zoo.report.confusion import plot_confusion

# Of 4 cats one was called a dog; of 2 dogs none was called anything else; there was no owl.
CONFUSION = [[3, 1, 0], [0, 2, 0], [0, 0, 0]]


def drawn(confusion, classes, title="accuracy 83.3 %"):
    figure = plot_confusion(confusion, classes, title)
    figure.draw_without_rendering()
    return figure, figure.axes[0]


def test_counts_stand_where_they_belong():
    _, axes = drawn(CONFUSION, ["cat", "dog", "owl"])
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "3", (1, 0): "1", (1, 1): "2"}
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cat", "dog", "owl"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cat", "dog", "owl"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.figure.get_suptitle() == "accuracy 83.3 %"


def test_right_answers_are_blue_wrong_ones_red_and_none_is_white():
    _, axes = drawn(CONFUSION, ["cat", "dog", "owl"])
    colors = np.asarray(axes.images[0].get_array())[..., :3]
    red, blue = colors[..., 0], colors[..., 2]
    assert blue[0, 0] > red[0, 0] and blue[1, 1] > red[1, 1]
    assert red[0, 1] > blue[0, 1]
    # Deeper where more of the class was right, white where there is no image, also in the row of a class without any.
    assert colors[1, 1].sum() < colors[0, 0].sum()
    assert (colors[2] == 1).all() and (colors[1, 0] == 1).all()


@pytest.mark.parametrize("count", [1, 2, 10, 50, 100, 1000])
def test_a_picture_of_any_number_of_classes_can_be_opened_and_its_names_do_not_cover_each_other(count):
    names = [f"{number:03}.A_bird_of_a_rare_kind_{number}" for number in range(count)]
    figure, axes = drawn(np.eye(count, dtype=int) * 12, names)
    width, height = figure.get_size_inches() * 120
    assert width < 2200 and height < 2200
    labels = [text for text in axes.get_yticklabels() if text.get_text()]
    assert len(labels) == count if count <= 100 else 50 < len(labels) < count
    boxes = sorted((text.get_window_extent() for text in labels), key=lambda box: box.y0)
    assert all(above.y0 - below.y0 >= 0.8 * below.height for below, above in itertools.pairwise(boxes))
    assert all(text.get_fontsize() >= 5 for text in labels)
    assert min(box.x0 for box in boxes) >= 0


@pytest.mark.parametrize("count", [2, 20, 100])
def test_counts_stay_inside_their_cells(count):
    _, axes = drawn(np.eye(count, dtype=int) * 1234, [str(number) for number in range(count)])
    cell = axes.get_window_extent().width / count
    assert all(text.get_window_extent().width <= cell for text in axes.texts)


def test_names_of_any_script_and_length_are_shown():
    names = ["猫" * 40, "x" * 400, "$5 and $6"]
    _, axes = drawn(CONFUSION, names)
    assert len({text.get_text() for text in axes.get_yticklabels()}) == 3
    assert min(text.get_window_extent().x0 for text in axes.get_yticklabels()) >= 0
