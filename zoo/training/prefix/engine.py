"""Which engine runs the first passes of a run: chosen once, and the same for all of its phases."""

from collections.abc import Sequence

import numpy as np

from zoo.inference import engines
from zoo.inference.engines import AUTO, KERAS, Compiled
from zoo.runs.record import PhaseRecord
from zoo.training.prefix.policy import COMPUTING_SPEED, cost_of
from zoo.training.prefix.splitting import Prefix, joined

# A pass that a core computes in so many seconds, as far as counts tell, is worth some for taking a graph over.
WORTH_SECONDS = 10.0


class PassEngine:
    """What computes the first passes: Keras, which is "", or an engine and its version.

    Attributes:
        refusal: Why Keras computes although another was asked for; empty once that is said.
    """

    def __init__(self, done: Sequence[PhaseRecord] = ()) -> None:
        """Goes on with the engine of finished phases.

        Args:
            done: Those of the run.
        """
        caches = [phase.prefix_cache for phase in done if phase.prefix_cache is not None]
        self._chosen = (caches[-1].engine or "") if caches else None
        self.refusal = ""

    @property
    def name(self) -> str:
        """The one that was chosen; Keras before."""
        return self._chosen or ""

    def choose(self, name: str) -> None:
        """Lets it compute all that comes."""
        self._chosen = name

    def candidates(self, prefix: Prefix, *, images: int, has_views: bool) -> list[str]:
        """Returns whose activations a phase may take, that first that would compute them.

        Args:
            prefix: What is run.
            images: On how many.
            has_views: Whether on views of images, of which only Keras knows how they are drawn.
        """
        if self._chosen is not None:
            return [self._chosen]
        choice = engines.asked()
        if choice == KERAS:
            return [""]
        why = "views of images are drawn by Keras" if has_views else engines.why_keras(prefix.prefix)
        if why:
            self.refusal = f"{engines.VARIABLE} is {choice}, and {why}; Keras computes" if choice != AUTO else ""
            return [""]
        installed = [str(one) for name, one in engines.ENGINES.items() if choice in (AUTO, name) and one.is_installed]
        if choice != AUTO:
            return installed
        is_long = images * cost_of(prefix) / COMPUTING_SPEED > WORTH_SECONDS
        return [*installed, ""] if is_long else ["", *installed]

    def take_over(self, name: str, prefixes: Sequence[Prefix], images: np.ndarray) -> Compiled | str:
        """Lets an engine take over what a pass computes, if it proves equal.

        Args:
            name: As it was among the candidates.
            prefixes: What images go through together.
            images: uint8[n, height, width, channels], some of them.

        Returns:
            What computes; or why Keras does, for a line.
        """
        engine = engines.by_version(name)
        if engine is None:
            return f"{name} computed what came before and is not installed"
        return engines.prove(engine, joined(prefixes), images)
