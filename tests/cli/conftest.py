import pytest

from zoo.cli import main


@pytest.fixture
def typed(capsys):
    """Types a command; gives its exit code, stdout and stderr."""

    def type_in(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return type_in
