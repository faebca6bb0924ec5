"""Numbers that others wrote, as float32 has them, in which models are computed: 1e39 is infinite there."""

import struct

# The least number above 0 that has all its digits, and the largest.
SMALLEST, LARGEST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127


def in_float32(number: float) -> float | None:
    """Returns a number as float32 has it, or None where that has no such number."""
    if not (number == 0 or SMALLEST <= abs(number) <= LARGEST):  # NaN compares false
        return None
    return float(struct.unpack("<f", struct.pack("<f", number))[0])
