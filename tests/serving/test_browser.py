"""The page in headless Chromium: what it shows, does and asks for.

Screenshots of each width and colour scheme are left in pytest's folder (--basetemp).
"""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests import chromium as chromium_of_the_system
from tests.serving.made import LIMITS, running, source
from zoo.serving.settings import Access

pytestmark = pytest.mark.slow
WIDTHS, SCHEMES = (390, 1280), ("light", "dark")
TOKEN = "0123456789abcdef"
CLASSES = ("red", "green", "blue", "cyan", "magenta", "yellow", "<b>bold</b>")


def colours(pixels):
    """The redder the middle of a photo is, the likelier is `red`; what is left goes to the others."""
    middle = pixels[:, 16:48, 16:48].reshape(len(pixels), -1, 3).mean(axis=1)
    red = np.clip((middle[:, 0] - middle[:, 1:].mean(axis=1)) / 255, 0.02, 0.98)
    rest = np.array([8, 5, 3, 2, 1, 1], np.float32) / 20
    return np.concatenate([red[:, None], (1 - red[:, None]) * rest], axis=1).astype(np.float32)


def red_ball(centre="red"):
    image = Image.new("RGB", (320, 240), (225, 228, 222))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 170, 320, 240), fill=(120, 150, 110))
    draw.ellipse((100, 60, 220, 180), fill=centre)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


@pytest.fixture(scope="module")
def chromium():
    with chromium_of_the_system.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def served():
    made = source(colours, name="colours", classes=CLASSES, input_shape=(64, 64, 3))
    with running(made, unknown_below=0.6) as server:
        yield server


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "ball.jpg").write_bytes(red_ball())
    (tmp_path / "grey.jpg").write_bytes(red_ball("grey"))
    (tmp_path / "notes.txt").write_text("not a photo")
    return tmp_path


@pytest.fixture
def visit(chromium, served):
    """Opens the page; at the end nothing may have asked for more than the server, nor failed, nor broken its policy."""
    contexts, asked, said = [], [], []

    def visited(*, width=1280, scheme="light", of=served, **options):
        context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        own = f"http://127.0.0.1:{of.port}/"
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(own)
        visited.own = own
        return page

    visited.said = said
    yield visited
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((visited.own, "blob:http://127.0.0.1", "data:image/"))] == []
    assert said == []


def classes_shown(page):
    return page.locator("#bars li bdi").all_inner_texts()


def test_a_chosen_photo_is_classified_with_bars(visit, photos):
    page = visit()
    page.get_by_text("colours tells 7 classes apart.").wait_for()
    page.locator("#choose").set_input_files(photos / "ball.jpg")
    page.get_by_role("heading", name="red").wait_for()
    assert classes_shown(page) == ["red", "green", "blue", "cyan", "magenta"]
    shares = [float(text.removesuffix(" %")) for text in page.locator("#bars .share").all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and shares[0] > 60
    trough = page.locator("#bars .trough").first.bounding_box()["width"]
    fill = page.locator("#bars .fill").first.bounding_box()["width"]
    assert fill / trough == pytest.approx(shares[0] / 100, abs=0.01)
    assert page.get_by_role("status").inner_text() == f"Done: red, {shares[0]:.1f} %."
    assert page.locator("#photo").evaluate("(one) => one.complete && one.naturalWidth") == 320
    page.get_by_role("button", name="Show all 7 classes").click()
    assert classes_shown(page)[-1] in CLASSES and len(classes_shown(page)) == 7
    assert "<b>bold</b>" in classes_shown(page)
    assert "Served by zoo with numpy" in page.locator("footer").inner_text()


def test_a_photo_that_is_no_class_is_unknown_with_the_threshold(visit, photos):
    page = visit()
    page.locator("#choose").set_input_files(photos / "grey.jpg")
    page.get_by_role("heading", name="Unknown").wait_for()
    assert page.locator("#doubt").inner_text() == "The likeliest class, green, has 39.2 %; an answer needs 60.0 %."


def test_the_map_shows_what_mattered(visit, photos, tmp_path):
    page = visit()
    page.locator("#choose").set_input_files(photos / "ball.jpg")
    page.get_by_role("heading", name="red").wait_for()
    page.get_by_role("button", name="Show what mattered").click()
    page.locator("#heat").wait_for()
    said = page.locator("#caption").inner_text()
    assert said.startswith("Orange: where covering the photo lowers the probability of red most, by up to ")
    drawn = page.locator("#heat").evaluate(
        """(one) => {
            const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
            return [0.5, 0.03].map((place) => {
                const start = 4 * (Math.floor(place * one.height) * one.width + Math.floor(place * one.width));
                return data[start] - data[start + 2];
            });
        }"""
    )
    assert drawn[0] > 60 and abs(drawn[1]) < 12  # orange in the middle, the grey of the photo in the corner
    page.get_by_role("button", name="Show the photo").click()
    assert page.locator("#photo").is_visible() and not page.locator("#heat").is_visible()


def test_a_photo_is_dropped_and_pasted(visit, photos):
    page = visit()
    page.get_by_text("7 classes").wait_for()
    given = """(content) => {
        const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "ball.jpg", { type: "image/jpeg" }));
        return data;
    }"""
    import base64

    content = base64.b64encode(red_ball()).decode()
    dropped = page.evaluate_handle(given, content)
    page.dispatch_event("#drop", "dragover", {"dataTransfer": dropped})
    assert "over" in page.locator("#drop").get_attribute("class")
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.get_by_role("heading", name="red").wait_for()
    page.reload()
    page.get_by_text("7 classes").wait_for()
    pasted = page.evaluate_handle(given, content)
    page.evaluate("(data) => dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))", pasted)
    page.get_by_role("heading", name="red").wait_for()


def test_all_is_done_by_keyboard(visit, photos):
    page = visit()
    page.on("filechooser", lambda chooser: None)  # or the first key may come before the browser reports choosers
    page.get_by_text("7 classes").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(photos / "ball.jpg")
    page.get_by_role("heading", name="red").wait_for()
    assert page.evaluate("document.activeElement.id") == "answer"
    seen = []
    for _ in range(3):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    assert "more" in seen
    page.locator("#explain").focus()
    page.keyboard.press("Space")
    page.locator("#heat").wait_for()


def test_a_phone_offers_its_camera(visit):
    page = visit(width=390, has_touch=True, is_mobile=True)
    page.get_by_text("7 classes").wait_for()
    take = page.locator("#take")
    assert take.get_attribute("capture") == "environment" and page.get_by_text("Take a photo").is_visible()
    assert not visit().get_by_text("Take a photo").is_visible()


def test_what_is_not_a_photo_is_said(visit, photos):
    page = visit()
    page.locator("#choose").set_input_files(photos / "notes.txt")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text() == "photo: is a text, not an image"
    assert not page.locator("#result").is_visible()
    visit.said.clear()  # the browser itself notes a status of 422
    page.locator("#choose").set_input_files(photos / "ball.jpg")
    page.get_by_role("heading", name="red").wait_for()
    assert not page.get_by_role("alert").is_visible()


def test_the_token_is_asked_for_and_kept(visit, photos):
    made = source(colours, name="colours", classes=CLASSES, input_shape=(64, 64, 3))
    with running(made, access=Access(token=TOKEN), limits=LIMITS) as guarded:
        page = visit(of=guarded)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("The token is not the server's.").wait_for()
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_text("7 classes").wait_for()
        page.reload()
        page.get_by_text("7 classes").wait_for()
        page.locator("#choose").set_input_files(photos / "ball.jpg")
        page.get_by_role("heading", name="red").wait_for()
        page.close()
        visit.said.clear()  # the browser itself notes a status of 401


def test_two_models_are_chosen_between(visit, photos):
    first = source(colours, name="colours", classes=CLASSES, input_shape=(64, 64, 3))
    even = np.full(2, 0.5, np.float32)
    other = source(lambda pixels: np.repeat(even[None], len(pixels), 0), name="coin", classes=("heads", "tails"))
    with running(first, other) as both:
        page = visit(of=both)
        page.get_by_label("Model").select_option("coin")
        page.locator("#choose").set_input_files(photos / "ball.jpg")
        page.get_by_role("heading", name="heads").wait_for()
        page.get_by_label("Model").select_option("colours")
        page.get_by_role("heading", name="red").wait_for()
        page.close()


def test_a_photo_that_the_browser_cannot_show_is_still_explained(visit, tmp_path):
    """A HEIC photo of a phone, which Chromium does not decode."""
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    heif.from_pillow(Image.open(io.BytesIO(red_ball()))).save(tmp_path / "ball.heic", quality=90)
    page = visit(width=390)
    page.locator("#choose").set_input_files(tmp_path / "ball.heic")
    page.get_by_role("heading", name="red").wait_for()
    page.get_by_text("This browser cannot show photos of this kind; the server has read it.").wait_for()
    assert not page.locator("#photo").is_visible()
    page.locator("#explain").click()
    page.locator("#heat").wait_for()
    page.locator("#explain").click()
    page.get_by_text("This browser cannot show photos of this kind").wait_for()
    page.locator("#choose").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": red_ball()})
    page.locator("#photo").wait_for()
    assert page.locator("#caption").inner_text() == ""


def test_a_name_from_right_to_left_moves_nothing_around_it(visit):
    name = "\u0642\u0637 (\u0641\u0627\u0631\u0633\u064a)"
    made = source(colours, name="colours", classes=(name, *CLASSES[1:]), input_shape=(64, 64, 3))
    with running(made) as server:
        page = visit(of=server)
        page.locator("#choose").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": red_ball()})
        page.locator("#bars li").first.wait_for()
        left = """(one) => {
            const range = document.createRange();
            const end = one.firstChild.data.lastIndexOf("%");
            range.setStart(one.firstChild, end); range.setEnd(one.firstChild, end + 1);
            const name = document.createRange();
            name.setStart(one.firstChild, 7); name.setEnd(one.firstChild, one.firstChild.data.indexOf(","));
            return range.getBoundingClientRect().left - name.getBoundingClientRect().right;
        }"""
        assert page.locator("#status").evaluate(left) > 0
        assert page.locator("#answer").inner_text() == f"\u2068{name}\u2069"
        page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_has_no_barrier(visit, photos, tmp_path_factory, width, scheme):
    page = visit(width=width, scheme=scheme, bypass_csp=True)
    folder = tmp_path_factory.mktemp("page", numbered=True)
    page.get_by_text("7 classes").wait_for()
    for state in ("empty", "known", "heat", "unknown", "fault"):
        if state == "known":
            page.locator("#choose").set_input_files(photos / "ball.jpg")
            page.get_by_role("heading", name="red").wait_for()
        if state == "heat":
            page.locator("#explain").click()
            page.locator("#heat").wait_for()
        if state == "unknown":
            page.locator("#choose").set_input_files(photos / "grey.jpg")
            page.get_by_role("heading", name="Unknown").wait_for()
        if state == "fault":
            page.locator("#choose").set_input_files(photos / "notes.txt")
            page.get_by_role("alert").wait_for()
        file = folder / f"{state}-{width}-{scheme}.png"
        page.screenshot(path=file, full_page=True)
        with Image.open(file) as image:
            assert image.width == width, state
            darkness = sorted(image.convert("L").resize((40, 40)).tobytes())[800]
        assert darkness > 200 if scheme == "light" else darkness < 90, state
        found, passed = chromium_of_the_system.barriers(page)
        assert found == [] and passed > 10, state
    visit.said.clear()  # the browser itself notes a status of 422
