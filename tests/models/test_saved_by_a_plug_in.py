"""A saved model whose architecture nothing here registers."""

import pytest

from zoo.errors import NotFoundError
from zoo.models.blueprint import Blueprint
from zoo.models.building import build_graph


def test_a_saved_model_of_a_package_that_is_not_here_says_what_to_install():
    blueprint = Blueprint(architecture="qqxqq", input_shape=(8, 8, 1), classes=("a", "b"))
    with pytest.raises(NotFoundError) as raised:
        build_graph(blueprint)
    assert str(raised.value) == (
        "Unknown model 'qqxqq'. See 'zoo list'. A saved model is of it: install the package that registers it, or "
        "import the script that does."
    )
