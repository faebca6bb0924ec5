"""What a run leaves of the process that it ran in: all as it was."""

import logging
import random
import threading

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo.backend.callers_state import alone, callers_state


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "data.npz", count=16)


PLAN = recipe(phase("all", "all", epochs=1), model="mnist_conv_tiny")


def draws():
    """What the next draws of each generator are; drawing again gives others."""
    return random.random(), float(np.random.random()), float(keras.random.uniform(()))


def expected(seed):
    keras.utils.set_random_seed(seed)
    return [draws() for _ in range(3)]


class Fail(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise ValueError("a fault of the user's own")


def test_the_callers_generators_go_on_where_they_were(data, tmp_path):
    first, second, third = expected(7)
    keras.utils.set_random_seed(7)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert draws() == first
        zoo.finetune(PLAN, data, run=tmp_path / "one")
        assert draws() == second
        with pytest.raises(ValueError, match="a fault of the user's own"):
            zoo.finetune(PLAN, data, run=tmp_path / "two", callbacks=Fail())
        assert draws() == third
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_search_with_numpy_draws_another_value_in_each_trial(data, tmp_path):
    np.random.seed(0)
    rates = []
    for trial in range(2):
        rates.append(np.random.uniform(1e-4, 1e-2))
        zoo.finetune(PLAN, data, {"phases.all.learning_rate": rates[-1]}, run=tmp_path / str(trial))
    np.random.seed(0)
    assert rates == [np.random.uniform(1e-4, 1e-2) for _ in range(2)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's seed")
def test_tensorflows_operations_go_on_where_they_were():
    import tensorflow as tf

    def draw():
        return float(tf.random.uniform(()))

    tf.random.set_seed(3)
    wanted = [draw() for _ in range(3)]
    tf.random.set_seed(3)
    found = [draw()]
    for _ in range(2):
        with callers_state():
            keras.utils.set_random_seed(9)
            draw()
        found.append(draw())
    assert found == wanted


def test_the_range_test_gives_the_generators_back_too(data):
    from zoo.report.progress import Display
    from zoo.training.compiling.schedules import RisingRate
    from zoo.training.preparation.preparing import prepare
    from zoo.training.tools.range_test import find_rate

    first, second, _ = expected(5)
    keras.utils.set_random_seed(5)
    assert draws() == first
    with Display() as display:
        find_rate(prepare(PLAN, data), rate=RisingRate(lowest=1e-4, highest=1e-3, steps=3), display=display)
    assert draws() == second


@pytest.mark.slow
def test_runs_of_two_threads_take_turns_and_are_what_they_are_alone(data, tmp_path, capsys):
    plans = {seed: PLAN.model_copy(update={"train": PLAN.train.model_copy(update={"seed": seed})}) for seed in (1, 2)}
    for seed, plan in plans.items():
        zoo.finetune(plan, data, run=tmp_path / f"alone-{seed}")
    capsys.readouterr()
    threads = [
        threading.Thread(target=zoo.finetune, args=(plan, data), kwargs={"run": tmp_path / f"thread-{seed}"})
        for seed, plan in plans.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = capsys.readouterr().err
    assert said.count("waits: another thread of this process trains; runs in one process take turns") == 1
    for seed in plans:
        files = [
            (tmp_path / f"{how}-{seed}" / "model" / "model.safetensors").read_bytes() for how in ("alone", "thread")
        ]
        assert files[0] == files[1]


def test_a_run_within_a_run_of_the_same_thread_does_not_wait_for_itself():
    with alone(pytest.fail), alone(pytest.fail):
        pass


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's warning")
def test_several_runs_and_classifiers_in_one_process_warn_of_no_retracing(data, tmp_path, caplog):
    images = np.zeros((5, 28, 28), np.uint8)
    logger = logging.getLogger("tensorflow")
    before = list(logger.filters)
    logger.addHandler(caplog.handler)
    try:
        for number in range(6):
            run = zoo.finetune(PLAN, data, run=tmp_path / str(number))
            classifier = zoo.load(run.path)
            for count in range(1, 5):
                classifier.predict(images[:count])
    finally:
        logger.removeHandler(caplog.handler)
    assert not [entry.getMessage() for entry in caplog.records if "retracing" in entry.getMessage()]
    assert logger.filters == before
