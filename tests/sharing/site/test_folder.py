import hashlib
import json
import os

import pytest

from tests.sharing.site.made import team_shelf, version
from zoo.errors import ZooError
from zoo.sharing.site.contents import Recipe, Shelf
from zoo.sharing.site.folder import write_site
from zoo.sharing.site.pages import Page, pages_of
from zoo.system.sealing import sealed


def files(folder):
    """Gives every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def shelf_of(*names):
    return Shelf(name="s", recipes=tuple(Recipe(name=name, versions=(version(),)) for name in names))


def test_a_site_is_its_pages_and_a_marker_that_lists_them(tmp_path):
    out = tmp_path / "new" / "site"
    listed = write_site(out, pages_of(team_shelf()))
    found = files(out)
    assert sorted([*listed, "site.json"]) == sorted(found)
    pages = json.loads(found["site.json"])["pages"]
    assert pages == {path: hashlib.sha256(found[path]).hexdigest() for path in listed}


def test_the_same_shelf_gives_the_same_folder_whatever_was_there_before(tmp_path):
    write_site(tmp_path / "a", pages_of(team_shelf()))
    write_site(tmp_path / "b", pages_of(shelf_of("older", "digits")))
    write_site(tmp_path / "b", pages_of(team_shelf()))
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_page_that_is_the_same_is_left_as_it_is(tmp_path):
    write_site(tmp_path, pages_of(shelf_of("one", "two")))
    for path in tmp_path.rglob("*.html"):
        os.utime(path, (1, 1))
    (tmp_path / "recipes" / "two.html").write_text("changed by hand")
    before = {path: (tmp_path / path).stat().st_ino for path in ("recipes/one.html", "recipes/two.html")}
    write_site(tmp_path, pages_of(shelf_of("one", "two", "three")))
    times = {path.name: path.stat().st_mtime for path in tmp_path.rglob("*.html")}
    assert [name for name, seconds in times.items() if seconds == 1] == ["one.html"]
    assert (tmp_path / "recipes/two.html").stat().st_ino != before["recipes/two.html"]


def test_pages_of_recipes_that_are_gone_are_removed_and_changed_ones_are_left(tmp_path):
    write_site(tmp_path, pages_of(shelf_of("one", "two", "a/three")))
    (tmp_path / "recipes" / "two.html").write_text("mine now")
    (tmp_path / "CNAME").write_text("models.example.org")
    write_site(tmp_path, pages_of(shelf_of("four")))
    assert set(files(tmp_path)) == {"CNAME", "index.html", "recipes/four.html", "recipes/two.html", "site.json"}
    assert not (tmp_path / "recipes" / "a").exists()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ZooError, match=r"holds other files; expected a new folder, or one that 'zoo shelf site' made"):
        write_site(tmp_path, pages_of(team_shelf()))
    assert files(tmp_path) == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("name", ["index.html", "recipes/four.html", "recipes", "recipes/four.html/x"])
def test_what_somebody_put_in_the_place_of_a_page_is_not_written_over(tmp_path, name):
    write_site(tmp_path, [])
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files(tmp_path)
    with pytest.raises(ZooError, match=r"is not a page that|is a link or a file"):
        write_site(tmp_path, pages_of(shelf_of("four")))
    assert files(tmp_path) == before


def test_no_link_leads_a_page_out_of_the_folder(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_site(out, [])
    (out / "recipes").symlink_to(elsewhere)
    with pytest.raises(ZooError, match="is a link or a file"):
        write_site(out, pages_of(shelf_of("four")))
    (elsewhere / "old.html").write_text("mine")
    (out / "site.json").write_text(sealed({"schema": 1, "kind": "site", "pages": {"recipes/old.html": ""}}))
    write_site(out, [])
    assert (elsewhere / "old.html").exists()
    (elsewhere / "old.html").unlink()
    (out / "recipes").unlink()
    (out / "index.html").symlink_to(elsewhere / "index.html")
    with pytest.raises(ZooError, match="is not a page that"):
        write_site(out, pages_of(shelf_of("four")))
    assert files(elsewhere) == {}


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"schema": 1, "kind": "site", "pages": {}}', "{" * 100_000])
def test_a_marker_that_zoo_did_not_write_is_refused_by_its_name(tmp_path, content):
    (tmp_path / "site.json").write_text(content)
    with pytest.raises(
        ZooError, match=r"site\.json: .*expected what 'zoo shelf site' wrote; give another OUT"
    ) as fault:
        write_site(tmp_path, pages_of(team_shelf()))
    assert "\n" not in str(fault.value) and set(files(tmp_path)) == {"site.json"}


def test_a_marker_that_is_a_pipe_or_a_link_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "site.json")
    with pytest.raises(ZooError, match=r"site\.json: is a named pipe"):
        write_site(tmp_path, [])


def test_a_marker_cannot_have_files_elsewhere_removed(tmp_path):
    """One that lists paths of others, sealed anew by whoever sent the folder."""
    victim = tmp_path / "victim.html"
    victim.write_text("mine")
    out = tmp_path / "out"
    write_site(out, [])
    (out / "notes.html").write_text("mine")
    listed = {"../victim.html": "", str(victim): "", "notes.html": "", "recipes/../notes.html": ""}
    (out / "site.json").write_text(sealed({"schema": 1, "kind": "site", "pages": listed}))
    write_site(out, pages_of(shelf_of("four")))
    assert victim.exists() and (out / "notes.html").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ZooError, match="out: is a file; expected a folder"):
        write_site(tmp_path / "out", [])


def test_a_site_that_was_cut_off_is_gone_on_with(tmp_path):
    def cut():
        raise KeyboardInterrupt

    pages = pages_of(team_shelf())
    with pytest.raises(KeyboardInterrupt):
        write_site(tmp_path, [*pages[:3], Page(path=pages[3].path, content=cut), *pages[4:]])
    assert set(files(tmp_path)) == {"site.json", *(page.path for page in pages[:3])}
    write_site(tmp_path, pages)
    write_site(tmp_path / "whole", pages)
    whole = files(tmp_path / "whole")
    assert {path: content for path, content in files(tmp_path).items() if not path.startswith("whole")} == whole
