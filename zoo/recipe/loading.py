"""From a reference to a valid `Recipe`, checked against its model's card too where that is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.recipe.by_key import RecipeValue, located_values
from zoo.recipe.checks.against_card import card_faults
from zoo.recipe.resolution import FilesRead, resolve
from zoo.recipe.schema import Recipe
from zoo.recipe.validation import validated


def load_recipe(
    reference: str | Path | Recipe,
    overrides: Sequence[str] | Mapping[str, object] = (),
    *,
    against_card: bool = False,
    content: bytes | None = None,
    read: FilesRead | None = None,
) -> Recipe:
    """Loads and checks a recipe.

    Example:
        >>> load_recipe("quickstart", ["phases.head.epochs=1"]).phases[0].epochs
        1

    Args:
        reference: The path of a `.toml` file, the name of a shipped recipe, or a recipe.
        overrides: Texts `KEY=VALUE` as for `--set`, or values by key, such as `{"train.batch_size": 64}`.
        against_card: Whether to look also for what the card of the recipe's model does not have: weights, options,
            stages.
        content: The bytes of the file that the reference is the path of, where they were read and verified already.
        read: Receives the files that are read.

    Returns:
        The resolved recipe, without `extends` and `[set]`.

    Raises:
        NotFoundError: If the reference leads nowhere.
        RecipeError: With one line for every fault in the recipe and the overrides.
    """
    overlay, faults = resolve(reference, overrides, content=content, read=read)
    asked = card_faults(overlay) if against_card else ()
    return validated(Recipe, overlay, [*faults, *asked])


def load_by_key(
    reference: str | Path, overrides: Sequence[str] | Mapping[str, object] = (), *, against_card: bool = False
) -> tuple[Recipe, list[RecipeValue]]:
    """Loads and checks a recipe, and says of every key where its value was written.

    Args:
        reference: The path of a `.toml` file, or the name of a recipe.
        overrides: As for `load_recipe`.
        against_card: As for `load_recipe`.

    Returns:
        The resolved recipe, and its keys in the order of the schema.

    Raises:
        NotFoundError: If the reference leads nowhere.
        RecipeError: With one line for every fault in the recipe and the overrides.
    """
    overlay, faults = resolve(reference, overrides)
    asked = card_faults(overlay) if against_card else ()
    recipe = validated(Recipe, overlay, [*faults, *asked])
    return recipe, located_values(recipe.to_dict(), overlay)
