"""`zoo list` and `zoo show`: what there is to build on. Neither imports a numerical library."""

import re
from dataclasses import asdict
from typing import Any

import click

from zoo import registry
from zoo.cli.models.where import NUMBERS, SUFFIXES, parse_where
from zoo.cli.options import Choice, json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.completion import complete_model
from zoo.errors import NotFoundError, did_you_mean, printable
from zoo.models import weights
from zoo.registry import Card
from zoo.registry.entries import fits_wildcard
from zoo.system.text_tables import beside, table

SORT_KEYS = ("name", *NUMBERS)


@click.command("list")
@click.argument("pattern", default="*", shell_complete=complete_model)
@click.option(
    "--where",
    metavar="EXPR",
    help="Keep those for which comparisons hold, joined by 'and': params, madds, input (the height) and accuracy "
    "(published top-1, in percent) with < <= > >= = != and a number such as 30M; name, family and weights with = != "
    "and a wildcard.",
)
@click.option(
    "--sort",
    "sort_key",
    metavar="KEY",
    type=Choice([*SORT_KEYS, *(f"-{key}" for key in SORT_KEYS)]),
    default="name",
    show_default=True,
    help="Order by name, params, madds, input or accuracy; '-params' puts the largest first.",
)
@json_option()
def list_models_command(pattern: str, where: str | None, sort_key: str, as_json: bool) -> None:
    """List the models whose name matches PATTERN: a name, a part of one, or a wildcard.

    \b
    Examples:
      zoo list
      zoo list lite
      zoo list 'efficientnet_lite*' --sort -params
      zoo list --where 'params<30M and accuracy>75' --sort -accuracy
      zoo list --where 'weights=imagenet' --json

    The licence is that of the weights, and of the code where there are none; 'zoo show' has both.
    """
    keep = parse_where(where) if where is not None else []
    cards = [card for card in _matching(pattern) if all(holds(card) for holds in keep)]
    if not cards:
        raise NotFoundError(f"No model that matches '{pattern}' has {where}. See 'zoo list'.")
    _sort(cards, sort_key)
    if as_json:
        emit("list", {"models": [_summary(card) for card in cards]})
        return
    header = ("name", "parameters", "multiply-adds", "input", "stages", "weights", "licence", "top-1")
    rows = [
        (
            card.name,
            short_count(card.params),
            short_count(card.madds),
            _shape(card),
            str(len(card.stages)),
            ", ".join(
                weight_set.name + ("" if weights.locate(weight_set) else " (not here)")
                for weight_set in _own_weights(card)
            )
            or "-",
            ", ".join(dict.fromkeys(one.licence for one in _own_weights(card))) or card.licence,
            f"{card.accuracy.top1:.1f} %" if card.accuracy else "-",
        )
        for card in cards
    ]
    echo(table(header, rows, right=(1, 2, 4, 7), width=stdout_width(), spare=(6, 4, 3, 2, 7, 5)))


@click.command()
@click.argument("name", shell_complete=complete_model)
@json_option()
def show(name: str, as_json: bool) -> None:
    """Show a model's card: size, stages to freeze, weights, licence and paper.

    \b
    Examples:
      zoo show efficientnet_lite0
      zoo show mnist_conv --json
    """
    card = registry.info(name)
    if as_json:
        emit("show", _details(card))
        return
    echo(f"{card.name}: {card.description}\n")
    facts = [
        ("family", card.family),
        ("parameters", _count(card.params)),
        ("multiply-adds", _count(card.madds)),
        ("input", f"{_shape(card)}, raw pixels in [0, 255]"),
        ("preprocessing", f"{card.preprocessing}, inside the model"),
        *dict.fromkeys(("photos", _protocol(weight_set.protocol)) for weight_set in card.weights),
        ("classes", str(card.classes)),
        ("dropout", str(card.dropout)),
        *([("top-1", _accuracy(card.accuracy))] if card.accuracy else []),
        *((f"option {option}", repr(default)) for option, default in card.options.items()),
        ("licence", card.licence),
        ("paper", card.paper or "-"),
        *((f"weights {weights_label(card, one)}", _availability(card, one)) for one in card.weights),
    ]
    column = max(len(label) for label, _ in facts) + 2
    for label, value in facts:
        echo(beside(label, value, column=column, width=stdout_width()), whole=True)
    rows: list[tuple[str, ...]] = []
    from_here = card.params
    for stage in card.stages:
        rows.append((stage.name, str(stage.layers), _count(stage.params), _count(from_here)))
        from_here = None if from_here is None else from_here - (stage.params or 0)
    echo()
    echo(
        table(
            ("stage", "layers", "parameters", "from here on"), rows, right=(1, 2, 3), width=stdout_width(), spare=(1, 3)
        )
    )
    if len(card.stages) > 1:
        last = card.stages[-2].name
        echo(f'\nA phase\'s train = "{last}+" trains that stage and every later one and freezes the rest.')


def _sort(cards: list[Card], sort_key: str) -> None:
    """Sorts cards by a key, downwards after `-`; those without the number come last."""
    number_of = NUMBERS.get(sort_key.removeprefix("-"))
    cards.sort(key=lambda card: card.name, reverse=sort_key == "-name")
    if number_of is not None:
        sign = -1 if sort_key.startswith("-") else 1
        numbers = {card.name: number_of(card) for card in cards}
        cards.sort(key=lambda card: (numbers[card.name] is None, sign * (numbers[card.name] or 0)))


def _matching(pattern: str) -> list[Card]:
    """Finds the models of an exact name, else of a wildcard, else whose name contains a plain word, in any case."""
    known = registry.list_models()
    sought = pattern.lower()
    if sought in known:
        names = [sought]
    else:
        wildcard = sought if re.search(r"[*?\[]", sought) else f"*{sought}*"
        names = [name for name in known if fits_wildcard(name.lower(), wildcard)]
    if not names:
        raise NotFoundError(f"No model matches '{printable(pattern)}'.{did_you_mean(sought, known)} See 'zoo list'.")
    return [registry.info(name) for name in names]


def short_count(number: int | None) -> str:
    """Writes a number in three digits, as in `4.69M`, and None as `-`."""
    if number is None:
        return "-"
    for suffix, size in SUFFIXES.items():
        if number >= size:
            return f"{float(f'{number / size:.3g}'):g}{suffix}"
    return str(number)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _shape(card: Card) -> str:
    return "x".join(str(side) for side in card.input_shape)


def weights_label(card: Card, weight_set: registry.WeightSet) -> str:
    """Writes a weight set's name, and the options that it was made with where the card's own are others."""
    differing = (f"{key}={value}" for key, value in weight_set.options.items() if card.options[key] != value)
    return " ".join([weight_set.name, *differing])


def _own_weights(card: Card) -> list[registry.WeightSet]:
    """Returns the weight sets for the card's own options."""
    return [weight_set for weight_set in card.weights if {**card.options, **weight_set.options} == dict(card.options)]


def _availability(card: Card, weight_set: registry.WeightSet) -> str:
    here = weights.locate(weight_set)
    place = "here" if here else f"not here: {weights.how_to_get(weight_set, card.name)}"
    return f"{weights.file_size(weight_set.bytes)}, {weight_set.licence}, pin: {weights.pin(weight_set)}, {place}"


def _protocol(protocol: registry.Protocol | None) -> str:
    return f"{protocol.fit}: {protocol.source}" if protocol else "-"


def _accuracy(accuracy: registry.Accuracy) -> str:
    return f"{accuracy.top1} % ({accuracy.protocol}; {accuracy.source})"


def _summary(card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "family": card.family,
        "params": card.params,
        "madds": card.madds,
        "input_shape": card.input_shape,
        "weights": [
            {
                "name": weight_set.name,
                "licence": weight_set.licence,
                "bytes": weight_set.bytes,
                "available": weights.locate(weight_set) is not None,
            }
            for weight_set in _own_weights(card)
        ],
        "stages": [{"name": stage.name, "layers": stage.layers, "params": stage.params} for stage in card.stages],
        "accuracy": asdict(card.accuracy) if card.accuracy else None,
        "licence": card.licence,
    }


def _protocol_document(protocol: registry.Protocol | None) -> dict[str, Any] | None:
    if protocol is None:
        return None
    # All weights were measured on pixels of 8 bits.
    fit = {name: value for name, value in asdict(protocol.fit).items() if name != "white"}
    return {"size": protocol.size, **fit, "source": protocol.source}


def _details(card: Card) -> dict[str, Any]:
    return _summary(card) | {
        "description": card.description,
        "preprocessing": card.preprocessing,
        "protocols": {weight_set.name: _protocol_document(weight_set.protocol) for weight_set in _own_weights(card)},
        "paper": card.paper,
        "classes": card.classes,
        "dropout": card.dropout,
        "min_size": card.min_size,
        "options": dict(card.options),
    }
