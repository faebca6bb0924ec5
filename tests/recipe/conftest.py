from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

VALID = """\
name = "pets"
[model]
name = "mnist_conv"
[[phases]]
name = "head"
train = "head"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a file into the working folder, so that messages name it as short as a user would."""
    monkeypatch.chdir(tmp_path)

    def write_file(text: str, name: str = "pets.toml") -> str:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(dedent(text), encoding="utf-8")
        return name

    return write_file
