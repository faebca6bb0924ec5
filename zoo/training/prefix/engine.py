"""Which engine runs the first passes of a run: chosen once, and the same for all of its phases."""

from collections.abc import Callable, Sequence

import numpy as np

from zoo.inference import engines
from zoo.inference.engines import AUTO, KERAS, VARIABLE, Compiled
from zoo.runs.checkpoint_writer import SaveErrors
from zoo.runs.folder import RunFolder
from zoo.runs.recording import Recording
from zoo.training.prefix.policy import COMPUTING_SPEED, cost_of
from zoo.training.prefix.splitting import Prefix, joined

# A pass that a core computes in so many seconds, as far as counts tell, is worth some for taking a graph over.
WORTH_SECONDS = 10.0


class PassEngine:
    """What computes the first passes: Keras, which is "", or an engine and its version.

    Attributes:
        refusal: Why Keras computes although another was asked for, or began; empty once that is said.
    """

    def __init__(self, began: str | None = None, *, note: Callable[[str], object] = lambda name: None) -> None:
        """Goes on with what computed before.

        Args:
            began: As run.json has it; None where nothing was computed yet.
            note: Called with what is chosen, before it computes.
        """
        self._chosen = "" if began == KERAS else began
        self._goes_on = began is not None
        self._note = note
        self._noted: str | None = None
        self.refusal = ""

    @property
    def name(self) -> str:
        """The one that was chosen; Keras before."""
        return self._chosen or ""

    def choose(self, name: str) -> None:
        """Lets it compute all that comes."""
        self._chosen = name
        if name != self._noted:
            self._noted = name
            self._note(name or KERAS)

    def candidates(self, prefix: Prefix, *, images: int, has_views: bool) -> list[str]:
        """Returns whose activations a phase may take, that first that would compute them.

        Args:
            prefix: What is run.
            images: On how many.
            has_views: Whether on views of images, of which only Keras knows how they are drawn.
        """
        choice = engines.asked()
        why = "views of images are drawn by Keras" if has_views else engines.why_keras(prefix.prefix)
        if self._chosen is not None:
            if self._goes_on:
                self._go_on(choice, why)
            return [self._chosen]
        if choice == KERAS:
            return [""]
        if why:
            self.refusal = f"{VARIABLE} is {choice}, and {why}; Keras computes" if choice != AUTO else ""
            return [""]
        installed = [str(one) for name, one in engines.ENGINES.items() if choice in (AUTO, name) and one.is_installed]
        if choice != AUTO:
            return installed
        is_long = images * cost_of(prefix) / COMPUTING_SPEED > WORTH_SECONDS
        return [*installed, ""] if is_long else ["", *installed]

    def _go_on(self, choice: str, why: str) -> None:
        """Goes on with what began, or with Keras, and says why.

        Args:
            choice: What was asked for.
            why: Why only Keras may compute here; empty where an engine may.
        """
        self._goes_on = False
        if self._chosen == "" and choice not in (AUTO, KERAS):
            self.refusal = f"{VARIABLE} is {choice}, and Keras computed before; Keras computes"
        if self._chosen and (choice == KERAS or why):
            self.refusal = f"{self._chosen} computed before, and {why or f'{VARIABLE} is {KERAS}'}; Keras computes"
            self._chosen = ""

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
            return f"{name} computed before, and is not installed"
        return engines.prove(engine, joined(prefixes), images)


def engine_of_run(recorded: Recording, repeats: RunFolder | None, errors: SaveErrors) -> PassEngine:
    """Lets a run go on with the engine that it, or the run that it repeats, was computed by; run.json says which.

    Args:
        recorded: Its record.
        repeats: The run that it repeats, or None.
        errors: What becomes of a fault in writing the record.
    """

    def note(name: str) -> None:
        if name != recorded.record.engine:
            recorded.note(engine=name)
            with errors.handled():
                recorded.update()

    before = [recorded.record, *([] if repeats is None else [repeats.record()])]
    return PassEngine(next((one.engine for one in before if one.engine), None), note=note)
