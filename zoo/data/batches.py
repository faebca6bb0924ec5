"""Batches by number: any batch of any epoch, without those before it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from zoo.data.packs.pixels import Pixels, gather
from zoo.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class EpochOrder:
    """The images of an epoch, or some of them, in the order in which they come.

    Attributes:
        rows: int64[m], where each lies in `Batches.images`.
        labels: int64[m], the class of each.
        weights: float32[m], how much each counts in the loss.
    """

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def part(self, some: slice) -> "EpochOrder":
        """Returns some of them."""
        return EpochOrder(rows=self.rows[some], labels=self.labels[some], weights=self.weights[some])

    def one_hot(self, classes: int) -> np.ndarray:
        """Returns labels as float32[m, classes], one-hot, times the image's weight."""
        labels = np.zeros((len(self.labels), classes), np.float32)
        labels[np.arange(len(self.labels)), self.labels] = self.weights
        return labels


@dataclass(frozen=True, kw_only=True, eq=False)
class Batches:
    """Packed images in an order that is a pure function of (seed, epoch).

    Attributes:
        images: uint8[n, height, width, channels] in [0, 255], or what a frozen prefix makes of them; with views
            [views * n, ...], one view of all images after the other.
        labels: int[n] in [0, classes).
        classes: The number of classes.
        batch_size: Images per batch; the last batch of an epoch may be smaller.
        seed: Of the order; not negative.
        shuffle: Whether each epoch has its own order; otherwise images come as they lie.
        balanced: Whether an epoch has as many images of each class, about as many in all; those of a small class come
            several times, those of a large one in some of the epochs. Only with `shuffle`.
        views: Fixed views of each image, of which each epoch draws one.
        weights: float32[n], not negative, how much each image counts in the loss; None where all count 1.

    Raises:
        DataError: No images, as many labels as images expected, or a batch size below 1.
    """

    images: Pixels
    labels: np.ndarray
    classes: int
    batch_size: int
    seed: int
    shuffle: bool
    balanced: bool = False
    views: int = 1
    weights: np.ndarray | None = None
    _last_order: dict[int, EpochOrder] = field(default_factory=dict[int, EpochOrder], init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.images) != self.views * len(self.labels):
            raise DataError(f"There are {len(self.images)} images and {len(self.labels)} labels; expected as many.")
        if not len(self.images):
            raise DataError("There are no images to make batches of; expected one or more.")
        if self.batch_size < 1:
            raise DataError(f"train.batch_size is {self.batch_size}; expected 1 or more.")

    @property
    def batches_per_epoch(self) -> int:
        """Batches per epoch."""
        return -(-self.images_per_epoch // self.batch_size)

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch shows, repeated ones counted."""
        return self._images_per_class * self._present if self.balanced else len(self.labels)

    def order(self, epoch: int) -> np.ndarray:
        """Returns the images of an epoch in the order they come: int64, each of 0..n-1 once where not `balanced`."""
        if not self.shuffle:
            return np.arange(len(self.labels))
        if self.balanced:
            return self._balanced_order(epoch)
        return permutation(len(self.labels), self.seed, epoch)

    def _rows(self, epoch: int, order: np.ndarray) -> np.ndarray:
        """Chooses a view of each image: where in `images` it lies."""
        if self.views == 1:
            return order
        drawn = np.random.PCG64(np.random.SeedSequence((self.seed, epoch, self.views))).random_raw(len(order))
        return order + len(self.labels) * (drawn % self.views).astype(np.int64)

    def _balanced_order(self, epoch: int) -> np.ndarray:
        each = self._images_per_class
        chosen: list[np.ndarray] = []
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            # One endless row of orders of the class, of which each epoch takes the next part: none waits for long.
            rounds = range(epoch * each // len(members), ((epoch + 1) * each - 1) // len(members) + 1)
            row = np.concatenate([members[permutation(len(members), self.seed, turn, int(label))] for turn in rounds])
            first = epoch * each - rounds.start * len(members)
            chosen.append(row[first : first + each])
        images = np.concatenate(chosen)
        return images[permutation(len(images), self.seed, epoch)]

    @property
    def _present(self) -> int:
        return len(np.unique(self.labels))

    @property
    def _images_per_class(self) -> int:
        return max(1, round(len(self.labels) / self._present))

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a batch of an epoch by its number from 0 on.

        Returns:
            uint8[batch, height, width, channels] in [0, 255], and the labels as float32[batch, classes], one-hot, times
            the image's weight.
        """
        drawn = self.batch_order(epoch, number)
        return gather(self.images, drawn.rows), drawn.one_hot(self.classes)

    def batch_order(self, epoch: int, number: int) -> EpochOrder:
        """Returns what a batch of an epoch shows, in order."""
        return self.epoch_order(epoch).part(slice(number * self.batch_size, (number + 1) * self.batch_size))

    def epoch_order(self, epoch: int) -> EpochOrder:
        """Returns what an epoch shows, in order; drawn once for all of its batches."""
        drawn = self._last_order.get(epoch)
        if drawn is None:
            order = self.order(epoch)
            weights = np.ones(len(order), np.float32) if self.weights is None else self.weights[order]
            drawn = EpochOrder(rows=self._rows(epoch, order), labels=self.labels[order], weights=weights)
            self._last_order.clear()
            self._last_order[epoch] = drawn
        return drawn

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the batches of one epoch from `first_batch` on."""
        for number in range(first_batch, self.batches_per_epoch):
            yield self.batch(epoch, number)

    def stream(self, epoch: int, batch: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields batches without end, epoch after epoch, starting at the given batch of the given epoch."""
        while True:
            yield from self.epoch(epoch, batch)
            epoch, batch = epoch + 1, 0


def permutation(length: int, *key: int) -> np.ndarray:
    """Returns an order of 0..length-1, int64[length], that is a pure function of a key of numbers, none negative."""
    # NumPy keeps the raw bits of a bit generator for good, but not what Generator.permutation makes of them
    # (NEP 19), and an order has to survive an upgrade. Ranks of random 64-bit keys need the bits only.
    return np.argsort(np.random.PCG64(np.random.SeedSequence(key)).random_raw(length), kind="stable")
