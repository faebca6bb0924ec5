"""How a photo of any size is brought to a model's input size; what a card, a recipe and a run say of it alike."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from zoo.errors import DataError

# What is kept of a photo whose shape is another.
Resize = Literal["crop", "pad", "stretch"]
RESIZES: tuple[Resize, ...] = get_args(Resize)
Interpolation = Literal["bilinear", "bicubic"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
# Below it a crop would be a few pixels of most photos: a percentage that was meant otherwise.
SMALLEST_CROP_SHARE = 0.1
# The largest integer that Pillow keeps of a pixel.
MAX_WHITE = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class ImageFit:
    """How a photo is brought to an input size.

    Attributes:
        resize: `crop` cuts out a centred part of the input's shape, `pad` scales the whole to fit and centres it on
            black, `stretch` ignores the shape.
        crop_share: How much of each side a crop takes of the largest that fits, or `stretch` of the whole, at the
            centre: 0.875 is what resizing the shorter side to 256 and cutting out 224 takes (timm: `crop_pct`).
        interpolation: `bilinear` or `bicubic`; both are antialiased.
        white: The value of pixels of more than 8 bits that becomes 255, as 4095 of 12 bits; 0 is the largest that the
            file's bits can have.

    Raises:
        DataError: An unknown word, a share or white out of range, or a share for `pad`, which cuts nothing off.
    """

    resize: Resize = "crop"
    crop_share: float = 1.0
    interpolation: Interpolation = "bilinear"
    white: int = 0

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise DataError(f"data.resize is '{self.resize}'; expected one of {', '.join(RESIZES)}.")
        if self.interpolation not in INTERPOLATIONS:
            raise DataError(f"data.interpolation is '{self.interpolation}'; expected {' or '.join(INTERPOLATIONS)}.")
        if not SMALLEST_CROP_SHARE <= self.crop_share <= 1:  # what is not a number compares false
            raise DataError(f"data.crop_share is {self.crop_share}; expected {SMALLEST_CROP_SHARE} to 1.")
        if not 0 <= self.white <= MAX_WHITE:
            raise DataError(f"data.white is {self.white}; expected 0 to {MAX_WHITE}, such as 4095.")
        if self.resize == "pad" and self.crop_share != 1:
            raise DataError(
                f"data.crop_share is {self.crop_share} with data.resize 'pad', which cuts nothing off; expected 1."
            )

    def described(self) -> dict[str, Any]:
        """Returns what decides the pixels as plain data, without what is as it always was.

        Shares and interpolations came later: what was known by its `resize` alone before is known by it still.
        """
        changed = asdict(ImageFit())
        return {name: value for name, value in asdict(self).items() if name == "resize" or value != changed[name]}

    def __str__(self) -> str:
        share = "the whole" if self.crop_share == 1 else f"{self.crop_share:.4g} of the"
        white = f", {self.white} becomes white" if self.white else ""
        kept = {"crop": f"{share} shorter side, centred", "stretch": f"{share} width and height, stretched"}
        return f"{kept.get(self.resize, 'all of it, on black')}, {self.interpolation}{white}"
