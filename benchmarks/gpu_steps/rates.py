"""How fast a net trains: images a second of a batch that lies on the card, and of batches from a pack of JPEGs."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gpu_steps import photos
from gpu_steps.plan import Sizes
from gpu_steps.running import say

PRECISIONS = ("mixed_bfloat16", "float32")
# Batches that tell how many are measured.
TRIED = 5


def main(sizes: Sizes, work: Path, net: str) -> None:
    """Measures a net in both precisions; all layers train."""
    pack = _pack(photos.ready(sizes, work), net, sizes.side)
    for precision in PRECISIONS:
        began = time.perf_counter()
        training = Training(net, precision, sizes.batches[net], pack)
        training.fit(training.synthetic(TRIED))
        compiled = time.perf_counter() - began
        for source, feed in (("synthetic", training.synthetic), ("pack", training.packed)):
            say(
                net=net,
                precision=precision,
                batch=sizes.batches[net],
                source=source,
                built_and_compiled_in=round(compiled, 1),
                **training.rate(feed, sizes),
            )


def _pack(folder: Path, net: str, side: int) -> Any:
    from zoo import registry
    from zoo.data import Packing, Settings, open_dataset, pack

    channels = registry.lookup(net).card.input_shape[-1]
    settings = Settings(height=side, width=side, channels=channels)
    return pack(open_dataset("folder", folder).train, settings, Packing(keep=True))


class Training:
    """A net as a phase that trains all of it compiles it, without what a run does around it.

    Attributes:
        loss: The mean of what was trained last.
    """

    def __init__(self, net: str, precision: str, batch: int, pack: Any) -> None:
        """Builds and compiles.

        Args:
            net: Its name.
            precision: The dtype policy.
            batch: Images of a batch.
            pack: The photos.
        """
        import jax

        from zoo.data import Batches
        from zoo.models.building import build
        from zoo.recipe.schema import Recipe
        from zoo.training.compiling.schedules import LearningRateSchedule
        from zoo.training.compiling.training_model import make_training_model
        from zoo.training.feeding.throughput import throughput_of
        from zoo.training.trainable import apply_freezing

        phase = {"name": "all", "train": "all", "learning_rate": 1e-4, "weight_decay": 1e-4, "schedule": "constant"}
        described = {"name": "rates", "model": {"name": net, "weights": "none"}, "phases": [phase]}
        recipe = Recipe.model_validate({**described, "train": {"batch_size": batch, "precision": precision}})
        classes = photos.CLASSES
        model = build(
            net, classes=classes, input_shape=pack.images.shape[1:], weights="none", precision=precision, dropout=None
        )
        apply_freezing(model, recipe.phases[0])
        self._batches = Batches(
            images=pack.images, labels=pack.labels, classes=classes, batch_size=batch, seed=0, shuffle=True
        )
        rate = LearningRateSchedule.of_phase(recipe.phases[0], 1000)
        self._model: Any = make_training_model(
            model, recipe, recipe.phases[0], rate, batches=self._batches, prefix=None
        ).model
        self._throughput = throughput_of(model, batch)
        self.loss = float("nan")
        self._on_card = jax.device_put(self._batches.batch(0, 0))

    def synthetic(self, count: int) -> tuple[Any, Any]:
        """Returns as many times the same batch, which lies on the card, and a watch that counts no seconds."""
        from zoo.training.feeding.streams import FiniteBatches, StopWatch

        return FiniteBatches(lambda _: self._on_card, count=count), StopWatch()

    def packed(self, count: int) -> tuple[Any, Any]:
        """Returns as many batches of the pack, as a run gets them, and what counts the seconds of making them."""
        from zoo.training.feeding.streams import StopWatch, training_data

        # The last batch of an epoch is smaller, and would be compiled for: all photos are a multiple of it or more.
        whole = len(self._batches.labels) // self._batches.batch_size * self._batches.batch_size
        watch = StopWatch()
        batches = self._batches if whole == len(self._batches.labels) else _first(self._batches, whole)
        data = training_data(batches, 0, watch, epochs=-(-count // batches.batches_per_epoch))
        return data, watch

    def fit(self, feed: tuple[Any, Any], count: int = TRIED) -> float:
        """Trains on as many batches; returns the seconds. All is computed when it returns: it reads the loss."""
        from zoo.training.feeding.streams import feeding

        with feeding(feed[0]):
            began = time.perf_counter()
            history = self._model.fit(feed[0], steps_per_epoch=count, epochs=1, verbose=0, shuffle=False).history
            seconds = time.perf_counter() - began
        self.loss = float(history["loss"][-1])
        return seconds

    def rate(self, feed: Callable[[int], tuple[Any, Any]], sizes: Sizes) -> dict[str, Any]:
        """Measures, after some batches that tell how long one takes."""
        count = max(2, round(sizes.seconds * TRIED / self.fit(feed(TRIED))))
        seconds: list[float] = []
        waited: list[float] = []
        for _ in range(sizes.rounds):
            data, watch = feed(count)
            seconds.append(self.fit((data, watch), count))
            waited.append(watch.take())
        median = statistics.median(seconds)
        figures = self._throughput.of_epoch(median / count, statistics.median(waited) / count)
        images = count * self._batches.batch_size
        return {
            **figures,
            "loss": round(self.loss, 4),
            "batches": count,
            "runs": [round(images / one, 1) for one in seconds],
        }


def _first(batches: Any, count: int) -> Any:
    from dataclasses import replace

    from zoo.data.packs.pixels import choose

    return replace(batches, images=choose(batches.images, np.arange(count)), labels=batches.labels[:count])
