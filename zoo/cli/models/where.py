"""What `--where` takes: comparisons joined by `and`, of what cards or the versions on a shelf say."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

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


_T = TypeVar("_T")


def parse_where(expression: str) -> list[Callable[[Card], bool]]:
    """Reads comparisons of cards, such as `params<30M and weights=imagenet`.

    Raises:
        click.BadParameter: A comparison that cannot be read; the message says which, and what is expected.
    """
    return parse_comparisons(expression, NUMBERS, TEXTS, example="params<30M")


def parse_comparisons(
    expression: str,
    numbers: Mapping[str, Callable[[_T], float | None]],
    texts: Mapping[str, Callable[[_T], list[str]]],
    *,
    example: str,
) -> list[Callable[[_T], bool]]:
    """Reads comparisons joined by `and`.

    Args:
        expression: As it was typed.
        numbers: What is compared as a number, by its key.
        texts: What is compared as a text, by its key; one of several suffices.
        example: A comparison, for messages.

    Raises:
        click.BadParameter: A comparison that cannot be read; the message says which, and what is expected.
    """

    def parsed(term: str) -> Callable[[_T], bool]:
        read = re.fullmatch(r"(\w+)\s*(<=|>=|!=|<|>|=)\s*(\S+)", term)
        if read is None:
            raise _bad_where(f"'{term}' is not a comparison; expected for example {example}")
        key, symbol, value = read.groups()
        if key in numbers:
            return _compare_number(term, numbers[key], symbol, value)
        if key not in texts:
            known = (*numbers, *texts)
            raise _bad_where(f"'{term}': unknown key '{key}'.{did_you_mean(key, known)} Known: {', '.join(known)}")
        if symbol not in ("=", "!="):
            raise _bad_where(f"'{term}': {key} is compared with = or !=")
        return lambda one: any(fits_wildcard(text, value) for text in texts[key](one)) == (symbol == "=")

    return [parsed(term.strip()) for term in re.split(r"\band\b", expression)]


def _compare_number(term: str, read: Callable[[_T], float | None], symbol: str, value: str) -> Callable[[_T], bool]:
    number = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", value)
    if number is None:
        raise _bad_where(f"'{term}': '{value}' is not a number; expected for example 224, 30M or 1.5G")
    limit = float(number[1]) * SUFFIXES.get(number[2], 1)

    def holds(one: _T) -> bool:
        found = read(one)
        return found is not None and COMPARISONS[symbol](found, limit)

    return holds


def _bad_where(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="'--where'")
