"""The subfolders of the data's folder, and what their names say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.sources.trees.split_names import Reading, read_name

# Gives the folders and the files in a folder.
ListInside = Callable[[Path], tuple[Sequence[Path], Sequence[Path]]]


@dataclass(frozen=True, kw_only=True)
class Subfolders:
    """The subfolders of the data's folder, and what their names say."""

    root: Path
    folders: Sequence[Path]
    list_inside: ListInside
    readings: dict[Path, Reading] = field(default_factory=dict[Path, Reading])

    def reading(self, folder: Path) -> Reading:
        """Returns what a folder's name says."""
        if folder not in self.readings:
            self.readings[folder] = read_name(folder.name)
        return self.readings[folder]

    def inside(self, folder: Path) -> Sequence[Path]:
        """Returns the folders in a folder."""
        return self.list_inside(folder)[0]

    def images(self, folder: Path) -> Sequence[Path]:
        """Returns the images in a folder itself."""
        return self.list_inside(folder)[1]

    def names_inside(self, folder: Path) -> set[str]:
        """Returns the names of the folders in a folder, in lower case."""
        return {inner.name.casefold() for inner in self.inside(folder)}

    def is_of_folders(self, folder: Path) -> bool:
        """Whether it holds folders, and no image itself."""
        return bool(self.inside(folder)) and not self.images(folder)

    def class_level(self, folder: Path, train_names: set[str]) -> Path:
        """Goes down to where the class folders of a split lie: `seg_train/seg_train/cat`."""
        while self.is_of_folders(folder) and len(self.inside(folder)) == 1:
            inner = self.inside(folder)[0]
            is_class = inner.name.casefold() in train_names or inner.is_symlink()
            if is_class or (not self.is_of_folders(inner) and not self.reading(inner).is_part):
                break
            folder = inner
        return folder
