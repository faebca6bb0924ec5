"""From a recipe's `[data]` and a path to packed pixels: which images train, which validate."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from zoo.data import Dataset, Pack, Skipped, Split, open_dataset, pack, split_share
from zoo.errors import DataError
from zoo.recipe.schema import DataSection

# Opens a progress bar (description, total) and gives what moves it (done, detail).
Bar = Callable[[str, int], AbstractContextManager[Callable[[int, str], None]]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recipe's data, opened and split, with no image decoded yet.

    Attributes:
        dataset: The class names and splits as they are.
        train: What trains.
        validation: What decides which epoch is kept; None where the recipe has none.
        warnings: What the user should know, one line each.
    """

    dataset: Dataset
    train: Split
    validation: Split | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run learns from, decoded.

    Attributes:
        train: The images to learn from.
        validation: The images that decide which epoch is kept, or None.
    """

    train: Pack
    validation: Pack | None

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that could not be read."""
        return self.train.skipped + (self.validation.skipped if self.validation else ())


def open_source(data: DataSection, path: Path | None, *, seed: int) -> Source:
    """Opens a recipe's data and splits it.

    Args:
        data: The recipe's section.
        path: The folder or file; None for a builtin that ships or downloads.
        seed: Decides which images a validation share takes.

    Raises:
        DataError: See `zoo.data.open_dataset`, or the recipe names a split that the data has not.
    """
    dataset = open_dataset(data.source, path)
    train, validation, warnings = choose_splits(dataset, data, seed=seed)
    return Source(dataset=dataset, train=train, validation=validation, warnings=(*dataset.warnings, *warnings))


def pack_source(source: Source, data: DataSection, *, input_shape: tuple[int, ...], bar: Bar) -> Inputs:
    """Decodes the images that train and validate to the model's input size, showing a bar.

    Raises:
        DataError: Images that cannot be read, beyond what `data.on_bad` allows.
    """

    def packed(split: Split, name: str) -> Pack:
        return pack_split(split, data, input_shape=input_shape, bar=bar, description=f"reading {name} images")

    return Inputs(
        train=packed(source.train, "train"),
        validation=packed(source.validation, "validation") if source.validation else None,
    )


def choose_splits(dataset: Dataset, data: DataSection, *, seed: int) -> tuple[Split, Split | None, list[str]]:
    """Decides which images train and which validate.

    Returns:
        The train split, the validation split or None, and warnings.

    Raises:
        DataError: The recipe names a split that the data has not.
    """
    wanted = data.validation
    if isinstance(wanted, str):
        splits = dataset.splits()
        if wanted not in splits or wanted == "train":
            raise DataError(
                f"data.validation is '{wanted}'; the data has the splits {', '.join(splits)}; "
                "expected one of them other than train, or a share such as 0.1"
            )
        warnings = ["validation is the test split: the kept model is chosen on it"] if wanted == "test" else []
        return dataset.train, splits[wanted], warnings
    if not wanted:
        return dataset.train, None, []
    if dataset.validation is not None:
        return dataset.train, dataset.validation, []
    train, validation = split_share(dataset.train.labels, wanted, seed)
    if not len(validation):
        raise DataError(
            f"data.validation = {wanted} of {len(dataset.train)} images leaves none to validate on; "
            "expected more images, or validation = 0 to train without"
        )
    return dataset.train.subset(train), dataset.train.subset(validation), []


def pack_split(split: Split, data: DataSection, *, input_shape: tuple[int, ...], bar: Bar, description: str) -> Pack:
    """Decodes a split to the model's input size, showing a bar."""
    height, width, channels = input_shape
    with bar(description, len(split)) as move:
        return pack(
            split,
            height=height,
            width=width,
            channels=channels,
            resize=data.resize,
            on_bad=data.on_bad,
            on_progress=lambda done, _total: move(done, ""),
        )
