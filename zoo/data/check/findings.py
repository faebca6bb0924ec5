"""What can be said of images: the kinds of findings, and the report that they make."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class FindingKind:
    """A kind of finding.

    Attributes:
        fault: Whether it makes the check fail.
        meaning: What it is, and what becomes of it.
        by_suffix: Whether the endings of names say what findings that are not shown are about.
    """

    fault: bool
    meaning: str
    by_suffix: bool = False

    @property
    def word(self) -> str:
        """What findings of this kind are called."""
        return "fault" if self.fault else "note"


KINDS: dict[str, FindingKind] = {
    "unreadable": FindingKind(
        fault=True, meaning="cannot be read; training leaves it out (data.on_bad)", by_suffix=True
    ),
    "leak": FindingKind(fault=True, meaning="the same file in two splits: figures measured there are optimistic"),
    "near_leak": FindingKind(fault=True, meaning="the same picture in two splits, resized or encoded anew"),
    "conflict": FindingKind(fault=True, meaning="the same file in two classes: one label is wrong"),
    "near_conflict": FindingKind(fault=False, meaning="the same picture in two classes, resized or encoded anew"),
    "duplicate": FindingKind(fault=False, meaning="the same file twice in one class and split"),
    "near_duplicate": FindingKind(fault=False, meaning="the same picture twice in one class and split"),
    "flat": FindingKind(fault=False, meaning="images of one colour, with nothing to tell them from one another"),
    "layout": FindingKind(fault=False, meaning="how the files lie"),
    "imbalance": FindingKind(fault=False, meaning="classes of very different size; see data.balance"),
    "extension": FindingKind(
        fault=False, meaning="another format than its name says; read as what it is", by_suffix=True
    ),
    "cmyk": FindingKind(fault=False, meaning="colours for print, or others that screens do not have; converted to RGB"),
    "deep": FindingKind(fault=False, meaning="more than 8 bits a channel; scaled to 8"),
    "dark": FindingKind(fault=False, meaning="pixels of more than 8 bits of which little is left in 8; see data.white"),
    "palette": FindingKind(fault=False, meaning="colours from a palette; converted"),
    "transparent": FindingKind(fault=False, meaning="pixels that may be seen through; put on white"),
    "animated": FindingKind(fault=False, meaning="more than one frame; the first is read"),
    "turned": FindingKind(fault=False, meaning="to be turned, by its EXIF; read upright"),
    "size": FindingKind(fault=False, meaning="far smaller, larger or longer than the others"),
    "link": FindingKind(fault=False, meaning="a link: out of the folder, back to itself, or passed over"),
    "passed_over": FindingKind(fault=False, meaning="not taken for an image", by_suffix=True),
    "name": FindingKind(fault=False, meaning="a name that is not UTF-8"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something odd about one image, several that belong together, or the data as a whole.

    Attributes:
        kind: A key of `KINDS`.
        images: Their names: paths relative to the data, or `train[3]`.
        detail: What was found, in words.
    """

    kind: str
    images: tuple[str, ...]
    detail: str


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large images are, as (width, height) in pixels as stored, in the order of their areas.

    Attributes:
        smallest: The first.
        median: The one in the middle; of two the smaller.
        largest: The last.
    """

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found in a set of images.

    Attributes:
        counts: Images by split and class.
        formats: Files that can be read by format, the most frequent first; none of arrays.
        sizes: Of images that can be read; None where none can.
        findings: In the order of `KINDS`.
        decoded: How many images were decoded for it; the others were known.
        exclude: The names of those that had better be left out: unreadable, in two classes, in train as well as in
            another split, or twice; as the file system has them.
        stops: Why training on these images would stop, a sentence each; empty where it would not.
        empties: Classes of train that would have no image left without what is in `exclude`.
    """

    counts: dict[str, dict[str, int]]
    formats: dict[str, int]
    sizes: Sizes | None
    findings: tuple[Finding, ...]
    decoded: int
    exclude: tuple[str, ...]
    stops: tuple[str, ...] = ()
    empties: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(sum(classes.values()) for classes in self.counts.values())

    @property
    def faults(self) -> int:
        """How many findings make the check fail."""
        return sum(KINDS[finding.kind].fault for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class CheckedImage:
    """An image of the data.

    Attributes:
        name: For people.
        raw: As the file system has it, where that is not UTF-8; else the same.
        split: train, validation or test.
        label: Its class, by name.
        content: The hash of its bytes or pixels.
        path: Its file, or None.
    """

    name: str
    raw: str
    split: str
    label: str
    content: str
    path: Path | None
