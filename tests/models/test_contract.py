"""What holds for every registered model."""

import keras
import numpy as np
import pytest

import zoo
from zoo import registry, testing
from zoo.freezing.plans import train_only
from zoo.testing import random_images

# A model above this size takes seconds a case.
LARGE = 5_000_000
SMALL = 1_000_000


def names(limit=LARGE, *, each_family=False):
    """Every registered name; those with more parameters than `limit` are slow.

    Args:
        limit: In parameters.
        each_family: Only small models and the smallest variant of each family.
    """
    # A SavedModel is another one each time: tests/architectures/test_tfhub.py has its contract.
    cards = [card for card in map(zoo.info, zoo.list_models()) if not card.own_weights]
    smallest = {
        min((card for card in cards if card.family == family), key=size).name for family in map(family_of, cards)
    }
    return [
        pytest.param(card.name, marks=pytest.mark.slow if card.params > limit else ())
        for card in cards
        if not each_family or card.name in smallest or card.params < SMALL
    ]


def from_keras(name):
    return registry.lookup(name).build.__module__.startswith("zoo.architectures.keras_applications")


def size(card):
    return card.params


def family_of(card):
    return card.family


def small_shape(name, *, channels=None):
    """The card's input shape, or a small one for photos: what is tested does not depend on the size."""
    card = zoo.info(name)
    *sides, own_channels = card.input_shape
    return (*(min(side, max(64, card.min_size)) for side in sides), channels or own_channels)


def build_small(name, **settings):
    keras.utils.set_random_seed(0)
    return zoo.build(name, weights=None, **{"input_shape": small_shape(name), **settings})


# What takes longest is tested of each family's smallest variant.
OF_EACH = ("test_the_card_says_what_is_built", "test_the_model_splits_at_every_stage")


def cases():
    """Every architecture with each test of the contract, in the order of the names."""
    of_families = {case.values[0] for case in names(each_family=True)}
    return [
        pytest.param(case.values[0], test, marks=case.marks, id=f"{case.values[0]}-{test.removeprefix('test_')}")
        for case in names()
        for test in testing.tests()
        if test in OF_EACH or case.values[0] in of_families
    ]


@pytest.fixture(scope="module")
def contract(request):
    contract = testing.ArchitectureContract()
    contract.name, contract.input_shape = request.param, small_shape(request.param)
    yield contract
    keras.backend.clear_session()


@pytest.mark.parametrize(("contract", "test"), cases(), indirect=["contract"])
def test_an_architecture_keeps_the_contract(contract, test):
    getattr(contract, test)()


@pytest.fixture(scope="module", params=names())
def any_model(request):
    """A model with random weights that no test changes: every registered one."""
    yield build_small(request.param)
    keras.backend.clear_session()


def test_a_selector_trains_what_it_names_and_nothing_else(any_model):
    parts = zoo.stages(any_model)
    for number, stage in enumerate(parts):
        for selector, chosen in ((stage.name, [stage]), (f"{stage.name}+", parts[number:]), (f"!{stage.name}", parts)):
            layers = [layer for part in chosen for layer in part.layers if selector[0] != "!" or part is not stage]
            train_only(any_model, selector, batchnorm="train")
            wanted = {id(weight) for layer in layers for weight in weights_to_train(layer)}
            assert {id(weight) for weight in any_model.trainable_weights} == wanted, selector
    zoo.unfreeze(any_model, "all", batchnorm="train")


def weights_to_train(layer):
    """What Keras would train in a layer that is not frozen."""
    still = ("moving_mean", "moving_variance")
    if type(layer).__name__ == "Normalization":
        return []
    return [
        weight for weight in layer.weights if not weight.name.endswith(still) and "seed_generator" not in weight.path
    ]


def test_grey_gives_what_its_rgb_copy_gives(any_model):
    *_, channels = any_model.input_shape
    if channels != 3 or len(any_model.input_shape) != 4:
        pytest.skip("takes no RGB images")
    grey = build_small(any_model.name, input_shape=small_shape(any_model.name, channels=1))
    for mine, other in zip(grey.weights, any_model.weights, strict=True):
        mine.assign(other)
    images = random_images(2, grey.input_shape[1:])
    copies = np.repeat(images, 3, axis=-1)
    np.testing.assert_array_equal(np.asarray(grey(images)), np.asarray(any_model(copies)))


def test_batchnorm_takes_a_bias_before_it_away():
    # The chapter's net has such biases; faithful, though only their initial value is ever used.
    model = build_small("mnist_striding_batchnorm", classes=4)
    largest = testing.largest_gradients(model)
    for layer in ("stem_1_conv", "stage1_1_conv"):
        assert largest[f"{layer}/bias"] < 1e-3 * largest[f"{layer}/kernel"]
    with_bias = {
        name
        for name in zoo.list_models()
        if (zoo.info(name).params or LARGE + 1) <= LARGE
        for layer in build_small(name).layers
        if getattr(layer, "use_bias", False)
        and any(isinstance(node.operation, keras.layers.BatchNormalization) for node in layer._outbound_nodes)
    }
    assert with_bias == {"mnist_striding_batchnorm"}


# A photo net takes one to two minutes on two CPU cores, most of them for the graph of its gradients.
# Those of keras.applications are proved equal to Keras' own instead.
@pytest.mark.parametrize("name", [case for case in names(SMALL) if not from_keras(case.values[0])])
def test_sixteen_images_are_learnt_by_heart(name):
    model = build_small(name, classes=4, dropout=0.0)
    images, labels = random_images(16, small_shape(name)), np.arange(16) % 4
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
    # Where there is BatchNorm, its running statistics need hundreds of steps to converge; the batch's own do not.
    by_batch = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    assert not (by_batch and any(isinstance(layer, keras.layers.Dropout) for layer in model.layers))
    for _ in range(20):
        model.fit(images, labels, batch_size=16, epochs=10, verbose=0)
        predicted = keras.ops.convert_to_numpy(model(images, training=by_batch)).argmax(1)
        if np.array_equal(predicted, labels):
            return
    pytest.fail(f"{(predicted == labels).sum()} of 16 after 200 steps")
