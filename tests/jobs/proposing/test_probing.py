import numpy as np
import pytest

from zoo.jobs.proposing.probing import Probe, chosen, linear_probe


def probe(model, accuracy, seconds):
    return Probe(model=model, size=224, accuracy=accuracy, interval=(0.0, 1.0), seconds=seconds)


@pytest.mark.parametrize(
    ("probes", "taken"),
    [
        # The standard error of 0.9 on 400 is 0.015.
        ([probe("large", 0.9, 0.03), probe("small", 0.886, 0.01)], "small"),
        ([probe("large", 0.9, 0.03), probe("small", 0.884, 0.01)], "large"),
        ([probe("slow", 0.9, 0.03), probe("fast", 0.9, 0.01)], "fast"),
        ([probe("only", 0.3, 0.03)], "only"),
    ],
)
def test_the_fastest_within_a_standard_error_of_the_best_is_taken(probes, taken):
    found, name = chosen(probes, 400)
    assert (found.model, name.value) == (taken, taken)


def test_why_one_is_taken_is_said():
    assert chosen([probe("a", 0.9, 0.03), probe("b", 0.89, 0.01)], 400)[1].why == (
        "the fastest within a standard error of the best probe: 0.890, 0.900"
    )
    assert chosen([probe("a", 0.9, 0.03)], 400)[1].why == "best of 1 linear probes: 0.900"


def features(count, seed):
    """Makes three classes around three points, with much noise in other directions, on scales far apart."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    rows = chance.normal(size=(count, 40)).astype(np.float32)
    rows[np.arange(count), labels] += 6
    return rows * np.geomspace(0.01, 100, 40).astype(np.float32), labels


def test_a_linear_probe_finds_what_is_linear_and_chance_in_what_is_not():
    train, labels = features(150, 0)
    others, truth = features(300, 1)
    assert (linear_probe(train, labels, others, 3) == truth).mean() > 0.97
    shuffled = np.random.default_rng(2).permutation(labels)
    assert (linear_probe(train, shuffled, others, 3) == truth).mean() < 0.55


def test_a_linear_probe_is_ridge_regression_with_the_ridge_of_the_least_press():
    sklearn = pytest.importorskip("sklearn.linear_model")
    train, labels = features(60, 3)
    others, _ = features(200, 4)
    x, z = ((rows - train.mean(0)) / train.std(0) for rows in (train, others))
    ridges = [share * np.maximum(np.linalg.eigvalsh(x @ x.T), 0).mean() for share in (1e-3, 1e-2, 1e-1, 1.0)]
    theirs = sklearn.RidgeCV(alphas=ridges).fit(x, np.eye(3)[labels]).predict(z).argmax(axis=1)
    assert (linear_probe(train, labels, others, 3) == theirs).mean() > 0.98
