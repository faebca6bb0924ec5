"""What a classifier looked at: how far a class's probability falls where a part of the photo is covered.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), section 4.2. It asks for nothing but
probabilities, so that it is the same with every runtime.
"""

import numpy as np

# Squares in a row, each half covered by its neighbour: 49 forward passes.
ACROSS = 7


def covered(pixels: np.ndarray, *, across: int = ACROSS) -> np.ndarray:
    """Covers a photo at one place after the other with its mean colour.

    Args:
        pixels: uint8[height, width, channels] in [0, 255].
        across: How many places there are in a row, and in a column.

    Returns:
        uint8[across * across, height, width, channels], row by row.
    """
    copies = np.repeat(pixels[np.newaxis], across * across, axis=0)
    colour = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    height, width = pixels.shape[:2]
    for number in range(across * across):
        rows, columns = (
            _window(place, side, across) for place, side in zip(divmod(number, across), (height, width), strict=True)
        )
        copies[number, rows, columns] = colour
    return copies


def heat_of(drops: np.ndarray, *, across: int = ACROSS) -> np.ndarray:
    """Returns how much each place matters: the mean drop over the squares that cover it.

    Args:
        drops: float[across * across], how far the probability fell with each square, row by row.
        across: As for `covered`.

    Returns:
        float[across + 1, across + 1] of the photo's parts, from its upper left; below 0 where covering helps.
    """
    heat, times = np.zeros((across + 1, across + 1)), np.zeros((across + 1, across + 1))
    for number, drop in enumerate(drops):
        row, column = divmod(number, across)
        heat[row : row + 2, column : column + 2] += drop
        times[row : row + 2, column : column + 2] += 1
    return heat / times


def _window(place: int, side: int, across: int) -> slice:
    """Returns what a square covers of a side: two of its across + 1 parts."""
    return slice(place * side // (across + 1), (place + 2) * side // (across + 1))
