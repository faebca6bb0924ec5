"""Photos of several requests through a model at once."""

import asyncio
import dataclasses
import threading

import numpy as np
import pytest

from tests.serving.made import LIMITS, SHAPE, brightness
from zoo.serving.batching import Batcher, size_for, sizes_of, warm
from zoo.serving.refusals import RefusedError

FOR_EVER = 1000.0
# What a batch takes: as long as a photo does, or as long as its photos one by one.
SAME, EACH = {1: 1.0, 2: 1.0, 4: 1.0}, {1: 1.0, 2: 2.0, 4: 4.0}


class Recorder:
    """A model that keeps the size of each batch, with and without what fills it up."""

    def __init__(self, compute=brightness):
        self.filled = []
        self.batches = []
        self._compute = compute

    def compute(self, pixels):
        self.filled.append(len(pixels))
        return self._compute(pixels)

    def batcher(self, seconds=None, **changes):
        limits = dataclasses.replace(LIMITS, **{"max_wait": FOR_EVER, **changes})
        return Batcher(self.compute, seconds or SAME, limits, lambda photos, seconds: self.batches.append(photos))


def grey(*levels):
    return np.stack([np.full(SHAPE, level, np.uint8) for level in levels])


def run(work):
    return asyncio.run(asyncio.wait_for(work, 20))


def test_batch_sizes_are_powers_of_two_up_to_the_largest():
    assert sizes_of(1) == [1]
    assert sizes_of(4) == [1, 2, 4]
    assert sizes_of(12) == [1, 2, 4, 8, 12]
    recorder = Recorder()
    assert warm(recorder.compute, SHAPE, 12).keys() == set(recorder.filled) == {1, 2, 4, 8, 12}


def test_the_size_is_what_takes_least_for_each_photo():
    assert [size_for(count, SAME) for count in (1, 2, 3, 4, 9)] == [1, 2, 4, 4, 4]
    assert [size_for(count, EACH) for count in (1, 2, 3, 4, 9)] == [1, 1, 1, 1, 1]
    # By hand: 3 photos take 3 x 1.0 one by one, 2 x 1.5 as two batches of two, of which one is filled up, or 1 x 2.5.
    half = {1: 1.0, 2: 1.5, 4: 2.5}
    assert [size_for(count, half) for count in (1, 2, 3, 4)] == [1, 2, 2, 4]


def test_where_a_batch_is_not_faster_nobody_waits_for_one():
    recorder = Recorder()

    async def work():
        batcher = recorder.batcher(EACH)
        with batcher.places(3) as one, batcher.places(1):  # which is on its way for ever
            return await one(grey(0, 51, 255))

    assert np.allclose(run(work())[:, 1], [0, 0.2, 1])
    assert recorder.filled == [1, 1, 1]


def test_a_photo_alone_waits_for_nobody():
    recorder = Recorder()

    async def work():
        batcher = recorder.batcher()
        with batcher.places(1) as compute:
            rows = await compute(grey(51))
        await batcher.close()
        return rows

    assert np.allclose(run(work()), [[0.8, 0.2]])
    assert recorder.batches == [1]


def test_photos_that_are_being_decoded_are_waited_for():
    recorder = Recorder()

    async def work():
        batcher = recorder.batcher()
        with batcher.places(1) as one, batcher.places(2) as other:
            first = asyncio.create_task(one(grey(0)))
            await asyncio.sleep(0.02)
            assert recorder.batches == []
            rows = await other(grey(255, 51))
            return np.concatenate([await first, rows])

    assert np.allclose(run(work())[:, 1], [0, 1, 0.2])
    assert recorder.batches == [3] and recorder.filled == [4]


def test_a_photo_that_cannot_be_decoded_is_waited_for_no_longer():
    recorder = Recorder()

    async def work():
        batcher = recorder.batcher()
        with batcher.places(1) as one:
            with batcher.places(1):
                first = asyncio.create_task(one(grey(0)))
                await asyncio.sleep(0.02)
                assert recorder.batches == []
            await first

    run(work())
    assert recorder.batches == [1]


def test_no_photo_waits_longer_than_is_said():
    recorder = Recorder()

    async def work():
        batcher = recorder.batcher(max_wait=0.01)
        with batcher.places(1) as one, batcher.places(1) as other:
            await one(grey(0))  # whose answer comes though the other was not decoded
            await other(grey(0))

    run(work())
    assert recorder.batches == [1, 1]


def test_requests_are_cut_and_gathered_up_to_the_largest_batch():
    recorder = Recorder()
    levels = [*range(0, 250, 25)]

    async def work():
        batcher = recorder.batcher()
        with batcher.places(len(levels)) as compute:
            return await compute(grey(*levels))

    assert np.allclose(run(work())[:, 1] * 255, levels)
    assert recorder.batches == [4, 4, 2] and recorder.filled == [4, 4, 2]


def test_many_requests_get_their_own_rows():
    recorder = Recorder()

    async def ask(batcher, level):
        with batcher.places(1) as compute:
            await asyncio.sleep(level / 50_000)
            return (await compute(grey(level)))[0, 1] * 255

    async def work():
        batcher = recorder.batcher(max_wait=0.002)
        return await asyncio.gather(*(ask(batcher, level) for level in range(100)))

    assert np.allclose(run(work()), range(100))
    assert sum(recorder.batches) == 100 and max(recorder.batches) <= 4 and len(recorder.batches) < 100


def test_what_a_model_raises_is_told_to_every_request_of_the_batch():
    def fails(pixels):
        raise ValueError("no such operation")

    recorder = Recorder(fails)

    async def work():
        batcher = recorder.batcher()
        with batcher.places(1) as one, batcher.places(1) as other:
            return await asyncio.gather(one(grey(0)), other(grey(1)), return_exceptions=True)

    assert [str(fault) for fault in run(work())] == ["no such operation"] * 2
    assert recorder.batches == []


def test_places_are_bounded_and_given_back():
    async def work():
        batcher = Recorder().batcher(queue=3)
        with batcher.places(2):
            with pytest.raises(RefusedError, match="2 photos are in hand; expected at most 3") as refused:
                batcher.check_room(2)
            assert (refused.value.status, refused.value.retry_after) == (503, 1)
            batcher.check_room(1)
        batcher.check_room(3)
        with pytest.raises(RefusedError, match="the request needs 4 places; expected at most 3") as refused:
            batcher.check_room(4)
        assert (refused.value.status, refused.value.retry_after) == (413, None)
        assert batcher.in_hand == 0

    run(work())


def test_closing_waits_for_what_is_in_hand():
    recorder = Recorder()

    async def work():
        batcher = recorder.batcher()
        with batcher.places(1) as compute:
            closing = asyncio.create_task(batcher.close())
            await asyncio.sleep(0.05)
            assert not closing.done()
            await compute(grey(0))
        await closing

    run(work())
    assert recorder.batches == [1]


def gathered(compute, *levels):
    """What becomes of requests of one photo each that go through a model at once, and the sizes it was asked for."""
    recorder = Recorder(compute)

    async def ask(batcher, level):
        with batcher.places(1) as compute:
            return (await compute(grey(level)))[0, 1] * 255

    async def work():
        batcher = recorder.batcher()
        return await asyncio.gather(*(ask(batcher, level) for level in levels), return_exceptions=True)

    return run(work()), recorder


def test_a_photo_at_which_the_model_fails_spoils_no_other():
    def fails(pixels):
        if pixels.max() == 255:
            raise ValueError("too bright")
        return brightness(pixels)

    (dark, bright, grey_), recorder = gathered(fails, 0, 255, 51)
    assert (round(dark), str(bright), round(grey_)) == (0, "too bright", 51)
    assert recorder.filled == [4, 1, 1, 1]


def test_a_row_that_is_not_a_number_spoils_no_other():
    def fails(pixels):
        rows = brightness(pixels)
        rows[pixels.reshape(len(pixels), -1).max(axis=1) == 255] = np.nan
        return rows

    (dark, bright), recorder = gathered(fails, 0, 255)
    assert (round(dark), str(bright)) == (0, "the model's probabilities are not numbers")
    assert recorder.filled == [2]


@pytest.mark.parametrize(
    ("given", "said"),
    [(None, "NoneType[]"), (np.zeros((0, 2), np.float32), "ndarray[0, 2]"), (np.zeros(1), "ndarray[1]")],
    ids=["nothing", "no row", "no classes"],
)
def test_a_model_that_gives_something_else_is_told_and_asked_again(given, said):
    answers = [given, brightness(grey(51))]
    recorder = Recorder(lambda pixels: answers.pop(0))

    async def ask(batcher):
        with batcher.places(1) as compute:
            return await compute(grey(51))

    async def work():
        batcher = recorder.batcher()
        with pytest.raises(ValueError) as fault:
            await ask(batcher)
        return str(fault.value), await ask(batcher), batcher.fault

    fault, rows, state = run(work())
    assert fault == f"the model gives {said}; expected float32[1, classes]"
    assert np.allclose(rows, [[0.8, 0.2]]) and state == ""


def test_a_batch_that_does_not_end_is_a_fault_while_it_lasts():
    is_open = threading.Event()
    recorder = Recorder(lambda pixels: is_open.wait(20) and brightness(pixels))

    async def work():
        batcher = recorder.batcher({1: 0.0}, max_batch=1, stuck_seconds=0.05)
        with batcher.places(1) as compute:
            answer = asyncio.create_task(compute(grey(0)))
            while not batcher.fault:
                await asyncio.sleep(0.01)
            assert batcher.fault == "a batch should have ended 0 seconds ago"
            is_open.set()
            await answer
        assert batcher.fault == ""
        await batcher.close()
        await asyncio.sleep(0)
        assert batcher.fault == "its worker has ended"

    run(work())


def test_closing_waits_for_requests_that_will_take_places():
    async def work():
        batcher = Recorder().batcher()
        with batcher.kept_open():
            closing = asyncio.create_task(batcher.close())
            await asyncio.sleep(0.05)
            with batcher.places(1) as compute:
                assert np.allclose(await compute(grey(51)), [[0.8, 0.2]])
        await closing

    run(work())
