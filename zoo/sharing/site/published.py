"""The files of published versions, as far as pages are made of them: small, verified by their hashes, read once."""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from zoo.errors import ContractError
from zoo.foreign.toml_documents import read_toml
from zoo.sharing.receipt import CURVES, RECIPE, Receipt, parse_receipt
from zoo.sharing.receipt import FILE as RECEIPT
from zoo.sharing.site.contents import Epoch
from zoo.shelves.pulling import read_file
from zoo.shelves.shelf import Shelf
from zoo.shelves.versions import Version

# Most bytes of a file that a page is made of: of 21,841 classes a receipt has 4 MB.
LIMITS = {RECIPE: 1_000_000, RECEIPT: 8_000_000, CURVES: 8_000_000}
LIMIT = 1_000_000
# Most bytes that are kept for the second time that a file is read, when its page is written.
KEPT_BYTES = 64_000_000


class Published:
    """Reads files of a shelf's versions. What was read is kept, as far as there is room, by its hash."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._kept = dict[str, bytes]()
        self._bytes = 0

    def read(self, version: Version, name: str) -> bytes:
        """Reads a file of a version.

        Raises:
            ContractError: It is not what the version's document says, or larger than such a file ever is.
            ShelfError: The shelf cannot be read.
        """
        if name not in version.files:
            raise ContractError(f"{version.reference}: has no {name}; expected one in every version")
        one = version.files[name]
        if one.sha256 in self._kept:
            return self._kept[one.sha256]
        limit = LIMITS.get(name, LIMIT)
        if one.size > limit:
            raise ContractError(f"{version.reference}: {name} has {one.size:,} bytes; expected at most {limit:,}")
        content = read_file(self.shelf, version, name)
        if self._bytes + len(content) <= KEPT_BYTES:
            self._kept[one.sha256] = content
            self._bytes += len(content)
        return content

    def text(self, version: Version, name: str) -> str:
        """Reads a text of a version; raises as `read` does."""
        return self.read(version, name).decode("utf-8", "replace")

    def toml(self, version: Version, name: str) -> Mapping[str, Any] | None:
        """Reads a recipe of a version as plain values; None where it is not TOML, or beyond what a recipe may be.

        Raises as `read` does.
        """
        return _values(self.text(version, name))

    def receipt(self, version: Version) -> Receipt | None:
        """Reads what a version's run proves; None where it has none.

        Raises:
            ContractError: It is damaged, or of other files than the version's.
            ShelfError: The shelf cannot be read.
        """
        if RECEIPT not in version.files:
            return None
        place = f"{version.reference}: {RECEIPT}"
        receipt = parse_receipt(self.read(version, RECEIPT), place)
        other = [name for name, one in version.files.items() if receipt.sha256.get(name, one.sha256) != one.sha256]
        if other:
            raise ContractError(f"{place}: is the receipt of another {other[0]} than the version has")
        return receipt

    def epochs(self, version: Version) -> tuple[Epoch, ...]:
        """Reads the curves of a version; none where it has none.

        Raises:
            ContractError: They are damaged.
            ShelfError: The shelf cannot be read.
        """
        if CURVES not in version.files:
            return ()
        rows = list[Epoch]()
        for number, line in enumerate(self.read(version, CURVES).splitlines(), 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise ContractError(f"{version.reference}: {CURVES}: line {number} is not an object of JSON")
            rows.append(_epoch(cast("dict[str, Any]", row)))
        return tuple(rows)


@lru_cache(maxsize=64)
def _values(text: str) -> Mapping[str, Any] | None:
    try:
        return read_toml(text)
    except ValueError:
        return None


def _epoch(row: dict[str, Any]) -> Epoch:
    step = row.get("step")
    return Epoch(
        phase=str(row.get("phase", "")),
        step=step if isinstance(step, int) else None,
        loss=number(row.get("loss")),
        accuracy=number(row.get("accuracy")),
        val_loss=number(row.get("val_loss")),
        val_accuracy=number(row.get("val_accuracy")),
    )


def number(value: Any) -> float | None:
    """Returns a number of JSON as a float; None of anything else, of NaN, and of what no float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of 400 digits
        return None
