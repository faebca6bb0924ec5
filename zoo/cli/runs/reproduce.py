"""`zoo reproduce`: run a recipe under its lock, compare the result, and name what explains a difference."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import InPath, Reference, data_option, json_option, trust_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.completion import complete_reference
from zoo.cli.shell.groups import Verb
from zoo.cli.shell.start import start_backend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.sharing.reproduction.causes import Cause
    from zoo.sharing.reproduction.reproducing import Reproduction

FAILED = 3
# Of more differences the first are shown; --json has all.
MOST_SHOWN = 10
# Of the figures; --json has all.
SHOWN = ("accuracy", "loss")
# Whether a run with the causes put back came to what is locked.
_CONFIRMED = {
    True: "; with the causes put back a run came to what is locked",
    False: "; no run confirmed it",
    None: "",
}


@click.command("reproduce", cls=Verb)
@click.argument("reference", type=Reference(), metavar="RECIPE|RUN", shell_complete=complete_reference)
@data_option()
@click.option("--quick", is_flag=True, help="Train the first 20 batches only, and compare their losses.")
@click.option("--run", type=InPath(), help="Folder to make.  [default: runs/<recipe>-<UTC time>]")
@click.option("--weights", metavar="RUN|FILE", type=InPath(), help="Where what the model began with is now.")
@trust_option
@json_option()
def reproduce_command(
    reference: str, data: Path | None, quick: bool, run: Path | None, weights: Path | None, as_json: bool
) -> None:
    """Run a recipe under its lock, compare the result, and name what explains a difference.

    RECIPE has its lock beside it (NAME.lock, or lock.json of a version on a shelf); of a RUN the lock is made. The
    answer is "bitwise equal", "within tolerance", or "does not hold", which ends with exit code 3. All that differs is
    named: images file by file, weights, keys of the recipe, seed, precision, threads, backend, code, packages,
    processor and device. Of several differences the smallest set that explains the result is found by putting them
    back, and confirmed by a run.

    \b
    Examples:
      zoo reproduce runs/pets
      zoo reproduce runs/pets --quick
      zoo reproduce pets.toml --data photos/ --run runs/again
      zoo reproduce vision/pets --data photos/ --quick --json
    """
    from zoo.sharing.reproduction.reproducing import Asked, run_under_lock

    asked = Asked(reference=reference, data=data, quick=quick, run=run, weights=weights)
    found = run_under_lock(asked, load=start_backend)
    if as_json:
        emit("reproduce", found.to_json())
    else:
        for line in _lines(found):
            echo(line)
        if found.run is not None:
            echo(found.run, whole=True)
    if not found.holds:
        click.get_current_context().exit(FAILED)


def _lines(found: "Reproduction") -> "Iterator[str]":
    yield f"verdict    {found.verdict}"
    if found.fault:
        yield f"fails      {found.fault}"
    for one in (one for one in found.metrics if one.name in SHOWN):
        bounds = "" if one.low is None or one.high is None else f" (within tolerance: {one.low:.4f} to {one.high:.4f})"
        yield f"{one.name:<10} {one.then:.4f} then, {one.now:.4f} now{bounds}"
    if found.losses is not None:
        batches = "batch" if found.losses.batches == 1 else f"{found.losses.batches} batches"
        same = "all" if found.losses.equal == found.losses.batches else f"the first {found.losses.equal}"
        gap = (
            "no share says how far apart"
            if found.losses.gap is None
            else f"at most {100 * found.losses.gap:.2g} % apart"
        )
        apart = "" if same == "all" else f", {gap}"
        yield f"losses     of the first {batches}: {same} the same to the bit{apart}"
    if found.quick:
        yield from _what_it_proves(found)
    explanation = found.explanation
    yield from _listed("cause", explanation.causes)
    yield from _listed("left", explanation.left)
    yield from _listed("no effect", explanation.without_effect, " (in these batches)" if found.quick else "")
    if explanation.trials:
        yield f"found      in {counted(explanation.trials, 'trial')}{_CONFIRMED[found.is_confirmed]}"
    if not explanation.is_repeatable:
        yield "cause      not known: the same comes to other bits each time here; see train.deterministic"
    elif found.verdict != "bitwise equal" and not found.differences:
        yield "cause      not known: nothing that is recorded differs; see docs/reproducing.md"
    elif not explanation.is_explained:
        yield "cause      more than what is named: with all of it put back the result is still another"


def _what_it_proves(found: "Reproduction") -> "Iterator[str]":
    seen, train = found.images
    yield f"saw        {seen:,} of the {train:,} images that train"
    if found.verdict == "bitwise equal":
        yield "proves     that training begins the same; what comes later and validation are seen without --quick"


def _listed(name: str, causes: "Sequence[Cause]", note: str = "") -> "Iterator[str]":
    for one in causes[:MOST_SHOWN]:
        yield f"{name:<10} {one}{note}"
    if len(causes) > MOST_SHOWN:
        yield f"{name:<10} and {len(causes) - MOST_SHOWN:,} more"
