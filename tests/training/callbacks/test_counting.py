"""Batches and steps, by hand: 10 images in batches of 2 are 5 batches an epoch; two of them make a step."""

from zoo.runs.progress import Progress
from zoo.training.callbacks.counting import PhaseCounts


def counts(**start):
    return PhaseCounts(start=Progress(**start), batches_per_epoch=5, accumulate=2)


def test_a_batch_that_an_epoch_leaves_over_goes_into_the_next_ones_first_step():
    after = [counts().after(epochs) for epochs in range(4)]
    assert [one.step for one in after] == [0, 2, 5, 7]
    assert [one.batch for one in after] == [0, 5, 10, 15]
    assert [one.epoch for one in after] == [one.epoch_in_phase for one in after] == [0, 1, 2, 3]


def test_a_batch_that_a_phase_leaves_over_makes_no_step():
    second = counts(phase=1, epoch=3, step=7, batch=15)
    assert [(one.step, one.batch) for one in map(second.after, (1, 2))] == [(9, 20), (12, 25)]


def test_a_phase_that_goes_on_counts_as_if_it_had_not_stopped():
    straight, resumed = (
        counts(phase=1, epoch=3, step=7, batch=15),
        counts(phase=1, epoch_in_phase=1, epoch=4, step=9, batch=20),
    )
    assert (resumed.first_epoch, resumed.first_step) == (straight.first_epoch, straight.first_step) == (3, 7)
    assert resumed.after(3) == straight.after(3)


def test_the_step_of_a_batch_is_the_one_that_it_takes_part_in():
    steps = [counts().step_of(epoch, batch) for epoch in (0, 1) for batch in range(5)]
    assert steps == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_without_accumulation_each_batch_is_a_step():
    plain = PhaseCounts(start=Progress(step=7, batch=7, epoch=1), batches_per_epoch=5, accumulate=1)
    assert [plain.after(2).step, plain.after(2).batch, plain.step_of(1, 0)] == [17, 17, 13]
