"""What a file's bytes are, apart from the pixels, and why they may give none."""

from dataclasses import dataclass, replace

from zoo.data.images.flattening import FULL_WHITE, has_all_bits


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file's bytes are, apart from the pixels.

    Attributes:
        reason: Why they give no pixels; empty where they do.
        format: `JPEG`, `PNG` and so on; empty where it is not known.
        mode: Pillow's: `RGB`, `CMYK`, `I;16`, ...
        width: In pixels, as stored.
        height: In pixels, as stored.
        orientation: How it is to be turned, as EXIF numbers it; 1 is upright.
        animated: Whether it has more than one frame.
        transparent: Whether it has pixels that may be seen through.
        passing: Whether the reason lies with the system, such as too many open files, and not with the bytes.
        peak: The largest value of an image of more than 8 bits, its colours' to the next 256; 0 of any other.
        full: The largest value that its bits can have.
    """

    reason: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    animated: bool = False
    transparent: bool = False
    passing: bool = False
    peak: int = 0
    full: int = FULL_WHITE

    @property
    def is_deep(self) -> bool:
        """Whether it has more than 8 bits a channel."""
        return self.mode == "F" or self.mode.startswith("I") or ";16" in self.mode


class BadImageError(Exception):
    """A file that gives no pixels; the message is the reason alone.

    Attributes:
        facts: What is known of it nevertheless, the reason included where it lies with the file and not with the
            settings.
    """

    def __init__(self, facts: Facts, reason: str = "") -> None:
        super().__init__(facts.reason or reason)
        self.facts = facts

    @property
    def now(self) -> Facts:
        """What is known of it, with the reason in any case; one that lies with the settings is not for keeps."""
        return self.facts if self.facts.reason else replace(self.facts, reason=str(self), passing=True)


def beyond_white(facts: Facts, white: int) -> str:
    """Says why an image that can be read has no pixels all the same: the recipe's white is not for it."""
    if not white or not facts.is_deep or facts.mode.startswith("F"):
        return ""
    if not has_all_bits(facts.mode):
        return f"has pixels of the kind {facts.mode}, whose lower bytes are not read: data.white = {white} needs them"
    # Of colours the peak is known to the next 256 only.
    peak = facts.peak if facts.mode.startswith("I") else facts.peak - 255
    return f"has pixels of {facts.peak}, more than data.white = {white}" if peak > white else ""
