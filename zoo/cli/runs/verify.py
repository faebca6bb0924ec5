"""`zoo verify`: is every file what was written?"""

from pathlib import Path

import click

from zoo.cli.options import InPath, json_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.completion import complete_run
from zoo.errors import ContractError


@click.command("verify")
@click.argument("path", type=InPath(), shell_complete=complete_run)
@click.option(
    "--key", "keys", type=InPath(), multiple=True, metavar="KEY.pub", help="Who must have signed; repeatable."
)
@json_option()
def verify_command(path: Path, keys: tuple[Path, ...], as_json: bool) -> None:
    """Compare every file of PATH with its hash: a run, the runs of seeds, an export, a cache, weights or a recipe.

    Of a lock, a receipt, a bundle, a version (its folder, or SHELF/NAME) or the folder of a shelf it is said too who
    signed it, or that it is unsigned. A line names each file that is not what was written, and the exit code is then 3.
    Files that nothing lists are named too. Nothing is changed.

    \b
    Examples:
      zoo verify runs/pets
      zoo verify ~/.cache/zoo --json
      zoo verify pets/receipt.json --key team.key.pub
      zoo verify pets.zip --key team.key.pub
    """
    from zoo.models.weights import file_size
    from zoo.sharing.verification.verifying import verify

    found = verify(path, keys=keys)
    compared = f"{counted(found.files, 'file')} compared, {file_size(found.bytes)}"
    if as_json:
        emit("verify", found.to_json())
    else:
        for note in found.notes:
            echo(f"note: {note}", whole=True)
        for fault in found.faults:
            echo(fault, whole=True)
        if found.is_whole:
            signature = f"{found.signature}; " if found.signature else ""
            echo(f"{path}: whole; {signature}{compared}")
    if not found.is_whole:
        names = ", ".join(dict.fromkeys(fault.path.name for fault in found.faults))
        raise ContractError(f"verify: {path}: {counted(len(found.faults), 'fault')} in {names}; {compared}")
