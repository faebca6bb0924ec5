"""For developers: what a family's card has to say, measured on the built models and printed as literals.

python -m zoo.cli.cards 'efficientnet_lite*'
"""

import click

from zoo import registry


@click.command()
@click.argument("pattern", default="*")
def main(pattern: str) -> None:
    """Prints parameters, multiply-adds and stages of the models that match PATTERN, as Python literals."""
    from zoo import models
    from zoo.freezing import stages

    for name in registry.list_models(pattern):
        model = models.build(name, weights=None)
        click.echo(f'"{name}":')
        click.echo(f"    params={model.count_params()}, madds={models.count_madds(model)},")
        for stage in stages.stages(model):
            last_layer = "" if stage.name == stages.HEAD else stage.last.name
            names = f'name="{stage.name}", last_layer="{last_layer}"'
            click.echo(f"    Stage({names}, layers={len(stage.layers)}, params={stage.params}),")


if __name__ == "__main__":
    main()
