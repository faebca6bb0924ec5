import pytest

from zoo.errors import NotFoundError, ZooError
from zoo.shelves.configured import ShelfSettings, add_shelf, configured_shelves, remove_shelf, settings_path
from zoo.shelves.faults import ShelfError
from zoo.shelves.places.opening import checked_url
from zoo.shelves.shelf import open_shelf


def test_a_shelf_is_kept_until_it_is_removed(user):
    assert configured_shelves() == {}
    add_shelf("vision", "/mnt/shelf")
    add_shelf("web", "https://example.org/shelf", ["PEM"])
    assert configured_shelves() == {
        "vision": ShelfSettings("vision", "/mnt/shelf"),
        "web": ShelfSettings("web", "https://example.org/shelf", ("PEM",)),
    }
    assert remove_shelf("vision").url == "/mnt/shelf"
    assert list(configured_shelves()) == ["web"]
    with pytest.raises(NotFoundError, match=r"Unknown shelf 'wep'. Did you mean 'web'\?"):
        remove_shelf("wep")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Vision", "cannot be the name of a shelf"),
        ("../x", "cannot be"),
        ("finetune", "begins names of recipes or runs already"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name, said, user):
    with pytest.raises(ShelfError, match=said):
        add_shelf(name, "/mnt/shelf", taken={"finetune"})


def test_another_address_does_not_replace_the_first(user):
    add_shelf("vision", "/mnt/shelf")
    with pytest.raises(ShelfError, match="shelf 'vision' is /mnt/shelf already; 'zoo shelf remove vision' first"):
        add_shelf("vision", "/mnt/other")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 2", "schema is 2; expected 1; use a newer zoo"),
        ("schema = ", "is damaged"),
        ("schema = 1\n[shelves.vision]\nurl = 3", r"is damaged \(shelves.vision\)"),
        ("schema = 1\nshelves = 3", "is damaged"),
        ('schema = 1\n[shelves.vision]\nurl = "x"\nrequire_keys = "all"', "is damaged"),
    ],
)
def test_damaged_settings_are_refused_and_never_taken_for_none(text, said, user):
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text(text)
    with pytest.raises(ShelfError, match=f"shelves.toml: {said}"):
        configured_shelves()


def test_a_damaged_key_in_the_settings_is_not_taken_for_none(user, root):
    add_shelf("vision", str(root), ["no key"])
    with pytest.raises(ZooError, match="require_keys of 'vision': does not hold a public key"):
        open_shelf("vision").publish("pets", {"recipe.toml": b""}, {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ftp://example.org/x", "ftp:// is not read; expected a folder or one of file://, http://"),
        ("https://me:secret@example.org/x", "https://example.org: holds a name, a password or a query"),
        ("s3://bucket/x?versionId=3", "holds a name, a password or a query"),
        ("", "is not the address of a shelf"),
        ("a\nb", "is not the address of a shelf"),
    ],
)
def test_what_is_not_the_address_of_a_shelf_is_refused(given, said):
    with pytest.raises(ShelfError, match=said) as refused:
        checked_url(given)
    assert "secret" not in str(refused.value)


def test_a_folder_is_kept_by_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert checked_url("shelf") == str(tmp_path / "shelf")
    assert checked_url("~/shelf") == "/home/me/shelf"
    assert checked_url("file:///mnt/my%20shelf") == "/mnt/my shelf"
    assert checked_url("https://example.org/shelf/") == "https://example.org/shelf"


@pytest.mark.parametrize(("url", "extra"), [("gs://bucket/x", "gs"), ("s3://bucket/x", "s3")])
def test_what_an_address_needs_is_named_with_the_command_that_installs_it(url, extra, user, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("s3fs", "gcsfs") else real(name))
    add_shelf("far", url)
    with pytest.raises(ShelfError, match=rf"^{url}: needs \w+; type pip install 'zoo\[{extra}\]'$"):
        open_shelf("far")
