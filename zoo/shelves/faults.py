"""What can go wrong with a shelf, beside what was altered on it."""

from zoo.errors import ZooError


class ShelfError(ZooError):
    """A shelf that cannot be used, or holds what no shelf may hold."""


class UnreachableError(ShelfError):
    """A shelf that cannot be reached now: what was pulled from it before can be used meanwhile."""
