"""What `zoo list --where` takes: comparisons of what cards say, joined by `and`."""

import operator
import re
from collections.abc import Callable

import click

from zoo.errors import did_you_mean
from zoo.registry import Card
from zoo.registry.entries import fits_wildcard

SUFFIXES = {"G": 10**9, "M": 10**6, "k": 10**3}

NUMBERS: dict[str, Callable[[Card], float | None]] = {
    "params": lambda card: card.params,
    "madds": lambda card: card.madds,
    "input": lambda card: card.input_shape[0],
    "accuracy": lambda card: card.accuracy.top1 if card.accuracy else None,
}
TEXTS: dict[str, Callable[[Card], list[str]]] = {
    "name": lambda card: [card.name],
    "family": lambda card: [card.family],
    "weights": lambda card: [weight_set.name for weight_set in card.weights] or ["none"],
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def parse_where(expression: str) -> list[Callable[[Card], bool]]:
    """Reads comparisons joined by `and`, such as `params<30M and weights=imagenet`.

    Raises:
        click.BadParameter: A comparison that cannot be read; the message says which, and what is expected.
    """
    return [_parse_comparison(term.strip()) for term in re.split(r"\band\b", expression)]


def _parse_comparison(term: str) -> Callable[[Card], bool]:
    read = re.fullmatch(r"(\w+)\s*(<=|>=|!=|<|>|=)\s*(\S+)", term)
    if read is None:
        raise _bad_where(f"'{term}' is not a comparison; expected for example params<30M")
    key, symbol, value = read.groups()
    if key in NUMBERS:
        return _compare_number(term, key, symbol, value)
    if key not in TEXTS:
        known = (*NUMBERS, *TEXTS)
        raise _bad_where(f"'{term}': unknown key '{key}'.{did_you_mean(key, known)} Known: {', '.join(known)}")
    if symbol not in ("=", "!="):
        raise _bad_where(f"'{term}': {key} is compared with = or !=")
    return lambda card: any(fits_wildcard(text, value) for text in TEXTS[key](card)) == (symbol == "=")


def _compare_number(term: str, key: str, symbol: str, value: str) -> Callable[[Card], bool]:
    number = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", value)
    if number is None:
        raise _bad_where(f"'{term}': '{value}' is not a number; expected for example 224, 30M or 1.5G")
    limit = float(number[1]) * SUFFIXES.get(number[2], 1)

    def holds(card: Card) -> bool:
        found = NUMBERS[key](card)
        return found is not None and COMPARISONS[symbol](found, limit)

    return holds


def _bad_where(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="'--where'")
