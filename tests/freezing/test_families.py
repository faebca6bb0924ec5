"""In every family, each kind of selector and each BatchNorm mode: what is named changes, and nothing else by a bit."""

import keras
import numpy as np
import pytest

from tests.models.test_contract import SMALL, build_small, names, random_images, small_shape
from zoo.freezing.contract import Contract, fingerprint
from zoo.freezing.plans import is_batchnorm, train_only
from zoo.freezing.selectors import select
from zoo.freezing.stages import stages
from zoo.models.taking_over import classifier_of


def cases(model):
    """Selectors of every kind with frozen BatchNorms, then every further mode of BatchNorm."""
    ends = [stage.name for stage in stages(model)]
    stage = ends[min(1, len(ends) - 2)]
    selectors = ("head", "all", stage, f"{stage}+", "last:2", "layers:-6", "params:30%", "all,!stem", "!head")
    yield from ((selector, "frozen") for selector in selectors)
    yield f"re:^{classifier_of(model).name}$", "frozen"
    yield from (("all", mode) for mode in ("affine", "train"))
    yield f"{stage},head", "train"


def take_statistics(model, images):
    """Gives BatchNorms the statistics of images: with fresh ones a deep net's signal fades, and so do its gradients."""
    norms = [layer for layer in model.layers if is_batchnorm(layer)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


@pytest.mark.parametrize("name", names(SMALL, each_family=True))
def test_one_step_changes_what_is_named_and_nothing_else(name):
    model = build_small(name, classes=4)
    # Not as many of each class: a deep net at its start calls all equally likely, and its bias would have no gradient.
    images, labels = random_images(4, small_shape(name)), np.array([0, 0, 1, 2])
    take_statistics(model, images)
    start = [np.array(np.asarray(weight.value)) for weight in model.weights]
    for selector, mode in cases(model):
        for weight, value in zip(model.weights, start, strict=True):
            weight.assign(value)
        train_only(model, selector, batchnorm=mode)
        model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="sparse_categorical_crossentropy", run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
        contract = Contract(model, model.optimizer, phase=selector)
        before = fingerprint(model.weights)
        model.train_on_batch(images, labels)
        contract.check()
        moved = {path for path, now in fingerprint(model.weights).items() if now != before[path]}
        named = select(model, selector)
        trained = {weight.path for weight in model.trainable_weights}
        statistics = {
            weight.path
            for layer in model.layers
            if mode == "train" and is_batchnorm(layer) and layer.name in named
            for weight in (layer.moving_mean, layer.moving_variance)
        }
        assert trained <= {weight.path for layer in model.layers if layer.name in named for weight in layer.weights}
        assert moved <= trained | statistics, (selector, mode)
        assert moved & trained, (selector, mode)
        assert bool(moved & statistics) == bool(statistics), (selector, mode)


@pytest.mark.parametrize("name", names(SMALL, each_family=True))
def test_none_trains_nothing(name):
    model = build_small(name, classes=4)
    assert train_only(model, "none", batchnorm="train").trainable_params == 0
    assert model.trainable_weights == []
