"""What a run notes of the files that its recipe was written in, as they were when it began."""

from pathlib import Path

from zoo.recipe.parents import written_files
from zoo.recipe.resolution import FilesRead
from zoo.runs.record import RecipeFileRecord
from zoo.system.files import sha256_of


def recipe_files(reference: str | Path, read: FilesRead) -> tuple[RecipeFileRecord, ...] | None:
    """Returns a recipe's file and all that it extends; None where it extends nothing.

    Args:
        reference: As it was typed.
        read: What `load_recipe` read of it.
    """
    if len(read.contents) < 2:
        return None
    return tuple(
        RecipeFileRecord(name=one.name, sha256=sha256_of(one.content), version=one.version, text=one.content.decode())
        for one in written_files(reference, read)
    )
