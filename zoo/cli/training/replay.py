"""`zoo finetune --run DIR --replay`: what a step saw in which training failed."""

from pathlib import Path

from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.start import start_backend
from zoo.system.text_tables import table

# Images of the batch that are listed; the others are counted.
_LISTED = 64


def show_replay(run: Path, data: Path | None, *, as_json: bool) -> None:
    """Takes the step again, and prints what it was given and whether it failed again."""
    from zoo.jobs.replaying import replay

    replayed = replay(run, data, load=start_backend)
    failed, before = replayed.failed, replayed.before
    losses = [float(loss) for loss in before.losses] if before else []
    not_finite = before.weights_not_finite if before else []
    if as_json:
        document = {
            **failed.to_json(),
            "losses": [loss if loss == loss else None for loss in losses],
            "weights_not_finite": not_finite,
            "largest_weight": {"path": before.largest_weight, "value": before.largest} if before else None,
            "replayed_fault": replayed.fault,
        }
        emit("replay", document)
        return
    where = f"phase '{failed.phase}', epoch {failed.epoch}, batch {failed.batch}, step {failed.step}"
    echo(f"{where} failed: {failed.fault}", whole=True)
    echo(f"this time: {replayed.fault or 'the step came to an end'}\n", whole=True)
    rows = [
        (image.image, image.label, f"{loss:.4f}")
        for image, loss in zip(failed.images[:_LISTED], losses or [float("nan")] * _LISTED, strict=False)
    ]
    echo(table(("image", "class", "loss before the step"), rows, right=(2,), width=stdout_width()))
    if len(failed.images) > _LISTED:
        echo(f"and {len(failed.images) - _LISTED} more")
    if not_finite:
        echo(f"weights that were not finite before the step: {', '.join(not_finite[:5])}", whole=True)
    elif before:
        echo(f"weights were finite; the largest is {before.largest:.4g}, in {before.largest_weight}", whole=True)
