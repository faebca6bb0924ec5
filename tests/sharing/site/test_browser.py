"""The pages in headless Chromium: what they show, do and ask for.

Screenshots of each page, width and colour scheme are left beside the site, in pytest's folder (--basetemp).
"""

from dataclasses import replace

import pytest
from PIL import Image

from tests import chromium as chromium_of_the_system
from tests.sharing.site.made import PING, hostile_shelf, team_shelf, version
from zoo.sharing.site.contents import Metric, Recipe, Shelf
from zoo.sharing.site.folder import write_site
from zoo.sharing.site.pages import pages_of

pytestmark = pytest.mark.slow
WIDTHS, SCHEMES = (360, 1280), ("light", "dark")


@pytest.fixture(scope="module")
def chromium():
    with chromium_of_the_system.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    team = team_shelf()
    odd = replace(team.recipes[2], name="ärger-mit-ümläuten")
    write_site(folder / "team", pages_of(replace(team, recipes=(*team.recipes, odd))))
    write_site(folder / "hostile", pages_of(hostile_shelf()))
    return folder


@pytest.fixture
def visit(chromium, site):
    """Opens a page; at the end nothing may have asked for more than files, nor failed, nor broken the page's policy."""
    contexts, asked, said = [], [], []

    def guard(route):
        if route.request.url.startswith("file://"):
            route.continue_()
            return
        asked.append(route.request.url)
        route.abort()

    def visited(path, *, width=1280, scheme="light", **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(path if "://" in path else (site / path).as_uri())
        return page

    visited.asked = asked
    visited.said = said
    yield visited
    for context in contexts:
        context.close()
    assert (asked, said) == ([], [])


def shown(page):
    """Gives the names of the recipes that are listed, from the top down."""
    return page.locator("#recipes tbody tr:visible th a").all_inner_texts()


ALL = [
    "ärger-mit-ümläuten",
    "clothing-lite0",
    "cut-off",
    "digits",
    "lp-ft",
    "shoes-convnext-tiny",
    "shoes-efficientnet-v2-b0",
    "shoes-mobilenet-v3-large",
]


def test_a_request_that_leaves_is_noticed(visit, tmp_path):
    """The control of what every other test asserts."""
    (tmp_path / "leaky.html").write_text(f"<img src='{PING}'><script>fetch('{PING}').catch(() => 0)</script>")
    page = visit((tmp_path / "leaky.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert visit.asked == [PING, PING]
    visit.asked.clear()
    visit.said.clear()


def test_the_search_finds_names_descriptions_and_classes(visit):
    page = visit("team/index.html")
    assert shown(page) == ALL
    search = page.get_by_label("Search")
    for typed, expected in {
        "mnist": ["ärger-mit-ümläuten", "digits"],
        "LONGSLEEVE": ["clothing-lite0"],
        "arger umlauten": ["ärger-mit-ümläuten"],
        "tiny shoes": ["shoes-convnext-tiny"],
        "<script>": [],
    }.items():
        search.fill(typed)
        assert shown(page) == expected, typed
        assert page.get_by_role("status").first.inner_text() == f"{len(expected)} of 8 recipes"
    assert page.get_by_text("No recipe matches").is_visible()
    page.get_by_role("button", name="Clear the filters").click()
    assert shown(page) == ALL and search.input_value() == ""


def test_the_filters_keep_a_model_a_data_set_and_a_least_metric(visit):
    page = visit("team/index.html")
    page.get_by_label("Model").select_option("mnist_conv")
    assert shown(page) == ["ärger-mit-ümläuten", "digits"]
    page.get_by_label("Model").select_option("")
    page.get_by_label("Data").select_option(label="folder · 4 classes · 77aa01c3 (3)")
    assert len(shown(page)) == 3
    page.get_by_label("At least").fill("91.9")  # 0.9187 is shown as 91.9 %
    assert shown(page) == ["shoes-convnext-tiny", "shoes-efficientnet-v2-b0"]
    page.get_by_label("Search").fill("convnext")
    assert shown(page) == ["shoes-convnext-tiny"]
    page.get_by_role("button", name="Clear", exact=True).click()
    assert shown(page) == ALL
    page.get_by_label("Metric").select_option("loss")
    page.get_by_label("At most").fill("0.1")
    assert shown(page) == ["ärger-mit-ümläuten", "digits"]
    assert page.locator("#recipes tbody tr:visible td.metric").first.inner_text().strip() == "0.0213"


def test_the_columns_sort_by_mouse_and_by_keyboard(visit):
    page = visit("team/index.html")
    head = page.get_by_role("columnheader", name="accuracy")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert shown(page)[:3] == ["ärger-mit-ümläuten", "digits", "shoes-convnext-tiny"]
    assert shown(page)[-1] == "lp-ft"  # which no run measured
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert (shown(page)[0], shown(page)[-1]) == ("shoes-mobilenet-v3-large", "lp-ft")
    assert page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1
    page.get_by_role("columnheader", name="Published").get_by_role("button").press(" ")
    assert shown(page)[0] == "clothing-lite0"


def test_the_first_key_leads_past_the_bar_and_the_next_to_the_search(visit):
    page = visit("team/index.html")
    page.get_by_label("Search").fill("mnist")
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    seen = []
    for _ in range(4):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    assert "q" in seen
    assert shown(page) == ["ärger-mit-ümläuten", "digits"]  # a place on the page is not another view


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The index of ten thousand recipes, without their pages."""
    names = (f"{kind}-{number:04}" for kind in ("boots", "hats") for number in range(5000))
    few = [version(1, metrics={"accuracy": Metric(value=0.9 + n / 1000)}) for n in range(10)]
    recipes = tuple(Recipe(name=name, versions=(few[n % 10],)) for n, name in enumerate(names))
    path = tmp_path_factory.mktemp("many") / "index.html"
    path.write_bytes(pages_of(Shelf(name="many", recipes=recipes))[0].content())
    return path.as_uri()


def test_ten_thousand_recipes_are_drawn_a_hundred_at_a_time(visit, many):
    page = visit(many)
    assert shown(page) == [f"boots-{number:04}" for number in range(100)]
    page.get_by_role("button", name="Show 100 more of 9,900").click()
    assert shown(page) == [f"boots-{number:04}" for number in range(200)]
    assert page.evaluate("document.activeElement.textContent") == "boots-0100"
    page.get_by_label("Search").fill("hats-499")
    assert shown(page) == [f"hats-{number}" for number in range(4990, 5000)]
    assert not page.get_by_role("button", name="more of").is_visible()
    page.get_by_label("Search").fill("hats")
    page.get_by_role("columnheader", name="accuracy").get_by_role("button").click()
    assert shown(page)[:2] == ["hats-0009", "hats-0019"]
    assert page.get_by_role("status").first.inner_text() == "5,000 of 10,000 recipes"


def test_each_key_press_is_answered_at_once_among_ten_thousand_recipes(visit, many):
    page = visit(many)
    timed = """(typed) => new Promise((done) => {
        const search = document.getElementById("q");
        search.value = typed;
        const start = performance.now();
        search.dispatchEvent(new Event("input", { bubbles: true }));
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
    })"""
    typed = ["h", "ha", "hat", "hats", "hats 1", "", "zzz", ""]
    # The fastest of some, since other programs take their turns too.
    assert max(min(page.evaluate(timed, one) for _ in range(5)) for one in typed) < 200


def test_a_link_to_a_filtered_index_leads_to_the_same_view(visit):
    page = visit("team/index.html")
    page.get_by_label("Search").fill("their make")
    page.get_by_role("columnheader", name="accuracy").get_by_role("button").click()
    before = shown(page)
    assert len(before) == 3 and page.url.endswith("#q=their+make&sort=metric+descending")
    again = visit(page.url)
    assert shown(again) == before and again.get_by_label("Search").input_value() == "their make"
    odd = visit(page.url.partition("#")[0] + "#model=gone&sort=up&min=x&q=%E0%A4%A")
    assert odd.get_by_label("Model").input_value() == ""


def test_a_command_is_copied(visit):
    page = visit("team/recipes/clothing-lite0.html", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Train it on photos of your own").click()
    page.get_by_text("Copied: Train it on photos of your own").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == "zoo finetune vision/clothing-lite0 --data photos/"
    page.get_by_role("button", name="Copy: recipe").click()
    page.get_by_text("Copied: recipe").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == team_shelf().recipes[0].newest.read().toml.rstrip("\n")


def test_pages_lead_to_one_another(visit):
    page = visit("team/index.html")
    page.get_by_role("link", name="clothing-lite0").click()
    assert page.title() == "clothing-lite0: vision"
    page.get_by_role("link", name="lp-ft").click()
    page.get_by_role("link", name="Shelf vision").click()
    assert shown(page) == ALL


def test_without_javascript_everything_is_there_but_the_filters(visit):
    page = visit("team/index.html", java_script_enabled=False)
    assert page.get_by_role("link", name="clothing-lite0").is_visible()
    assert not page.get_by_label("Search").is_visible()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["index", "recipes/clothing-lite0", "recipes/digits", "recipes/cut-off"])
def test_a_page_fits_and_is_drawn_in_both_schemes(visit, site, path, width, scheme):
    page = visit(f"team/{path}.html", width=width, scheme=scheme)
    file = site / f"{path.replace('/', '-')}-{width}-{scheme}.png"
    page.screenshot(path=file, full_page=True)
    with Image.open(file) as image:
        assert image.width == width  # a page that is wider is taken whole
        darkness = sorted(image.convert("L").resize((40, 40)).tobytes())[800]
    assert darkness > 200 if scheme == "light" else darkness < 60


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("folder", ["team", "hostile"])
def test_no_page_is_wider_than_the_screen_even_with_all_opened(visit, site, folder, width):
    pages = sorted((site / folder).rglob("*.html"))
    assert len(pages) > 8
    for path in pages:
        page = visit(str(path.relative_to(site)), width=width)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide == [width, width], path.name
        page.context.close()


def test_nothing_of_a_hostile_shelf_runs_even_without_the_pages_policy(visit, site):
    """The escaping alone, and the policy with it: no dialog, no message, no request."""
    for path in sorted((site / "hostile").rglob("*.html")):
        for bypass_csp in (True, False):
            page = visit(str(path.relative_to(site)), bypass_csp=bypass_csp)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("[...document.scripts].filter((one) => !one.type).length") == 1
            page.context.close()


def test_what_is_planted_into_a_page_is_stopped_by_its_policy(visit, site, tmp_path):
    """The policy alone: markup that escaping had missed neither runs nor asks for anything."""
    planted = f"<main><script>alert(1)</script><img src='{PING}' onerror='alert(2)'><p style='color: red'>x</p>"
    text = (site / "team" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "planted.html").write_text(text.replace("<main", planted + "<main", 1), encoding="utf-8")
    page = visit((tmp_path / "planted.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert visit.asked == []
    assert len(visit.said) >= 3 and all("Content Security Policy" in message for message in visit.said)
    visit.said.clear()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("path", ["index", "recipes/clothing-lite0", "recipes/cut-off"])
def test_axe_finds_no_barrier(visit, path, scheme):
    page = visit(f"team/{path}.html", scheme=scheme, bypass_csp=True)
    found, passed = chromium_of_the_system.barriers(page)
    assert found == [] and passed > 15
