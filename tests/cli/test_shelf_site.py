import json
from contextlib import contextmanager

import pytest

from zoo.recipe.loading import load_recipe
from zoo.report.progress import SilentDisplay
from zoo.sharing.site.folder import write_site
from zoo.sharing.site.gathering import gather
from zoo.sharing.site.pages import pages_of
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A user with a shelf `vision`, which holds two recipes."""
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    for name in ("finetune/lp-ft", "quickstart"):
        recipe = load_recipe(name)
        files = {"recipe.toml": recipe.to_toml().encode()}
        open_shelf("vision").publish(name.replace("/", "-"), files, {"model": recipe.model.name})
    return tmp_path


def test_a_site_is_written_and_its_first_page_named(typed, desk):
    code, out, err = typed("shelf", "site", "vision", "public")
    assert (code or 0, out, err) == (0, "public/index.html\n", "2 recipes, 2 versions\n")
    assert {path.name for path in (desk / "public" / "recipes").iterdir()} == {"finetune-lp-ft.html", "quickstart.html"}


class Bars(SilentDisplay):
    """Notes how far each bar went."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    @contextmanager
    def bar(self, description, total):
        moves = self.seen.setdefault((description, total), [])
        yield lambda done, detail="": moves.append(done)


def test_a_bar_goes_from_version_to_version_and_then_from_page_to_page(desk):
    bars = Bars()
    write_site(desk / "public", pages_of(gather(open_shelf("vision"), bars)), bars)
    assert bars.seen == {("reading versions", 2): [1, 2], ("writing pages", 3): [1, 2, 3]}


def test_json_lists_the_pages(typed, desk):
    document = json.loads(typed("shelf", "site", "vision", "public", "--json")[1])
    assert document == {
        "schema": 1,
        "kind": "site",
        "out": "public",
        "shelf": "vision",
        "recipes": 2,
        "versions": 2,
        "pages": ["index.html", "recipes/finetune-lp-ft.html", "recipes/quickstart.html"],
        "faults": [],
    }


def test_a_folder_with_other_files_is_refused_in_one_line(typed, desk):
    (desk / "public").mkdir()
    (desk / "public" / "thesis.txt").touch()
    code, out, err = typed("shelf", "site", "vision", "public")
    assert (code, out) == (1, "")
    assert err == (
        "zoo: public: holds other files; expected a new folder, or one that 'zoo shelf site' made; give another OUT\n"
    )


def test_an_altered_version_is_shown_and_ends_with_3(typed, desk):
    for path in (desk / "shelf" / "objects").rglob("*"):
        if path.is_file() and b"quickstart" in path.read_bytes():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes().replace(b"quickstart", b"slowstart!"))
    code, out, err = typed("shelf", "site", "vision", "public")
    assert (code, out) == (3, "public/index.html\n")
    assert err.splitlines()[0].startswith("vision/quickstart@1: ") and "recipe.toml" in err.splitlines()[0]
    assert err.splitlines()[-1] == "zoo: 1 version on 'vision' cannot be used; their pages say why"
    assert "cannot be used" in (desk / "public" / "index.html").read_text()


def test_a_shelf_that_is_not_known_is_answered_with_the_nearest(typed, desk):
    code, _, err = typed("shelf", "site", "visoin", "public")
    assert code == 1 and "Unknown shelf 'visoin'. Did you mean 'vision'?" in err
    assert not (desk / "public").exists()
