"""What a killed process left half written or half removed in a run folder; it goes at the next start."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from zoo.models.arrays import MODEL_FILE
from zoo.models.saving import CARD_FILE
from zoo.runs.checkpoint import FOLDER_NAME, MANIFEST_FILE, REMOVED, STATE_FILE
from zoo.runs.folder import RunFolder
from zoo.runs.images import FILE as IMAGES_FILE

_WRITTEN = (
    *("run.json", "recipe.toml", IMAGES_FILE, "metrics.jsonl", "history.png", MANIFEST_FILE),
    *(MODEL_FILE, CARD_FILE, STATE_FILE),
)
# As `zoo.system.files.write_atomic` calls them.
_TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, _WRITTEN))})\.[a-z0-9_]{{8}}")


def remove_litter(run: RunFolder) -> None:
    """Removes temporary files, and checkpoints that are half written or half removed.

    Only what is called as zoo itself calls it goes, and no link is followed. What cannot be removed stays.

    Args:
        run: Claimed by this process, so that none of it is being written.
    """
    for folder in (run.path, run.model, run.checkpoints):
        for entry in _entries(folder):
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    Path(entry.path).unlink()
    for entry in _entries(run.checkpoints):
        if entry.is_dir(follow_symlinks=False) and _is_half(entry):
            shutil.rmtree(entry.path, ignore_errors=True)


def _is_half(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a checkpoint that has no name yet, none any more, or no manifest."""
    is_hidden = entry.name.startswith(".")
    name = entry.name.removeprefix(".").removesuffix(REMOVED) if is_hidden else entry.name
    if FOLDER_NAME.fullmatch(name) is None:
        return False
    return is_hidden or not os.path.lexists(Path(entry.path) / MANIFEST_FILE)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    if folder.is_symlink():
        return
    with suppress(OSError), os.scandir(folder) as entries:
        yield from sorted(entries, key=lambda entry: entry.name)
