"""The models that a server answers with, by name, and how new ones take their place under load."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import DataError, did_you_mean, in_one_line, printable
from zoo.serving.batching import Batcher, warm
from zoo.serving.metrics import Metrics
from zoo.serving.refusals import CONFLICT, FAILED, NOT_FOUND, RefusedError
from zoo.serving.settings import Limits

if TYPE_CHECKING:
    from zoo.data.images.settings import Settings
    from zoo.inference.answerer import Answerer

# What stands in an address as it is.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model is opened from, at the start and at each reload.

    Attributes:
        name: What it is called.
        open: Opens it anew.
    """

    name: str
    open: "Callable[[], Answerer]"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A model that is ready to answer.

    Attributes:
        name: What it is called in addresses.
        answerer: Computes probabilities.
        images: How photos are brought to its input.
        seconds: What each size of batch takes.
    """

    name: str
    answerer: "Answerer"
    images: "Settings"
    seconds: "Mapping[int, float]"


@dataclass(frozen=True, kw_only=True)
class Served(Opened):
    """A model that answers.

    Attributes:
        batcher: Collects the photos of several requests.
        since: When it took its place, in seconds since 1970.
    """

    batcher: Batcher
    since: float


def open_model(source: Source, limits: Limits) -> Opened:
    """Opens a model, and runs it once with each size of batch.

    Raises:
        DataError: It takes no photos.
        ZooError: It cannot be opened.
    """
    answerer = source.open()
    images = answerer.settings
    seconds = warm(answerer.compute, images.shape, limits.max_batch)
    return Opened(name=source.name, answerer=answerer, images=images, seconds=seconds)


def open_models(sources: Sequence[Source], limits: Limits) -> list[Opened]:
    """Opens models, one after the other; raises as `open_model` does."""
    return [open_model(source, limits) for source in sources]


def check_names(names: Sequence[str]) -> None:
    """Looks whether each model has a name of its own that can stand in an address.

    Raises:
        DataError: One has not.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise DataError(f"model '{name}': expected letters, digits, . _ and - in its name; type NAME=RUN")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"model '{twice[0]}' is given twice; expected a name for each: type NAME=RUN")


class Models:
    """The models that answer now.

    Args:
        sources: Where they are opened from.
        limits: What each may take.
        metrics: Where photos and batches are counted.
    """

    def __init__(self, sources: Sequence[Source], limits: Limits, metrics: Metrics) -> None:
        self._sources = sources
        self._limits = limits
        self._metrics = metrics
        self._served: dict[str, Served] = {}
        self._reloading = asyncio.Lock()
        self._leaving = set["asyncio.Task[None]"]()

    def start(self, opened: Sequence[Opened]) -> None:
        """Lets models answer, in place of those that did; these finish what they have accepted."""
        before = self._served
        self._served = {one.name: self._serve(one) for one in opened}
        for old in before.values():
            leaving = asyncio.create_task(old.batcher.close())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _serve(self, opened: Opened) -> Served:
        metrics, name = self._metrics, opened.name

        def observe(photos: int, seconds: float) -> None:
            metrics.photos.labels(name).inc(photos)
            metrics.batches.labels(name).observe(photos)
            metrics.computing.labels(name).inc(seconds)

        batcher = Batcher(opened.answerer.compute, opened.seconds, self._limits, observe)
        return Served(**vars(opened), batcher=batcher, since=time.time())

    def all(self) -> list[Served]:
        """Returns the models in the order in which they were given."""
        return list(self._served.values())

    def faults(self) -> dict[str, str]:
        """Returns why models do not answer any more, by their names."""
        return {one.name: one.batcher.fault for one in self.all() if one.batcher.fault}

    def named(self, name: str = "") -> Served:
        """Returns a model; the first where no name is given.

        Raises:
            RefusedError: There is none of that name.
        """
        if not name:
            return next(iter(self._served.values()))
        found = self._served.get(name)
        if found is None:
            raise RefusedError(
                NOT_FOUND,
                f"there is no model '{printable(name)}'.{did_you_mean(name, self._served)} "
                f"Expected one of: {', '.join(self._served)}",
                closes=True,
            )
        return found

    async def reload(self) -> list[Served]:
        """Opens all models anew beside those that answer, and lets them take over; all of them or none.

        Raises:
            RefusedError: One cannot be opened, or a reload is under way.
        """
        if self._reloading.locked():
            raise RefusedError(CONFLICT, "a reload is under way; try again when it has ended", retry_after=1)
        async with self._reloading:
            try:
                opened = await asyncio.to_thread(open_models, self._sources, self._limits)
            except Exception as fault:  # whatever it is, the models that answer go on
                self._metrics.reloads.labels("failed").inc()
                raise RefusedError(FAILED, f"reload: {in_one_line(fault)}; the models that answered go on") from fault
            self.start(opened)
            self._metrics.reloads.labels("done").inc()
            return self.all()

    async def close(self) -> None:
        """Ends once all that was accepted has its answer."""
        await asyncio.gather(*(one.batcher.close() for one in self.all()), *self._leaving)
