"""What the losses, schedules and optimizers of plug-ins are refused for, each in one line that names the row."""

import keras
import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.registry.losses import LossRow
from zoo.registry.optimizers import OptimizerRow
from zoo.registry.schedules import Schedule, ScheduleRow
from zoo.training.compiling.plug_ins import check_settings, checked_loss, checked_optimizer_class, checked_schedule

ops = keras.ops


def build():
    """The builder of a row of this module, which is not one of zoo's modules."""


LOSS = LossRow(name="mine", summary="", build=build)
SCHEDULE = ScheduleRow(name="mine", summary="", build=build)
OPTIMIZER = OptimizerRow(name="mine", summary="", build=build)


def loss_of(function, **settings):
    class Mine(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return function(y_true, y_pred)

    return Mine(**settings)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (loss_of(lambda true, pred: ops.mean(true - pred)), "call gives the shape [] for labels [batch, 3]"),
        (loss_of(lambda true, pred: true - pred), "call gives the shape [batch, 3] for labels [batch, 3]"),
        (loss_of(lambda true, pred: None), "call "),
        (loss_of(lambda true, pred: 1 / 0), "call fails on labels and probabilities: ZeroDivisionError: "),
        (loss_of(lambda true, pred: ops.sum(true - pred, -1), reduction="sum"), "its reduction is 'sum'; expected "),
        (None, "its builder gave None; expected an instance of keras.losses.Loss"),
        (keras.losses.MeanSquaredError, "its builder gave <class 'keras...SquaredError'>; expected an instance"),
    ],
)
def test_a_loss_that_does_not_give_one_value_for_each_image_is_refused(loss, text):
    with pytest.raises(ZooError) as raised:
        checked_loss(LOSS, loss)
    assert str(raised.value).startswith(f"loss 'mine' ({__name__}): {text}")
    assert "\n" not in str(raised.value)


def test_losses_of_keras_that_give_one_value_for_each_image_are_taken():
    for loss in (keras.losses.CategoricalCrossentropy(), keras.losses.MeanSquaredError()):
        assert checked_loss(LOSS, loss) is loss


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Schedule(fall=lambda done, xp: xp.sqrt(0.5 - done)), "fall gives nan at 0.501; expected a share of the rate"),
        (
            Schedule(fall=lambda done, xp: 0.5 - done),
            "fall gives -0.001 at 0.501; expected a share of the rate, 0 to 1",
        ),
        (Schedule(fall=lambda done, xp: 1 + done), "fall gives 1.001 at 0.001; expected a share of the rate"),
        (Schedule(fall=lambda done, xp: 0 * done), "fall gives 0 throughout, so that nothing trains"),
        (Schedule(fall=lambda done, xp: "half"), "fall gives 'half'; expected a number, 0 to 1"),
        (Schedule(fall=lambda done, xp: 1.0 if done < 0.5 else 0.1), "fall(done, xp) fails on an array: ValueError: "),
        (Schedule(fall=lambda done, xp: xp.interp(done, [0, 1], [1, 0])), "fall(done, xp) fails in a compiled step: "),
        (Schedule(fall=lambda done, xp: 1 - done, rise=lambda done, xp: -done), "rise gives -0.001 at 0.001"),
        (Schedule(fall=lambda done, xp: 1 - done, warmup=2.0), "warmup is 2.0; expected a share >= 0 and < 1"),
        (keras.optimizers.schedules.CosineDecay(0.1, 10), "its builder gave <keras.src"),
    ],
)
def test_a_schedule_that_does_not_give_shares_of_the_rate_is_refused(schedule, text):
    with pytest.raises(ZooError) as raised:
        checked_schedule(SCHEDULE, schedule)
    assert str(raised.value).startswith(f"schedule 'mine' ({__name__}): {text}")
    assert "\n" not in str(raised.value)


def test_a_schedule_may_give_one_number_for_all_of_it():
    constant = Schedule(fall=lambda done, xp: 1.0)
    assert checked_schedule(SCHEDULE, constant) is constant


class Plain(keras.optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * gradient)


class WithoutStep(keras.optimizers.Optimizer):
    pass


class AllAtOnce(keras.optimizers.Optimizer):
    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            variable.assign_sub(learning_rate * gradient)


class OldStep(keras.optimizers.Optimizer):
    def update_step(self, gradient, variable):
        self.assign_sub(variable, gradient)


class OwnRate(Plain):
    def __init__(self, learning_rate, **settings):
        super().__init__(0.25, name=settings["name"])


@pytest.mark.parametrize(
    ("base", "text"),
    [
        (WithoutStep, "WithoutStep has no update_step; expected update_step(self, gradient, variable, learning_rate)"),
        (
            AllAtOnce,
            "AllAtOnce moves weights without update_step; expected a class that overrides build",
        ),
        (OldStep, "OldStep fails in one step of one variable: TypeError: "),
        (keras.optimizers.SGD(0.1), "its builder gave <keras.src"),
        (None, "its builder gave None; expected a subclass of keras.optimizers.Optimizer, not an instance"),
    ],
)
def test_an_optimizer_that_does_not_step_each_variable_is_refused(base, text):
    with pytest.raises(ZooError) as raised:
        checked_optimizer_class(OPTIMIZER, base, {})
    assert str(raised.value).startswith(f"optimizer 'mine' ({__name__}): {text}")
    assert "\n" not in str(raised.value)


def test_an_option_that_the_class_does_not_take_is_named():
    with pytest.raises(ZooError, match=r"mine.*Plain fails in one step of one variable: .*momentum"):
        checked_optimizer_class(OPTIMIZER, Plain, {"momentum": 0.5})
    assert checked_optimizer_class(OPTIMIZER, Plain, {}) is Plain


def test_settings_that_a_class_keeps_from_keras_are_named():
    check_settings(OPTIMIZER, Plain(0.5, weight_decay=0.1, name="a"), {"weight_decay": 0.1}, 0.5)
    with pytest.raises(ZooError, match=r"mine.*: weight_decay is None where the recipe gives 0\.1; expected __init__"):
        check_settings(OPTIMIZER, OwnRate(0.5, weight_decay=0.1, name="a"), {"weight_decay": 0.1}, 0.5)
    with pytest.raises(ZooError, match=r"mine.*: learning_rate is 0\.25 where the recipe gives 0\.5; expected"):
        check_settings(OPTIMIZER, OwnRate(np.float32(0.5), name="a"), {}, 0.5)
