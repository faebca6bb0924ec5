"""What registers itself when it is imported: our own modules first, then the entry points of plug-ins."""

import threading
import warnings
from collections.abc import Callable
from importlib import metadata

from zoo.errors import Terminated, in_one_line


class Loader:
    """Loads all that registers itself, once; what fails is named at every question, and stops nothing else.

    The first question loads, and others that ask meanwhile wait.

    Attributes:
        left_out: What could not be loaded, and why, a sentence each.
    """

    def __init__(self, group: str, *, built_in: Callable[[], None], forget: Callable[[str], None]) -> None:
        """Loads nothing yet.

        Args:
            group: The entry points of plug-ins: `zoo.optimizers`.
            built_in: Imports our own modules.
            forget: Takes back what a module had registered; called with its name where it fails.
        """
        self.left_out: list[str] = []
        self._group = group
        self._built_in = built_in
        self._forget = forget
        self._has_built_in = self._has_all = False
        # Set while this process's plug-ins load, so that a plug-in which asks for the list gets what is there so far.
        self._is_loading = False
        # Two locks: a plug-in that one thread imports may wait in `register` while another thread loads plug-ins.
        self._loading_built_in = threading.RLock()
        self._loading_plug_ins = threading.RLock()

    def load(self) -> None:
        """Loads what is not there yet, and warns of what is left out, in the name of the caller's caller."""
        if not self._has_all:
            with self._loading_plug_ins:
                if self._is_loading:  # this thread: a plug-in asks while it loads
                    return
                if not self._has_all:
                    self._is_loading = True
                    try:
                        self.load_built_in()
                        self._load_plug_ins()
                        self._has_all = True
                    finally:
                        self._is_loading = False
        for line in self.left_out:
            warnings.warn(line, stacklevel=3)

    def load_built_in(self) -> None:
        """Loads our own modules only: ours come first, so that the fault of a taken name is the newcomer's."""
        with self._loading_built_in:
            if not self._has_built_in:
                self._built_in()
                self._has_built_in = True

    def leave_out(self, what: str, module: str, fault: BaseException) -> None:
        """Notes what could not be loaded, and takes back what it had registered before it failed."""
        self._forget(module)
        self.left_out.append(f"{what} is left out: {in_one_line(fault)}")

    def _load_plug_ins(self) -> None:
        for plug_in in metadata.entry_points(group=self._group):
            try:
                plug_in.load()
            except Terminated:
                raise
            except (Exception, SystemExit) as fault:  # a plug-in may fail in any way; the others must still be found
                self.leave_out(f"plug-in '{plug_in.name}' ({plug_in.value})", plug_in.module, fault)
