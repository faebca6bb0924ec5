"""For developers: what a card has to say in figures, measured on the built models.

python -m zoo.models.measuring --write             writes those of the families that ship
python -m zoo.models.measuring 'efficientnet_lite*' prints them as literals, for the card of a plug-in
"""

from typing import TYPE_CHECKING

import click

from zoo import registry
from zoo.registry import figures
from zoo.registry.figures import Figures

if TYPE_CHECKING:
    import keras


@click.command()
@click.argument("pattern", default="*")
@click.option("--write", is_flag=True, help="Write them to zoo/assets/figures.json; what does not match stays.")
def main(pattern: str, write: bool) -> None:
    """Print parameters, multiply-adds and stages of the models that match PATTERN, as Python literals."""
    from zoo.models.building import build

    written = {name: figures.measured(name) for name in figures.read() if name in registry.list_models()}
    for name in registry.list_models(pattern):
        entry = registry.lookup(name)
        is_ours = entry.build.__module__.startswith(f"{registry.FAMILIES}.")
        if entry.card.own_weights:
            click.echo(f"{name}: left out; its figures are those of the module that its options name", err=True)
        elif not write:
            _print(build(name, weights=None))
        elif not is_ours:
            click.echo(f"{name}: left out; the card of a plug-in has its figures as literals", err=True)
        else:
            found = _measure(build(name, weights=None))
            if found != written.get(name):
                click.echo(f"{name}: {'is new' if name not in written else 'has changed'}")
            written[name] = found
    if write:
        figures.write(written)


def _measure(model: "keras.Model") -> Figures:
    from zoo.freezing.stages import stages
    from zoo.models.counting import count_madds

    by_stage = {stage.name: {"layers": len(stage.layers), "params": stage.params} for stage in stages(model)}
    return Figures(params=model.count_params(), madds=count_madds(model), by_stage=by_stage)


def _print(model: "keras.Model") -> None:
    from zoo.freezing.stages import HEAD, stages

    found = _measure(model)
    click.echo(f'"{model.name}":')
    click.echo(f"    params={found.params}, madds={found.madds},")
    for stage in stages(model):
        names = f'name="{stage.name}", last_layer="{"" if stage.name == HEAD else stage.last.name}"'
        click.echo(f"    Stage({names}, layers={len(stage.layers)}, params={stage.params}),")


if __name__ == "__main__":
    main()
