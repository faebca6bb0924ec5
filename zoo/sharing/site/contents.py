"""What the pages of a shelf need to know of it: plain values, whatever they were read from.

Texts are as their authors wrote them. `zoo.sharing.site.pages` escapes every one of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Data:
    """The images that a recipe was trained on.

    Attributes:
        name: What they are called; equal where the images are.
        classes: The class names, in the order of the probabilities.
        fingerprint: SHA-256 of contents and labels, in hex; empty where it is unknown.
        train: How many images trained.
        validation: How many validated.
        test: How many were left aside for a test.
    """

    name: str
    classes: tuple[str, ...] = ()
    fingerprint: str = ""
    train: int | None = None
    validation: int | None = None
    test: int | None = None

    @property
    def is_by_name(self) -> bool:
        """Whether a recipe finds them by that name, as `builtin:mnist`, wherever it is trained."""
        return ":" in self.name


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measured figure.

    Attributes:
        value: The figure.
        interval: Its 95 % interval, or None.
    """

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """What was measured of one class; None where there was nothing to divide by."""

    name: str
    images: int | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A row of metrics.jsonl; None where it has no such value."""

    phase: str
    step: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase, and how the freezing contract was kept in it.

    Attributes:
        name: Its name in the recipe.
        train: Its selector.
        batchnorm: The mode that was resolved.
        trainable_params: How many parameters it trained.
        frozen_tensors: How many did not move.
        trained_tensors: How many the optimizer had.
        unchanged: Paths of those among them that are as they were.
    """

    name: str
    train: str
    batchnorm: str
    trainable_params: int
    frozen_tensors: int
    trained_tensors: int
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What the run of a version proves.

    Attributes:
        split: Which images were measured, such as `validation`.
        per_class: Figures by class.
        seconds: How long training took.
        hardware: Device, processor, threads and the like, by what they are called.
        packages: Versions, by the package's name.
        settings: Seed, precision, batch size and the like.
        hashes: SHA-256 in hex, by what it is of.
        phases: The finished ones.
        kept_step: The step whose model was kept.
    """

    split: str | None = None
    per_class: tuple[ClassFigures, ...] = ()
    seconds: float | None = None
    hardware: Mapping[str, str] = field(default_factory=dict[str, str])
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    hashes: Mapping[str, str] = field(default_factory=dict[str, str])
    phases: tuple[Phase, ...] = ()
    kept_step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A key that differs from the parent's.

    Attributes:
        key: The key, dotted.
        parent: The parent's value as TOML; None where it has none.
        own: This recipe's.
    """

    key: str
    parent: str | None
    own: str | None


@dataclass(frozen=True, kw_only=True)
class Parent:
    """What a recipe was made from.

    Attributes:
        name: Its name, on the same shelf or elsewhere.
        number: Which version it is; None where it is not on the same shelf.
        digest: SHA-256 of its version where it is on the same shelf, or empty.
        is_before: Whether it is the version before, of a recipe that names no parent.
        changes: What differs; None where the parent cannot be read.
    """

    name: str
    number: int | None = None
    digest: str = ""
    is_before: bool = False
    changes: tuple[Change, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Details:
    """What the page of a version shows beside; read when it is written, so that no shelf is held whole.

    Attributes:
        toml: The resolved recipe.
        parent: What it was made from, or None.
        receipt: What its run proves; None for a recipe that no run was pushed with.
        epochs: The rows of metrics.jsonl.
        weights: Bytes of the model's weights where they are on the shelf; 0 where they are not.
    """

    toml: str
    parent: Parent | None = None
    receipt: Receipt | None = None
    epochs: tuple[Epoch, ...] = ()
    weights: int = 0


@dataclass(frozen=True, kw_only=True)
class Version:
    """A published version of a recipe.

    Attributes:
        number: 1, 2, 3, ...
        digest: SHA-256 of its document, in hex: its identity.
        published: When, in UTC, as `2026-11-27T09:30:00Z`.
        model: The model's name.
        description: The recipe's.
        data: What it was trained on, or None.
        metrics: What was measured, by name.
        licence: Of the weights that the model begins with; empty where it is not known.
        needs: What whoever uses it has to trust or to install.
        signed_by: The name of the key that signed it, which was verified; empty where it is not signed.
        read: Reads what its page shows beside; None where nothing more can be shown.
        fault: Why it cannot be used, such as a hash that does not hold; empty where it is whole.
        is_listed_only: Whether it is an older version whose files were not looked at; it has no page.
    """

    number: int
    digest: str
    published: str
    model: str
    description: str = ""
    data: Data | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict[str, Metric])
    licence: str = ""
    needs: tuple[str, ...] = ()
    signed_by: str = ""
    read: Callable[[], Details] | None = None
    fault: str = ""
    is_listed_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe on a shelf.

    Attributes:
        name: Its name on the shelf.
        versions: The newest first; never empty.
    """

    name: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The version with the highest number."""
        return self.versions[0]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A shelf.

    Attributes:
        name: What the user calls it.
        address: Where others reach it; empty for a folder on this machine.
        recipes: By name.
    """

    name: str
    address: str = ""
    recipes: tuple[Recipe, ...] = ()
