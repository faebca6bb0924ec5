"""Delta debugging: the smallest set of changes that is enough, found by trials of parts of them.

The algorithm is ddmin of A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
Transactions on Software Engineering 28(2), 2002, section 3. Here a set is enough, where there it fails.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def smallest_enough(candidates: Sequence[_T], is_enough: Callable[[tuple[_T, ...]], bool]) -> tuple[_T, ...]:
    """Finds a set that is enough, and from which nothing can be left out.

    Where several such sets exist, one of them is found. No set is tried twice. Of n candidates of which one is needed
    about 2 log2(n) sets are tried; at worst n squared and some.

    Example:
        >>> smallest_enough("abcdefgh", lambda some: {"b", "g"} <= set(some))
        ('b', 'g')

    Args:
        candidates: All of them together are enough.
        is_enough: Tries a set; its members come in the order of the candidates.

    Returns:
        The set, in the order of the candidates.
    """
    outcomes: dict[tuple[int, ...], bool] = {tuple(range(len(candidates))): True}

    def tried(numbers: tuple[int, ...]) -> bool:
        if numbers not in outcomes:
            outcomes[numbers] = is_enough(tuple(candidates[number] for number in numbers))
        return outcomes[numbers]

    if tried(()):
        return ()
    left, parts = tuple(range(len(candidates))), 2
    while len(left) > 1:
        subsets = _divided(left, parts)
        others = [tuple(number for number in left if number not in subset) for subset in subsets]
        if (found := next((subset for subset in subsets if tried(subset)), None)) is not None:
            left, parts = found, 2
        elif parts > 2 and (found := next((other for other in others if tried(other)), None)) is not None:
            left, parts = found, parts - 1
        elif parts < len(left):
            parts = min(2 * parts, len(left))
        else:
            break
    return tuple(candidates[number] for number in left)


def _divided(numbers: tuple[int, ...], parts: int) -> list[tuple[int, ...]]:
    """Divides numbers into parts of about the same size, none of them empty."""
    ends = [len(numbers) * part // parts for part in range(parts + 1)]
    return [numbers[first:last] for first, last in itertools.pairwise(ends) if first < last]
