import pytest

from zoo.errors import NotFoundError
from zoo.shelves.names import Reference, fault_of_file_names, is_file_name, read_reference


@pytest.mark.parametrize("name", ["recipe.toml", "model/card.json", "source/a-b_c.toml", ".hidden", "..a", "a..b/c"])
def test_what_can_name_a_file(name):
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../x", "a/../b", "a/..", ".", "a/./b", "a//b", "a/", "a\\b", "C:/x", "a b", "a\n", "ä"),
        *("a\0", "a" * 201, "%2e%2e/x", "~/x", "a:b"),
    ],
)
def test_what_leads_elsewhere_names_no_file(name):
    assert not is_file_name(name)


def test_two_names_of_one_file_are_refused():
    assert "are one file where capitals do not count" in fault_of_file_names(["a/Recipe", "a/recipe"])
    assert "'model' is a file and the folder of 'model/card.json'" in fault_of_file_names(["model/card.json", "model"])
    assert fault_of_file_names(["a", "b/a", "b/c"]) == ""


def test_a_reference_is_read_as_it_is_typed():
    sha256 = "0f" * 32
    assert read_reference("vision/pets") == Reference("vision", "pets")
    assert read_reference("vision/pets@3") == Reference("vision", "pets", number=3)
    assert read_reference(f"vision/pets@sha256:{sha256}") == Reference("vision", "pets", sha256=sha256)
    for text in ("vision/pets", "vision/pets@12", f"vision/pets@sha256:{sha256}"):
        assert str(read_reference(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("pets", "vision/", "/pets", "vision/pets@", "vision/pets@0", "vision/pets@-1", "vision/pets@latest"),
        *("vision/pets@sha256:12", "vision/../pets", "Vision/pets", "vision/pets@1/../2", "vision/a/b", "vision/pe ts"),
    ],
)
def test_what_is_not_a_reference_is_refused_with_an_example(text):
    with pytest.raises(NotFoundError, match=r"such as vision/pets@3$"):
        read_reference(text)
