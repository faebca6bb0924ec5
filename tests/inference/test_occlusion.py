"""Which parts are covered, and how their drops become a map."""

import numpy as np

from zoo.inference.occlusion import covered, heat_of


def test_each_copy_has_one_square_of_the_mean_colour():
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:, :12] = (200, 100, 50)
    found = covered(pixels, across=3)
    assert found.shape == (9, 16, 24, 3)
    for number, copy in enumerate(found):
        row, column = divmod(number, 3)
        expected = pixels.copy()
        expected[4 * row : 4 * row + 8, 6 * column : 6 * column + 12] = (100, 50, 25)
        assert np.array_equal(copy, expected), number


def test_every_pixel_is_covered_by_some_square():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 29, 1), dtype=np.uint8)
    found = covered(pixels)
    mean = pixels.mean().round()
    assert ((found == mean).any(axis=0)).all()


def test_a_drop_is_shared_by_the_parts_that_the_square_covers():
    drops = np.zeros(9)
    drops[4] = 1.0  # the middle one of three times three: parts 1 and 2 of four each way
    # By hand: part (1, 1) lies in four squares, of which one matters; so do the other three in the middle.
    expected = np.zeros((4, 4))
    expected[1:3, 1:3] = 1 / 4
    assert np.allclose(heat_of(drops, across=3), expected)
    corner = np.zeros(9)
    corner[0] = 0.6
    # Part (0, 0) lies in this square alone, (0, 1) in two, (1, 1) in four.
    assert np.allclose(heat_of(corner, across=3)[:2, :2], [[0.6, 0.3], [0.3, 0.15]])


def test_the_same_drop_everywhere_is_the_same_heat():
    assert np.allclose(heat_of(np.full(49, -0.2)), -0.2)
