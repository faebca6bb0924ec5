"""How accurate several trainings are on the same photos, and how far that may be from what others would be.

An interval holds 95 % of what comes out where both the trainings and the photos are drawn again, with replacement, from
those that there are (Efron and Tibshirani 1993, "An Introduction to the Bootstrap").
"""

from collections.abc import Mapping, Sequence

import numpy as np

DRAWS = 2_000
SHARE = 0.95


def rightness(predicted: Mapping[str, str]) -> np.ndarray:
    """Returns which photos a training is right on, in the order of their paths, whose folders are their classes."""
    return np.array([label == photo.split("/")[0] for photo, label in sorted(predicted.items())])


def mean_and_interval(right: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Returns the mean accuracy of trainings, and the ends of its interval."""
    table = np.stack(right).astype(float)
    return _of(table, _draws(table.shape[1], [len(table)]))


def difference(right: Sequence[np.ndarray], ours: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Returns by how much trainings are more accurate than ours on the same photos, and the ends of its interval."""
    theirs, own = np.stack(right).astype(float), np.stack(ours).astype(float)
    photos, (of_theirs, of_own) = _draws(theirs.shape[1], [len(theirs), len(own)])
    drawn = [
        theirs[rows][:, chosen].mean() - own[own_rows][:, chosen].mean()
        for rows, own_rows, chosen in zip(of_theirs, of_own, photos, strict=True)
    ]
    return _summed(float(theirs.mean() - own.mean()), drawn)


def _draws(photos: int, trainings: Sequence[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    chance = np.random.default_rng(0)
    return chance.integers(photos, size=(DRAWS, photos)), [
        chance.integers(count, size=(DRAWS, count)) for count in trainings
    ]


def _of(table: np.ndarray, draws: tuple[np.ndarray, list[np.ndarray]]) -> tuple[float, float, float]:
    photos, (trainings,) = draws
    drawn = [table[rows][:, chosen].mean() for rows, chosen in zip(trainings, photos, strict=True)]
    return _summed(float(table.mean()), drawn)


def _summed(mean: float, drawn: Sequence[float]) -> tuple[float, float, float]:
    low, high = np.quantile(drawn, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return mean, float(low), float(high)
