"""Images a second are those that were taken, by the time that they took."""

import pytest

from zoo.training.tools.speed import NETS, Net, measure_speed


class Clock:
    """Goes on by half a second whenever it is looked at."""

    def __init__(self):
        self.looks = 0

    def __call__(self):
        self.looks += 1
        return self.looks / 2


@pytest.fixture(autouse=True)
def by_keras(monkeypatch):
    monkeypatch.setenv("ZOO_ENGINE", "keras")


def test_images_a_second_are_counted_over_whole_batches():
    clock = Clock()
    (speed,) = measure_speed([Net(name="mnist_simple", size=28)], seconds=1.4, clock=clock)
    # A look at the beginning, and one after each of three batches: 96 images in 1.5 seconds, twice.
    assert (speed.forward, speed.training, clock.looks) == (64, 64, 8)
    assert (speed.name, speed.size) == ("mnist_simple", 28)
    assert (speed.engine, speed.first_pass) == ("keras", 64)


def test_a_batch_that_takes_longer_than_the_time_is_measured_all_the_same():
    (speed,) = measure_speed([Net(name="mnist_simple", size=28)], seconds=0.1, clock=Clock())
    assert (speed.forward, speed.training) == (64, 64)


def test_a_first_pass_is_measured_by_the_engine_that_runs_it(monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    clock = Clock()
    (speed,) = measure_speed([Net(name="mnist_simple", size=28)], seconds=0.1, clock=clock)
    assert speed.engine.split()[0] == openvino.__name__
    assert (speed.first_pass, clock.looks) == (64, 6)


def test_the_nets_are_three_of_different_size():
    assert [(net.name, net.size) for net in NETS] == [
        ("mnist_conv", 28),
        ("efficientnet_lite0", 224),
        ("resnet50", 128),
    ]
