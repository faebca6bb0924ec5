"""What processes that train together tell one another, beside numbers: small texts, by JAX's coordination service.

All of them call the same functions in the same order. Each waits no longer than `WAIT_SECONDS` for the slowest. In a
process that trains alone each function gives back what it was given.
"""

import itertools
from collections.abc import Iterator

from zoo.backend.distribution.placement import current
from zoo.backend.keras_internals.jax_distribution import coordinator
from zoo.errors import ZooError

# Decoding all images, or compiling, may take one of them so much longer than another.
WAIT_SECONDS = 3600

# How often something of a name was told: a key of the service is written once.
_numbers: dict[str, Iterator[int]] = {}


def gathered(name: str, text: str) -> list[str]:
    """Returns what each process says, in their order.

    Args:
        name: Of what is said.
        text: What this process says.

    Raises:
        ZooError: One of them said nothing.
    """
    placement = current()
    if placement.processes == 1:
        return [text]
    key = _key(name)
    coordinator().key_value_set(f"{key}/{placement.process}", text)
    return [_read(f"{key}/{process}", name, process) for process in range(placement.processes)]


def told(name: str, text: str) -> str:
    """Returns what process 0 says.

    Args:
        name: Of what is said.
        text: What this process would say if it were process 0.

    Raises:
        ZooError: It said nothing.
    """
    placement = current()
    if placement.processes == 1:
        return text
    key = _key(name)
    if placement.leads:
        coordinator().key_value_set(key, text)
        return text
    return _read(key, name, 0)


def require_same(name: str, text: str, *, advice: str) -> None:
    """Makes sure that all processes have the same of something.

    Args:
        name: What it is, for the message.
        text: What this process has.
        advice: What to do where they differ.

    Raises:
        ZooError: They differ; each process raises it, with both values.
    """
    all_texts = gathered(name, text)
    for process, other in enumerate(all_texts):
        if other != all_texts[0]:
            raise ZooError(
                f"process {process} of {len(all_texts)} differs in {name}: {other}; process 0 has {all_texts[0]}; "
                f"{advice}"
            )


def _key(name: str) -> str:
    return f"zoo/{name}/{next(_numbers.setdefault(name, itertools.count()))}"


def _read(key: str, name: str, process: int) -> str:
    try:
        return coordinator().blocking_key_value_get(key, WAIT_SECONDS * 1000)
    except Exception as fault:  # jaxlib's own, which has no public name
        said = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ZooError(
            f"process {process} of {current().processes} did not tell its {name} within {WAIT_SECONDS} s ({said[:200]})"
        ) from fault
