"""Batches by index: any step of any epoch can be had without the steps before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.data.grouping import choose_groups
from zoo.data.pixels import Pixels, gather
from zoo.errors import DataError


def split_share(
    labels: np.ndarray, share: float, seed: int, *, groups: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Divides images into train and validation, class by class.

    Each class gives `share` of its images, rounded, but at least one and never all; a class with
    a single image stays in train. The choice inside a class depends on the seed, the label and the number of
    its images only, so images that are added to one class leave the others as they were.

    With groups, all images of one are on one side, and each class gives about as many as it would without: see
    `zoo.data.grouping.choose_groups`. A class that is in a single group stays in train. The choice depends on
    the seed, the names of the groups and what is in each, and not on the order of the images.

    Args:
        labels: int[n], the class of each image.
        share: The share of validation, between 0 and 1, both excluded.
        seed: Not negative.
        groups: The group of each image, or None where each is its own.

    Returns:
        Two sorted int64 arrays that together hold each of 0..n-1 once: the train and the validation images.

    Raises:
        DataError: A share out of range.
    """
    if not 0 < share < 1:
        raise DataError(
            f"data.validation is {share}; expected a share between 0 and 1, such as 0.1. "
            "Set 0 to train without validation."
        )
    wanted: dict[int, int] = {}
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        wanted[label] = min(max(int(share * len(members) + 0.5), 1), len(members) - 1)
        held_out[members[_permutation(len(members), seed, label)[: wanted[label]]]] = True
    if groups is not None:
        held_out = choose_groups(labels, groups, wanted, seed)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """The images of an epoch, in the order in which they come.

    Attributes:
        rows: int64[m], where each lies in `Batches.images`.
        labels: int64[m], the class of each.
        weights: float32[m], how much each counts in the loss.
    """

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Batches:
    """Packed images in an order that is a pure function of (seed, epoch).

    Attributes:
        images: uint8[n, height, width, channels] in [0, 255], or what a frozen prefix makes of them; with views
            [views * n, ...], one view of all images after the other.
        labels: int[n] in [0, classes).
        classes: The number of classes.
        batch_size: Images per step; the last batch of an epoch may be smaller.
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
    _last_drawn: dict[int, Drawn] = field(default_factory=dict[int, Drawn], init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.images) != self.views * len(self.labels):
            raise DataError(f"There are {len(self.images)} images and {len(self.labels)} labels; expected as many.")
        if not len(self.images):
            raise DataError("There are no images to make batches of; expected one or more.")
        if self.batch_size < 1:
            raise DataError(f"train.batch_size is {self.batch_size}; expected 1 or more.")

    @property
    def steps(self) -> int:
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
        return _permutation(len(self.labels), self.seed, epoch)

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
            row = np.concatenate([members[_permutation(len(members), self.seed, turn, int(label))] for turn in rounds])
            first = epoch * each - rounds.start * len(members)
            chosen.append(row[first : first + each])
        images = np.concatenate(chosen)
        return images[_permutation(len(images), self.seed, epoch)]

    @property
    def _present(self) -> int:
        return len(np.unique(self.labels))

    @property
    def _images_per_class(self) -> int:
        return max(1, round(len(self.labels) / self._present))

    def batch(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a batch of an epoch.

        Returns:
            uint8[batch, height, width, channels] in [0, 255], and the labels as float32[batch, classes], one-hot, times
            the image's weight.
        """
        drawn = self.drawn(epoch)
        some = slice(step * self.batch_size, (step + 1) * self.batch_size)
        labels = drawn.labels[some]
        one_hot = np.zeros((len(labels), self.classes), np.float32)
        one_hot[np.arange(len(labels)), labels] = drawn.weights[some]
        return gather(self.images, drawn.rows[some]), one_hot

    def drawn(self, epoch: int) -> Drawn:
        """Returns what an epoch shows, in order; drawn once for all of its steps."""
        drawn = self._last_drawn.get(epoch)
        if drawn is None:
            order = self.order(epoch)
            weights = np.ones(len(order), np.float32) if self.weights is None else self.weights[order]
            drawn = Drawn(rows=self._rows(epoch, order), labels=self.labels[order], weights=weights)
            self._last_drawn.clear()
            self._last_drawn[epoch] = drawn
        return drawn

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the batches of one epoch from `first_step` on."""
        for step in range(first_step, self.steps):
            yield self.batch(epoch, step)

    def stream(self, epoch: int, step: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields batches without end, epoch after epoch, starting at the given step of the given epoch."""
        while True:
            yield from self.epoch(epoch, step)
            epoch, step = epoch + 1, 0


def _permutation(length: int, *key: int) -> np.ndarray:
    # NumPy keeps the raw bits of a bit generator for good, but not what Generator.permutation makes of them
    # (NEP 19), and an order has to survive an upgrade. Ranks of random 64-bit keys need the bits only.
    return np.argsort(np.random.PCG64(np.random.SeedSequence(key)).random_raw(length), kind="stable")
