"""Which epoch is better, and when a phase is over: by hand."""

import pytest

from zoo.runs.progress import Best, Progress
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.callbacks.early_stopping import EarlyStopping
from zoo.training.callbacks.monitor import Monitor

EPOCHS = [(0.5, 3.0), (0.9, 2.0), (0.9, 1.0), (0.9, 1.0), (0.9, 1.5), (0.8, 0.5)]


class Trained:
    """What `fit` looks at."""

    stop_training = False


def counts(start=None):
    return PhaseCounts(start=start or Progress(), batches_per_epoch=1, accumulate=1)


def stopping(monitor, *, patience, start=None):
    callback = EarlyStopping(monitor, patience=patience, counts=start or counts())
    callback.set_model(Trained())
    return callback


def logs(accuracy, loss):
    return {"val_accuracy": accuracy, "val_loss": loss}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("val_accuracy", [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3)]),
        ("val_loss", [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (6, 0)]),
    ],
)
def test_of_equal_accuracies_the_lower_loss_is_better_for_the_run_and_for_its_phase(metric, expected):
    callback = stopping(Monitor(metric), patience=5)
    best, seen = None, []
    for epoch, (accuracy, loss) in enumerate(EPOCHS):
        callback.on_epoch_end(epoch, logs(accuracy, loss))
        best = Monitor(metric).best_of(best, logs(accuracy, loss), counts().after(epoch + 1))
        assert best == callback.best
        seen.append((callback.best.step, callback.stale_epochs))
    assert seen == expected


def test_a_phase_is_over_after_so_many_epochs_without_a_better_one():
    callback = stopping(Monitor("val_accuracy"), patience=2)
    over = []
    for epoch, (accuracy, loss) in enumerate(EPOCHS[:5]):
        callback.on_epoch_end(epoch, logs(accuracy, loss))
        over.append((callback.is_over, callback.model.stop_training))
    assert over == [(False, False)] * 4 + [(True, True)]


def test_the_best_epoch_is_noted_and_gone_on_from():
    callback = stopping(Monitor("val_accuracy"), patience=2)
    for epoch, (accuracy, loss) in enumerate(EPOCHS[:4]):
        callback.on_epoch_end(epoch, logs(accuracy, loss))
    noted = callback.noted_in(counts().after(4))
    assert (noted.phase_best, noted.stale_epochs) == (Best(value=0.9, step=3, batch=3, loss=1.0), 1)
    again = stopping(Monitor("val_accuracy"), patience=2, start=counts(noted))
    assert not again.is_over
    again.on_epoch_end(4, logs(*EPOCHS[4]))
    assert again.is_over


def test_without_validation_or_patience_no_epoch_is_compared():
    for callback in (stopping(None, patience=2), stopping(Monitor("val_loss"), patience=0)):
        callback.on_epoch_end(0, logs(0.5, 1.0))
        assert (callback.best, callback.stale_epochs, callback.is_over) == (None, 0, False)


def test_a_best_epoch_of_an_earlier_zoo_stays_the_best_of_equals():
    before = Best(value=0.9, step=1, batch=1)
    assert Monitor("val_accuracy").best_of(before, logs(0.9, 0.1), counts().after(2)) is before


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("metric", "epochs", "expected"),
    [
        # Which epoch is the best after each, from 1; 0 where none is.
        ("val_accuracy", [(NAN, 0.1), (0.2, 3.0), (NAN, 0.1), (0.3, 2.0)], [0, 2, 2, 4]),
        ("val_accuracy", [(-INF, 0.1), (0.2, 3.0), (INF, 0.1)], [0, 2, 2]),
        ("val_accuracy", [(NAN, NAN), (NAN, 1.0), (NAN, 0.5)], [0, 0, 0]),
        ("val_accuracy", [(0.5, NAN), (0.5, 2.0), (0.5, NAN), (0.5, 1.0), (0.5, 1.0)], [1, 2, 2, 4, 4]),
        ("val_accuracy", [(0.5, INF), (0.5, NAN), (0.5, 7.0)], [1, 1, 3]),
        ("val_loss", [(0.9, NAN), (0.1, 5.0), (0.9, -INF), (0.1, NAN), (0.1, 4.0)], [0, 2, 2, 2, 5]),
        ("val_loss", [(0.9, INF), (0.1, 5.0), (0.2, 5.0)], [0, 2, 2]),
    ],
)
def test_figures_that_are_not_finite_are_never_the_best_and_poison_nothing(metric, epochs, expected):
    callback, best = stopping(Monitor(metric), patience=9), None
    for number, ((accuracy, loss), is_best) in enumerate(zip(epochs, expected, strict=True)):
        callback.on_epoch_end(number, logs(accuracy, loss))
        best = Monitor(metric).best_of(best, logs(accuracy, loss), counts().after(number + 1))
        assert (best.step if best else 0) == is_best
        assert callback.best == best
        assert callback.stale_epochs == number + 1 - is_best


def test_a_phase_of_which_no_figure_is_finite_ends_after_its_patience():
    callback = stopping(Monitor("val_accuracy"), patience=2)
    for number in range(2):
        callback.on_epoch_end(number, logs(NAN, 1.0))
    assert callback.is_over
    assert callback.best is None


def test_a_best_that_an_earlier_zoo_noted_as_nan_gives_way():
    poisoned = Best(value=NAN, step=1, batch=1, loss=NAN)
    assert Monitor("val_accuracy").best_of(poisoned, logs(0.1, 9.0), counts().after(2)).step == 2
