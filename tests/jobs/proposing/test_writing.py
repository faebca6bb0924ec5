import tomllib

import pytest

from tests.jobs.proposing.made import LITE0, PHOTOS, RANDOM, TWO_CORES, costs, draft
from zoo.jobs.proposing.forecast import Work, forecast
from zoo.jobs.proposing.writing import Header, recipe_name, recipe_text
from zoo.recipe.loading import load_recipe

WORK = Work(train=2_700, validation=300, batch_size=32, epochs={"head": 5, "all": 9})


def header(**changes):
    keys = {
        "name": "pets",
        "data": "my photos/",
        "asked": "zoo recipe new --budget 600s",
        "date": "2026-03-01",
        "facts": PHOTOS,
        "machine": TWO_CORES,
        "versions": "Keras 3 on tensorflow 2",
        "forecast": forecast(costs(), WORK),
    }
    return Header(**{**keys, **changes})


@pytest.mark.parametrize("model", [LITE0, RANDOM])
def test_the_file_says_what_the_draft_does_and_passes_the_check(tmp_path, model):
    (tmp_path / "pets.toml").write_text(recipe_text(draft(model=model), header()))
    found = load_recipe(tmp_path / "pets.toml", against_card=True)
    assert found == draft(model=model).recipe("pets", found.description)
    assert found.description.startswith("efficientnet_lite0 for 3,000 images of 10 classes: ")


def test_each_key_has_its_reason_beside_it_and_the_header_has_the_forecast():
    text = recipe_text(draft(), header(given_up=("9 epochs of 'all': it has 7",), notes=("20 images validate",)))
    comments, _, keys = text.partition("\n\nschema = 1\n")
    assert 'train = "head"  # it is new: the features must not bend to a random one\n' in keys
    bare = [line for line in keys.splitlines() if "=" in line and "  # " not in line]
    assert [line.partition(" =")[0] for line in bare] == ["name", "description", "name", "name"]
    assert comments.startswith(
        "# zoo finetune pets.toml --data 'my photos/'\n#\n# Proposed by 'zoo recipe new --budget"
    )
    flowing = comments.replace("\n# ", " ")
    assert "Forecast of 2026-03-01: 27 min, give or take 10 %: start 6.0 s, reading 3.0 s, head" in flowing
    assert "first run on 2 cores of a processor, Keras 3 on tensorflow 2;" in flowing
    assert "- 9 epochs of 'all': it has 7." in comments
    assert "# Note: 20 images validate." in comments
    assert max(map(len, comments.splitlines())) <= 120


def test_a_name_that_would_end_the_comment_does_not(tmp_path):
    text = recipe_text(draft(), header(data="a\nname = 'evil'", name="a"))
    assert tomllib.loads(text)["name"] == "a"


@pytest.mark.parametrize(
    ("data", "name"),
    [("My Photos (2)", "my-photos-2"), ("猫", "images"), ("", "images"), ("a" * 99, "a" * 60), ("-x_", "x")],
)
def test_the_name_is_made_of_the_datas(data, name):
    assert recipe_name(data) == name
