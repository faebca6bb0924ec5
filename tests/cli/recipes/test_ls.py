import json

from tests.cli.recipes.conftest import run
from zoo.recipe.finding import shipped_recipes


def test_ls_prints_a_line_per_recipe():
    result = run("ls")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == shipped_recipes()


def test_ls_as_json():
    document = json.loads(run("ls", "--json").stdout)
    assert list(document) == ["schema", "kind", "recipes"]
    assert (document["schema"], document["kind"]) == (1, "recipes")
    assert [one["name"] for one in document["recipes"]] == shipped_recipes()
    assert all(set(one) == {"name", "description"} for one in document["recipes"])
