"""Which column of a list holds what: by its name, by `data.columns`, or by a name that others use for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.data.dataset import SPLIT_NAMES, quoted
from zoo.data.sources.trees.split_names import read_name
from zoo.errors import DataError, did_you_mean

PATH, LABEL, SPLIT, WEIGHT, GROUP = ROLES = ("path", "label", "split", "weight", "group")
REQUIRED = (PATH, LABEL)
# What others call the columns that every list has; taken where it is the only such name.
_OTHER_NAMES = {
    PATH: {
        *("filename", "filenames", "file_name", "file", "files", "fname", "filepath", "file_path", "filepaths"),
        *("image", "images", "image_path", "imagepath", "image_name", "image_file", "image_filename"),
        *("img", "img_path", "img_name", "img_file", "paths", "photo", "picture"),
    },
    LABEL: {
        *("labels", "label_name", "class", "classes", "class_name", "classname", "class_label", "category"),
        *("category_name", "target", "tag", "species", "breed"),
    },
}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a list hold.

    Attributes:
        roles: The role of a column by its name in the list.
        guessed: Those that were taken by a name that others use, by role.
    """

    roles: Mapping[str, str]
    guessed: Mapping[str, str]

    def renamed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a row with its values by role; other columns keep their names."""
        return {self.name_of(name): value for name, value in row.items()}

    def name_of(self, column: str) -> str:
        """Returns what a column is called in a renamed row."""
        if column in self.roles:
            return self.roles[column]
        return f"{column} (unused)" if column in ROLES else column

    def find(self, name: str) -> str | None:
        """Returns the column in the list that a user means, in any case; None where there is none."""
        return find_column(name, self.roles)


def plain(name: str) -> str:
    """Brings a column's name to what is compared: no case, no spaces or marks around it."""
    return name.strip("\ufeff \t\r\n\"'").casefold()


def how_to_name(role: str, column: str) -> str:
    """Returns what to type to say which column holds something; `zoo data check` has an option of its own for it."""
    return f"--set data.columns.{role}={column}"


def find_column(name: str, names: Iterable[str]) -> str | None:
    """Returns the name itself, else the only one that differs in case and spaces."""
    listed = list(names)
    if name in listed:
        return name
    near = [one for one in listed if plain(one) == plain(name)]
    return near[0] if len(near) == 1 else None


def find_columns(place: str, names: Sequence[str], asked: Mapping[str, str], *, measuring: bool = False) -> Columns:
    """Says which column holds what.

    Args:
        place: The file, for messages.
        names: The columns of the list as they are written.
        asked: The names of columns by role, as `data.columns` gives them.
        measuring: Whether a finished classifier is to be measured: another list may have other columns.

    Raises:
        DataError: A column that is asked for is not there; or several may hold the same.
    """
    roles: dict[str, str] = {}
    guessed: dict[str, str] = {}
    for role, name in asked.items():
        found = find_column(name, names)
        if found is None and measuring:
            continue
        if found is None:
            raise DataError(
                f"{place}: has no column '{name}', which data.columns.{role} names; it has {quoted(names)}."
                f"{did_you_mean(name, names)}"
            )
        if found in roles:
            raise DataError(
                f"{place}: data.columns names '{name}' for {roles[found]} and {role}; expected a column for each."
            )
        roles[found] = role
    for role in ROLES:
        if role in roles.values():
            continue
        exact = [name for name in names if plain(name) == role and name not in roles]
        others = [name for name in names if plain(name) in _OTHER_NAMES.get(role, ()) and name not in roles]
        if len(exact) > 1 or (not exact and len(others) > 1):
            several = exact or others
            raise DataError(
                f"{place}: {quoted(several)} may each hold the {role}; expected one such column. "
                f"Say which: {how_to_name(role, several[0])}"
            )
        if exact:
            roles[exact[0]] = role
        elif others:
            roles[others[0]] = role
            guessed[role] = others[0]
    return Columns(roles=roles, guessed=guessed)


def refuse_unnamed_split(place: str, columns: Columns, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuses a list in which another column than `split` says what trains and what tests: all would train.

    Args:
        place: The file, for messages.
        columns: What its columns hold.
        names: The columns as they are written.
        rows: Values by these names.
    """
    if SPLIT in columns.roles.values():
        return
    for name in names:
        reading = read_name(name)
        if name not in columns.roles and reading.splits and set(reading.rest) <= {"is", "in"}:
            raise DataError(
                f"{place}: the column '{name}' says which images train, and none is called 'split'; expected a column "
                "split with train, validation or test. Write it, or remove the column."
            )
    values: dict[str, set[str]] = {name: set() for name in names if name not in columns.roles}
    for row in rows:
        for name, found in list(values.items()):
            value = row.get(name)
            if value is None or value == "":
                continue
            if not isinstance(value, str) or value.strip().casefold() not in SPLIT_NAMES:
                del values[name]
            else:
                found.add(SPLIT_NAMES[value.strip().casefold()])
    for name, found in values.items():
        if len(found) > 1:
            raise DataError(
                f"{place}: the column '{name}' names splits, and none is called 'split'; expected to know which images "
                f"train. Type {how_to_name(SPLIT, name)}, or remove the column."
            )
