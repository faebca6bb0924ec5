"""On JAX a thread makes the batches: the same as without it, each with its own memory, and none is left at the end.

On another backend one test runs this folder's others in a process of JAX.
"""

import gc
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest

from tests.tiny import environment
from tests.training.feeding.test_streams import placed
from zoo.backend.feeds import jax_data
from zoo.backend.feeds.ahead import InOrder
from zoo.backend.feeds.jax_data import Rooms, Target, target
from zoo.data import Batches
from zoo.data.packs.pixels import Rows
from zoo.training.feeding import streams
from zoo.training.feeding.on_jax import JaxBatches, Span
from zoo.training.feeding.streams import StopWatch, feeding, training_data, validation_data

ON_JAX = pytest.mark.skipif(keras.backend.backend() != "jax", reason="these are the batches of JAX")


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="is this test itself, from outside")
def test_this_folder_passes_on_jax() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", str(Path(__file__).parent)],
        env=environment(KERAS_BACKEND="jax"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 25, done.stdout[-500:]


def at_work() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "zoo-feed"]


def made(*, is_aligned: bool = True, chosen: bool = False, dtype: str = "uint8", **options: Any) -> Batches:
    """Fifty random images of four classes, of two views each, in batches of seven: the last of an epoch has one."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (120, 6, 5, 3)).astype(getattr(ml_dtypes, dtype, dtype))
    held = placed(pixels, is_tensor=is_aligned)
    images = Rows(held, rng.permutation(120)[:100]) if chosen else held[:100]
    given: dict[str, Any] = {"shuffle": True, "weights": rng.random(50, np.float32), **options}
    return Batches(images=images, labels=rng.integers(0, 3, 50), classes=4, batch_size=7, seed=3, views=2, **given)


def assert_are_those_of(batches: Batches, found: list[Any], *, epoch: int, first: int = 0) -> None:
    for place, (pixels, labels) in enumerate(found, first):
        more, number = divmod(place, batches.batches_per_epoch)
        expected_pixels, expected_labels = batches.batch(epoch + more, number)
        assert np.asarray(pixels).dtype == expected_pixels.dtype
        assert np.asarray(pixels).tobytes() == expected_pixels.tobytes()
        assert np.asarray(labels).tobytes() == expected_labels.tobytes()


@ON_JAX
@pytest.mark.parametrize("is_aligned", [True, False])
@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("options", [{}, {"balanced": True}, {"shuffle": False, "weights": None}], ids=str)
def test_what_fit_gets_is_what_batches_are(is_aligned: bool, chosen: bool, options: dict[str, Any]) -> None:
    import jax

    batches = made(is_aligned=is_aligned, chosen=chosen, **options)
    data = training_data(batches, 5, StopWatch(), epochs=3, first_batch=2)
    # All are held until the last has come: none may lie in memory that another was gathered into.
    found = list(data)
    assert len(found) == len(data) == 3 * batches.batches_per_epoch - 2
    assert_are_those_of(batches, found, epoch=5, first=2)
    assert all(isinstance(part, jax.Array) for batch in found for part in batch)
    assert at_work() == []


@ON_JAX
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("images_of_a_part", [1, 30, 1000])  # 100 are not a multiple of 30
def test_what_the_device_gathers_is_what_batches_are(
    monkeypatch: pytest.MonkeyPatch, dtype: str, images_of_a_part: int
) -> None:
    batches = made(dtype=dtype)
    monkeypatch.setattr(jax_data, "_PART_BYTES", images_of_a_part * batches.images[:1].nbytes)
    expected = [batches.batch(1 + epoch, number) for epoch in range(2) for number in range(batches.batches_per_epoch)]
    load = JaxBatches(batches, Span(first_epoch=1, on_device=True)).begin()
    assert isinstance(batches.images, np.ndarray)
    batches.images[...] = 0  # were they not on the device, all would see this
    for number, (pixels, labels) in enumerate(expected):
        found_pixels, found_labels = load(number)
        assert np.asarray(found_pixels).tobytes() == pixels.tobytes()
        assert np.asarray(found_labels).tobytes() == labels.tobytes()


@ON_JAX
def test_images_are_copied_to_the_device_once_for_all_passes() -> None:
    batches = made()
    ours = JaxBatches(batches, Span(on_device=True))
    in_order = InOrder(ours.begin, 3)
    first = [np.array(in_order(number)[0]) for number in range(3)]
    assert isinstance(batches.images, np.ndarray)
    batches.images[...] = 0
    assert [in_order(number)[0].tobytes() for number in range(3)] == [pixels.tobytes() for pixels in first]


class Device:
    """Says what an accelerator's device does of its memory."""

    def __init__(self, platform: str, memory: dict[str, int] | None) -> None:
        self.platform = platform
        self._memory = memory

    def memory_stats(self) -> dict[str, int] | None:
        return self._memory


@pytest.mark.parametrize(
    ("device", "has_room"),
    [
        (Device("gpu", {"bytes_limit": 1000, "bytes_in_use": 100}), True),  # 3 x 300 = 900
        (Device("gpu", {"bytes_limit": 1000, "bytes_in_use": 101}), False),
        (Device("gpu", {}), False),
        (Device("tpu", None), False),
        (Device("cpu", {"bytes_limit": 10**12, "bytes_in_use": 0}), False),
        (None, False),
    ],
)
def test_images_stay_where_a_third_of_the_free_memory_holds_them(device: Device | None, has_room: bool) -> None:
    assert Target(device).has_room(300) is has_room


@ON_JAX
def test_on_a_cpu_no_image_stays_on_the_device() -> None:
    assert target().device.platform == "cpu"
    assert not target().has_room(1)


@ON_JAX
def test_memory_is_used_again_when_no_array_of_jax_lies_in_it() -> None:
    import jax

    rooms, held, places = Rooms((1000, 64), np.dtype(np.uint8)), [], set()
    for number in range(40):
        array = rooms.lend(1000)
        places.add(array.ctypes.data)
        array[...] = number
        held.append(target().put(array))
        del array
        if number >= 20:  # until then all are held, and from then on three
            del held[:-3]
            gc.collect()
        assert [int(one[0, 0]) for one in held] == [int(one[-1, -1]) for one in held]
        assert int(held[-1][0, 0]) == number
        assert len({int(one[0, 0]) for one in held}) == len(held)
    assert isinstance(held[0], jax.Array)
    assert 20 < len(places) < 30


@ON_JAX
@pytest.mark.parametrize("through_jax", [True, False])
def test_memory_that_a_view_lies_in_is_not_used_again(through_jax: bool) -> None:
    rooms, views = Rooms((100, 64), np.dtype(np.float32)), []
    for number in range(12):
        array = rooms.lend(60)
        assert (array.shape, array.dtype) == ((60, 64), np.float32)
        array[...] = number
        whole = np.asarray(target().put(array)) if through_jax else array
        views.append(whole[20:40, ::2].T)
        del array, whole
        gc.collect()
    assert [np.unique(view).tolist() for view in views] == [[number] for number in range(12)]


@ON_JAX
def test_where_keras_distributes_batches_lie_on_its_devices() -> None:
    import jax

    batches = made()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0"], auto_shard_dataset=False))
    try:
        data = training_data(batches, 0, StopWatch(), epochs=1)
        found = list(data)
        assert all(isinstance(part.sharding, jax.sharding.NamedSharding) for batch in found for part in batch)
        assert_are_those_of(batches, found, epoch=0)
        model = net(batches)
        model.fit(data, steps_per_epoch=len(data), shuffle=False, verbose=0, validation_data=validation_data(batches))
    finally:
        keras.distribution.set_distribution(None)


def net(batches: Batches) -> keras.Model:
    inputs = keras.Input(batches.images.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalMaxPooling2D()(inputs)))
    model.compile("sgd", "mse")
    return model


class Stop(keras.callbacks.Callback):
    """Ends training in some way at a batch."""

    def __init__(self, at: int, fault: BaseException | None) -> None:
        super().__init__()
        self.at, self.fault, self.seen = at, fault, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.seen += 1
        if self.seen == self.at:
            if self.fault is not None:
                raise self.fault
            self.model.stop_training = True


@ON_JAX
@pytest.mark.parametrize("fault", [None, ValueError("of a callback"), KeyboardInterrupt()], ids=repr)
def test_however_fit_ends_no_thread_is_left(monkeypatch: pytest.MonkeyPatch, fault: BaseException | None) -> None:
    monkeypatch.setattr(streams, "HELD_BYTES", 0)
    batches = made()
    data, validation = training_data(batches, 0, StopWatch(), epochs=9), validation_data(batches)
    stop = Stop(10, fault)
    options = {"epochs": 9, "steps_per_epoch": batches.batches_per_epoch, "shuffle": False, "verbose": 0}
    try:
        with feeding(data, validation):
            net(batches).fit(data, validation_data=validation, callbacks=[stop], **options)
    except (ValueError, KeyboardInterrupt) as raised:
        assert raised is fault
    assert stop.seen == 10
    assert at_work() == []


class Broken:
    """Images of which one cannot be read."""

    dtype = np.dtype(np.uint8)
    shape = (50, 6, 5, 3)

    def __len__(self) -> int:
        return 50

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        if 30 in rows:
            raise ValueError("images/30.png: is no image")
        return np.zeros((len(rows), 6, 5, 3), np.uint8)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="TensorFlow wraps faults in its own")
def test_a_fault_reaches_the_caller_at_its_batch_with_its_own_message() -> None:
    batches = Batches(images=Broken(), labels=np.zeros(50, int), classes=4, batch_size=7, seed=0, shuffle=False)
    data = training_data(batches, 0, StopWatch(), epochs=1)
    count = Stop(10**9, None)
    with pytest.raises(ValueError, match=r"^images/30\.png: is no image$"), feeding(data):
        net(batches).fit(data, steps_per_epoch=8, shuffle=False, verbose=0, callbacks=[count])
    assert count.seen == 30 // 7
    assert at_work() == []


@ON_JAX
def test_few_validation_images_are_gathered_once() -> None:
    batches = made(shuffle=False)
    data = validation_data(batches)
    expected = [pixels.tobytes() for pixels, _ in batches.epoch(0)]
    passes = [[np.asarray(pixels) for pixels, _ in data] for _ in range(3)]
    assert [[pixels.tobytes() for pixels in one] for one in passes] == [expected] * 3
    assert at_work() == []
