import pytest

from tests.cli.recipes.conftest import run


@pytest.mark.parametrize("command", ["ls", "show", "check", "schema"])
def test_every_command_has_help_with_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"zoo recipe {command}" in result.stdout
