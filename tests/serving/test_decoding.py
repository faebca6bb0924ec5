"""Photos become pixels on threads, of which one takes no large ones."""

import asyncio
import io

import pytest
from PIL import Image

from tests.serving.made import answerer, photo
from zoo.serving.intake.decoding import LARGE_PIXELS, Decoder
from zoo.serving.intake.photos import Photo
from zoo.serving.refusals import RefusedError


@pytest.fixture(scope="module")
def large():
    width = 4_100
    out = io.BytesIO()
    Image.new("L", (width, LARGE_PIXELS // width + 1), 255).save(out, "PNG", compress_level=1)
    return Photo(name="large.png", content=out.getvalue())


def test_large_photos_leave_a_thread_to_the_others(large):
    small = Photo(name="small.png", content=photo(0))
    finished = []

    async def decode(decoder, one):
        pixels = await decoder.decode(one, answerer().settings)
        finished.append((one.name, int(pixels.mean())))

    async def work():
        decoder = Decoder(max_pixels=10**8, threads=2)
        await asyncio.gather(*(decode(decoder, one) for one in [large] * 5 + [small]))
        decoder.close()

    asyncio.run(work())
    assert sorted(finished) == [("large.png", 255)] * 5 + [("small.png", 0)]
    assert finished.index(("small.png", 0)) < 3  # though it came last


def test_what_gives_no_pixels_gives_its_reason(large):
    async def work():
        decoder = Decoder(max_pixels=100)
        found = [await decoder.decode(one, answerer().settings) for one in (large, Photo(name="x", content=b"x"))]
        decoder.close()
        return found

    too_large, unknown = asyncio.run(work())
    assert isinstance(too_large, RefusedError) and isinstance(unknown, RefusedError)
    assert (too_large.status, unknown.status) == (413, 422)
    assert str(too_large) == "large.png: has 4,100 x 3,903 pixels; expected at most 100 (--max-pixels)"
    assert str(unknown).startswith("x: ")
