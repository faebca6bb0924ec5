import base64
import hashlib
import json
import os
import posixpath
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from urllib.parse import unquote

import pytest

from tests.sharing.site.made import ATTACKS, CLOTHING, PING, hostile_shelf, team_shelf, version
from tests.sharing.site.markup import read
from tests.tiny import environment
from zoo.errors import UNSHOWABLE
from zoo.sharing.site.contents import Metric, Recipe, Shelf
from zoo.sharing.site.listing import listing_of
from zoo.sharing.site.pages import pages_of


def written(shelf):
    return {page.path: page.content() for page in pages_of(shelf)}


@pytest.fixture(scope="module")
def team():
    return {path: read(content) for path, content in written(team_shelf()).items()}


@pytest.fixture(scope="module")
def hostile():
    return written(hostile_shelf())


def all_pages():
    return {**written(team_shelf()), **{f"hostile/{path}": one for path, one in written(hostile_shelf()).items()}}


PAGES = all_pages()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound_for_keyboard_and_screen_reader(path):
    page = read(PAGES[path])
    (html,) = (one for one in page.inside if one.name == "html")
    assert html.attributes["lang"] == "en" and next(page.all("title")).text.strip()
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    labels = {one.attributes["for"] for one in page.all("label")}
    for one in page.all("input", "select"):
        assert one.attributes["id"] in labels
    for one in page.all():
        for key in ("for", "aria-labelledby"):
            assert one.attributes.get(key) in (None, *ids)
    for one in page.all("button"):
        assert one.text.strip() and one.attributes["type"] == "button"
    for one in page.all("th"):
        assert one.attributes["scope"] in ("col", "row") and one.text.strip()
    for one in page.all("table"):
        assert next(one.all("caption")).text.strip()
    for one in page.all("svg"):
        assert one.attributes.get("aria-hidden") == "true" or one.attributes["role"] == "img"
    levels = [int(one.name[1]) for one in page.all("h1", "h2", "h3")]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_and_loads_only_what_ships_with_zoo(path):
    page = read(PAGES[path])
    (policy,) = (one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def hashed(name):
        (own,) = (one for one in page.all(name) if one.attributes.get("type") != "application/json")
        return f"'sha256-{base64.b64encode(hashlib.sha256(own.text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": hashed("script"),
        "style-src": hashed("style"),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    head = [one.name for one in next(page.all("head")).inside]
    assert head.index("style") > [one.attributes.get("http-equiv") for one in next(page.all("head")).inside].index(
        "Content-Security-Policy"
    )


@pytest.mark.parametrize("path", PAGES)
def test_a_page_leads_only_to_pages_of_its_site(path):
    page, site = read(PAGES[path]), path.startswith("hostile/")
    known = {one.removeprefix("hostile/") for one in PAGES if one.startswith("hostile/") == site}
    ids = {one.attributes["id"] for one in page.all() if "id" in one.attributes}
    links = [(one.name, one.attributes["href"]) for one in page.all() if "href" in one.attributes]
    for name, target in links:
        if name == "link":
            assert target.startswith("data:image/svg+xml,")
        elif target.startswith("#"):
            assert target[1:] in ids
        else:
            own = posixpath.dirname(path.removeprefix("hostile/"))
            assert posixpath.normpath(posixpath.join(own, unquote(target))) in known
    assert not [one for one in page.all() if {"src", "srcset", "style", "action", "xlink:href"} & set(one.attributes)]


def test_no_text_of_a_recipe_becomes_markup(team, hostile):
    """The pages of attacks have the elements and attributes of the pages of a team's shelf, and no others."""

    def kinds(pages):
        return {(one.name, key) for page in pages for one in page.all() for key in ("", *one.attributes)}

    assert kinds(read(content) for content in hostile.values()) - kinds(team.values()) == set()
    assert not [key for _, key in kinds(team.values()) if key.startswith("on")]


def test_every_text_of_a_recipe_is_shown_as_it_is_written(hostile):
    index, every = read(hostile["index.html"]), [read(content) for content in hostile.values()]
    for number, text in enumerate(ATTACKS):
        shown = "".join(UNSHOWABLE.sub(lambda sign: ascii(sign[0])[1:-1], text)).replace("\ud800", "\\ud800")
        pages = [page for page in every if f"{shown}{number}" in page.text]
        assert len(pages) >= 3, text  # the index, and two versions
        page = next(one for one in pages if next(one.all("h1")).text == f"{shown}{number}")
        code = next(one for one in page.all("pre") if one.attributes.get("class") == "toml").text
        assert code == f"# {shown}\nkey = {shown}\n[{shown}]\n{shown}\n"
        assert [one.text.strip() for one in page.all("td")].count(shown) >= 4
        assert shown in [one.attributes["value"] for one in index.all("option")]


def test_no_page_holds_what_would_turn_or_hide_text(hostile):
    for content in hostile.values():
        assert not UNSHOWABLE.search(content.decode("utf-8").replace("\n", ""))


def test_the_address_that_attacks_name_stands_in_texts_only(hostile):
    """The control: the attacks are there, and the checks above looked at pages that hold them."""
    assert PING in read(hostile["index.html"]).text


def test_the_same_shelf_gives_the_same_bytes_in_every_process():
    code = (
        "import hashlib; from tests.sharing.site.made import *; from zoo.sharing.site.pages import pages_of\n"
        "for shelf in (team_shelf(), hostile_shelf()):\n"
        "    for page in pages_of(shelf): print(ascii(page.path), hashlib.sha256(page.content()).hexdigest())"
    )

    def hashes(seed, zone):
        variables = {**environment(), "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        return subprocess.run([sys.executable, "-c", code], env=variables, check=True, capture_output=True).stdout

    first = hashes("1", "UTC")
    assert first == hashes("2", "Asia/Tokyo")
    assert first.count(b"\n") == len(PAGES)


def listed(index):
    """Gives what the script of an index filters and draws."""
    (block,) = (one for one in index.all("script") if one.attributes.get("type") == "application/json")
    return json.loads(block.text)


def test_the_index_lists_each_recipe_with_what_it_is_filtered_by(team):
    found = listed(team["index.html"])
    assert [row["name"] for row in found["recipes"]] == sorted(one.name for one in team_shelf().recipes)
    (clothing,) = (row for row in found["recipes"] if row["name"] == "clothing-lite0")
    assert clothing["model"] == "efficientnet_lite0"
    assert clothing["metrics"][0] == [0.9033, "90.3 %", "86.7 % to 92.8 %"]
    assert "longsleeve" in found["classes"][clothing["classes"]]
    models = {one.attributes["value"] for one in team["index.html"].all("option")}
    assert {row["model"] for row in found["recipes"]} <= models


def test_a_metric_has_its_place_in_every_row(team):
    (choice,) = (one for one in team["index.html"].all("select") if one.attributes["id"] == "metric")
    names = [one.text.strip() for one in choice.all("option")]
    (digits,) = (row for row in listed(team["index.html"])["recipes"] if row["name"] == "digits")
    figures = {name: one and one[1] for name, one in zip(names, digits["metrics"], strict=True)}
    assert figures == {"accuracy": "99.3 %", "balanced_accuracy": None, "macro_f1": None, "loss": "0.0213"}


def test_of_many_recipes_the_first_have_rows_and_the_others_are_counted():
    one = version(1, is_listed_only=True, read=None)
    many = tuple(Recipe(name=f"pets-{number:03}", versions=(one,)) for number in range(130))
    index = read(next(iter(pages_of(Shelf(name="s", recipes=many)))).content())
    assert [row.text for row in next(index.all("tbody")).all("a")] == [f"pets-{number:03}" for number in range(100)]
    assert len(listed(index)["recipes"]) == 130 and len(listed(index)["classes"]) == 1
    (said,) = (one.text for one in index.all("noscript"))
    assert said == "The other 30 recipes are listed by zoo recipe ls --shelf."


def test_a_search_through_many_long_lists_of_classes_is_bounded():
    def with_classes(number):
        data = replace(CLOTHING, classes=(f"class-{number}", "x" * 25_000))
        return Recipe(name=f"a{number}", versions=(version(data=data),))

    listing = listing_of(Shelf(name="s", recipes=tuple(map(with_classes, range(1000)))))
    assert {len(names) for names in listing.classes} == {10_000}


def test_a_page_shows_the_receipt_the_curves_the_parent_and_the_commands(team):
    page = team["recipes/clothing-lite0.html"]
    tables = {next(one.all("caption")).text: [cell.text for cell in one.all("th", "td")] for one in page.all("table")}
    cells = [one.text.strip() for one in page.all("td", "th")]
    for expected in (
        "90.3 %",
        "86.7 % to 92.8 %",
        "longsleeve",
        "12 min 34 s",
        "AMD EPYC 7763 64-Core Processor",
        "2.21.0",
    ):
        assert expected in cells
    contract = tables["Freezing contract by phase"]
    assert contract[-7:] == ["all", "all", "frozen", "3,385,850", "98", "149", "stem_conv/kernel"]
    assert [one.text for one in page.all("del")][:2] == ['"mobilenet"', "32"]
    assert [one.text for one in page.all("ins")][:2] == ['"efficientnet_lite0"', "64"]
    assert "lp-ft.html" in [one.attributes["href"] for one in page.all("a")]
    digest = team_shelf().recipes[0].newest.digest
    commands = [one.text for one in page.all("pre") if "toml" not in one.attributes.get("class", "")]
    assert commands == [
        "zoo shelf add vision https://models.example.org/vision",
        f"zoo recipe pull vision/clothing-lite0@sha256:{digest}",
        "zoo finetune vision/clothing-lite0 --data photos/",
        "zoo reproduce vision/clothing-lite0 --data photos/",
    ]
    assert len(list(page.all("figure"))) == 2
    (toml,) = (one.text for one in page.all("pre") if one.attributes.get("class") == "toml")
    assert toml == team_shelf().recipes[0].newest.read().toml


def test_a_run_on_images_that_go_by_a_name_is_reproduced_without_a_folder_and_trained_on_one(team):
    commands = [one.text for one in team["recipes/digits.html"].all("pre")]
    assert "zoo reproduce vision/digits" in commands
    assert "zoo finetune vision/digits --set data.source=folder --data photos/" in commands


def test_an_older_version_has_a_page_that_says_so(team):
    page = team["recipes/clothing-lite0@2.html"]
    assert "There is a newer version: version 3" in page.text
    commands = [one.text for one in page.all("pre")]
    assert "zoo finetune vision/clothing-lite0@2 --data photos/" in commands
    newest = team["recipes/clothing-lite0.html"]
    listed = [next(one.all("th")).text for one in list(newest.all("table"))[-1].all("tr")][1:]
    assert listed == ["3", "2", "1"]
    assert "recipes/clothing-lite0@1.html" not in team  # only its row is known


def test_a_version_that_cannot_be_used_says_why(team):
    (alert,) = (one for one in team["recipes/cut-off.html"].all("p") if one.attributes.get("role") == "alert")
    assert "receipt.json: is not what was published" in alert.text
    assert "cannot be used" in team["index.html"].text
    assert not list(team["recipes/cut-off.html"].all("pre"))  # nor is it offered


def test_a_recipe_without_a_run_has_no_results_and_no_curves(team):
    page = team["recipes/lp-ft.html"]
    assert not list(page.all("figure")) and "Results" not in [one.text for one in page.all("h2")]
    assert not [one for one in page.all("pre") if "reproduce" in one.text]


def test_an_empty_shelf_says_how_something_is_pushed():
    (index,) = written(Shelf(name="vision")).values()
    assert "zoo recipe push runs/my-run vision/my-recipe" in read(index).text


def test_a_metric_that_is_not_a_number_is_not_listed():
    hurt = version(metrics={"accuracy": Metric(value=float("nan")), "loss": Metric(value=float("inf"))})
    pages = written(Shelf(name="s", recipes=(Recipe(name="a", versions=(hurt,)),)))
    (row,) = listed(read(pages["index.html"]))["recipes"]
    assert row["metrics"] == [None, None]
    assert "nan" not in re.sub(r"[^a-z]+", " ", read(pages["recipes/a.html"]).text).split()


def test_names_that_one_file_system_takes_for_one_have_pages_of_their_own():
    names = ["pets", "Pets", "pets.html", "../../pets", "con", "a/b", "a" * 300, "pets@2", ""]
    shelf = Shelf(name="s", recipes=tuple(Recipe(name=name, versions=(version(1), version(2))) for name in names))
    shelf = replace(shelf, recipes=tuple(replace(one, versions=one.versions[::-1]) for one in shelf.recipes))
    paths = [page.path for page in pages_of(shelf)]
    assert len({path.casefold() for path in paths}) == len(paths) == 1 + 2 * len(names)
    assert {"recipes/pets.html", "recipes/pets@1.html", "recipes/a/b.html"} <= set(paths)
    for path in paths:
        assert os.path.normpath(path) == path and not path.startswith((".", "/")) and len(path) < 130
