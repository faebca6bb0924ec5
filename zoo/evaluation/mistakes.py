"""The images that a classifier got wrong, copied into folders to look at."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError
from zoo.runs.folder import RunFolder

if TYPE_CHECKING:
    from zoo.evaluation.scores import Mistake

# A class's name may be anything; as part of a folder's name it must not lead elsewhere.
UNFIT = re.compile(r"[^\w ,.()-]")


def refuse_taken(folder: Path, run: Path, data: Path | None) -> None:
    """Looks, before anything is measured, whether images can be copied into a folder.

    Raises:
        DataError: It is there and not empty, or lies among the images that are measured.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is there already; expected a new folder; choose another --wrong-to")
    own = RunFolder.open(run).record().inputs.data if data is None else data
    if own and Path(own).is_dir() and folder.resolve().is_relative_to(Path(own).resolve()):
        raise DataError(
            f"{folder}: lies among the images, where it would be read as a class; choose another --wrong-to"
        )


def copy_mistakes(mistakes: Sequence["Mistake"], folder: Path) -> list[Path]:
    """Copies images into `<class>, called <class>/<probability> <name>`, so that the most confident come last by name.

    Args:
        mistakes: From an evaluation.
        folder: New, or empty.

    Returns:
        The copies, in the order of the mistakes.

    Raises:
        DataError: The images are not files.
        OSError: They cannot be written.
    """
    if mistakes and not Path(mistakes[0].path).is_file():
        raise DataError(
            f"{folder}: nothing is copied, as the images are not files but arrays or items; --wrong lists their numbers"
        )
    folder.mkdir(parents=True, exist_ok=True)
    copies: list[Path] = []
    taken: set[str] = set()
    for mistake in mistakes:
        source = Path(mistake.path)
        place = folder / f"{_part(mistake.truth)}, called {_part(mistake.called)}"
        place.mkdir(exist_ok=True)
        target = place / f"{mistake.probability:.3f} {source.name}"
        number = 1
        # Also on disks to which upper and lower case are one.
        while str(target).casefold() in taken:
            number += 1
            target = place / f"{mistake.probability:.3f} {source.stem} ({number}){source.suffix}"
        taken.add(str(target).casefold())
        shutil.copyfile(source, target)
        copies.append(target)
    return copies


def _part(name: str) -> str:
    return UNFIT.sub("_", name).strip(" .")[:60] or "_"
