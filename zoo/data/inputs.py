"""From a recipe's `[data]` and a path to packed pixels: which images train, which validate."""

import json
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoo.data import (
    CHECK,
    Dataset,
    InCode,
    Pack,
    Packing,
    Settings,
    Skipped,
    Split,
    open_dataset,
    pack,
    read_in_code,
    split_share,
)
from zoo.data.packs.conversions import Conversions
from zoo.data.splitting import share_warnings
from zoo.errors import DataError
from zoo.recipe.schema import DataSection
from zoo.system.text_tables import counted

# Opens a progress bar (description, total) and gives what advances it (done, detail).
Bar = Callable[[str, int], AbstractContextManager[Callable[[int, str], None]]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recipe's data, opened and split, with no image decoded yet.

    Attributes:
        dataset: The class names and splits as they are.
        train: What trains.
        validation: What decides which epoch is kept; None where the recipe has none.
        shares: Which images of the dataset's train split these two are, where one is a share of it.
        warnings: What the user should know, one line each.
        check: The command that checks the images.
    """

    dataset: Dataset
    train: Split
    validation: Split | None
    shares: tuple[np.ndarray, np.ndarray] | None
    warnings: tuple[str, ...]
    check: str = CHECK


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

    @property
    def converted(self) -> Conversions:
        """What was changed in images before they were brought to size."""
        return self.train.converted + (self.validation.converted if self.validation else Conversions())


def open_source(data: DataSection, images: Path | InCode | None, *, seed: int, measuring: bool = False) -> Source:
    """Opens a recipe's data and splits it.

    Args:
        data: The recipe's section.
        images: The folder or file, or what is given in code in place of what the recipe names; None for a source
            that ships or downloads.
        seed: Decides which images a validation share takes.
        measuring: Whether a finished classifier is to be measured: see `zoo.data.open_dataset`.

    Raises:
        DataError: See `zoo.data.open_dataset`, or the recipe names a split that the data does not have.
    """
    if images is None or isinstance(images, Path):
        dataset = open_dataset(
            data.source, images, group=data.group, columns=data.columns, options=data.options, measuring=measuring
        )
    else:
        dataset = read_in_code(images, group=data.group, columns=data.columns)
    return replace(choose_splits(dataset, data, seed=seed), check=_check_command(data, images))


def _check_command(data: DataSection, images: Path | InCode | None) -> str:
    """Writes the command that checks the images of a recipe, as it can be typed."""
    words = CHECK.split()
    words += [str(images)] if isinstance(images, Path) else []
    words += ["--source", data.source] if data.source != "folder" else []
    words += ["--group", data.group] if data.group else []
    for role, name in data.columns.items():
        words += ["--column", f"{role}={name}"]
    for option, value in data.options.items():
        words += ["--option", f"{option}={json.dumps(value)}"]
    return shlex.join(words)


def settings_for_model(data: DataSection, input_shape: tuple[int, ...]) -> Settings:
    """Returns the pixels that a model takes, of its height, width and channels, fitted as the recipe says."""
    height, width, channels = input_shape
    return Settings(height=height, width=width, channels=channels, fit=data.fit)


def pack_source(source: Source, settings: Settings, how: Packing, *, bar: Bar) -> Inputs:
    """Decodes the images that train and validate, showing a bar.

    A train split of which a share validates is packed as one, so that another share finds the same pack.

    Raises:
        DataError: Images that cannot be read, beyond what `how` allows.
    """

    def packed(split: Split, name: str) -> Pack:
        return pack_split(split, settings, how, bar=bar, description=f"reading {name} images")

    if source.shares is not None:
        whole = packed(source.dataset.train, "train")
        train, validation = (whole.subset(rows) for rows in source.shares)
        # Which of the two a skipped file would have been in is all the same, and so it is of what was changed.
        return Inputs(train=train, validation=replace(validation, skipped=(), converted=Conversions()))
    return Inputs(
        train=packed(source.train, "train"),
        validation=packed(source.validation, "validation") if source.validation else None,
    )


def pack_all_splits(source: Source, settings: Settings, how: Packing, *, bar: Bar) -> dict[str, Pack]:
    """Decodes all splits as they are, so that a run, an evaluation or another recipe finds them.

    Raises:
        DataError: See `pack_source`; or the cache cannot keep them.
    """
    how = replace(how, keep_only=True)
    return {
        name: pack_split(split, settings, how, bar=bar, description=f"reading {name} images")
        for name, split in source.dataset.splits().items()
    }


def leak_warning(inputs: Inputs, *, check: str = CHECK) -> str | None:
    """Says whether validation holds files that train holds too, byte for byte."""
    if inputs.validation is None or inputs.train.contents is None or inputs.validation.contents is None:
        return None
    both = set(inputs.train.contents) & set(inputs.validation.contents)
    if not both:
        return None
    are = "is" if len(both) == 1 else "are"
    return (
        f"{counted(len(both), 'image')} of validation {are} in train too, so its figures are optimistic: "
        f"'{check}' lists them, and --fix-list writes what to remove"
    )


def choose_splits(dataset: Dataset, data: DataSection, *, seed: int) -> Source:
    """Decides which images train and which validate.

    Raises:
        DataError: The recipe names a split that the data does not have.
    """

    def chosen(validation: Split | None, *warnings: str) -> Source:
        return Source(
            dataset=dataset,
            train=dataset.train,
            validation=validation,
            shares=None,
            warnings=(*dataset.warnings, *warnings),
        )

    asked = data.validation
    if isinstance(asked, str):
        splits = dataset.splits()
        if asked not in splits or asked == "train":
            raise DataError(
                f"data.validation is '{asked}'; the data has the splits {', '.join(splits)}; "
                "expected one of them other than train, or a share such as 0.1"
            )
        warnings = ["validation is the test split: the best model is chosen on it"] if asked == "test" else []
        return chosen(splits[asked], *warnings)
    if not asked:
        return chosen(None)
    if dataset.validation is not None:
        return chosen(dataset.validation)
    groups = dataset.train.groups
    train, validation = split_share(dataset.train.labels, asked, seed, groups=groups)
    if not len(validation):
        of_groups = "" if groups is None else f" in {len(set(groups))} groups"
        raise DataError(
            f"data.validation = {asked} of {len(dataset.train)} images{of_groups} leaves none to validate on; "
            f"expected more {'images' if groups is None else 'groups'}, or validation = 0 to train without"
        )
    said = share_warnings(dataset.train.labels, validation, asked, dataset.classes, has_groups=groups is not None)
    return Source(
        dataset=dataset,
        train=dataset.train.subset(train),
        validation=dataset.train.subset(validation),
        shares=(train, validation),
        warnings=(*dataset.warnings, *said),
    )


def pack_split(split: Split, settings: Settings, how: Packing, *, bar: Bar, description: str) -> Pack:
    """Decodes a split, showing a bar; see `zoo.data.pack`."""
    with bar(description, len(split)) as move:
        return pack(split, settings, replace(how, on_progress=lambda done, _total: move(done, "")))
