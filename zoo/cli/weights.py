"""`zoo weights`: which weights are on this machine, and whether they are whole."""

import json

import click

from zoo import registry
from zoo import weights as weight_files
from zoo.errors import ContractError, WeightsError
from zoo.registry import PackageFile, WeightSet
from zoo.tables import table


@click.group()
def weights() -> None:
    """List the weights that models can start from, and verify the files that are here."""


@weights.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document and nothing else.")
def list_weights(as_json: bool) -> None:
    """List every weight set: whether it is here, and the command that gets it.

    \b
    Example:
      zoo weights ls
    """
    if as_json:
        documents = [_document(model, weight_set) for model, weight_set in _weight_sets()]
        click.echo(json.dumps({"schema": 1, "kind": "weights", "weights": documents}, indent=2))
        return
    rows: list[tuple[str, ...]] = []
    for model, weight_set in _weight_sets():
        here = weight_files.locate(weight_set) is not None
        size = weight_files.file_size(weight_set.bytes)
        state, command = ("here", "") if here else ("missing", weight_files.how_to_get(weight_set))
        rows.append((model, weight_set.name, state, size, weight_set.licence, _source(weight_set), command))
    header = ("model", "weights", "", "size", "licence", "source", "to get it")
    click.echo(table(header, rows, right=(3,)))


@weights.command()
@click.argument("name", required=False)
def verify(name: str | None) -> None:
    """Compare the weights that are here with the SHA-256 on their card; of one model NAME, or of all.

    \b
    Example:
      zoo weights verify efficientnet_lite0
    """
    damaged = 0
    for model, weight_set in _weight_sets(name):
        path = weight_files.locate(weight_set)
        verdict = "not here"
        if path is not None:
            try:
                weight_files.read_verified(weight_set, path)
                verdict = "whole"
            except WeightsError as fault:
                damaged += 1
                verdict = f"DAMAGED: {fault}"
        click.echo(f"{model} {weight_set.name}: {verdict}")
    if damaged:
        raise ContractError(f"weights verify: {damaged} damaged; the lines above say how to get them again")


def _weight_sets(model: str | None = None) -> list[tuple[str, WeightSet]]:
    names = registry.list_models() if model is None else [model]
    return [(name, weight_set) for name in names for weight_set in registry.info(name).weights]


def _document(model: str, weight_set: WeightSet) -> dict[str, object]:
    return {
        "model": model,
        "name": weight_set.name,
        "available": weight_files.locate(weight_set) is not None,
        "bytes": weight_set.bytes,
        "licence": weight_set.licence,
        "source": _source(weight_set),
        "command": weight_files.how_to_get(weight_set),
    }


def _source(weight_set: WeightSet) -> str:
    source = weight_set.source
    return f"package {source.package}" if isinstance(source, PackageFile) else "shipped with zoo"
