"""The check of a private name, and the fault where it does not hold."""

from importlib import metadata
from typing import Any

from zoo.errors import ZooError


def unsupported(found: str, *, expected: str, source: str, package: str = "keras") -> ZooError:
    """Returns the fault of a release that differs from those that zoo was made for.

    Args:
        found: What differs.
        expected: What zoo relies on.
        source: The file of the package that has it, from the root of its repository.
        package: The distribution.
    """
    return ZooError(
        f"{package} {metadata.version(package)}: {found}; expected {expected} ({source}); "
        f"install another release: pip install '{package}<{metadata.version(package)}'"
    )


def private(owner: Any, name: str, *, source: str, package: str = "keras") -> Any:
    """Reads a private attribute.

    Raises:
        ZooError: The installed release does not have it.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = owner if isinstance(owner, type) else type(owner)
        named = getattr(owner, "__name__", kind.__name__)
        raise unsupported(
            f"{named} has no '{name}'", expected="what zoo relies on", source=source, package=package
        ) from None
