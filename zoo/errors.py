"""Every fault that zoo explains.

    ZooError                exit code 1
    ├── NotFoundError       an unknown model, recipe, weight set, run or file
    ├── RecipeError         a recipe or an override that does not hold
    ├── DataError           images, labels or folders that cannot be used
    ├── WeightsError        weights that are missing, damaged or do not fit
    │   └── MissingWeightsError   not on this machine, and not fetched
    ├── TrustError          a program that is not trusted on this machine
    ├── RunError            a run or export that is taken, incomplete or damaged
    └── ContractError       exit code 3: a check, contract or expectation failed

A message is one line: where, found, expected, what to type next. It quotes names and texts that others wrote, and is
printed on terminals: what a terminal would obey is escaped in every message, and a line is cut.
"""

import contextlib
import re
import reprlib
from collections.abc import Collection, Generator, Iterable

# What no line may hold: control characters, ends of lines, and marks that turn the direction of what stands beside.
UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
LONGEST_QUOTE = 200
# As Linux has it: what is shown to be copied is whole.
LONGEST_PATH = 4096
LONGEST_LINE = 2000


def printable(text: object, *, at_most: int = LONGEST_QUOTE) -> str:
    """Writes what others wrote, such as a name, a path or a value, for a message or a table.

    Control characters, ends of lines and marks of direction are escaped, as `\\x1b`, `\\n` and `\\u202e`. What is
    longer than `at_most` is cut in the middle, where its length is said.
    """
    escaped = UNSHOWABLE.sub(lambda found: ascii(found[0])[1:-1], shortened(str(text), at_most))
    return shortened(escaped, at_most)


def shortened(text: str, at_most: int = LONGEST_QUOTE) -> str:
    """Cuts a long text in the middle, and says there how long it is."""
    if len(text) <= at_most:
        return text
    cut = f" ... ({len(text):,} characters) ... "
    kept = max(at_most - len(cut), 2)
    return f"{text[: kept - kept // 2]}{cut}{text[-(kept // 2) :]}"


class ZooError(Exception):
    """A fault with a message for the user; the command line prints it without a traceback."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(self._as_shown(str(message)))

    def _as_shown(self, message: str) -> str:
        return printable(message, at_most=LONGEST_LINE)


class NotFoundError(ZooError):
    """A name or a path that leads nowhere."""


class RecipeError(ZooError):
    """A recipe, or an override of one, that does not hold; the message has a line per fault."""

    def _as_shown(self, message: str) -> str:
        return "\n".join(printable(line, at_most=LONGEST_LINE) for line in message.split("\n"))


class DataError(ZooError):
    """Images, labels or folders that cannot be used as they are."""


class WeightsError(ZooError):
    """Weights that are missing, damaged or do not fit the model."""


class MissingWeightsError(WeightsError):
    """Weights that are not on this machine, and were not fetched.

    Attributes:
        otherwise: What can be done without them, in the words of whoever asked; empty where nothing can.
    """

    otherwise = ""

    def __str__(self) -> str:
        """Returns the message, with what can be done otherwise."""
        return f"{super().__str__()}, or {self.otherwise}" if self.otherwise else super().__str__()


@contextlib.contextmanager
def offering(otherwise: str) -> Generator[None]:
    """Says what can be done where weights that are asked for here are missing; the outermost decides."""
    try:
        yield
    except MissingWeightsError as fault:
        fault.otherwise = otherwise
        raise


class TrustError(ZooError):
    """A program, such as a SavedModel, that is not trusted on this machine."""


class RunError(ZooError):
    """A run folder, or an export, that is taken, incomplete or damaged."""


class ContractError(ZooError):
    """A check, a verification, the freezing contract or an expectation that failed."""

    exit_code = 3


class Terminated(SystemExit):
    """The system asked the process to end (SIGTERM, SIGHUP): an interruption, as Ctrl-C is, and not a fault.

    A program that lets it pass ends with 128 plus the signal's number, as a shell reports it, and without a traceback.

    Attributes:
        exit_code: The same number.
        signal: The signal's name.
    """

    def __init__(self, number: int = 15) -> None:
        """Takes the signal's number; 15 is SIGTERM everywhere."""
        self.exit_code = 128 + number
        super().__init__(self.exit_code)
        self.signal = {1: "SIGHUP", 15: "SIGTERM"}.get(number, f"signal {number}")


# What ends work that is to go on later.
INTERRUPTIONS = (KeyboardInterrupt, Terminated)


def shown(value: object) -> str:
    """Writes a value as Python does for a message: on one line, and not too long."""
    return printable(" ".join(reprlib.repr(value).split()))


# Of another's message is read no more.
LONGEST_TEXT = 100_000
# Colours, and what Keras writes before and after the fault of a layer.
_AROUND = re.compile(
    r"\x1b\[[0-9;]*m|Could not automatically infer .*?Error encountered:"
    r"|Exception encountered when calling \S+\(\)\.|Arguments received by \S+\(\):.*",
    re.DOTALL,
)


def in_one_line(fault: BaseException, *, at_most: int = 300) -> str:
    """Writes a fault of another's code for a message: its type and its text on one line, without colours, cut."""
    text = printable(" ".join(_AROUND.sub("", str(fault)[:LONGEST_TEXT]).split()), at_most=at_most)
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__


# Beyond, a name was not typed.
LONGEST_NAME = 100
# Two names that differ in likeness by less are alike.
ALIKE = 0.02


def did_you_mean(name: str, known: Iterable[str], *, preferred: Collection[str] = ()) -> str:
    """Returns `" Did you mean 'x'?"`, or an empty string when no known name is near; see `nearest`."""
    best = nearest(name, known, preferred=preferred)
    return f" Did you mean '{best}'?" if best is not None else ""


def nearest(name: str, known: Iterable[str], *, preferred: Collection[str] = ()) -> str | None:
    """Returns the known name that is most like another, or None when no one is near.

    Args:
        name: What was typed.
        known: What there is.
        preferred: Of names that are equally near, one of these is offered.
    """
    if len(name) > LONGEST_NAME:
        return None
    import difflib  # here, because every command imports this module, and few names are wrong

    typed = name.casefold()  # Keras writes MobileNetV2: only without its capitals is mobilenet_v2 the nearest
    folded = {one: one.casefold() for one in known}
    close = difflib.get_close_matches(typed, list(dict.fromkeys(folded.values())), n=20)
    near = sorted((one for one in folded if folded[one] in close), key=lambda one: close.index(folded[one]))
    if not near:
        return None
    likeness = {one: difflib.SequenceMatcher(None, folded[one], typed).ratio() for one in near}
    alike = sorted(one for one in near if likeness[near[0]] - likeness[one] < ALIKE and one in preferred)
    return near[0] if near[0] in preferred or not alike else alike[0]
