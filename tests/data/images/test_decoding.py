import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pixels import sized
from zoo.data import fit_image, read_image
from zoo.data.images.large import MAX_PIXELS
from zoo.errors import DataError

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def picture(*rows: list[tuple[int, ...]], mode: str = "RGB") -> Image.Image:
    """An image from its pixels, row by row."""
    image = Image.new(mode, (len(rows[0]), len(rows)))
    for y, row in enumerate(rows):
        for x, pixel in enumerate(row):
            image.putpixel((x, y), pixel)
    return image


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def read(path: Path, height: int, width: int, channels: int = 3, **options: object) -> list:
    return read_image(path, sized(height=height, width=width, channels=channels, **options)).tolist()


def fit(image: Image.Image, height: int, width: int, channels: int = 3, **options: object) -> list:
    return fit_image(image, sized(height=height, width=width, channels=channels, **options)).tolist()


# Pixels


def test_known_pixels_survive(tmp_path):
    path = saved(tmp_path / "x.png", picture([RED, GREEN, WHITE], [BLUE, BLACK, (1, 2, 3)]))
    image = read_image(path, sized(height=2, width=3, channels=3))
    assert image.dtype == np.uint8
    assert image.tolist() == [
        [list(RED), list(GREEN), list(WHITE)],
        [list(BLUE), list(BLACK), [1, 2, 3]],
    ]


def test_grey_is_itu_601_luminance(tmp_path):
    path = saved(tmp_path / "x.png", picture([RED, GREEN, BLUE, (100, 100, 100)]))
    # 0.299 R + 0.587 G + 0.114 B
    assert read(path, 1, 4, 1) == [[[76], [150], [29], [100]]]


def test_grey_becomes_rgb(tmp_path):
    path = saved(tmp_path / "x.png", picture([(7,), (200,)], mode="L"))
    assert read(path, 1, 2) == [[[7, 7, 7], [200, 200, 200]]]


def corners(image: np.ndarray) -> list[str]:
    """The dominant colour of each quarter, row by row."""
    half = image.shape[0] // 2
    quarters = [image[:half, :half], image[:half, half:], image[half:, :half], image[half:, half:]]
    return ["RGB"[int(quarter.reshape(-1, 3).mean(0).argmax())] if quarter.max() > 99 else "-" for quarter in quarters]


# How the stored quarters (R G / B -) are to be shown, by EXIF 2.32, table 6 of 4.6.4: "row 0 is top, column 0
# is left" and so on.
UPRIGHT = {1: "RGB-", 2: "GR-B", 3: "-BGR", 4: "B-RG", 5: "RBG-", 6: "BR-G", 7: "-GBR", 8: "G-RB"}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(tmp_path, orientation, suffix):
    stored = picture([RED, GREEN], [BLUE, BLACK]).resize((32, 32), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"x.{suffix}", stored, exif=exif)
    assert corners(read_image(path, sized(height=32, width=32, channels=3))) == list(UPRIGHT[orientation])


def test_a_turned_photo_is_cropped_after_the_turn(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "x.jpg", Image.new("RGB", (40, 20), RED), exif=exif)
    padded = read_image(path, sized(height=20, width=20, channels=3, resize="pad"))
    assert (padded[:, :5] == 0).all()  # upright it is 20 x 40, so black is left and right
    assert (padded[:, 5:15, 0] > 250).all()


def test_damaged_exif_does_not_lose_the_picture(tmp_path):
    path = saved(tmp_path / "x.jpg", Image.new("RGB", (8, 8), RED), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\1")
    assert read_image(path, sized(height=8, width=8, channels=3))[0, 0, 0] > 250


def test_transparency_is_composited_on_white(tmp_path):
    rgba = picture([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 51)], mode="RGBA")
    expected = [[list(RED), list(WHITE), [204, 204, 204]]]  # 255 * (1 - 51 / 255)
    assert read(saved(tmp_path / "rgba.png", rgba), 1, 3) == expected
    grey = picture([(0, 255), (0, 0), (0, 51)], mode="LA")
    assert read(saved(tmp_path / "la.png", grey), 1, 3, 1) == [[[0], [255], [204]]]


def test_palettes(tmp_path):
    palette = picture([(0,), (1,)], mode="P")
    palette.putpalette([*RED, *BLUE])
    assert read(saved(tmp_path / "p.png", palette), 1, 2) == [[list(RED), list(BLUE)]]
    assert read(saved(tmp_path / "t.png", palette, transparency=1), 1, 2) == [[list(RED), list(WHITE)]]
    # A palette with an alpha for each entry, on which Pillow warns.
    assert read(saved(tmp_path / "b.png", palette, transparency=b"\xff\x00"), 1, 2) == [[list(RED), list(WHITE)]]


def test_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE)]
    for suffix in ("gif", "tiff", "png", "webp"):
        options = {"lossless": True} if suffix == "webp" else {}
        path = saved(tmp_path / f"x.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
        assert read(path, 1, 1) == [[list(RED)]]


def test_other_modes(tmp_path):
    assert read(saved(tmp_path / "one.png", Image.new("1", (1, 1), 1)), 1, 1) == [[list(WHITE)]]
    assert read(saved(tmp_path / "cmyk.tiff", Image.new("CMYK", (1, 1), (0, 255, 255, 0))), 1, 1) == [[list(RED)]]
    assert read(saved(tmp_path / "cmyk.tiff", Image.new("CMYK", (1, 1), (0, 0, 0, 255))), 1, 1, 1) == [[[0]]]
    assert read(saved(tmp_path / "x.ppm", Image.new("RGB", (1, 1), BLUE)), 1, 1) == [[list(BLUE)]]


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bits_become_eight(byte_order):
    deep = Image.fromarray(np.array([[0, 257, 128 * 257, 65535, 385, 386]], np.dtype(np.uint16)))
    if byte_order == ">":
        deep = deep.convert("I").convert("I;16B")
    assert fit(deep, 1, 6, 1) == [[[0], [1], [128], [255], [1], [2]]]  # v / 257, rounded


def test_deep_greys(tmp_path):
    path = saved(tmp_path / "x.png", Image.fromarray(np.array([[65535, 0]], np.uint16)))
    assert read(path, 1, 2, 1) == [[[255], [0]]]
    assert fit(Image.fromarray(np.array([[65535, 514]], np.int32)), 1, 2) == [[[255] * 3, [2] * 3]]
    assert fit(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), 1, 3, 1) == [[[0], [128], [255]]]
    assert fit(Image.fromarray(np.array([[0, 0.5, 200.4]], np.float32)), 1, 3, 1) == [[[0], [0], [200]]]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([[70000, 1]], np.int32), "integer pixels in [1, 70000]; expected [0, 65535]"),
        (np.array([[-1, 1]], np.int32), "integer pixels in [-1, 1]; expected [0, 65535]"),
        (np.array([[0, 300]], np.float32), "float pixels in [0, 300]; expected [0, 1] or [0, 255]"),
        (np.array([[0, np.nan]], np.float32), "float pixels in [nan, nan]; expected [0, 1] or [0, 255]"),
    ],
)
def test_deep_greys_out_of_range(tmp_path, values, text):
    path = saved(tmp_path / "x.tiff", Image.fromarray(values))
    with pytest.raises(DataError) as raised:
        read_image(path, sized(height=1, width=2, channels=1))
    assert str(raised.value) == f"{path}: cannot be decoded ({text}). Repair or replace the file."


# Sizes


def test_crop_takes_the_centre():
    wide = picture([RED, RED, GREEN, BLUE, WHITE, WHITE], [RED, RED, GREEN, BLUE, WHITE, WHITE])
    assert fit(wide, 2, 2) == [[list(GREEN), list(BLUE)]] * 2
    assert fit(wide.transpose(Image.Transpose.ROTATE_270), 2, 2) == [[list(GREEN)] * 2, [list(BLUE)] * 2]
    odd = picture([RED, GREEN, BLUE])
    assert fit(odd, 1, 2) == [[list(RED), list(GREEN)]]  # on whole pixels: nothing is blurred


def test_crop_averages_what_it_shrinks():
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (64, 32)))
    shrunk = fit_image(stripes, sized(height=8, width=8, channels=1))
    # Without antialiasing all would be 0 or 255. At the rim the triangle is cut: 255 * 3.375 / 7 = 123.
    assert np.abs(shrunk.astype(int) - 128).max() <= 5


def test_pad_keeps_everything_and_adds_black():
    wide = picture([RED, GREEN], mode="RGB")
    assert fit(wide, 2, 2, resize="pad") == [[list(RED), list(GREEN)], [list(BLACK)] * 2]
    assert fit(Image.new("RGB", (4, 2), WHITE), 4, 4, resize="pad") == [
        [list(BLACK)] * 4,
        *[[list(WHITE)] * 4] * 2,
        [list(BLACK)] * 4,
    ]
    assert np.sum(fit(Image.new("L", (1000, 1), 255), 9, 9, 1, resize="pad")) == 9 * 255


def test_stretch_ignores_the_shape():
    wide = picture([RED, RED, BLUE, BLUE])
    # A triangle of half-width 2 pixels around each new centre: weights 3/4, 3/4 near and 1/4 beyond.
    near, far = round(255 * 1.5 / 1.75), round(255 * 0.25 / 1.75)
    assert fit(wide, 3, 2, resize="stretch") == [[[near, 0, far], [far, 0, near]]] * 3
    assert fit_image(wide, sized(height=5, width=7, channels=1, resize="stretch")).shape == (5, 7, 1)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_reduced_jpeg_decode_looks_like_the_full_one(tmp_path, resize):
    y, x = np.mgrid[:600, :900]
    scene = np.stack([x * 255 // 899, y * 255 // 599, ((x // 40 + y // 40) % 2) * 255], -1).astype(np.uint8)
    path = saved(tmp_path / "x.jpg", Image.fromarray(scene), quality=95, subsampling=0)
    reduced = read_image(path, sized(height=32, width=48, channels=3, resize=resize))
    with Image.open(path) as image:
        full = fit_image(image, sized(height=32, width=48, channels=3, resize=resize))
    assert np.abs(reduced.astype(int) - full).mean() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (3, 1000), (1000, 3), (37, 53)])
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_any_shape_fits(size, resize):
    assert fit_image(Image.new("RGB", size, RED), sized(height=20, width=30, channels=3, resize=resize)).shape == (
        20,
        30,
        3,
    )


# Faults


def faulty(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_image(path, sized(height=4, width=4, channels=3))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def jpeg(size: int = 64) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def test_bad_files(tmp_path):
    path = tmp_path / "x.jpg"
    unknown = f"{path}: is a text, not an image. Repair or replace the file."
    assert faulty(path, b"") == f"{path}: is empty (0 bytes). Repair or replace the file."
    assert faulty(path, b"hello") == unknown
    # PostScript is a program: Pillow would start Ghostscript for it.
    assert faulty(path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n") == (
        f"{path}: is a PostScript program, not an image. Repair or replace the file."
    )
    assert faulty(path, jpeg()[:1000]).startswith(f"{path}: cannot be decoded (image file is truncated")
    with pytest.raises(DataError, match=r"nowhere.jpg: cannot be decoded \(No such file or directory\)"):
        read_image(tmp_path / "nowhere.jpg", sized(height=4, width=4, channels=3))


def png_header(side: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    assert faulty(path, png_header(60_000)).startswith(
        f"{path}: cannot be decoded (Image size (3600000000 pixels) exceeds limit of {MAX_PIXELS} pixels"
    )
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as programs do that trust their images
    assert faulty(path, png_header(60_000)).startswith(
        f"{path}: has 60000 x 60000 pixels, more than 178,956,970. Repair"
    )


def test_settings_out_of_range(tmp_path):
    image = Image.new("RGB", (2, 2))
    with pytest.raises(DataError, match=r"are to have 4 channels; expected 1 \(grey\) or 3 \(RGB\)"):
        fit_image(image, sized(height=2, width=2, channels=4))
    with pytest.raises(DataError, match=r"data.image_size is 0 x 2 pixels; expected 1 x 1 or more"):
        fit_image(image, sized(height=0, width=2, channels=3))
    with pytest.raises(DataError, match=r"data.resize is 'squash'; expected one of crop, pad, stretch"):
        fit_image(image, sized(height=2, width=2, channels=3, resize="squash"))
