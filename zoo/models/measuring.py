"""For developers: what a family's card has to say, measured on the built models and printed as literals.

python -m zoo.models.measuring 'efficientnet_lite*'
"""

import click

from zoo import registry


@click.command()
@click.argument("pattern", default="*")
def main(pattern: str) -> None:
    """Prints parameters, multiply-adds and stages of the models that match PATTERN, as Python literals."""
    from zoo.freezing import stages
    from zoo.models import building

    for name in registry.list_models(pattern):
        model = building.build(name, weights=None)
        click.echo(f'"{name}":')
        click.echo(f"    params={model.count_params()}, madds={building.count_madds(model)},")
        for stage in stages.stages(model):
            last_layer = "" if stage.name == stages.HEAD else stage.last.name
            names = f'name="{stage.name}", last_layer="{last_layer}"'
            click.echo(f"    Stage({names}, layers={len(stage.layers)}, params={stage.params}),")


if __name__ == "__main__":
    main()
