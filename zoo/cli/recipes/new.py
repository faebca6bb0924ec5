"""`zoo recipe new`: a recipe fitted to images, with the reason for each value."""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import OutFile, data_option, gathered, json_option
from zoo.cli.output import echo, emit, percent, stdout_width
from zoo.cli.shell.completion import complete_model
from zoo.cli.shell.groups import Verb
from zoo.errors import RecipeError
from zoo.system.text_tables import table

if TYPE_CHECKING:
    from zoo.jobs.proposing.probing import Probe
    from zoo.jobs.proposing.proposing import Proposal

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def read_duration(text: str) -> float | None:
    """Reads a time such as `90s`, `10m` or `1h30m`; None where it is not one."""
    found = _DURATION.fullmatch(text.replace(" ", "").lower())
    if found is None or not any(found.groups()):
        return None
    seconds = sum(float(part) * size for part, size in zip(found.groups(), (3600, 60, 1), strict=True) if part)
    return seconds or None


def _read_budget(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    seconds = read_duration(text)
    if seconds is None:
        raise click.BadParameter(f"'{text}' is not a time; expected for example 90s, 10m or 1h30m")
    return seconds


@dataclass(frozen=True, kw_only=True)
class NewOptions:
    """What `zoo recipe new` is asked for."""

    data: Path | None
    source: str
    model: str | None
    image_size: int | None
    budget: float | None
    probes: bool

    def typed(self) -> str:
        """Writes what was typed, without where images and file are."""
        words = ["zoo recipe new"]
        words += ["--source", shlex.quote(self.source)] if self.source != "folder" else []
        words += ["--model", shlex.quote(self.model)] if self.model else []
        words += ["--image-size", str(self.image_size)] if self.image_size else []
        words += ["--budget", f"{self.budget:g}s"] if self.budget else []
        words += ["--probe"] if self.probes else []
        return " ".join(words)


@click.command("new", cls=Verb)
@data_option()
@click.option("--source", default="folder", show_default=True, help="What the images are, as data.source of a recipe.")
@click.option("--model", metavar="NAME", shell_complete=complete_model, help="Take this model.")
@click.option(
    "--image-size",
    type=click.IntRange(1, 8192),
    metavar="N",
    help="Side that images go in with; by default the rule's.",
)
@click.option("--budget", callback=_read_budget, metavar="TIME", help="A run may take so long, such as 10m.")
@click.option("--probe", "probes", is_flag=True, help="Rank the models whose weights are here by a linear probe.")
@click.option(
    "--out", type=OutFile(".toml"), metavar="FILE", help="The file to write; by default here, named for the images."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option()
@gathered(NewOptions)
def new_command(asked: NewOptions, out: Path | None, force: bool, as_json: bool) -> None:
    """Write a recipe that is fitted to images, with the reason for each value, and how long a run will take.

    Some batches of each phase are trained to know that; it takes half a minute or so. With --budget, epochs, layers
    and pixels are given up until a run ends in time, and it is said which. With --probe, a linear probe on features of
    a sample ranks the models whose weights are here, and the fastest of the best is taken.

    \b
    Examples:
      zoo recipe new --data photos/
      zoo recipe new --data photos/ --budget 10m --out pets.toml
      zoo recipe new --data photos/ --probe
    """
    if asked.data is None:
        raise click.UsageError("--data is missing; expected a folder with a subfolder of images per class")
    from zoo.jobs.proposing.writing import recipe_name

    if out is None:
        out = Path(f"{recipe_name(asked.data.resolve().stem)}.toml")
        OutFile().convert(str(out), None, click.get_current_context())  # which refuses a folder that is read-only
    if out.exists() and not force:
        raise RecipeError(f"{out}: is there already; choose another --out, or replace it with --force")
    from zoo.cli.shell.start import start_backend
    from zoo.jobs.proposing.proposing import Request, propose
    from zoo.report.progress import Display
    from zoo.system.files import write_atomic

    request = Request(
        data=asked.data,
        source=asked.source,
        model=asked.model,
        image_size=asked.image_size,
        budget=asked.budget,
        probes=asked.probes,
        asked=asked.typed(),
    )
    with Display() as display:
        proposal = propose(request, display, load=start_backend, name=recipe_name(out.stem))
    write_atomic(out, proposal.text)
    if as_json:
        emit("recipe-new", {"recipe": str(out), **proposal.to_json()})
        return
    _tell(proposal, out, asked.data)


def _tell(proposal: "Proposal", out: Path, data: Path) -> None:
    from zoo.jobs.proposing.forecast import of_epochs

    if proposal.probes:
        echo(_probe_table(proposal.probes, proposal.recipe.model.name))
        echo()
    recipe = proposal.recipe
    epochs = of_epochs({phase.name: phase.epochs for phase in recipe.phases})
    echo(f"model    {recipe.model.name} at {recipe.data.image_size} pixels: {epochs}")
    for line in proposal.given_up:
        echo(f"given up {line}")
    for note in proposal.notes:
        echo(f"note     {note}")
    echo(f"forecast {proposal.forecast}")
    where = data if not data.is_dir() or str(data).endswith(os.sep) else f"{data}{os.sep}"
    echo(f"next     zoo finetune {shlex.quote(str(out))} --data {shlex.quote(str(where))}", whole=True)
    echo(out, whole=True)


def _probe_table(probes: "tuple[Probe, ...]", taken: str) -> str:
    rows = [
        (
            one.model,
            f"{one.size}",
            percent(one.accuracy),
            f"{percent(one.interval[0])} to {percent(one.interval[1])}",
            f"{1000 * one.seconds:.2f} ms",
            "taken" if one.model == taken else "",
        )
        for one in sorted(probes, key=lambda one: -one.accuracy)
    ]
    header = ("model", "side", "accuracy", "95 % interval", "an image", "")
    return table(header, rows, right=(1, 2, 4), width=stdout_width(), spare=(1, 3))
