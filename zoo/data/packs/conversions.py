"""What is changed in images before they are brought to size, counted, and what that loses."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from zoo.data.images.facts import Facts
from zoo.data.images.flattening import FULL_WHITE

# Modes whose colours are those of inks, or of spaces that screens do not have.
PRINT_MODES = ("CMYK", "YCCK", "LAB", "HSV")
# What is said of images of a kind, in the order in which it is said.
_WORDS = {
    "deep": "of more than 8 bits, scaled to 8 ({white} becomes white)",
    "turned": "turned upright, as EXIF says",
    "transparent": "with transparency, put on white",
    "cmyk": "in colours for print, or others that screens do not have, converted to RGB",
    "animated": "of several frames, of which the first is read",
}
# Deep pixels that all stay below a quarter of white, as those of 14 bits do, keep 64 greys or fewer in 8 bits.
_DARK_SHARE = 4


@dataclass(frozen=True)
class Conversions:
    """How many images were changed, and how.

    Attributes:
        counts: Images by kind: `deep`, `turned`, `transparent`, `cmyk`, `animated`.
        peak: The largest value of deep images, where 65535 is white; 0 where there are none.
    """

    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    peak: int = 0

    def __add__(self, other: "Conversions") -> "Conversions":
        return Conversions(dict(Counter(self.counts) + Counter(other.counts)), max(self.peak, other.peak))

    def lines(self, white: int) -> Iterator[str]:
        """Says what was changed, a line for each kind.

        Args:
            white: The recipe's `data.white`.
        """
        for kind, words in _WORDS.items():
            if count := self.counts.get(kind):
                plural = "" if count == 1 else "s"
                yield f"converted: {count:,} image{plural} {words.format(white=white or FULL_WHITE)}"
        if not white and (warning := dark_warning([self.peak])):
            yield f"warning: {warning}"


def count(images: Iterable[Facts]) -> Conversions:
    """Counts what is changed in images that can be read."""
    counts: Counter[str] = Counter()
    peak = 0
    for facts in images:
        if not facts.reason:
            counts.update(kinds_of(facts))
            peak = max(peak, facts.peak * FULL_WHITE // facts.full)
    return Conversions(dict(counts), peak)


def kinds_of(facts: Facts) -> Iterator[str]:
    """Yields what is changed in an image."""
    if facts.is_deep:
        yield "deep"
    if facts.orientation != 1:
        yield "turned"
    if facts.transparent:
        yield "transparent"
    if facts.mode in PRINT_MODES:
        yield "cmyk"
    if facts.animated:
        yield "animated"


def dark_warning(peaks: Iterable[int]) -> str | None:
    """Says that deep pixels use so little of their range that 8 bits keep few of them, as 12 bits in files of 16 do.

    Args:
        peaks: The largest value of each image, where 65535 is white; 0 of one that is not deep.

    Returns:
        A sentence, or None where they use enough of it, or there are none.
    """
    peak = max(peaks, default=0)
    if not 0 < peak <= FULL_WHITE // _DARK_SHARE:
        return None
    left = peak * 256 // (FULL_WHITE + 1) + 1
    white = (1 << peak.bit_length()) - 1
    greys = "1 grey is" if left == 1 else f"{left} greys are"
    return f"deep greys are at most {peak} of {FULL_WHITE}: {greys} left; set data.white = {white}"
