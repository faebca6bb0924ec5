"""The commands that pages show, ready to be pasted into a shell."""

import shlex

from zoo.sharing.site.contents import Recipe, Shelf, Version


def adding(shelf: Shelf) -> str:
    """Returns the command that makes a shelf known to the reader's zoo."""
    return shlex.join(["zoo", "shelf", "add", shelf.name, shelf.address])


def pushing(shelf: Shelf) -> str:
    """Returns an example that pushes a run."""
    return shlex.join(["zoo", "recipe", "push", "runs/my-run", f"{shelf.name}/my-recipe"])


def usage(shelf: Shelf, recipe: Recipe, version: Version, *, has_run: bool) -> list[tuple[str, str]]:
    """Returns what can be done with a version: what a command is for, and the command.

    Args:
        shelf: The shelf, by the name that the reader may give it too.
        recipe: The recipe.
        version: The version; an older one is named in the commands.
        has_run: Whether there is a run's receipt to reproduce.
    """
    name = f"{shelf.name}/{recipe.name}"
    exact = f"{name}@sha256:{version.digest}"
    named = name if version is recipe.newest else f"{name}@{version.number}"
    is_by_name = version.data is not None and version.data.is_by_name
    # A recipe that names its own images takes no folder otherwise.
    source = ["--set", "data.source=folder"] if is_by_name else []
    rows = [
        ("Pull this very version", ["zoo", "recipe", "pull", exact]),
        ("Train it on photos of your own", ["zoo", "finetune", named, *source, "--data", "photos/"]),
    ]
    if has_run:
        data = [] if is_by_name else ["--data", "photos/"]
        rows.append(("Reproduce its run on its own images", ["zoo", "reproduce", named, *data]))
    if shelf.address:
        rows.insert(0, ("Make the shelf known, once", ["zoo", "shelf", "add", shelf.name, shelf.address]))
    return [(says, shlex.join(words)) for says, words in rows]
