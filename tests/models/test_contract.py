"""What holds for every registered model."""

import keras
import numpy as np
import pytest

import zoo
from zoo import registry
from zoo.freezing.graphs import legal_cuts
from zoo.freezing.plans import train_only
from zoo.models.building import load_model
from zoo.models.counting import count_madds
from zoo.models.saving import save_model

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


def random_images(count, shape):
    """uint8[count, *shape], each of 4 even fields a side of random colour, so that every two differ visibly."""
    *sides, channels = shape
    images = np.random.default_rng(0).integers(0, 256, (count, *[4] * len(sides), channels)).astype("uint8")
    for axis, side in enumerate(sides, 1):
        images = images.take(np.arange(side) * 4 // side, axis=axis)
    return images


@pytest.fixture(scope="module", params=names())
def any_model(request):
    """A model with random weights that no test changes: every registered one."""
    yield build_small(request.param)
    keras.backend.clear_session()


@pytest.fixture(scope="module", params=names(each_family=True))
def model(request):
    """The same of each family's smallest variant."""
    return build_small(request.param)


@pytest.mark.parametrize("name", names())
def test_the_card_tells_the_truth(name):
    card = zoo.info(name)
    model = zoo.build(name, weights=None)
    assert card.name == model.name == name
    assert model.input_shape == (None, *card.input_shape)
    assert model.output_shape == (None, card.classes)
    assert model.count_params() == card.params
    assert count_madds(model) == pytest.approx(card.madds, rel=0.01)
    assert [(stage.name, len(stage.layers), stage.params) for stage in zoo.stages(model)] == [
        (stage.name, stage.layers, stage.params) for stage in card.stages
    ]
    assert sum(stage.params for stage in card.stages) == card.params
    numbered = [f"stage{number}" for number in range(1, len(card.stages) - 1)]
    assert [stage.name for stage in card.stages] == ["stem", *numbered, "head"]


def test_every_layer_has_a_name_of_its_own_making(model):
    # Weights are found by name: `conv2d_3` would depend on what else was built in the process.
    again = zoo.build(model.name, weights=None, input_shape=model.input_shape[1:])
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_a_stage_end_splits_the_model(any_model):
    model = any_model
    images = random_images(2, model.input_shape[1:])
    whole = keras.ops.convert_to_numpy(model(images))
    cuts = legal_cuts(model)
    for stage in zoo.stages(model)[:-1]:
        assert stage.last.name in cuts
        cut = stage.last.output
        prefix, suffix = keras.Model(model.input, cut), keras.Model(cut, model.output)
        np.testing.assert_allclose(suffix(prefix(images)), whole, atol=1e-5, err_msg=stage.name)


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


def test_a_saved_model_loads_exactly(model, tmp_path):
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    saved = {weight.path: np.asarray(weight.value) for weight in model.weights}
    assert {weight.path for weight in loaded.weights} == saved.keys()
    assert all(np.array_equal(np.asarray(weight.value), saved[weight.path]) for weight in loaded.weights)
    images = random_images(2, model.input_shape[1:])
    assert np.array_equal(loaded(images), model(images))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", names(each_family=True))
def test_probabilities_are_float32_under_every_policy(name, precision):
    model = build_small(name, precision=precision, classes=5)
    images = random_images(3, small_shape(name))
    probabilities = keras.ops.convert_to_numpy(model(images))
    assert (probabilities.shape, probabilities.dtype) == ((3, 5), "float32")
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert np.array_equal(model(images.astype("float32")), probabilities)


class GradientKeeper(keras.optimizers.Optimizer):
    """Puts each gradient where its variable was, so that a step shows what reaches what, on any backend."""

    def __init__(self):
        super().__init__(learning_rate=1.0)

    def update_step(self, gradient, variable, learning_rate):
        self.assign(variable, gradient)


def largest_gradients(model):
    """The largest entry of each trainable weight's gradient, by path; a step on eight images of four classes."""
    for weight in model.weights:
        weight.constraint = None
    # Without a gradient Keras warns, and a warning is an error here.
    model.compile(optimizer=GradientKeeper(), loss="sparse_categorical_crossentropy", run_eagerly=True)
    images = random_images(8, model.input_shape[1:])
    # Not as many of each class: a deep net at its start calls them equally likely, and its bias would have no gradient.
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    model.fit(images, labels, batch_size=8, epochs=1, verbose=0)
    return {weight.path: np.abs(np.asarray(weight.value)).max() for weight in model.trainable_weights}


@pytest.mark.parametrize("name", names(each_family=True))
def test_gradient_reaches_every_trainable_weight(name):
    # With BatchNorm's running statistics: those of the batch take every constant away again, so that a bias before
    # BatchNorm, or a beta before a 1x1 convolution and BatchNorm, has no gradient but rounding.
    model = build_small(name, classes=4, dropout=0.0)
    learnt = {weight.path for weight in model.trainable_weights}
    train_only(model, "all", batchnorm="affine")
    largest = largest_gradients(model)
    assert largest.keys() == learnt
    assert [path for path, gradient in largest.items() if not 0 < gradient < np.inf] == []


def test_batchnorm_takes_a_bias_before_it_away():
    # The chapter's net has such biases; faithful, though only their initial value is ever used.
    model = build_small("mnist_striding_batchnorm", classes=4)
    largest = largest_gradients(model)
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
    # Where there is BatchNorm, its running statistics need hundreds of steps to settle; the batch's own do not.
    by_batch = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    assert not (by_batch and any(isinstance(layer, keras.layers.Dropout) for layer in model.layers))
    for _ in range(20):
        model.fit(images, labels, batch_size=16, epochs=10, verbose=0)
        predicted = keras.ops.convert_to_numpy(model(images, training=by_batch)).argmax(1)
        if np.array_equal(predicted, labels):
            return
    pytest.fail(f"{(predicted == labels).sum()} of 16 after 200 steps")
