from click.testing import CliRunner

from zoo.cli.recipes import recipe


def run(*arguments):
    return CliRunner().invoke(recipe, arguments)
