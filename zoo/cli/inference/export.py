"""`zoo export`: a finished run's classifier in another format, proved."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from zoo.cli.options import Choice, InPath, data_option, json_option, trust_option
from zoo.cli.output import counted, echo, emit, percent
from zoo.cli.runs.evaluate import refuse_what_is_not_a_run
from zoo.cli.shell.completion import complete_run
from zoo.cli.shell.start import start_backend
from zoo.errors import LONGEST_PATH, NotFoundError, printable
from zoo.inference.export_folder import CALL_FILE, is_export, read_export
from zoo.registry.exports import Quantize

if TYPE_CHECKING:
    from zoo.export.exporting import Export
    from zoo.inference.export_folder import Proof


class _Format(click.Option):
    """The option of a format; help says which there are, plug-ins' own included."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Returns the option and its help."""
        self.help = f"{', '.join(_formats())}."
        return super().get_help_record(ctx)


def _formats() -> list[str]:
    from zoo.registry.exports import EXPORTS  # loads plug-ins

    return EXPORTS.names()


def _complete_format(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _formats() if name.startswith(incomplete)]


@click.command("export")
@click.argument("run", type=InPath(), shell_complete=complete_run)
@click.option("--to", "name", cls=_Format, required=True, metavar="FORMAT", shell_complete=_complete_format)
@data_option("Where the run's images are now, if not where they were.")
@click.option("--out", type=InPath(), metavar="DIR", help="The folder.  [default: exports/RUN-FORMAT]")
@click.option("--quantize", type=Choice(get_args(Quantize)), help="Make numbers smaller.")
@click.option("--in-float", metavar="STAGES", default="", help="Stages that stay in float32, joined by commas.")
@trust_option
@json_option()
# Many arguments because a user types them.
def export_command(
    run: Path,
    name: str,
    data: Path | None,
    out: Path | None,
    quantize: Quantize | None,
    in_float: str,
    as_json: bool,
) -> None:
    """Export the classifier of a finished RUN, and prove that the export answers as Keras does.

    The folder holds the model, from raw pixels to probabilities; export.json, which says what they are; and call.py,
    which classifies photos without zoo. It is called on each photo that the run validated on. Exit code 3 when it
    answers otherwise than Keras; nothing is left then.

    \b
    Examples:
      zoo export runs/pets --to onnx
      zoo export runs/pets --to litert --quantize int8 --out phone/
      python exports/pets-onnx/call.py cat.jpg
    """
    kept = [stage.strip() for stage in in_float.split(",") if stage.strip()]
    if kept and quantize is None:
        raise click.UsageError("--in-float keeps stages in float32 where others become smaller; add --quantize")
    _refuse_before_the_start(run, name, data, out)
    start_backend()
    from zoo.export.exporting import export_run
    from zoo.report.progress import Display

    with Display("zoo.export") as display:
        made = export_run(run, name, data=data, out=out, quantize=quantize, in_float=kept, display=display)
    if as_json:
        emit("export", made.to_json())
        return
    for line in _lines(made):
        echo(line, whole=True)


def _refuse_before_the_start(run: Path, name: str, data: Path | None, out: Path | None) -> None:
    """Looks, before TensorFlow is loaded, for whatever `export_run` would refuse.

    Raises:
        ZooError: There is no such format or finished run, a package is missing, or the folder is taken.
    """
    from zoo.export.destination import refuse_taken
    from zoo.inference.sources import model_folder
    from zoo.registry.exports import EXPORTS

    EXPORTS.lookup(name).require()
    if is_export(run):
        made_of = read_export(run).document.run
        raise NotFoundError(f"{run}: is an export already; expected the run that it was made of: '{made_of}'")
    refuse_what_is_not_a_run(run)
    model_folder(run)
    if out is not None:
        refuse_taken(out)
    if data is not None:
        from zoo.data.sources.opening import check_exists

        check_exists(data)


def _lines(made: "Export") -> list[str]:
    """Says what was made, and what came of the proof; the last line is the folder's path."""
    call = shlex.quote(str(made.path / CALL_FILE))
    size = sum((made.path / name).stat().st_size for name in made.document.files)
    what = " in ".join(filter(None, [made.document.format, made.document.quantize]))
    return [
        *([] if made.document.proof is None else _proof_lines(made.document.proof)),
        f"written   {what}, {size / 1e6:,.1f} MB",
        f"call      python {printable(call, at_most=LONGEST_PATH)} PHOTO",
        printable(made.path, at_most=LONGEST_PATH),
    ]


def _proof_lines(proof: "Proof") -> list[str]:
    most = f" (at most {proof.tolerance:.0g})" if proof.tolerance < 1 else ""  # of smaller numbers it is only measured
    lines = [
        f"proof     {proof.count_photos()} by {proof.runtime}: "
        f"{counted(proof.disagreements, 'disagreement')}, probabilities within {proof.largest_difference:.1g}{most}"
    ]
    if proof.accuracy is not None:
        lines.append(f"accuracy  {percent(proof.accuracy)} (Keras: {percent(proof.accuracy_of_keras)})")
    return lines
