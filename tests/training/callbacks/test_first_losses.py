"""The losses of a run's first batches: those that callbacks are given, read as often as they are kept."""

from collections import Counter

import keras
import pytest

import zoo
from tests.tiny import phase, recipe, tiny_recipe, write_npz
from zoo.runs.progress import Progress
from zoo.sharing.finished_run import open_finished
from zoo.sharing.locks.making import lock_runs
from zoo.sharing.receipt import receipt_of
from zoo.training.callbacks.metrics_writer import FirstLosses


class Loss:
    """A loss that counts how often it is made a number."""

    def __init__(self, value):
        self.value, self.reads = value, 0

    def __float__(self):
        self.reads += 1
        return self.value


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def test_each_of_the_first_twenty_is_read_once_and_no_other():
    losses = [Loss(1 / (number + 1)) for number in range(25)]
    first = FirstLosses(Progress())
    for number, loss in enumerate(losses):
        first.on_train_batch_end(number % 5, {"loss": loss})
    assert [loss.reads for loss in losses] == [1] * 20 + [0] * 5
    assert [float.fromhex(text) for text in first.losses] == [1 / (number + 1) for number in range(20)]


def test_a_run_that_goes_on_keeps_those_it_has():
    before = Progress(batch=2, first_losses=("0x1.8p+0", "0x1.4p+0"))
    first = FirstLosses(Progress.from_json(before.to_json()))
    first.on_train_batch_end(2, {"loss": 1.0})
    assert first.losses == ("0x1.8p+0", "0x1.4p+0", "0x1.0000000000000p+0")


def test_a_run_that_an_earlier_zoo_began_has_none():
    first = FirstLosses(Progress(batch=2))
    first.on_train_batch_end(2, {"loss": 1.0})
    assert first.losses == ()


def test_run_lock_and_receipt_have_what_callbacks_were_given_over_all_phases(tmp_path):
    watch = Watch()
    two = recipe(phase("head", "head"), phase("all", "all"), model="mnist_conv_tiny")
    run = zoo.finetune(two, write_npz(tmp_path / "images.npz"), run=tmp_path / "run", callbacks=watch, verbose=0)
    lock = lock_runs(run.path)
    kept = lock.expected.first_losses
    assert [float.fromhex(loss) for loss in kept] == watch.losses  # 2 phases of 2 epochs of 3 batches
    assert len(kept) == 12
    assert run.record["first_losses"] == list(kept)
    assert receipt_of(open_finished(run.path), lock.to_text()).first_losses == kept


def test_nothing_goes_through_the_model_that_would_not_without_them(trained, tmp_path, monkeypatch):
    calls: Counter[str] = Counter()

    def counting(make, name):
        def made(model, *rest, **options):
            make(model, *rest, **options)
            function = getattr(model, name)
            if getattr(function, "is_counted", False):
                return

            def counted(iterator):
                calls[name] += 1
                return function(iterator)

            counted.is_counted = True
            setattr(model, name, counted)

        return made

    for name in ("train_function", "test_function"):
        make = getattr(keras.Model, f"make_{name}")
        monkeypatch.setattr(keras.Model, f"make_{name}", counting(make, name))
    run = zoo.finetune(tiny_recipe(), trained.data, run=tmp_path / "run", verbose=0)
    # 2 epochs; 12 images train and 4 validate, in batches of 8.
    assert calls == {"train_function": 4, "test_function": 2}
    assert len(run.record["first_losses"]) == 4
    weights = [(each / "model" / "model.safetensors").read_bytes() for each in (run.path, trained.run)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("path", ["a.py", "deep/b.py"])
def test_a_changed_source_of_a_plug_in_changes_its_hash(tmp_path, monkeypatch, path):
    from zoo.runs.packages import _code_hash

    package = tmp_path / "a_plug_in"
    for name in ("__init__.py", "a.py", "deep/b.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = _code_hash("a_plug_in")
    (package / "more.txt").write_text("no code")
    assert _code_hash("a_plug_in") == before
    (package / path).write_text("x = 2\n")
    assert _code_hash("a_plug_in") != before
