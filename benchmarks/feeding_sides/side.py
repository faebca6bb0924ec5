"""One feed, alone: for each side of images that is typed, how many it gives a second to nobody who computes.

    python side.py NAME FOLDER

FOLDER holds `224.npy` and others like it: uint8[n, side, side, 3]. What comes first is "ready", or why it cannot be. A
batch counts when it is a tensor of the framework that would train, on the device that JAX or TensorFlow uses.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZE, CLASSES, SECONDS = 128, 10, 1.0


def _labels(images: Any) -> Any:
    return np.arange(len(images)) % CLASSES


def _batches(images: Any) -> Any:
    from zoo.data import Batches

    options: dict[str, Any] = {"classes": CLASSES, "batch_size": BATCH_SIZE, "seed": 0, "shuffle": True}
    return Batches(images=images, labels=_labels(images), **options)


def _toolkit(images: Any) -> Iterator[Any]:
    from zoo.training.feeding.streams import StopWatch, training_data

    return iter(training_data(_batches(images), 0, StopWatch(), epochs=100_000))


def zoo_jax(images: Any) -> Iterator[Any]:
    """The toolkit's feed where JAX is the backend."""
    import jax

    return map(jax.block_until_ready, _toolkit(images))


def zoo_tensorflow(images: Any) -> Iterator[Any]:
    """The toolkit's feed where TensorFlow is the backend."""
    return _toolkit(images)


def py_dataset(images: Any) -> Iterator[Any]:
    """The same batches made by a PyDataset of Keras when they are asked for, as JAX was fed before it had a thread."""
    import jax
    import keras

    batches = _batches(images)

    class Made(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 100_000

        def __getitem__(self, index: int) -> Any:
            return batches.batch(*divmod(index, batches.batches_per_epoch))

    return (jax.block_until_ready(jax.device_put(batch)) for batch in Made())


def grain(images: Any) -> Iterator[Any]:
    """Grain, whose threads read images one by one, as its documentation has it."""
    import grain as pygrain
    import jax

    labels = np.eye(CLASSES, dtype=np.float32)[_labels(images)]

    class Source:
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, row: Any) -> Any:
            return images[row], labels[row]

    dataset = pygrain.MapDataset.source(Source()).seed(0).shuffle().repeat().batch(BATCH_SIZE)
    return (jax.block_until_ready(jax.device_put(batch)) for batch in dataset.to_iter_dataset())


def torch(images: Any) -> Iterator[Any]:
    """PyTorch's DataLoader with as many workers as cores."""
    from torch.utils.data import DataLoader, Dataset

    labels = np.eye(CLASSES, dtype=np.float32)[_labels(images)]

    class Images(Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, row: int) -> Any:
            return images[row], labels[row]

    loader = DataLoader(Images(), BATCH_SIZE, shuffle=True, num_workers=os.cpu_count() or 1, persistent_workers=True)
    return itertools.chain.from_iterable(itertools.repeat(loader))


SIDES: dict[str, Callable[[Any], Iterator[Any]]] = {
    "zoo-jax": zoo_jax,
    "zoo-tensorflow": zoo_tensorflow,
    "pydataset-jax": py_dataset,
    "grain": grain,
    "torch": torch,
}


def _images_a_second(feed: Iterator[Any]) -> float:
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        count += len(next(feed)[1])
    return count / spent


def main() -> None:
    """Answers one line with another."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    try:
        sides = [int(path.stem) for path in folder.glob("*.npy")]
        feeds = {side: SIDES[name](np.asarray(np.load(folder / f"{side}.npy", mmap_mode="r"))) for side in sides}
        for feed in feeds.values():  # threads, graphs and the page cache are warm
            _images_a_second(feed)
    except ImportError as fault:
        print(f"left out: {fault}", flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        print(_images_a_second(feeds[int(line)]), flush=True)


if __name__ == "__main__":
    main()
