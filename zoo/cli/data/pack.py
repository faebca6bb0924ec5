"""`zoo data pack`: decode images before training."""

from dataclasses import replace

import click

from zoo.cli.options import RecipeRequest, gathered, json_option, recipe_options, trust_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.groups import Verb
from zoo.cli.shell.start import start_backend


@click.command("pack", cls=Verb)
@recipe_options()
@trust_option
@json_option()
@gathered(RecipeRequest)
def pack_command(asked: RecipeRequest, as_json: bool) -> None:
    """Decode RECIPE's images ahead, so that training begins at once: all splits, at the size that its model takes.

    A pack is shared by all runs on the same images at the same size. One that is interrupted goes on when the command
    is typed again; `zoo cache ls` shows what packs take.

    \b
    Examples:
      zoo data pack finetune/lp-ft --data photos/
      zoo data pack resnet50 --data photos/ --set data.image_size=160
    """
    job = asked.job()
    start_backend()
    from zoo.data.inputs import pack_all_splits
    from zoo.data.packs.conversions import Conversions
    from zoo.report.progress import Display
    from zoo.training.preparation.preparing import prepare

    with Display() as display:
        prepared = prepare(job.recipe, job.data)
        for warning in prepared.source.dataset.warnings:
            display.line(f"warning: {warning}")
        how = replace(prepared.packing, say=display.line)
        packed = pack_all_splits(prepared.source, prepared.settings, how, bar=display.bar)
        for bad in (bad for pack in packed.values() for bad in pack.skipped):
            display.line(str(bad))
        for line in sum((pack.converted for pack in packed.values()), Conversions()).lines(job.recipe.data.white):
            display.line(line)
    if as_json:
        splits = {
            name: {"images": len(pack.labels), "skipped": len(pack.skipped), "shape": pack.images.shape[1:]}
            for name, pack in packed.items()
        }
        emit("data-pack", {"splits": splits})
        return
    for name, pack in packed.items():
        echo(f"{name}: {counted(len(pack.labels), 'image')} of {'x'.join(map(str, pack.images.shape[1:]))}")
