"""`zoo recipe`: list, show and check recipes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo import registry
from zoo.cli.options import OutFile, json_option, set_option
from zoo.cli.output import INDENT, echo, emit, print_json, stdout_width
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import VerbGroup
from zoo.errors import ContractError, ZooError
from zoo.recipe.finding import describe_shipped_recipes
from zoo.system.text_tables import beside

if TYPE_CHECKING:
    from zoo.recipe.schema import Recipe

# Points of an epoch in a plot of rates.
STEPS_DRAWN = 100
# What a model is built for whose stages are drawn.
CLASSES_DRAWN = ("one", "two")


@click.group(cls=VerbGroup)
def recipe() -> None:
    """List, show and check recipes.

    A recipe is one TOML file that says how a model is trained. Wherever a recipe is expected, give the
    path of a .toml file or the name of one that ships with zoo.
    """


@recipe.command("ls")
@json_option()
def list_recipes(as_json: bool) -> None:
    """List the recipes that ship with zoo.

    \b
    Example:
      zoo recipe ls
    """
    shipped = describe_shipped_recipes()
    if as_json:
        emit("recipes", {"recipes": [{"name": one.name, "description": one.description} for one in shipped]})
        return
    column = max((len(one.name) for one in shipped), default=0) + 2
    for one in shipped:
        echo(beside(one.name, one.description, column=column, width=stdout_width()), whole=True)


@recipe.command("show")
@click.argument("reference", metavar="RECIPE", shell_complete=complete_recipe)
@set_option
@click.option("--plot", type=OutFile(".png"), metavar="PNG", help="Draw the learning rate into this file.")
@json_option()
def show_recipe(reference: str, overrides: tuple[str, ...], plot: Path | None, as_json: bool) -> None:
    """Print a recipe with everything resolved: what it extends, overrides and defaults.

    \b
    Examples:
      zoo recipe show quickstart
      zoo recipe show finetune/default --set phases.head.epochs=1 > mine.toml
      zoo recipe show finetune/gradual --plot rates.png
    """
    from zoo.recipe.loading import load_recipe

    resolved = load_recipe(reference, overrides)
    if plot is not None:
        _plot_rates(resolved, plot)
    if as_json:
        emit("recipe", {"recipe": resolved.to_dict()})
    else:
        echo(resolved.to_toml().removesuffix("\n"), whole=True)
        if plot is not None:
            # Not on stdout, which is a recipe that can be written into a file.
            echo(f"learning rates  {plot}", err=True, whole=True)


@recipe.command("check")
@click.argument("references", metavar="RECIPE...", nargs=-1, required=True, shell_complete=complete_recipe)
@json_option()
def check_recipes(references: tuple[str, ...], as_json: bool) -> None:
    """Check recipes and print every fault; exit with 3 if there is one.

    Keys and values are checked, and models, weights, options, stages and built-in data sets are looked up.

    \b
    Examples:
      zoo recipe check mine.toml
      zoo recipe check recipes/*.toml --json
    """
    checked = [_checked(reference) for reference in references]
    if as_json:
        emit("recipe-check", {"recipes": checked})
    else:
        for one in checked:
            if one["ok"]:
                echo(f"ok {one['name']}")
            for fault in one["errors"]:
                echo(fault, err=True)
    failed = [one["recipe"] for one in checked if not one["ok"]]
    if failed:
        raise ContractError(f"{len(failed)} of {len(checked)} recipes failed the check: {', '.join(failed)}")


@recipe.command("keys")
@click.argument("pattern", required=False)
@json_option()
def list_keys(pattern: str | None, as_json: bool) -> None:
    """List the keys of a recipe: default, what else is allowed, and what it does.

    PATTERN keeps the keys in whose name or meaning it occurs, or that match it as a wildcard.

    \b
    Examples:
      zoo recipe keys
      zoo recipe keys flip
      zoo recipe keys 'train.*'
    """
    from zoo.recipe.reference import recipe_keys

    keys = recipe_keys(pattern)
    if as_json:
        emit("recipe-keys", {"keys": [asdict(key) for key in keys]})
        return
    for key in keys:
        echo(f"{key.name}  (required)" if key.default is None else f"{key.name} = {key.default}")
        echo(f"    expected: {key.expected}")
        echo(f"    {key.meaning}")
        for choice in key.choices:
            echo(f"      {choice}")


@recipe.command("schema")
def print_schema() -> None:
    """Print the JSON schema of recipe files, for editors.

    \b
    Example:
      zoo recipe schema > recipe.schema.json
    """
    from zoo.recipe.schema import recipe_file_schema

    print_json(recipe_file_schema(), indent=INDENT)


def _plot_rates(recipe: "Recipe", path: Path) -> None:
    from zoo.cli.shell.start import start_backend

    start_backend()
    import numpy as np

    from zoo.report.figures import save_figure
    from zoo.report.rates import PhaseRates, plot_rates
    from zoo.training.compiling.schedules import LearningRateSchedule

    by_stage = _rates_by_stage(recipe)
    phases: list[PhaseRates] = []
    for phase in recipe.phases:
        steps = STEPS_DRAWN * phase.epochs
        rate = LearningRateSchedule.of_phase(phase, steps)
        drawn = np.arange(steps + 1)
        phases.append(
            PhaseRates(
                name=phase.name,
                epochs=drawn / STEPS_DRAWN,
                rates=rate.at(drawn),
                stages=by_stage.get(phase.name, {}),
            )
        )
    save_figure(plot_rates(phases, f"{recipe.name} for {recipe.model.name}: learning rates"), path)


def _rates_by_stage(recipe: "Recipe") -> dict[str, dict[str, float | None]]:
    """Returns each phase's highest rate by stage, None for frozen ones; nothing where all stages train alike."""
    if all(phase.layer_decay == 1.0 for phase in recipe.phases):
        return {}
    from zoo.training.preparation.preparing import build_for
    from zoo.training.trainable import apply_freezing

    # Stages are the same whatever the weights and the classes are, and random weights need no file; of a SavedModel's
    # graph there are none.
    weights = "default" if registry.info(recipe.model.name).own_weights else "none"
    try:
        model = build_for(recipe, CLASSES_DRAWN, policy="float32", weights=weights)
        return {
            phase.name: {row.stage: row.rate for row in apply_freezing(model, phase).rows if row.params}
            for phase in recipe.phases
        }
    except ZooError as fault:
        echo(f"the plot has no rates by stage: {fault}", err=True)
        return {}


def _checked(reference: str) -> dict[str, Any]:
    from zoo.recipe.loading import load_recipe

    try:
        name = load_recipe(reference, against_card=True).name
    except ZooError as error:
        return {"recipe": reference, "name": None, "ok": False, "errors": str(error).splitlines()}
    return {"recipe": reference, "name": name, "ok": True, "errors": []}
