"""What lies among images and is not data: what systems and tools leave, and what zoo itself writes."""

import os
from pathlib import Path

from zoo.data.images.suffixes import IMAGE_SUFFIXES
from zoo.system.cache import cache_folder

# In lower case. Hidden ones need no row: all that begins with a dot is passed over.
IGNORED_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "recycled", "system volume information"),
    *("__macosx", "icon\r", "lost+found"),
    *("@eadir", "@tmp", "@recycle", "#recycle", "@recently-snapshot", "#snapshot"),
    *("__pycache__", "node_modules", "mlruns", "wandb", "lightning_logs"),
}
# scandisk's `found.000`.
_SCANDISK = "found."

RUNS_FOLDER = "runs"
# Who works in a run folder: see `zoo.runs.claim`, which this room does not know.
CLAIM = ".claim"
# What a folder has in it that zoo or a tool of Python has written; each row is enough.
_MARKS = (
    ("run.json", "recipe.toml"),
    ("card.json", "model.safetensors"),
    ("state.safetensors",),
    ("images.npy", "manifest.json"),
    ("activations.npy",),
    ("files/index.sqlite",),
    ("saved_model.pb",),
    ("pyvenv.cfg",),
)
# How deep folders that hold only such may lie in one another: runs/<name>/seed-0/checkpoints/step-00000100.
_DEPTH = 5


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is none of the data, wherever it lies."""
    folded = name.casefold()
    number = folded.removeprefix(_SCANDISK)
    return name.startswith(".") or folded in IGNORED_NAMES or (number != folded and number.isdecimal())


def is_output(folder: Path, *, depth: int = _DEPTH) -> bool:
    """Whether a folder is a run, a model, a cache or an environment of Python, or holds nothing but such.

    A folder `runs` is one too where a run is in it, whatever lies beside, and where it is empty or holds only empty
    folders: a start that was refused left it.
    """
    if is_written(folder):
        return True
    subfolders: list[Path] = []
    is_runs, is_empty = folder.name == RUNS_FOLDER, True
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_ignored(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    subfolders.append(folder / entry.name)
                elif not is_runs:
                    return False
                elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                    is_empty = False
    except OSError:
        return False
    outputs = (depth > 0 and is_output(subfolder, depth=depth - 1) for subfolder in subfolders)
    if is_runs:
        return any(outputs) or (is_empty and all(_is_empty(subfolder) for subfolder in subfolders))
    return bool(subfolders) and all(outputs)


def is_being_begun(folder: Path, *, depth: int = _DEPTH) -> bool:
    """Whether a folder holds nothing but the claim of a run that has not begun, or folders of such.

    It is made before the images are listed, so that no second process begins there.
    """
    subfolders: list[Path] = []
    has_claim = False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and depth:
                    subfolders.append(folder / entry.name)
                elif entry.name == CLAIM:
                    has_claim = True
                else:
                    return False
    except OSError:
        return False
    begun = (is_being_begun(subfolder, depth=depth - 1) for subfolder in subfolders)
    return (has_claim or bool(subfolders)) and all(begun)


def is_written(folder: Path) -> bool:
    """Whether a folder itself is a run, a model, a cache or an environment of Python."""
    marked = any(all(os.access(folder / name, os.F_OK) for name in marks) for marks in _MARKS)
    return marked or folder == cache_folder() or _is_begun_run(folder / "run.json")


def _is_begun_run(record: Path) -> bool:
    """Whether there is the record of a run, which a killed process may have left alone."""
    try:
        with record.open("rb") as file:
            return b'"kind": "run"' in file.read(1000)
    except OSError:
        return False


def _is_empty(folder: Path) -> bool:
    try:
        return all(name.startswith(".") for name in os.listdir(folder))  # noqa: PTH208 -- pathlib makes a path of each
    except OSError:
        return False
