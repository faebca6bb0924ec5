"""What the Tab key offers: verbs, recipes, models, runs and keys, found without Keras."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo import registry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_verb(context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers verbs, as `zoo help` takes them."""
    root = context.find_root()
    names = root.command.list_commands(root) if isinstance(root.command, click.Group) else []
    return _starting(names, incomplete)


def complete_model(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers the names of models."""
    return _starting(registry.list_models(), incomplete)


def complete_recipe(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers the names of recipes, and recipe files."""
    from zoo.recipe.finding import shipped_recipes

    return [*_starting([*shipped_recipes(), *_on_shelves()], incomplete), *_entries(incomplete, ends=".toml")]


def complete_shelf(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers the shelves that the user has named."""
    return _starting(sorted(_shelves()), incomplete)


def _shelves() -> dict[str, str]:
    """Returns the address of each shelf that the user has named; none where the file of them is damaged."""
    from zoo.errors import ZooError
    from zoo.shelves.configured import configured_shelves

    try:
        return {name: one.url for name, one in configured_shelves().items()}
    except ZooError:
        return {}


def _on_shelves() -> list[str]:
    """Lists the recipes that were seen on shelves; no shelf is asked."""
    from zoo.shelves.seen import seen_names

    return [f"{shelf}/{name}" for shelf, url in sorted(_shelves().items()) for name in seen_names(url)]


def complete_run(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers run folders, and the folders on the way to them."""
    return _entries(incomplete)


def complete_reference(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers recipes, bundles, run folders and models: what `zoo finetune` takes."""
    from zoo.recipe.finding import shipped_recipes

    names = [*shipped_recipes(), *_on_shelves(), *registry.list_models()]
    return [*_entries(incomplete, ends=(".toml", ".zip")), *_starting(names, incomplete)]


def complete_model_or_run(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers models and run folders."""
    return [*_entries(incomplete), *_starting(registry.list_models(), incomplete)]


def complete_key(_context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offers the keys of a recipe with the sign behind them, as `--set` takes them."""
    from zoo.recipe.reference import recipe_keys  # imports pydantic

    return _starting([f"{key.name}=" for key in recipe_keys() if key.may_be_set], incomplete)


def _starting(names: Iterable[str], incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem  # asked for by the Tab key only

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _entries(incomplete: str, *, ends: str | tuple[str, ...] | None = None) -> "list[CompletionItem]":
    """Lists folders, and files of an ending, whose path begins with what was typed."""
    from click.shell_completion import CompletionItem

    before, slash, begun = incomplete.rpartition("/")
    folder = Path(f"{before}{slash}" or ".").expanduser()
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    items: list[CompletionItem] = []
    for entry in found:
        if not entry.name.startswith(begun) or (entry.name.startswith(".") and not begun):
            continue
        if (entry / "run.json").is_file():
            items.append(CompletionItem(f"{before}{slash}{entry.name}"))
        elif entry.is_dir():
            items.append(CompletionItem(f"{before}{slash}{entry.name}/"))
        elif ends and entry.name.endswith(ends):
            items.append(CompletionItem(f"{before}{slash}{entry.name}"))
    return items
