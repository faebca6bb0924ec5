"""The picture that `zoo recipe show --plot` draws: each phase's learning rate, by stage where they differ."""

from pathlib import Path

from zoo import registry
from zoo.cli.output import echo
from zoo.errors import ZooError
from zoo.recipe.schema import Recipe

# Points of an epoch in a plot of rates.
STEPS_DRAWN = 100
# What a model is built for whose stages are drawn.
CLASSES_DRAWN = ("one", "two")


def plot_recipe_rates(recipe: Recipe, path: Path) -> None:
    """Draws the rates of a recipe's phases into a file."""
    from zoo.cli.shell.start import start_backend

    start_backend()
    import numpy as np

    from zoo.report.figures import save_figure
    from zoo.report.rates import PhaseRates, plot_rates
    from zoo.training.compiling.schedules import LearningRateSchedule

    by_stage = rates_by_stage(recipe)
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


def rates_by_stage(recipe: Recipe) -> dict[str, dict[str, float | None]]:
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
