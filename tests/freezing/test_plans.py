from textwrap import dedent

import keras
import numpy as np
import pytest
from keras import layers

import zoo
from zoo.errors import ContractError, NotFoundError, ZooError
from zoo.freezing.contract import Contract, frozen_variables
from zoo.freezing.plans import plan, train_only


@pytest.fixture
def model():
    """Parameters: stem 3*3*1*2 + 2 = 20 and BatchNorm 4*2 = 8; stage1 3*3*2*3 = 54 and 4*3 = 12; head 3*2 + 2 = 8."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, padding="same", name="stem_conv")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_activation")(x)
    x = layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False, name="stage1_conv")(x)
    x = layers.BatchNormalization(name="stage1_bn")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(inputs, layers.Dense(2, name="classifier")(x))


IMAGES = np.random.default_rng(0).normal(2, 3, size=(8, 8, 8, 1)).astype("float32")
LABELS = np.arange(8) % 2
STATISTICS = {
    f"{layer}_bn/{statistic}" for layer in ("stem", "stage1") for statistic in ("moving_mean", "moving_variance")
}
AFFINE = {f"{layer}_bn/{weight}" for layer in ("stem", "stage1") for weight in ("gamma", "beta")}
KERNELS = {"stem_conv/kernel", "stage1_conv/kernel", "classifier/kernel"}


def compile_it(model, learning_rate=0.1):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(learning_rate), loss=loss)


def fit(model):
    model.fit(IMAGES, LABELS, batch_size=8, epochs=1, shuffle=False, verbose=0)


def values(model):
    return {weight.path: np.array(np.asarray(weight.value)) for weight in model.weights}


def moved_by_a_step(model):
    """Trains one step; gives the paths of the weights whose bits are other than before."""
    before = values(model)
    compile_it(model)
    fit(model)
    return {path for path, now in values(model).items() if not np.array_equal(now, before[path])}


def rows(table):
    return [(row.stage, row.layers, row.params, row.trainable_params, row.state, row.batchnorm) for row in table.rows]


def test_freezing_leaves_the_head_by_default(model):
    table = zoo.freeze(model)
    assert rows(table) == [
        ("stem", 3, 28, 0, "frozen", "frozen"),
        ("stage1", 2, 66, 0, "frozen", "frozen"),
        ("head", 2, 8, 8, "trainable", "-"),
    ]
    assert table.trainable_params == 8


# Of stage1's 66 parameters 54 are the kernel, 6 gamma and beta, 6 statistics, which no gradient reaches.
@pytest.mark.parametrize(("batchnorm", "trainable"), [("frozen", 54), ("affine", 60), ("train", 60)])
def test_the_plan_counts_what_each_batchnorm_mode_trains(model, batchnorm, trainable):
    zoo.freeze(model, "all")
    table = zoo.unfreeze(model, "stage1", batchnorm=batchnorm)
    assert rows(table) == [
        ("stem", 3, 28, 0, "frozen", "frozen"),
        ("stage1", 2, 66, trainable, "trainable", batchnorm),
        ("head", 2, 8, 0, "frozen", "-"),
    ]


def test_the_plan_of_a_half_trained_stage():
    # stage2 of mnist_conv: 3x3 kernels 32 -> 64 -> 64 without bias, and two BatchNorms of 4 * 64.
    model = zoo.build("mnist_conv", weights=None)
    zoo.freeze(model, "all")
    table = zoo.unfreeze(model, "re:^stage2_1", batchnorm="affine")
    assert rows(table)[2] == (
        "stage2",
        6,
        9 * 32 * 64 + 9 * 64 * 64 + 2 * 4 * 64,
        9 * 32 * 64 + 2 * 64,
        "partly",
        "mixed",
    )
    assert table.trainable_params == 9 * 32 * 64 + 2 * 64


def test_the_plan_as_a_table_and_as_data(model):
    table = zoo.freeze(model)
    assert str(table) == dedent("""\
        stage   layers  params  trainable  state      batchnorm
        stem         3      28          0  frozen     frozen
        stage1       2      66          0  frozen     frozen
        head         2       8          8  trainable  -""")
    assert table.to_json()[2] == {
        "stage": "head",
        "layers": 2,
        "params": 8,
        "trainable_params": 8,
        "state": "trainable",
        "batchnorm": "-",
        "rate": None,
    }


def test_freeze_and_unfreeze_are_selective(model):
    zoo.freeze(model, "stem")
    assert [row.state for row in plan(model).rows] == ["frozen", "trainable", "trainable"]
    zoo.freeze(model, "head")
    assert [row.state for row in plan(model).rows] == ["frozen", "trainable", "frozen"]
    zoo.unfreeze(model, "stem", batchnorm="affine")
    assert [row.state for row in plan(model).rows] == ["trainable", "trainable", "frozen"]
    assert [row.batchnorm for row in plan(model).rows] == ["affine", "train", "-"]


def test_training_only_a_part_undoes_every_earlier_choice(model):
    train_only(model, "all", batchnorm="affine")
    assert plan(model).trainable_params == 20 + 4 + 54 + 6 + 8
    train_only(model, "all", batchnorm="train")
    assert plan(model).trainable_params == 20 + 4 + 54 + 6 + 8
    train_only(model, "stage1+", batchnorm="frozen")
    assert rows(plan(model)) == [
        ("stem", 3, 28, 0, "frozen", "frozen"),
        ("stage1", 2, 66, 54, "trainable", "frozen"),
        ("head", 2, 8, 8, "trainable", "-"),
    ]


def test_unfreezing_a_model_that_was_switched_off_as_a_whole(model):
    # The habit of Keras' own guides; the model's switch would override those of its layers.
    model.trainable = False
    table = zoo.unfreeze(model, "head")
    assert [row.trainable_params for row in table.rows] == [0, 0, 8]
    assert {weight.path for weight in model.trainable_weights} == {"classifier/kernel", "classifier/bias"}


def test_a_selector_that_matches_nothing_freezes_nothing(model):
    for change in (zoo.freeze, zoo.unfreeze):
        with pytest.raises(NotFoundError, match="selector 'stage7' matches nothing"):
            change(model, "stage7")
    assert plan(model).trainable_params == 20 + 4 + 54 + 6 + 8


def test_a_frozen_model_does_not_move_and_its_head_does(model):
    zoo.freeze(model)
    assert moved_by_a_step(model) == {"classifier/kernel", "classifier/bias"}


def test_frozen_batchnorm_keeps_statistics_and_affine_weights(model):
    train_only(model, "all", batchnorm="frozen")
    moved = moved_by_a_step(model)
    assert moved == KERNELS | {"stem_conv/bias", "classifier/bias"}


def test_affine_batchnorm_changes_gamma_and_beta_only(model):
    train_only(model, "re:_bn$", batchnorm="affine")
    assert moved_by_a_step(model) == AFFINE


@pytest.mark.parametrize("again", ["train_only", "freeze"])
def test_what_affine_batchnorm_trained_is_frozen_again(model, again):
    train_only(model, "all", batchnorm="affine")
    if again == "freeze":
        zoo.freeze(model)
    else:
        train_only(model, "head", batchnorm="frozen")
    assert not any(weight.trainable for weight in model.weights if not weight.path.startswith("classifier"))
    assert moved_by_a_step(model) == {"classifier/kernel", "classifier/bias"}


def test_trained_batchnorm_changes_statistics(model):
    train_only(model, "all", batchnorm="train")
    moved = moved_by_a_step(model)
    # A bias before BatchNorm cancels; whether rounding changes it does not matter.
    assert moved - {"stem_conv/bias"} == KERNELS | AFFINE | STATISTICS | {"classifier/bias"}


def test_trained_batchnorm_takes_a_hundredth_of_the_batch(model):
    # Keras' momentum is 0.99; the statistics begin at 0 and 1.
    before_bn = keras.Model(model.input, model.get_layer("stem_conv").output)
    maps = keras.ops.convert_to_numpy(before_bn(IMAGES))
    train_only(model, "re:^stem_bn$", batchnorm="train")
    compile_it(model)
    fit(model)
    now = values(model)
    np.testing.assert_allclose(now["stem_bn/moving_mean"], 0.01 * maps.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(now["stem_bn/moving_variance"], 0.99 + 0.01 * maps.var((0, 1, 2)), rtol=1e-4)


def test_frozen_batchnorm_infers_even_when_asked_to_train(model):
    train_only(model, "all", batchnorm="frozen")
    assert np.array_equal(model(IMAGES, training=True), model(IMAGES, training=False))
    train_only(model, "all", batchnorm="train")
    assert not np.allclose(model(IMAGES, training=True), model(IMAGES, training=False))


def test_what_must_not_move_is_all_but_what_trains(model):
    paths = {weight.path for weight in model.weights}
    for batchnorm, moving in (
        ("frozen", {"stage1_conv/kernel"}),
        ("affine", {"stage1_conv/kernel", "stage1_bn/gamma", "stage1_bn/beta"}),
        ("train", {path for path in paths if path.startswith("stage1_")}),
    ):
        train_only(model, "stage1", batchnorm=batchnorm)
        assert {weight.path for weight in frozen_variables(model)} == paths - moving


def test_a_kept_contract_names_what_has_not_changed(model):
    train_only(model, "stage1+", batchnorm="train")
    compile_it(model)
    contract = Contract(model, model.optimizer, phase="head")
    assert set(contract.frozen) == {
        "stem_conv/kernel",
        "stem_conv/bias",
        *(f"stem_bn/{weight}" for weight in ("gamma", "beta", "moving_mean", "moving_variance")),
    }
    assert set(contract.trained) == {
        "stage1_conv/kernel",
        "stage1_bn/gamma",
        "stage1_bn/beta",
        "classifier/kernel",
        "classifier/bias",
    }
    fit(model)
    contract.check()
    assert contract.unchanged() == []


def test_a_step_of_size_zero_is_listed_and_not_fatal(model):
    zoo.freeze(model)
    compile_it(model, learning_rate=0.0)
    contract = Contract(model, model.optimizer, phase="warm_up")
    fit(model)
    contract.check()
    assert contract.unchanged() == ["classifier/kernel", "classifier/bias"]


def test_a_bias_before_batchnorm_is_not_fatal():
    # Its gradient is zero but for rounding, since BatchNorm takes the mean away; next to 100 rounding is lost.
    model = zoo.build("mnist_striding_batchnorm")
    biases = {"stem_1_conv/bias", "stage1_1_conv/bias"}
    for name in ("stem_1_conv", "stage1_1_conv"):
        bias = model.get_layer(name).bias
        bias.assign(np.full(bias.shape, 100))
    model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="sparse_categorical_crossentropy")
    contract = Contract(model, model.optimizer, phase="all")
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1)).astype("uint8")
    model.fit(images, LABELS, verbose=0)
    assert biases <= set(contract.trained)
    contract.check()
    assert set(contract.unchanged()) == biases


def fault_of(contract):
    with pytest.raises(ContractError) as raised:
        contract.check()
    assert raised.value.exit_code == 3
    assert isinstance(raised.value, ZooError)
    return str(raised.value)


def test_a_layer_set_trainable_after_compile_breaks_the_contract(model):
    zoo.freeze(model)
    compile_it(model)
    contract = Contract(model, model.optimizer, phase="head")
    fit(model)
    zoo.unfreeze(model, "stage1")
    assert fault_of(contract) == (
        "phase 'head': 1 tensors are set trainable or frozen after the phase was compiled: stage1_conv/kernel; "
        "no checkpoint holds it"
    )


def test_a_layer_frozen_after_compile_breaks_the_contract(model):
    train_only(model, "head,stem", batchnorm="train")
    compile_it(model)
    contract = Contract(model, model.optimizer, phase="ends")
    fit(model)
    zoo.freeze(model, "all")
    assert fault_of(contract) == (
        "phase 'ends': 6 tensors are set trainable or frozen after the phase was compiled: classifier/bias, "
        "classifier/kernel, stem_bn/beta, ...; no checkpoint holds it"
    )


def test_a_frozen_weight_that_moved_breaks_the_contract(model):
    zoo.freeze(model)
    compile_it(model)
    contract = Contract(model, model.optimizer, phase="head")
    fit(model)
    kernel = model.get_layer("stem_conv").kernel
    value = values(model)["stem_conv/kernel"]
    # One bit of one number is enough.
    kernel.assign(np.where(np.arange(18).reshape(3, 3, 1, 2) == 7, np.nextafter(value, np.float32(9)), value))
    assert fault_of(contract) == (
        "phase 'head': 1 tensors are frozen, yet moved: stem_conv/kernel; no checkpoint holds it"
    )
    kernel.assign(value)
    contract.check()


def test_statistics_that_move_in_a_frozen_batchnorm_break_the_contract(model):
    # Frozen too late: Keras goes on with the step that it traced when BatchNorm was in training.
    train_only(model, "all", batchnorm="train")
    compile_it(model)
    fit(model)
    train_only(model, "all", batchnorm="affine")
    contract = Contract(model, model.optimizer, phase="late")
    fit(model)
    text = fault_of(contract)
    assert text.startswith("phase 'late': 4 tensors are frozen, yet moved: ")
    assert set(text.removesuffix(", ...; no checkpoint holds it").split(": ")[2].split(", ")) <= STATISTICS


def test_a_weight_that_the_optimizer_does_not_know_breaks_the_contract(model):
    zoo.freeze(model)
    compile_it(model)
    model.optimizer.build(model.trainable_variables)
    zoo.unfreeze(model, "stage1")
    assert fault_of(Contract(model, model.optimizer, phase="late")) == (
        "phase 'late': 1 tensors are to be trained, yet unknown to the optimizer: stage1_conv/kernel; "
        "no checkpoint holds it"
    )


def test_the_contract_holds_under_loss_scaling():
    model = zoo.build("mnist_conv", weights=None, precision="mixed_float16")
    zoo.freeze(model)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    contract = Contract(model, model.optimizer, phase="head")
    model.fit(np.full((8, 28, 28, 1), 200, "uint8"), LABELS, verbose=0)
    contract.check()
