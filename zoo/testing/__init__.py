"""The contract that every architecture keeps, for the author of a plug-in to run on theirs.

One class in a test file does:

    from zoo.testing import ArchitectureContract

    class TestMyNet(ArchitectureContract):
        name = "my_net"

and so does one call, `zoo.testing.check_architecture("my_net")`. A fault is an AssertionError that says what was found
and what was expected. The architectures that ship are tested by the same methods.
"""

from zoo.testing.contract import ArchitectureContract, check_architecture, tests
from zoo.testing.probes import largest_gradients, loads_as_saved, random_images, splits_at_every_stage

__all__ = [
    "ArchitectureContract",
    "check_architecture",
    "largest_gradients",
    "loads_as_saved",
    "random_images",
    "splits_at_every_stage",
    "tests",
]
