"""What reaches `fit` is each batch once, in order."""

import sys
import time
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest

from tests.pixels import sized
from tests.tiny import write_photos
from zoo.backend.memory import aligned, is_aligned
from zoo.data import Batches, Packing, open_dataset, pack
from zoo.data.packs.pixels import Rows, resolve
from zoo.training.feeding import streams
from zoo.training.feeding.streams import StopWatch, training_data, validation_data

ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends take iterators as they are"
)


@pytest.fixture(params=["an array", "where TensorFlow reads it"])
def batches(request: pytest.FixtureRequest) -> Batches:
    """Ten images, each filled with its own number, in batches of four."""
    images = placed(
        np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8),
        is_tensor=request.param != "an array",
    )
    return Batches(images=images, labels=np.arange(10) % 3, classes=3, batch_size=4, seed=1, shuffle=True)


def placed(images: np.ndarray, *, is_tensor: bool) -> np.ndarray:
    """Copies images to where TensorFlow takes them as they are, or a byte beside."""
    length = images.nbytes
    room = aligned((length + 1,), np.dtype(np.uint8))
    copy = room[0 if is_tensor else 1 :][:length].view(images.dtype).reshape(images.shape)
    copy[...] = images
    assert is_aligned(copy) is is_tensor
    return copy


class Witness(keras.callbacks.Callback):
    """Notes the loss of each batch, which is the sum of its images' numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[float] = []
        self.validated: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.trained.append((logs or {})["sum"])

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.validated.append((logs or {})["sum"])


def test_fit_sees_the_stream_in_order_over_epochs_and_all_of_validation_in_each(batches: Batches) -> None:
    inputs = keras.Input((2, 2, 1))
    number = keras.layers.Flatten()(keras.layers.GlobalMaxPooling2D()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(number))

    class Sum(keras.metrics.Sum):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(y_pred)

    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[Sum(name="sum")])
    witness = Witness()
    model.fit(
        training_data(batches, 5, StopWatch(), epochs=3),
        steps_per_epoch=batches.batches_per_epoch,
        epochs=3,
        shuffle=False,
        verbose=0,
        validation_data=validation_data(batches),
        callbacks=[witness],
    )

    def running_sums(epoch: int) -> list[float]:
        order = batches.order(epoch)
        return [float(order[:stop].sum()) for stop in (4, 8, 10)]

    assert witness.trained == running_sums(5) + running_sums(6) + running_sums(7)
    assert witness.validated == running_sums(0) * 3


def test_validation_data_is_as_long_as_an_epoch(batches: Batches) -> None:
    assert len(list(validation_data(batches))) == 3


@ON_TENSORFLOW
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("chosen", [False, True])
def test_what_tensorflow_gathers_is_what_python_does(balanced: bool, chosen: bool) -> None:
    rng = np.random.default_rng(0)
    held = placed(rng.integers(0, 256, (60, 3, 2, 3)).astype(np.uint8), is_tensor=True)
    images = Rows(held, rng.permutation(60)[:40]) if chosen else held
    count = len(images) // 2
    batches = Batches(
        images=images,
        labels=rng.integers(0, 3, count),
        classes=4,
        batch_size=7,
        seed=3,
        shuffle=True,
        balanced=balanced,
        views=2,
        weights=rng.random(count, np.float32),
    )
    data = training_data(batches, 5, StopWatch(), epochs=3, with_labels=True).as_numpy_iterator()
    for epoch in (5, 6, 7):
        for number in range(batches.batches_per_epoch):
            (pixels, beside), labels = next(data)
            expected_pixels, expected_labels = batches.batch(epoch, number)
            np.testing.assert_array_equal(pixels, expected_pixels)
            np.testing.assert_array_equal(labels, expected_labels)
            np.testing.assert_array_equal(beside, expected_labels)


@ON_TENSORFLOW
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32"])
def test_tensorflow_gathers_from_where_the_images_lie_and_asks_python_once_an_epoch(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    images = placed(np.ones((10, 2, 2, 1), getattr(ml_dtypes, dtype, dtype)), is_tensor=True)
    batches = Batches(images=images, labels=np.zeros(10, int), classes=2, batch_size=1, seed=0, shuffle=True)
    asked: list[int] = []
    real = Batches.epoch_order
    monkeypatch.setattr(Batches, "epoch_order", lambda self, epoch: asked.append(epoch) or real(self, epoch))
    watch = StopWatch()
    data = iter(training_data(batches, 4, watch, epochs=4))
    seen = [next(data)[0] for _ in range(10)]
    assert {float(pixels[0, 0, 0, 0]) for pixels in seen} == {1.0}
    images[...] = 3  # had they been copied as a whole, nobody would see this
    for _ in range(3):  # were fetched ahead
        next(data)
    assert {float(next(data)[0][0, 0, 0, 0]) for _ in range(27)} == {3.0}
    assert asked[:4] == [4, 5, 6, 7]
    assert len(asked) <= 5
    assert 0 < watch.take() < 10


@ON_TENSORFLOW
@pytest.mark.skipif(sys.platform != "linux", reason="Linux reports anonymous memory")
def test_a_mapped_file_is_not_copied_as_a_whole(tmp_path: Path) -> None:
    def anonymous_megabytes() -> int:
        status = Path("/proc/self/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) // 1024

    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (4000, 256, 256, 1))  # 262 MB, sparse
    inputs = keras.Input((256, 256, 1))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalMaxPooling2D()(inputs)))
    model.compile("sgd", "mse")
    some = {"labels": np.zeros(4000, int), "classes": 2, "batch_size": 8, "seed": 0}
    training = Batches(images=np.asarray(images), shuffle=True, **some)
    validation = Batches(
        images=Rows(np.asarray(images), np.arange(8)), shuffle=False, **{**some, "labels": np.zeros(8, int)}
    )
    before = anonymous_megabytes()
    model.fit(
        training_data(training, 0, StopWatch(), epochs=2),
        validation_data=validation_data(validation),
        steps_per_epoch=3,
        shuffle=False,
        epochs=2,
        verbose=0,
    )
    assert anonymous_megabytes() - before < 130


def test_a_mapped_pack_is_where_tensorflow_reads_it(tmp_path: Path, fresh_cache: Path) -> None:
    split = open_dataset("folder", write_photos(tmp_path / "photos")).train
    for keep in (True, False):
        images = pack(split, sized(height=9, width=7, channels=3), Packing(keep=keep)).images
        whole, rows = resolve(images, np.arange(len(split)))
        assert isinstance(whole, np.ndarray)
        assert is_aligned(whole)
        np.testing.assert_array_equal(whole[rows], images[:])


@ON_TENSORFLOW
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32"])
def test_few_validation_images_are_asked_for_once_and_are_the_same_each_time(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    images = np.random.default_rng(0).random((10, 5)).astype(getattr(ml_dtypes, dtype, dtype))
    batches = Batches(
        images=images, labels=np.arange(10) % 3, classes=3, batch_size=4, seed=0, shuffle=False, weights=np.ones(10) / 7
    )
    expected = list(batches.epoch(0))
    asked: list[int] = []
    real = Batches.epoch_order
    monkeypatch.setattr(Batches, "epoch_order", lambda self, epoch: asked.append(epoch) or real(self, epoch))
    data = validation_data(batches)
    before = len(asked)
    for _ in range(3):
        for (pixels, labels), (expected_pixels, expected_labels) in zip(
            data.as_numpy_iterator(), expected, strict=True
        ):
            assert pixels.tobytes() == expected_pixels.tobytes()
            assert labels.tobytes() == expected_labels.tobytes()
    assert len(asked) == before > 0


@ON_TENSORFLOW
def test_many_validation_images_are_gathered_and_the_same(monkeypatch: pytest.MonkeyPatch, batches: Batches) -> None:
    few = list(validation_data(batches).as_numpy_iterator())
    monkeypatch.setattr(streams, "HELD_BYTES", 0)
    many = list(validation_data(batches).as_numpy_iterator())
    for one, other in zip(few, many, strict=True):
        assert [part.tobytes() for part in one] == [part.tobytes() for part in other]


@ON_TENSORFLOW
def test_tensorflow_tunes_no_dataset_of_ours(batches: Batches) -> None:
    """The tuning thread is what `fit` and each validation waited for at their end, up to a minute."""
    for data in (training_data(batches, 0, StopWatch(), epochs=2), validation_data(batches)):
        assert data.options().autotune.enabled is False


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the warnings are TensorFlow's")
@pytest.mark.parametrize("images", [np.zeros((8, 4, 4, 1), np.uint8), np.zeros((8, 4, 8, 1), np.uint8)[:, :, ::2]])
def test_tensorflow_warns_of_nothing(images, capfd):
    labels = np.arange(8) % 2
    batches = Batches(images=images, labels=labels, classes=2, batch_size=4, seed=0, shuffle=True)
    assert len(list(training_data(batches, 0, StopWatch(), epochs=2))) == 4
    assert "WARNING" not in capfd.readouterr().err


class Slow:
    """Images that take some time."""

    dtype = np.dtype(np.uint8)
    shape = (20, 2, 2, 1)

    def __len__(self) -> int:
        return 20

    def __getitem__(self, rows: Any) -> np.ndarray:
        time.sleep(0.1)
        return np.zeros((len(rows), 2, 2, 1), np.uint8)


def test_what_is_counted_is_what_training_waits_and_not_what_is_made_meanwhile() -> None:
    batches = Batches(images=Slow(), labels=np.zeros(20, int), classes=2, batch_size=4, seed=0, shuffle=False)
    watch = StopWatch()
    data, waited = iter(training_data(batches, 0, watch, epochs=1)), 0.0
    for _ in range(5):
        began = time.perf_counter()
        next(data)
        waited += time.perf_counter() - began
        time.sleep(0.15)  # the next one is made
    assert 0 < watch.take() <= waited
