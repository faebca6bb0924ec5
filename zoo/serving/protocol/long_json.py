"""JSON that holds many numbers, read in parts: Python reads a text in one go, and a server does nothing else meanwhile.

Eight megabytes of numbers take half a second so. Of a request it is the list of a tensor's numbers that is long: it is
taken out, and read a part at a time, between which other threads go on.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.serving.refusals import TOO_LARGE, RefusedError

# What begins a value, beside the first: so many at most are read in one go, within some 30 milliseconds.
_BEGINNINGS = (b",", b"[", b"{")
MOST_VALUES = 100_000
# Bytes that are read in one go.
PART_BYTES = 1 << 16
_DATA = re.compile(rb'"data"\s*:\s*(?=\[)')
_NUMBERS = re.compile(rb"[\d\s,\[\]]*")
_DIGITS_AND_SPACES = b"0123456789 \t\r\n"
_BRACKETS_TO_SPACES = bytes.maketrans(b"[]", b"  ")


@dataclass(frozen=True)
class Numbers:
    """A list of whole numbers that was not read yet, flat or nested.

    Attributes:
        text: As it stands in the JSON, from its first bracket to its last.
    """

    text: bytes

    def __repr__(self) -> str:
        return "a list of numbers"

    def read(self, shape: Sequence[int]) -> bytes | None:
        """Returns the numbers, a byte each; None where they are not as many, flat or nested, or not in 0 to 255."""
        # The count first: who sends few numbers may claim a shape of many, whose frame takes memory.
        if self.text.count(b",") != math.prod(shape) - 1:
            return None
        if self.text.translate(None, _DIGITS_AND_SPACES) not in _frames(shape):
            return None
        try:
            return b"".join(bytes(json.loads(part)) for part in self._parts())
        except ValueError:  # of JSON, as for 01; or of a number above 255
            return None

    def _parts(self) -> Iterator[bytes]:
        """Yields flat lists, which together hold the numbers; each ends before a comma."""
        flat = self.text.translate(_BRACKETS_TO_SPACES)
        start = 0
        while start <= len(flat):
            end = flat.find(b",", start + PART_BYTES)
            end = len(flat) if end < 0 else end
            yield b"[%b]" % flat[start:end]
            start = end + 1


def _frames(shape: Sequence[int]) -> Iterator[bytes]:
    """Yields what is left of a tensor without its numbers: flat, and nested."""
    yield b"[%b]" % (b"," * (math.prod(shape) - 1))
    frame = b""
    for side in reversed(shape):
        frame = b"[%b]" % b",".join([frame] * side)
    yield frame


def read_json(text: bytes) -> Any:
    """Reads JSON; where it holds many numbers, they become `Numbers` in the place of their list.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
        RefusedError: It holds many values beside the list of numbers of one tensor.
    """
    if _count(text) <= MOST_VALUES:
        return json.loads(text)
    found = _DATA.search(text)
    numbers = _NUMBERS.match(text, found.end()) if found else None
    if numbers is None:
        raise _too_many(_count(text))
    list_of_numbers = numbers[0].rstrip(b", \t\r\n")
    rest = b"%bNaN%b" % (text[: numbers.start()], text[numbers.start() + len(list_of_numbers) :])
    if _count(rest) > MOST_VALUES:
        raise _too_many(_count(rest))
    marks = list[str]()

    def mark(name: str) -> Numbers:
        marks.append(name)
        return Numbers(list_of_numbers)

    document = json.loads(rest, parse_constant=mark)
    if len(marks) != 1:  # another NaN would be taken for the numbers
        raise ValueError("NaN or an infinite number is in it")
    return document


def _count(text: bytes) -> int:
    """Returns how many values there are at most."""
    return sum(map(text.count, _BEGINNINGS))


def _too_many(count: int) -> RefusedError:
    return RefusedError(
        TOO_LARGE,
        f"the JSON holds {count:,} values beside a tensor's whole numbers; expected at most {MOST_VALUES:,}; send "
        "tensors as binary data",
    )
